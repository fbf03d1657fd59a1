"""The inference server's side of the container contract: `GET /ping`, `POST /invocations`, one port of 127.0.0.1."""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import waitress

MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
_REASONS = {
    200: "OK",
    204: "No Content",
    400: "Bad Request",
    404: "Not Found",
    406: "Not Acceptable",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
}


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


def serve(invoke: Invoke) -> None:
    """Answer requests at `SAGEMAKER_BIND_TO_PORT` until the process is killed. The model is loaded by now."""
    limit = int(os.environ.get("MAX_CONTENT_LENGTH", MAX_PAYLOAD_BYTES))
    execution = {
        "MaxConcurrentTransforms": os.cpu_count(),
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": limit // 1024**2,
    }

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer = _answer(environ, invoke, execution)
        headers = [] if answer.status == 204 else [("Content-Type", answer.content_type)]
        start_response(
            f"{answer.status} {_REASONS[answer.status]}", [*headers, ("Content-Length", str(len(answer.body)))]
        )
        return [answer.body]

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


def _answer(environ: dict[str, Any], invoke: Invoke, execution: dict[str, Any]) -> Response:
    route = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if route == ("GET", "/ping"):
        return Response(200)
    if route == ("GET", "/execution-parameters"):
        return Response(200, json.dumps(execution).encode(), "application/json")
    if route != ("POST", "/invocations"):
        return Response.refuse(404, "Not Found")
    body = environ["wsgi.input"].read()
    try:
        return invoke(body, environ.get("CONTENT_TYPE") or None, environ.get("HTTP_ACCEPT") or None)
    except Refusal as refusal:
        return refusal.response
