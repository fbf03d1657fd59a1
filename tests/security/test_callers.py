"""No web page that somebody looks at on this machine reaches the local AWS, which would run programs for it."""

import http.client
import json
from urllib.parse import urlsplit

import pytest

_SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-1/sagemaker/aws4_request, SignedHeaders=host",
    "X-Amz-Target": "SageMaker.ListModels",
}


def ask(url: str, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


@pytest.mark.parametrize(
    "told",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:4566"},
        {"Host": "localhost.evil.example"},
    ],
)
def test_what_a_browser_sends_for_a_page_is_refused_by_every_service(aws_url: str, told: dict[str, str]) -> None:
    requests = [
        ("POST", "/", _SIGNED, b"{}"),
        ("PUT", "/bucket-of-a-page", {}, b""),
        ("GET", "/?Action=CreateQueue&QueueName=page", {}, b""),
        ("POST", "/_local/clock", {}, b'{"advance": 1}'),
        ("GET", "/_local/health", {}, b""),
        ("POST", "/endpoints/e/invocations", _SIGNED, b""),
    ]
    for method, path, headers, body in requests:
        answer = ask(aws_url, method, path, headers | told, body)
        assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (403, "AccessDeniedException"), path
        assert answer.headers["Access-Control-Allow-Origin"] is None


def test_no_page_is_told_that_it_may_send_signed_requests(aws_url: str) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-amz-target"}
    answer = ask(aws_url, "OPTIONS", "/", {"Origin": "https://evil.example", **asked})
    assert answer.status == 403
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("host", ["localhost:4566", "127.0.0.1:4566", "[::1]:4566", "bucket.localhost:4566"])
def test_programs_may_use_any_name_of_this_machine(aws_url: str, host: str) -> None:
    assert ask(aws_url, "POST", "/", {**_SIGNED, "Host": host}, b"{}").status == 200


def test_an_address_that_somebody_types_is_answered(aws_url: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(aws_url).netloc, timeout=20)
    connection.request("GET", "/_local/health", headers={"Sec-Fetch-Site": "none"})
    assert json.loads(connection.getresponse().read())["status"] == "ok"
    connection.close()
