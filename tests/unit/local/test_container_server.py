"""The HTTP server inside the containers: what it reads, what it refuses, and what an answer may do to it."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from common.local.containers import server
from common.local.containers.server import Request, Response

LIMIT = 1000


def answer(request: Request) -> Response:
    if request.path == "/empty":
        return Response(204)
    if request.path == "/injecting":
        return Response(200, b"x", "text/csv\r\nX-Other: 1")
    said = f"{request.method} {request.path} {request.content_type} {request.accept} "
    return Response(200, said.encode() + request.body, "text/plain")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    def serve() -> None:
        with suppress(OSError):  # in the end
            server.serve(listening, answer, LIMIT)

    with server.bind(0) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)  # to close it would leave the thread to fail in some other test
        thread.join()


@pytest.fixture
def connection(port: int) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    yield made
    made.close()


def ask(connection: http.client.HTTPConnection, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    return response.status, response.read()


def said(port: int, *pieces: bytes) -> bytes:
    """All that the server says to someone who sends just these bytes and then no more."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        for piece in pieces:
            raw.sendall(piece)
        raw.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: raw.recv(4096), b""))


def test_one_connection_carries_many_requests_also_empty_answers(connection: http.client.HTTPConnection) -> None:
    assert ask(connection, "/a?b=c", b"1,2", Accept="*/*") == (200, b"POST /a None */* 1,2")
    first = connection.sock
    assert ask(connection, "/empty") == (204, b"")
    assert ask(connection, "/b") == (200, b"POST /b None None ")
    assert connection.sock is first


def test_a_request_may_come_in_pieces_and_ask_to_go_on(port: int) -> None:
    head = b"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Le"
    answers = said(port, head, b"ngth: 3\r\n\r\n", b"ab", b"c")
    assert answers.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert answers.endswith(b"abc")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length : 3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nwithout a colon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\na: " + b"b" * (1 << 16) + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (f"POST / HTTP/1.1\r\nContent-Length: {LIMIT + 1}\r\n\r\n".encode(), 413),
        (b"POST / HTTP/1.1\r\n" + b"a: b\r\n" * 500, 431),
    ],
)
def test_what_is_no_request_is_refused_and_ends_the_connection(port: int, head: bytes, status: int) -> None:
    answers = said(port, head)
    assert answers.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close" in answers


def test_a_body_of_the_limit_passes_and_a_longer_one_hears_why_not(connection: http.client.HTTPConnection) -> None:
    assert ask(connection, "/a", b"x" * LIMIT)[0] == 200
    assert ask(connection, "/a", b"x" * 200 * LIMIT)[0] == 413


def test_a_request_that_ends_early_is_not_answered(port: int) -> None:
    assert said(port, b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc") == b""


def test_a_content_type_cannot_begin_another_header(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/injecting")
    response = connection.getresponse()
    assert response.getheader("X-Other") is None
    assert response.getheader("Content-Type") == "text/csv X-Other: 1"
