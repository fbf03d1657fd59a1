"""The HTTP server and the connections of clients that nobody uses any more."""

import contextlib
import http.client
import threading
from collections.abc import Iterator

import pytest

from common.local import http as local_http
from common.local.moto_app import Environ, StartResponse
from common.local.server import listen

LIMIT = 5


def say_yes(_: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "3")])
    return [b"yes"]


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a server that takes a handful of connections, and keeps an idle one for a second."""
    monkeypatch.setattr(local_http, "_CONNECTIONS", LIMIT)
    monkeypatch.setattr(local_http, "_IDLE_SECONDS", 1)
    monkeypatch.setattr(local_http, "_CLEANUP_SECONDS", 1)
    bound = listen(0)
    server = local_http.http_server(say_yes, bound)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield bound.getsockname()[1]
    server.trigger.pull_trigger(server.close)  # in the server's own thread, whose the sockets are
    thread.join()


def test_idle_connections_make_room_for_others(port: int) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(2 * LIMIT):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            held.callback(connection.close)
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"yes"
