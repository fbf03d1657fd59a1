"""What the tests of the steps share: how a refusal looks, an AWS that refuses everything, and steps that are killed."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Done = subprocess.CompletedProcess[str]
GATHER, TRAIN, DEPLOY = (
    ("-m", "abalone_model.gather_data"),
    ("-m", "abalone_model.train_register"),
    ("-m", "abalone_model.deploy"),
)


def assert_refused(done: Done, *phrases: str, code: int = 1) -> None:
    """The process ended with the code and one message that holds the phrases and a remedy, and with no traceback."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("Error: "), done.stderr
    assert "\nError: " not in done.stderr, done.stderr
    assert "\n  → " in done.stderr, f"no remedy: {done.stderr}"
    for phrase in phrases:
        assert phrase in done.stderr


@contextmanager
def aws_that_answers(code: str, message: str) -> Iterator[str]:
    """An AWS that refuses whatever it is asked: in JSON where SageMaker is asked, in XML where STS or S3 is. Yields its URL."""

    class Refuse(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if "X-Amz-Target" in self.headers or self.path.startswith("/endpoints/"):
                body = json.dumps({"__type": code, "message": message}).encode()
            else:
                error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
                form = "urlencoded" in self.headers.get("Content-Type", "")
                body = (f"<ErrorResponse>{error}</ErrorResponse>" if form else error).encode()
            self.send_response(400)
            self.send_header("x-amzn-ErrorType", code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = answer

        def log_message(self, format: str, *arguments: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def killed_at(step: str, where: str, call: int) -> str:
    """A program that runs a step of abalone and dies, as if killed, just before the given call of a function."""
    owner, _, name = where.rpartition(".")
    module, _, attribute = owner.partition(":")
    return f"""
import importlib, os, runpy, sys
owner = importlib.import_module("{module}")
owner = getattr(owner, "{attribute}") if "{attribute}" else owner
original, calls = getattr(owner, "{name}"), []
def dying(*arguments, **named):
    calls.append(arguments)
    if len(calls) == {call}:
        os._exit(137)
    return original(*arguments, **named)
setattr(owner, "{name}", dying)
sys.argv = ["{step}"]
runpy.run_module("{step}", run_name="__main__")
"""
