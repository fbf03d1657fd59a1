"""The inference server's side of the container contract: `GET /ping`, `POST /invocations`, one port of 127.0.0.1."""

import json
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.client import responses
from typing import Any

import waitress

MAX_PAYLOAD_BYTES = 6 * 1024 * 1024


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


class Refusal(Exception):
    """The request is answered with this status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.response = Response.refuse(status, message)


Invoke = Callable[[bytes, str | None, str | None], Response]
"""(body, content type, accept) to the answer; may raise Refusal."""

Answer = Callable[[Request], Response]
"""A request to its answer; may raise Refusal."""


def serve(invoke: Invoke) -> None:
    """Answer invocations of the one model, which is loaded by now, until the process is killed."""

    def answer(request: Request) -> Response:
        if (request.method, request.path) != ("POST", "/invocations"):
            return Response.refuse(404, "Not Found")
        return invoke(request.body, request.content_type, request.accept)

    listen(answer)


def listen(answer: Answer) -> None:
    """Answer requests at `SAGEMAKER_BIND_TO_PORT` until the process is killed."""
    limit = int(os.environ.get("MAX_CONTENT_LENGTH", MAX_PAYLOAD_BYTES))
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a line of the log for each request that waits

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        reply = _reply(_request(environ), answer, limit)
        headers = [] if reply.status == 204 else [("Content-Type", reply.content_type)]
        start_response(
            f"{reply.status} {responses.get(reply.status, 'Unknown')}",
            [*headers, ("Content-Length", str(len(reply.body)))],
        )
        return [reply.body]

    waitress.serve(
        application,
        host="127.0.0.1",
        port=int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")),
        threads=4,
        connection_limit=1000,
        # waitress answers a longer body with 413 before it is read; a body of just this length must pass
        max_request_body_size=limit + 1,
        _quiet=True,
    )


def _request(environ: dict[str, Any]) -> Request:
    return Request(
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"],
        environ["wsgi.input"].read(),
        environ.get("CONTENT_TYPE") or None,
        environ.get("HTTP_ACCEPT") or None,
    )


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
