"""The platform's own HTTP client for containers: what it reads, and what it refuses."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from common.local.hosting.connection import Answer, BadAnswer, Connection


@contextmanager
def container(*pieces: bytes) -> Iterator[tuple[Connection, list[bytes]]]:
    """A connection to a server that reads one request, sends the pieces one after the other and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        asked: list[bytes] = []

        def serve() -> None:
            accepted, _ = listening.accept()
            with accepted:
                asked.append(accepted.recv(1 << 16))
                for piece in pieces:
                    accepted.sendall(piece)

        server = threading.Thread(target=serve)
        server.start()
        connection = Connection(listening.getsockname()[1], 5)
        try:
            yield connection, asked
        finally:
            connection.close()
            server.join()


def ask(connection: Connection, body: bytes = b"1,2") -> Answer:
    return connection.request("POST", "/invocations", body, {"Content-Type": "text/csv"}, 5)


def test_a_request_is_sent_at_once_and_an_answer_read_in_whatever_pieces_it_comes() -> None:
    pieces = (b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 4\r\nX-Thing:  a: b \r\n\r", b"\nab", b"cd")
    with container(*pieces) as (connection, asked):
        answer = ask(connection)
    assert answer == Answer(200, {"content-length": "4", "x-thing": "a: b"}, b"abcd")
    assert not answer.closes
    head, _, body = asked[0].partition(b"\r\n\r\n")
    assert body == b"1,2"
    assert head.splitlines()[0] == b"POST /invocations HTTP/1.1"
    assert {b"Content-Length: 3", b"Content-Type: text/csv"} <= set(head.splitlines())


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    with container(b"HTTP/1.1 200 OK\r\n\r\nab", b"cd") as (connection, _):
        answer = ask(connection)
    assert (answer.body, answer.closes) == (b"abcd", True)


def test_an_empty_answer_keeps_the_connection() -> None:
    with container(b"HTTP/1.1 204 No Content\r\n\r\n") as (connection, _):
        answer = ask(connection)
    assert (answer.status, answer.body, answer.closes) == (204, b"", False)


def test_what_follows_an_answer_is_none_of_it_and_ends_the_connection() -> None:
    with container(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabcd") as (connection, _):
        answer = ask(connection)
    assert (answer.body, answer.closes) == (b"ab", True)


def test_an_answer_of_the_first_version_ends_the_connection() -> None:
    with container(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab") as (connection, _):
        answer = ask(connection)
    assert (answer.body, answer.closes) == (b"ab", True)


def test_an_answer_has_to_be_whole_in_time_however_it_drips() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connection = Connection(listening.getsockname()[1], 5)
        accepted, _ = listening.accept()
        ended = threading.Event()

        def drip() -> None:
            with accepted, suppress(OSError):
                accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
                while not ended.wait(0.01):
                    accepted.sendall(b"x")

        container = threading.Thread(target=drip)
        container.start()
        try:
            with pytest.raises(TimeoutError):
                connection.request("GET", "/ping", b"", {}, 0.2)
        finally:
            ended.set()
            container.join()
            connection.close()


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ((), "closed the connection without an answer"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",), "closed the connection without an answer"),
        ((b"ready\r\n\r\n",), "answers no HTTP"),
        ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",), "answers in chunks"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",), "Content-Length"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",), "Content-Length"),
        ((b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * (1 << 18),), "no end"),
    ],
)
def test_what_is_no_whole_answer_is_refused(pieces: tuple[bytes, ...], message: str) -> None:
    with container(*pieces) as (connection, _), pytest.raises(BadAnswer, match=message):
        ask(connection)


def test_a_connection_that_the_container_has_closed_is_stale() -> None:
    with container(b"HTTP/1.1 204 No Content\r\n\r\n") as (connection, _):
        assert not connection.is_stale()
        ask(connection)
        assert any(connection.is_stale() for _ in range(100_000))  # it closes after its answer, which may take a moment
