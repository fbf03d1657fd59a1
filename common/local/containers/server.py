"""A small HTTP/1.1 server for the one client that a container has: the platform, which keeps its connections.

A thread for each connection reads, answers and writes with one call each. A server of general use hands every request from
the thread that reads to one that works and back, which costs more than most models do.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import responses
from typing import BinaryIO

_HEAD_LINES = 200
_LINE_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 20
_FAREWELL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: bytes
    content_type: str | None
    accept: str | None


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes = b""
    content_type: str = "text/html; charset=utf-8"
    """Of an error's message, as in the images."""

    @classmethod
    def refuse(cls, status: int, message: str) -> "Response":
        return cls(status, message.encode())


class _Malformed(Exception):
    """What came is no request that is answered here; `response` says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.response = Response.refuse(status, message)


def bind(port: int) -> socket.socket:
    """A port of 127.0.0.1 at which connections wait until they are served."""
    return socket.create_server(("127.0.0.1", port), backlog=1024)


def serve(listening: socket.socket, answer: Callable[[Request], Response], limit: int) -> None:
    """Answer requests until the process is killed; bodies above `limit` bytes with 413."""
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=_converse, args=(connection, answer, limit), daemon=True).start()


def serve_one_by_one(listening: socket.socket, answer: Callable[[Request], Response], limit: int) -> None:
    """The same for one process of several: a connection for each request, which goes to a process that is idle."""
    while True:
        connection, _ = listening.accept()
        _converse(connection, answer, limit, closing=True)


def _converse(
    connection: socket.socket, answer: Callable[[Request], Response], limit: int, closing: bool = False
) -> None:
    """All requests of one connection; with `closing` the first alone."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError), connection, connection.makefile("rb") as reader:  # the other side may leave at any time
        try:
            while (head := _read_head(reader)) is not None:
                start, headers = head
                request = _read_request(start, headers, reader, connection, limit)
                connection.sendall(_written(answer(request), closing))
                if closing or headers.get("connection", "").lower() == "close":
                    return
        except _Malformed as fault:
            connection.sendall(_written(fault.response, closing=True))
            # To close while the other side still sends would take the answer from it.
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(_FAREWELL_SECONDS)
            while connection.recv(_CHUNK_BYTES):
                continue


def _read_head(reader: BinaryIO) -> tuple[list[str], dict[str, str]] | None:
    """The words of the first line, and the headers by their names in lower case; None at the end."""
    first = reader.readline(_LINE_BYTES)
    if not first:
        return None
    headers: dict[str, str] = {}
    for _ in range(_HEAD_LINES):
        line = reader.readline(_LINE_BYTES)
        if line in (b"\r\n", b"\n"):
            return first.decode("latin-1").split(), headers
        if len(line) == _LINE_BYTES:
            break
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or name.split() != [name]:  # to read on would take the body of one request for the next
            raise _Malformed(400, "Bad Request")
        headers[name.lower()] = value.strip()
    raise _Malformed(431, "Request Header Fields Too Large")


def _read_request(
    start: list[str], headers: dict[str, str], reader: BinaryIO, connection: socket.socket, limit: int
) -> Request:
    if len(start) != 3 or not headers.get("content-length", "0").isdecimal():
        raise _Malformed(400, "Bad Request")
    if "transfer-encoding" in headers:
        raise _Malformed(411, "Length Required")
    length = int(headers.get("content-length", "0"))
    if length > limit:
        raise _Malformed(413, "Request Entity Too Large")
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = reader.read(length) if length else b""
    if len(body) < length:
        raise OSError("the connection ended within a request")
    method, path, _ = start
    return Request(
        method, path.partition("?")[0], body, headers.get("content-type") or None, headers.get("accept") or None
    )


def _written(response: Response, closing: bool = False) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {responses.get(response.status, 'Unknown')}"]
    has_body = response.status != 204
    if has_body:
        kind = " ".join(response.content_type.split())  # a script's own, which must not begin another header
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(response.body)}"]
    if closing:
        lines.append("Connection: close")
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("latin-1", errors="replace") + (response.body if has_body else b"")
