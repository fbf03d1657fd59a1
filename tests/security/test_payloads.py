"""Requests that are too large, too deep or never end: each is refused by itself, and keeps nobody else waiting."""

import contextlib
import http.client
import json
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from common.errors import UsageError
from common.local.app import _REQUEST_BYTES
from common.local.sagemaker.runtime import MAX_BODY_BYTES
from common.model import find_model
from common.serving.inference import Encoder, Number, RequestError, features
from common.steps.context import Context
from common.steps.invoke import invoke_model, read_records
from tests.accounts import Account
from tests.functional.deployment.deployment_kit import Project

HALF_REQUESTS = 60
DEEP = b"[" * 200_000
HUGE = b"9" * 100_000


def signed(service: str, operation: str = "") -> dict[str, str]:
    scope = f"local/20260101/eu-west-1/{service}/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=x"}
    return headers | ({"X-Amz-Target": f"SageMaker.{operation}"} if operation else {})


def ask(url: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize(
    "body",
    [DEEP, b'{"MaxResults": ' + DEEP, b'{"MaxResults": ' + HUGE + b"}", b'{"MaxResults": NaN}', b'{"MaxResults": 1e999}',
     b'{"NameContains": ' + b'{"a": ' * 50_000, b"\xff\xfe", b'"' + b"\\u0000" * 1000 + b'"'],
    ids=["deep", "deep member", "huge number", "NaN", "infinite", "deep objects", "no text", "no object"],
)  # fmt: skip
def test_json_that_no_request_holds_is_the_callers_fault(aws_url: str, body: bytes) -> None:
    status, error = ask(aws_url, "/", signed("sagemaker", "ListModels"), body)
    assert (status, error["__type"]) == (400, "SerializationException")
    status, error = ask(aws_url, "/_local/clock", {}, body)
    assert (status, error["__type"]) == (400, "ValidationException")


@pytest.mark.parametrize(
    ("path", "headers", "limit"),
    [
        ("/", signed("sagemaker", "ListModels"), _REQUEST_BYTES),
        ("/endpoints/e/invocations", signed("sagemaker"), MAX_BODY_BYTES),
        ("/endpoints/e/async-invocations", signed("sagemaker"), MAX_BODY_BYTES),
    ],
)
def test_a_request_above_the_limit_is_refused_with_both_figures(
    aws_url: str, path: str, headers: dict[str, str], limit: int
) -> None:
    status, error = ask(aws_url, path, {**headers, "X-Amzn-SageMaker-InputLocation": "s3://b/k"}, bytes(limit + 1))
    assert (status, error["__type"]) == (400, "ValidationError")
    assert str(limit) in error["message"]
    assert str(limit + 1) in error["message"]


def test_a_head_that_never_ends_is_refused(aws_url: str) -> None:
    with socket.create_connection(("127.0.0.1", int(aws_url.rpartition(":")[2])), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(200):
                connection.sendall(b"X-A: " + b"a" * 8000 + b"\r\n")
        assert b" 431 " in connection.recv(1000).splitlines()[0]


def test_requests_that_stop_half_way_keep_nobody_waiting(aws_url: str) -> None:
    port = int(aws_url.rpartition(":")[2])
    with contextlib.ExitStack() as held:
        for number in range(HALF_REQUESTS):  # more than the server has threads
            connection = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            length = b"Content-Length: 1000\r\n\r\nhalf" if number % 2 else b""
            connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\n" + length)
        started = time.monotonic()
        assert ask(aws_url, "/", signed("sagemaker", "ListModels"), b"{}")[0] == 200
        assert time.monotonic() - started < 10


ENCODER = Encoder((Number("a"),), {}, {})


@pytest.mark.parametrize(
    "body",
    [DEEP, b'{"a": ' + DEEP, b'{"a": ' + HUGE + b"}", b'{"a": NaN}', b'{"a": 1e999}', b'{"a": "-Infinity"}',
     b'[{"a": {"b": 1}}]', b"\xff\xfe\x00", b'{"a": "' + b"x" * 5_000_000 + b'"}'],
    ids=["deep", "deep value", "huge number", "NaN", "infinite", "infinite text", "object", "no text", "long text"],
)  # fmt: skip
def test_what_is_no_record_is_refused_by_the_models_own_code(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        features(body, "application/json", ENCODER)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["huge.csv", "/dev/zero"])
def test_a_file_that_no_request_can_hold_is_refused_before_it_is_taken_apart(tmp_path: Path, name: str) -> None:
    with (tmp_path / "huge.csv").open("wb") as huge:
        huge.write(b"a,b\n1,2\n")
        huge.truncate(10 * 2**30)  # of which the disk holds nothing
    with pytest.raises(UsageError, match="has more than 16,777,216 characters") as refused:
        read_records(f"@{tmp_path / name}")
    assert "docs/batch.md" in refused.value.remedy


def test_records_that_make_too_long_a_request_are_refused_before_it_is_sent(
    aws: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in aws.env.items():
        monkeypatch.setenv(variable, value)
    records = [{"length": "0.5"}] * 350_000
    with pytest.raises(UsageError, match=r"350,000 records make a request of [\d,]+ bytes; SageMaker takes 6,291,456"):
        invoke_model(Context(Project(aws).aws), find_model("abalone"), records)


def test_records_without_end_are_no_json() -> None:
    with pytest.raises(UsageError, match="The records are not JSON"):
        read_records(DEEP.decode())
