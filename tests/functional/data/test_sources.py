import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

from common.data import sources, transfer
from common.data.sources import Bundled, FromEnvironment, LocalFile, S3Object, WebFile, from_url
from common.errors import AwsError, SourceError
from tests.accounts import Account


class Answers(BaseHTTPRequestHandler):
    """`/data` has rows, `/elsewhere` redirects to another machine without TLS, `/404` and the like answer that status."""

    def do_GET(self) -> None:
        if self.path.startswith("/data"):
            self._answer(200, b"1,2\n3,4\n")
        elif self.path == "/empty":
            self._answer(200, b"\n")
        elif self.path == "/redirected":
            self._answer(302, b"", Location="/data")
        elif self.path == "/elsewhere":
            self._answer(302, b"", Location="http://192.0.2.1/data")
        elif self.path == "/truncated":
            self._answer(200, b"1,2\n", **{"Content-Length": "100"})
        elif self.path == "/silent":
            threading.Event().wait(1)
        else:
            self._answer(int(self.path[1:]), b"")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output free of requests."""


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def complaint(source: sources.Source) -> str:
    with pytest.raises(SourceError) as caught:
        source.read()
    return str(caught.value)


def test_the_bundled_abalone_data_have_a_header_and_4177_rows() -> None:
    lines = Bundled("abalone").read().splitlines()
    assert lines[0].startswith(b"sex,length,")
    assert len(lines) == 1 + 4177


def test_a_dataset_that_is_not_bundled_is_refused() -> None:
    assert "carries no dataset 'oysters'" in complaint(Bundled("oysters"))


def test_a_file_is_read_by_path_and_by_url(tmp_path: Path) -> None:
    file = tmp_path / "a file.csv"
    file.write_bytes(b"1,2\n")
    assert from_url(str(file)).read() == b"1,2\n"
    assert from_url(file.as_uri()).read() == b"1,2\n"


def test_a_missing_file_a_folder_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    assert "cannot be read: No such file" in complaint(LocalFile(tmp_path / "missing.csv"))
    assert "cannot be read: Is a directory" in complaint(LocalFile(tmp_path))
    assert "is empty" in complaint(LocalFile(tmp_path / "empty.csv"))


def test_a_file_above_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "MAX_BYTES", 2**20)
    (tmp_path / "large.csv").write_bytes(b"1" * (2**20 + 1))
    assert "is larger than 1 MiB" in complaint(LocalFile(tmp_path / "large.csv"))


def test_a_web_file_is_read_also_after_a_redirect(web: str) -> None:
    assert from_url(f"{web}/data").read() == b"1,2\n3,4\n"
    assert from_url(f"{web}/redirected").read() == b"1,2\n3,4\n"


def test_a_description_holds_no_password_and_no_signature() -> None:
    source = from_url("https://user:secret@example.org/abalone.data?X-Amz-Signature=abc#part")
    assert source.description == "https://example.org/abalone.data"


@pytest.mark.parametrize(
    ("status", "remedy"),
    [(401, "wants a login"), (403, "wants a login"), (404, "no such file"), (500, "Try again later")],
)
def test_a_refusal_of_the_server_is_told_with_its_remedy(web: str, status: int, remedy: str) -> None:
    message = complaint(WebFile(f"{web}/{status}"))
    assert f"answered {status}" in message
    assert remedy in message


def test_an_empty_answer_is_refused(web: str) -> None:
    assert "is empty" in complaint(WebFile(f"{web}/empty"))


def test_an_answer_that_breaks_off_is_refused(web: str) -> None:
    assert "broke off" in complaint(WebFile(f"{web}/truncated"))


def test_a_redirect_to_an_unencrypted_address_is_refused(web: str) -> None:
    assert "http://192.0.2.1 is not encrypted" in complaint(WebFile(f"{web}/elsewhere"))


def test_a_silent_server_is_given_up(web: str) -> None:
    assert "did not answer in time" in complaint(WebFile(f"{web}/silent", connect_seconds=0.05))


def test_a_slow_server_is_given_up(web: str) -> None:
    assert "did not answer in time" in complaint(WebFile(f"{web}/data", total_seconds=0))


def test_an_address_where_nobody_listens_is_told() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        port = server.server_port
    assert "could not be reached" in complaint(WebFile(f"http://127.0.0.1:{port}/data"))


def test_a_server_without_tls_behind_https_is_told(web: str) -> None:
    assert "failed the TLS check" in complaint(WebFile(web.replace("http://", "https://")))


def test_a_host_that_dns_does_not_know_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "DNS does not know" in complaint(WebFile("https://abalone.invalid/data"))


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://example.org/abalone.data", "not encrypted"),
        ("ftp://example.org/abalone.data", "is no source"),
        ("file://elsewhere/abalone.data", "is no source"),
        ("s3://bucket", "names no object"),
        ("s3://bucket/folder/", "names no object"),
    ],
)
def test_an_address_that_can_never_work_is_refused(url: str, fault: str) -> None:
    with pytest.raises(SourceError, match=fault):
        from_url(url)


def test_an_s3_url_may_hold_any_character_in_its_key() -> None:
    assert from_url("s3://bucket/a folder/what?#1.csv") == S3Object("bucket", "a folder/what?#1.csv")


def test_an_s3_object_is_read(aws: Account) -> None:
    client = aws.client("s3")
    client.put_object(Bucket=aws.bucket, Key="abalone.data", Body=b"1,2\n")
    assert S3Object(aws.bucket, "abalone.data", client).read() == b"1,2\n"
    assert "no such object" in complaint(S3Object(aws.bucket, "other.data", client))
    assert "no such bucket" in complaint(S3Object("nobody-has-this-bucket", "abalone.data", client))


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        ("AccessDenied", SourceError, "needs s3:GetObject"),
        ("ExpiredToken", AwsError, "credentials that have expired"),
    ],
)
def test_a_refusal_of_s3_is_told_with_its_remedy(code: str, error: type[Exception], message: str) -> None:
    client = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        stub.add_client_error("get_object", code)
        with pytest.raises(error, match=message):
            S3Object("bucket", "key", client).read()


def test_the_environment_names_the_source_when_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.csv").write_bytes(b"1,2\n")
    source = FromEnvironment("ABALONE_SOURCE", default=Bundled("abalone"))
    monkeypatch.delenv("ABALONE_SOURCE", raising=False)
    assert source.description == Bundled("abalone").description
    monkeypatch.setenv("ABALONE_SOURCE", os.fspath(tmp_path / "mine.csv"))
    assert source.description == f"file {tmp_path / 'mine.csv'}"
    assert source.read() == b"1,2\n"
