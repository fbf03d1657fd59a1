"""A kept connection to a container: HTTP/1.1 without what containers here never send, since every invocation pays for it.

http.client sends head and body separately, which wakes the container twice, and parses headers as those of a mail.
"""

import select
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

_READ_BYTES = 1 << 16
_HEAD_BYTES = 1 << 17


class BadAnswer(Exception):
    """What came back is no HTTP answer, or ended before it was whole."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A container's answer; the names of its headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the container closes the connection after it."""
        return self.headers.get("connection", "").lower() == "close" or "content-length" not in self.headers


class Connection:
    """A connection to a port of this machine."""

    def __init__(self, port: int, timeout: float) -> None:
        """Connect; raises OSError."""
        self._deadline = 0.0
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def is_stale(self) -> bool:
        """Whether the other side has closed it. Nothing has been asked, so that it has nothing else to say."""
        return bool(self._poll.poll(0))

    def request(self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
        """Ask, and read the whole answer.

        Raises:
            OSError: the connection is broken; TimeoutError, when the answer is not whole after `timeout` seconds.
            BadAnswer: the answer is none.
        """
        self._deadline = time.monotonic() + timeout
        self._socket.settimeout(timeout)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        start = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n{head}\r\n"
        self._socket.sendall(start.encode("latin-1") + body)
        return self._answer()

    def close(self) -> None:
        self._socket.close()

    def _answer(self) -> Answer:
        received = bytearray()
        while (end := received.find(b"\r\n\r\n")) < 0:
            if len(received) > _HEAD_BYTES:
                raise BadAnswer(f"the container's headers have no end within {_HEAD_BYTES} bytes")
            self._read(received)
        status, headers = _parsed(bytes(received[:end]))
        del received[: end + 4]
        if "transfer-encoding" in headers:
            raise BadAnswer("the container answers in chunks, which the platform does not read")
        if status in (204, 304):
            headers["content-length"] = "0"
        if "content-length" in headers:
            length = _length(headers["content-length"])
            while len(received) < length:
                self._read(received)
            if len(received) > length:  # what follows would be taken for the answer to the next request
                del received[length:]
                headers["connection"] = "close"
        else:
            while chunk := self._received():
                received += chunk
        return Answer(status, headers, bytes(received))

    def _read(self, received: bytearray) -> None:
        chunk = self._received()
        if not chunk:
            raise BadAnswer("the container closed the connection without an answer")
        received += chunk

    def _received(self) -> bytes:
        chunk = self._socket.recv(_READ_BYTES)
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        return chunk


def _length(text: str) -> int:
    if not text.isdecimal():
        raise BadAnswer(f"the container's Content-Length is no number: {text[:100]!r}")
    return int(text)


def _parsed(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    try:
        status = int(first.split(" ", 2)[1])
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        if first.startswith("HTTP/1.0 "):
            headers.setdefault("connection", "close")
    except (ValueError, IndexError) as error:
        raise BadAnswer(f"the container answers no HTTP: {first[:100]!r}") from error
    return status, headers
