"""AWS may throttle, refuse or be gone: the first is waited out, the others are explained, and what serves serves on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse, HeadersDict

from common.steps import failures_explained
from tests.functional.deployment.deployment_kit import Project


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._content


@contextmanager
def answered_instead(client: Any, code: str, times: int, operation: str = "*") -> Iterator[list[str]]:
    """For each operation, AWS answers that error so many times before it does what was asked. Gives the refused calls."""
    refused: list[str] = []

    def answer(request: Any, event_name: str, **_: Any) -> AWSResponse | None:
        name = event_name.rpartition(".")[2]
        if refused.count(name) >= times or operation not in ("*", name):
            return None
        refused.append(name)
        body = f'{{"__type": "{code}", "message": "{code} it is."}}'.encode()
        headers: Any = HeadersDict({"x-amzn-ErrorType": code})
        return AWSResponse(request.url, 400, headers, _Body(body))

    client.meta.events.register("before-send", answer)
    try:
        yield refused
    finally:
        client.meta.events.unregister("before-send", answer)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)


def test_throttled_calls_are_made_again(project: Project) -> None:
    project.deploy(project.package(1))
    two = project.package(2)
    with (
        answered_instead(project.aws.sagemaker, "ThrottlingException", times=2) as control,
        answered_instead(project.aws.runtime, "ThrottlingException", times=2) as runtime,
    ):
        assert project.deploy(two)
    assert {"CreateModel", "CreateEndpointConfig", "AddTags", "UpdateEndpoint", "DescribeEndpoint"} <= set(control)
    assert runtime == ["InvokeEndpoint"] * 2
    assert project.answers() == 2


@pytest.mark.parametrize(
    ("operation", "code", "said"),
    [
        ("CreateModel", "AccessDeniedException", "needs permission for CreateModel: docs/permissions.md"),
        pytest.param(
            "UpdateEndpoint",
            "AccessDeniedException",
            "The role of this job needs permission for UpdateEndpoint;",
            marks=pytest.mark.long,
        ),
        ("UpdateEndpoint", "ThrottlingException", "Run the command again, it continues where it stopped."),
    ],
)
def test_a_refused_call_is_explained_and_the_next_run_recovers(
    project: Project, capsys: pytest.CaptureFixture[str], operation: str, code: str, said: str
) -> None:
    project.deploy(project.package(1))
    two = project.package(2)
    with (
        answered_instead(project.aws.sagemaker, code, times=10, operation=operation),
        pytest.raises(SystemExit) as exit_status,
        failures_explained(),
    ):
        project.deploy(two)
    assert exit_status.value.code == 1
    error = capsys.readouterr().err
    assert f"AWS refused {operation}: {code}" in error
    assert said in error
    assert project.answers() == 1
    assert project.deploy(two)
    assert project.answers() == 2
