"""The inference server's side of the container contract: `GET /ping`, `POST /invocations`, one port of 127.0.0.1."""

import json
import os
import threading
import traceback
from collections.abc import Callable
from functools import partial

from common.local.containers import server, workers
from common.local.containers.base import log
from common.local.containers.server import Request, Response

__all__ = ["Refusal", "Request", "Response", "listen", "serve"]

MAX_PAYLOAD_BYTES = 6 * 1024 * 1024

_AT_ONCE = 4
"""Requests that one model works on; others wait for their turn."""


class Refusal(Exception):
    """The request is answered with this status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.response = Response.refuse(status, message)


Invoke = Callable[[bytes, str | None, str | None], Response]
"""(body, content type, accept) to the answer; may raise Refusal."""

Answer = Callable[[Request], Response]
"""A request to its answer; may raise Refusal."""


def serve(load: Callable[[], Invoke]) -> None:
    """Load the one model and answer its invocations until the process is killed.

    With `SAGEMAKER_MODEL_SERVER_WORKERS` of two or more, so many processes load it and share what comes.
    """
    count = int(os.environ.get("SAGEMAKER_MODEL_SERVER_WORKERS", "1"))
    if count == 1:
        listen(_one_model(load()))
        return
    limit = _limit()
    with server.bind(_port()) as listening:
        workers.keep(
            count, lambda: partial(server.serve_one_by_one, listening, _whole(_one_model(load()), limit), limit)
        )


def listen(answer: Answer) -> None:
    """Answer requests at `SAGEMAKER_BIND_TO_PORT` until the process is killed."""
    limit = _limit()
    with server.bind(_port()) as listening:
        server.serve(listening, _whole(answer, limit), limit)


def _port() -> int:
    return int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))


def _limit() -> int:
    return int(os.environ.get("MAX_CONTENT_LENGTH", MAX_PAYLOAD_BYTES))


def _whole(answer: Answer, limit: int) -> Answer:
    """With what every container answers."""
    return lambda request: _reply(request, answer, limit)


def _one_model(invoke: Invoke) -> Answer:
    turns = threading.Semaphore(_AT_ONCE)

    def answer(request: Request) -> Response:
        if (request.method, request.path) != ("POST", "/invocations"):
            return Response.refuse(404, "Not Found")
        with turns:
            return invoke(request.body, request.content_type, request.accept)

    return answer


def _reply(request: Request, answer: Answer, limit: int) -> Response:
    if (request.method, request.path) == ("GET", "/ping"):
        return Response(200)
    if (request.method, request.path) == ("GET", "/execution-parameters"):
        execution = {
            "MaxConcurrentTransforms": os.cpu_count(),
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": limit // 1024**2,
        }
        return Response(200, json.dumps(execution).encode(), "application/json")
    try:
        return answer(request)
    except Refusal as refusal:
        return refusal.response
    except Exception:
        log(traceback.format_exc())
        return Response.refuse(500, "Internal Server Error")
