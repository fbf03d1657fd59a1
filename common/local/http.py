"""The HTTP server below the application: waitress, taught that the names of S3's metadata headers are data.

waitress drops request headers whose name holds an underscore and capitalises the names of response headers. Both are
right for most servers, but would lose `x-amz-meta-data_version` and rename `commit` to `Commit`.
"""

import re
import socket
from typing import Any

from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import create_server
from waitress.task import WSGITask

from common.local.moto_app import Environ, WsgiApp

_THREADS = 32
"""More than any caller here uses at once: an invocation holds its thread for as long as the model computes."""

_CONNECTIONS = 1000
_IDLE_SECONDS, _CLEANUP_SECONDS = 60, 10
"""How long a connection is kept on which nothing is asked. AWS closes such, too, and callers open another: those of clients
that nobody uses any more would add up until no other caller gets in."""

_JOINED_BYTES = 1 << 16

_METADATA = re.compile(rb"^(x-amz-meta-[^:\r\n]*):[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)


def http_server(application: WsgiApp, bound: socket.socket) -> Any:
    """A server that accepts connections on the socket at once and answers them when its `run` is called."""
    server = create_server(
        application,
        sockets=[bound],
        threads=_THREADS,
        connection_limit=_CONNECTIONS,
        channel_timeout=_IDLE_SECONDS,
        cleanup_interval=_CLEANUP_SECONDS,
        asyncore_use_poll=True,  # select() fails on descriptors above 1023, and containers have many
        max_request_body_size=5 * 2**30,
        inbuf_overflow=8 * 2**20,
        ident=None,
    )
    server.channel_class = _Channel
    return server


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    underscored: dict[str, str]
    """Names as they were sent, by their WSGI key."""

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        self.underscored = {}
        for line in _METADATA.finditer(header_plus):
            name, value = line[1].decode("latin-1"), line[2].decode("latin-1")
            if "_" in name:
                key = name.upper().replace("-", "_")
                self.headers[key] = value.rstrip()
                self.underscored[f"HTTP_{key}"] = name


class _Task(WSGITask):  # type: ignore[misc]
    wrote_header: bool

    def get_environment(self) -> Environ:
        environ: Environ = super().get_environment()
        environ["RAW_URI"] = environ["REQUEST_URI"]  # moto reads an object's key there, still percent-encoded
        if self.request.underscored:
            environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = self.request.underscored
        return environ

    def write(self, data: bytes) -> None:
        """Send head and body at once where the body is short: waitress would send, and wake the caller, twice."""
        if self.complete and not self.wrote_header and 0 < len(data) <= _JOINED_BYTES:
            head = self.build_response_header()
            self.wrote_header = True
            if self.has_body and not self.chunked_response and len(data) == self.content_length:
                self.channel.write_soon(head + data)
                self.content_bytes_written += len(data)
                return
            self.channel.write_soon(head)
        super().write(data)

    def build_response_header(self) -> bytes:
        return _METADATA.sub(lambda line: line[1].lower() + b": " + line[2], super().build_response_header())


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = _Parser
    task_class = _Task

    def send_continue(self) -> None:
        # waitress then waits for a body even where Content-Length is 0, as of the empty object that marks a folder in S3
        completed = self.request.completed
        super().send_continue()
        self.request.completed = completed
