"""InvokeEndpoint keeps the error contract of AWS, and leaves metrics and logs."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from moto.backends import get_backend

from common.local.api import ApiError
from common.local.containers import Program
from common.local.hosting.host import Hosting
from common.local.sagemaker.runtime import MAX_BODY_BYTES
from tests.functional.local.hosting_kit import IMAGE, REGION, Local, eventually, fake_program


def refused(local: Local, body: bytes = b"", endpoint: str = "e", **members: str) -> ApiError:
    with pytest.raises(ApiError) as error:
        local.invoke(body, endpoint, **members)
    return error.value


def ready(local: Local) -> int:
    """Instances of the first variant that are healthy."""
    live = local.aws.part(Hosting).live(local.scope, "e")
    assert live is not None
    assert live.fleet is not None
    return live.fleet.ready_instances("v1")


def test_an_answer_carries_the_content_type_the_variant_and_what_the_container_returns(local: Local) -> None:
    local.serving("a", content_type="application/jsonlines")
    body, headers = local.invoke(b"1,2", CustomAttributes="trace=7")
    assert body == b"a:1,2"
    assert headers == {
        "Content-Type": "application/jsonlines",
        "x-Amzn-Invoked-Production-Variant": "v1",
        "X-Amzn-SageMaker-Custom-Attributes": "trace=7",
    }


def test_the_container_sees_the_request_as_it_was_sent(local: Local) -> None:
    local.serving("a")
    body, _ = local.invoke(b"headers", ContentType="text/csv", Accept="application/json", InferenceId="i-1")
    seen = {name.lower(): value for name, value in json.loads(body).items()}
    assert (seen["content-type"], seen["accept"]) == ("text/csv", "application/json")
    assert seen["x-amzn-sagemaker-inference-id"] == "i-1"
    without, _ = local.invoke(b"headers")
    assert "content-type" not in {name.lower() for name in json.loads(without)}


def test_the_container_has_the_models_environment_and_nothing_of_the_servers(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVERS_OWN", "1")
    local.model("a")
    url = f"s3://models-{local.account}/a.tar.gz"
    local.model_from("a", {"Image": IMAGE, "ModelDataUrl": url, "Environment": {"GREETING": "hello"}})
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("a"))
    local.settled()
    environment = json.loads(local.invoke(b"environment")[0])
    assert (environment["GREETING"], environment["AWS_REGION"]) == ("hello", REGION)
    assert "SERVERS_OWN" not in environment


@pytest.mark.parametrize(("body", "status", "kind"), [(b"bad", 415, "client"), (b"", 500, "server")])
def test_an_error_of_the_container_is_a_model_error_with_the_original(
    local: Local, body: bytes, status: int, kind: str
) -> None:
    local.serving("a", status=500)
    error = refused(local, body)
    text = {415: "not that", 500: "a:"}[status]
    assert (error.code, error.status) == ("ModelError", 424)
    assert error.members == {
        "OriginalStatusCode": status,
        "OriginalMessage": text,
        "LogStreamArn": f"arn:aws:logs:{REGION}:{local.account}:log-group:/aws/sagemaker/Endpoints/e",
    }
    assert error.message.startswith(
        f'Received {kind} error ({status}) from primary with message "{text}". See https://'
    )
    assert f"in account {local.account} for more information." in error.message


def test_an_endpoint_that_does_not_exist_is_not_found(local: Local) -> None:
    error = refused(local, endpoint="nobody")
    assert (error.code, error.status) == ("ValidationError", 400)
    assert error.message == f"Endpoint nobody of account {local.account} not found."


def test_another_accounts_endpoint_is_not_found(local: Local) -> None:
    local.serving("a")
    other = Local(local.aws)
    assert refused(other).message == f"Endpoint e of account {other.account} not found."


def test_an_endpoint_that_is_not_in_service_says_its_status(local: Local) -> None:
    local.model("a", exit=1)
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("a"))
    assert "its status is Creating" in refused(local).message
    local.settled()
    assert "its status is Failed" in refused(local).message


def test_a_body_of_the_limit_is_served_and_one_byte_more_is_refused(local: Local) -> None:
    local.serving("a")
    assert len(local.invoke(b"x" * MAX_BODY_BYTES)[0]) == MAX_BODY_BYTES + 2
    error = refused(local, b"x" * (MAX_BODY_BYTES + 1))
    assert (error.code, error.status) == ("ValidationError", 400)
    assert "6291456" in error.message


@pytest.mark.parametrize(
    ("member", "named"),
    [
        ("TargetModel", "target model header"),
        ("TargetContainerHostname", "TargetContainerHostname"),
        ("InferenceComponentName", "InferenceComponentName"),
        ("SessionId", "SessionId"),
    ],
)
def test_targets_of_another_kind_of_endpoint_are_refused(local: Local, member: str, named: str) -> None:
    local.serving("a")
    error = refused(local, b"", "e", **{member: "something"})
    assert (error.code, error.status) == ("ValidationError", 400)
    assert named in error.message


def test_a_target_variant_is_asked_whatever_the_weights(local: Local) -> None:
    local.model("a")
    local.model("b")
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("ab", "a", "b"))
    local.settled()
    assert {local.invoke(TargetVariant="v2")[0] for _ in range(10)} == {b"b:"}
    assert {local.invoke()[0] for _ in range(10)} == {b"a:", b"b:"}
    assert "Variant v9 not found" in refused(local, TargetVariant="v9").message


def test_a_container_that_does_not_answer_in_time_is_a_model_error(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.local.sagemaker.runtime.TIMEOUT_SECONDS", 0.2)
    local.serving("a", seconds=1)
    error = refused(local)
    assert (error.code, error.members["OriginalStatusCode"]) == ("ModelError", 0)
    assert "Your invocation timed out while waiting for a response from container primary." in error.message
    assert local.values("Invocation5XXErrors") == [1.0]


def test_a_connection_that_is_used_again_waits_as_long_as_its_own_request_may(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.serving("a")
    with monkeypatch.context() as hasty:
        hasty.setattr("common.local.sagemaker.runtime.TIMEOUT_SECONDS", 0.5)
        assert local.invoke()[0] == b"a:"
    assert local.invoke(b"slow")[0] == b"a:slow"


def test_several_containers_are_a_pipeline(local: Local) -> None:
    local.model("first", content_type="application/json")
    local.model("second")
    containers = [
        {"Image": IMAGE, "ModelDataUrl": f"s3://models-{local.account}/{name}.tar.gz"} for name in ("first", "second")
    ]
    local.model_from("both", *containers)
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("both"))
    local.settled()
    assert local.invoke(b"x")[0] == b"second:first:x"
    assert refused(local, b"bad").message.startswith("Received client error (415) from container_1 with message")


def test_a_crash_fails_the_request_under_way_and_later_ones_wait_until_the_worker_is_back(local: Local) -> None:
    local.serving("a")
    [process] = local.process_ids()
    error = refused(local, b"crash")
    assert (error.code, error.members["OriginalStatusCode"]) == ("ModelError", 503)
    eventually(lambda: local.process_ids() != [process], "another process is started")
    with ThreadPoolExecutor(4) as pool:
        assert [body for body, _ in pool.map(local.invoke, [b""] * 8)] == [b"a:"] * 8
    assert local.describe()["EndpointStatus"] == "InService"


def test_a_worker_that_does_not_come_back_is_waited_for_as_long_as_a_request_may_take(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.local.hosting.worker._FIRST_BACKOFF_SECONDS", 60)
    local.serving("a")
    refused(local, b"crash")
    eventually(lambda: not ready(local), "its end is noticed")
    monkeypatch.setattr("common.local.sagemaker.runtime.TIMEOUT_SECONDS", 0.2)
    error = refused(local)
    assert (error.code, error.members["OriginalStatusCode"]) == ("ModelError", 0)
    assert "timed out while waiting for a response from container primary" in error.message
    local.do("DeleteEndpoint", EndpointName="e")


def test_a_crash_in_one_variant_is_not_felt_in_another(local: Local) -> None:
    local.model("a")
    local.model("b")
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("ab", "a", "b"))
    local.settled()
    before = set(local.process_ids())
    refused(local, b"crash", TargetVariant="v1")
    assert {local.invoke(TargetVariant="v2")[0] for _ in range(10)} == {b"b:"}
    eventually(lambda: len(before & set(local.process_ids())) == 1, "another process is started")
    assert local.invoke(TargetVariant="v1")[0] == b"a:"


def test_with_a_second_instance_a_killed_worker_costs_no_request(local: Local) -> None:
    local.model("a")
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("a", instances=2))
    local.settled()
    killed = local.process_ids()[0]
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: ready(local) == 1, "the death is noticed")
    assert {local.invoke()[0] for _ in range(20)} == {b"a:"}
    eventually(lambda: ready(local) == 2, "the worker is back")
    assert killed not in local.process_ids()


def test_a_worker_that_closes_idle_connections_costs_no_request(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs_up(image: str) -> Program:
        command = (*fake_program(image).serve_command, "--close-after", "0.05")
        return Program("fake", "1", command, command)

    monkeypatch.setattr("common.local.hosting.fleet.program", hangs_up)
    local.serving("a")
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert {body for body, _ in pool.map(local.invoke, [b""] * 20)} == {b"a:"}
            local.aws.closing.wait(0.1)  # longer than the worker keeps an idle connection


def test_every_call_is_counted_with_its_latencies(local: Local) -> None:
    local.serving("a")
    for _ in range(3):
        local.invoke()
    refused(local, b"bad")
    assert local.values("Invocations") == [1.0] * 4
    assert sorted(local.values("Invocation4XXErrors")) == [0.0, 0.0, 0.0, 1.0]
    assert local.values("Invocation5XXErrors") == [0.0] * 4
    assert all(50 < latency < 1e6 for latency in local.values("ModelLatency"))
    assert all(0 < latency < 1e6 for latency in local.values("OverheadLatency"))


def test_what_containers_print_is_in_cloudwatch_logs_by_variant_and_instance(local: Local) -> None:
    local.model("a")
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("a", instances=3))
    local.settled()

    def streams() -> dict[str, list[str]]:
        groups = get_backend("logs")[local.account][REGION].groups
        if "/aws/sagemaker/Endpoints/e" not in groups:
            return {}
        found = groups["/aws/sagemaker/Endpoints/e"].streams.items()
        return {name: [event.message for event in stream.events] for name, stream in found}

    logged = eventually(lambda: streams() if len(streams()) == 3 else None, "the streams are there")
    assert logged.pop("v1") == ["3 instances asked for; this machine runs 2 processes."]
    assert all(name.startswith("v1/i-") and lines == ["model a: is loaded"] for name, lines in logged.items())
