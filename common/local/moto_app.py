"""moto's services behind the local AWS: what they change is remembered, what they lack is a clean error."""

import json
import logging
from collections.abc import Callable, Iterable
from contextlib import closing
from http import HTTPStatus
from typing import Any
from xml.sax.saxutils import escape

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from common.local.access.gate import in_form
from common.local.api import ApiError

log = logging.getLogger(__name__)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]

_READS = ("Get", "List", "Describe", "Head", "BatchGet", "Filter", "Test")


def moto_app(changed: Callable[[str], None]) -> WsgiApp:
    """The WSGI application of all of moto's services; `changed` is told the service after each request that may write."""

    def create(service: Any) -> Any:
        return _Service(service, create_backend_app(service), changed)

    dispatcher = DomainDispatcherApplication(create)

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        service: WsgiApp
        try:
            service = dispatcher.get_application(environ)
        except Exception:
            log.info("moto has no service for %s", environ.get("HTTP_AUTHORIZATION"), exc_info=True)
            service = _Unknown(_signed_for(environ))
        return service(environ, start_response)

    return application


def refusal(environ: Environ, start_response: StartResponse, error: ApiError) -> list[bytes]:
    """The answer to a request that is not handed on, in the form of the service that it was meant for."""
    service = _signed_for(environ)
    formed = in_form(error, service, json=not _is_form(environ) and service != "s3")
    status = f"{formed.status} {HTTPStatus(formed.status).phrase}"
    return _Unknown(service)._error(environ, start_response, status, formed.code, formed.message)


def _signed_for(environ: Environ) -> str:
    """The service that the request's signature names; tokens for a session come without one."""
    scope = environ.get("HTTP_AUTHORIZATION", "").split(",")[0].split("/")
    if "Signature=" in environ.get("QUERY_STRING", ""):  # a presigned URL
        return "s3"
    if len(scope) == 5:
        return str(scope[3])
    return "sts" if _is_form(environ) else "AWS" if "HTTP_X_AMZ_TARGET" in environ else "s3"


def _is_form(environ: Environ) -> bool:
    return str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded")


class _Unknown:
    """A service that moto does not have."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return self._refuse(environ, start_response, f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")

    def _refuse(self, environ: Environ, start_response: StartResponse, what: str) -> list[bytes]:
        message = f"The local AWS does not support this operation of {self._name}: {what}"
        return self._error(environ, start_response, "400 Bad Request", "UnsupportedOperation", message)

    def _error(
        self, environ: Environ, start_response: StartResponse, status: str, code: str, message: str
    ) -> list[bytes]:
        """The error in the protocol that the request was made in: query, REST-XML or JSON."""
        xml = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        if "/operation/" in environ["PATH_INFO"] and "HTTP_SMITHY_PROTOCOL" in environ:
            return self._cbor_error(start_response, status, code, message)
        if _is_form(environ):
            kind, text = "text/xml", f"<ErrorResponse>{xml}</ErrorResponse>"
        elif self._name in ("s3", "s3control", "route53", "cloudfront"):
            kind, text = "text/xml", xml
        else:
            kind, text = "application/json", json.dumps({"__type": code, "message": message})
        body = text.encode()
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("x-amzn-ErrorType", code)]
        start_response(status, headers)
        return [body]

    def _cbor_error(self, start_response: StartResponse, status: str, code: str, message: str) -> list[bytes]:
        texts = (text.encode() for text in ("__type", code, "message", message))
        body = b"\xa2" + b"".join(b"\x79" + len(text).to_bytes(2, "big") + text for text in texts)
        headers = [("Content-Type", "application/cbor"), ("Content-Length", str(len(body)))]
        start_response(status, [*headers, ("smithy-protocol", "rpc-v2-cbor")])
        return [body]


class _Service(_Unknown):
    """One of moto's services."""

    def __init__(self, name: str, app: Any, changed: Callable[[str], None]) -> None:
        super().__init__(name)
        self._app = app
        self._changed = changed

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        answered: list[Any] = []
        try:
            with closing(self._app(environ, lambda *parts: answered.extend(parts[:2]))) as parts:
                body = b"".join(parts)
        except NotImplementedError as error:
            return self._refuse(environ, start_response, str(error))
        except Exception:
            log.exception("moto's %s failed on %s %s", self._name, environ["REQUEST_METHOD"], environ["PATH_INFO"])
            code = "500 Internal Server Error"
            return self._error(environ, start_response, code, "InternalFailure", "See the log of the local AWS.")
        status, headers = answered
        if status[0] in "45" and self._name != "s3" and _is_html(headers):
            return self._refuse(environ, start_response, f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        if status[0] == "2" and _writes(environ):
            self._changed(self._name)
        start_response(status, headers)
        return [body]


def _is_html(headers: list[tuple[str, str]]) -> bool:
    return any(name.lower() == "content-type" and value.startswith("text/html") for name, value in headers)


def _writes(environ: Environ) -> bool:
    action = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    return environ["REQUEST_METHOD"] not in ("GET", "HEAD") and not action.startswith(_READS)
