"""A container for tests: `model/behaviour.json` of its artifact says how it answers. Started as `python fake_container.py`."""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BEHAVIOUR: dict[str, Any] = json.loads((Path(os.environ["SAGEMAKER_BASE_DIR"]) / "model/behaviour.json").read_text())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = float(sys.argv[2]) if sys.argv[1:2] == ["--close-after"] else None

    def do_GET(self) -> None:
        self.answer(200 if BEHAVIOUR.get("healthy", True) else 500, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(BEHAVIOUR.get("seconds", 0))
        if BEHAVIOUR.get("deaf"):
            return self.answer(200, BEHAVIOUR["answer"].encode() + body)
        if body == b"slow":
            time.sleep(0.7)
        if body == b"crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if body == b"headers":
            return self.answer(200, json.dumps(dict(self.headers.items())).encode())
        if body == b"environment":
            return self.answer(200, json.dumps(dict(os.environ)).encode())
        if body == b"bad":
            return self.answer(415, b"not that")
        return self.answer(BEHAVIOUR.get("status", 200), BEHAVIOUR["answer"].encode() + body)

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", BEHAVIOUR.get("content_type", "text/csv"))
        if "X-Amzn-SageMaker-Custom-Attributes" in self.headers:
            self.send_header("X-Amzn-SageMaker-Custom-Attributes", self.headers["X-Amzn-SageMaker-Custom-Attributes"])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def end_with_server() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_server, daemon=True).start()
    sys.stdout.write(f"model {BEHAVIOUR['answer']} is loaded\n")
    sys.stdout.flush()
    if BEHAVIOUR.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "exit" in BEHAVIOUR:
        sys.exit(BEHAVIOUR["exit"])
    Server(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
