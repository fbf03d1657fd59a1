"""A worker whose program misbehaves in ways that no container of ours does."""

import sys
import threading
import time
from pathlib import Path

import pytest

from common.local.hosting.worker import Launch, Worker

SHUTS_ITS_PORT = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler)
server.handle_request()
server.server_close()
print("shut", flush=True)
sys.stdin.read()
"""


def test_a_container_that_lives_and_takes_no_connections_is_waited_for_as_long_as_a_request_may_take(
    tmp_path: Path,
) -> None:
    shut = threading.Event()
    worker = Worker(Launch([sys.executable, "-S", "-c", SHUTS_ITS_PORT], {}, tmp_path), lambda _: shut.set())
    try:
        assert worker.wait_until_healthy(30)
        assert shut.wait(30)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            worker.invoke(b"", {}, timeout=0.3)
        assert time.monotonic() - began >= 0.3
    finally:
        worker.stop()
