"""The WSGI application of the local AWS: SageMaker, its runtime and its autoscaling are ours, all else is moto's."""

import importlib
import json
import logging
import pkgutil
import re
import uuid
from collections.abc import Iterable
from http import HTTPStatus
from types import ModuleType
from typing import Any, NamedTuple

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

import common.local.autoscaling
import common.local.sagemaker
from common.local import clock
from common.local.access.callers import Caller, check_expiry, identify
from common.local.access.gate import admit, admit_operation, in_form
from common.local.access.tokens import Issuer
from common.local.api import AUTOSCALING, ECR, OPERATIONS, ApiError, Call, Operation, validation_error
from common.local.context import LocalAws
from common.local.events.bus import EventBus
from common.local.moto_app import Environ, StartResponse, WsgiApp, refusal
from common.local.validation import validate

log = logging.getLogger(__name__)

_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_ENDPOINT = re.compile(r"/endpoints/([^/]+)/([^/]+)")
_SESSION = botocore.session.Session()
_RUNTIME = _SESSION.get_service_model("sagemaker-runtime")
_REQUEST_BYTES = 4 * 2**20
"""More than any request of SageMaker's can need: the largest member, a pipeline's definition, may have 1 MiB."""


class Service(NamedTuple):
    """A service whose operations are ours: how botocore describes them, and those that there are."""

    model: ServiceModel
    operations: dict[str, Operation]


SERVICES = {
    name: Service(_SESSION.get_service_model(name), operations)
    for name, operations in {"sagemaker": OPERATIONS, "application-autoscaling": AUTOSCALING, "ecr": ECR}.items()
}
"""By the name that requests are signed for."""


def _environ_key(header: str) -> str:
    return "CONTENT_TYPE" if header == "Content-Type" else f"HTTP_{header.upper().replace('-', '_')}"


class Invocation(NamedTuple):
    """An operation of the runtime: the shape of its request, and where WSGI keeps each member that travels as a header."""

    shape: Any
    headers: dict[str, str]


def _invocation(name: str) -> Invocation:
    shape: Any = _RUNTIME.operation_model(name).input_shape
    members = {key: member.serialization for key, member in shape.members.items()}
    located = {key: place["name"] for key, place in members.items() if place.get("location") == "header"}
    return Invocation(shape, {key: _environ_key(header) for key, header in located.items()})


_INVOCATIONS = {
    "invocations": _invocation("InvokeEndpoint"),
    "async-invocations": _invocation("InvokeEndpointAsync"),
}
"""By the end of the path."""


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def operation_modules() -> list[ModuleType]:
    """Import every module of operations, so that all of them are declared."""
    packages = (common.local.sagemaker, common.local.autoscaling)
    names = sorted(
        module.name for package in packages for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    )
    return [importlib.import_module(name) for name in names]


class Application:
    """Answers SageMaker's two protocols and the server's own health page; hands everything else to moto."""

    def __init__(self, aws: LocalAws, moto: WsgiApp) -> None:
        self._aws = aws
        self._moto = moto

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        signed = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        if signed and signed[3] in SERVICES:
            reply = self._answer(environ, path, signed[1], signed[2], SERVICES[signed[3]])
        elif path == "/_local/health":
            about = {"url": self._aws.url, "time_scale": self._aws.time_scale, "time": clock.now()}
            reply = _json(200, {"status": "ok", **about})
        elif path == "/_local/clock":
            reply = self._advance(environ)
        elif path == "/_local/oidc/token":
            reply = self._token(environ)
        elif not signed and (environ.get("HTTP_X_AMZ_TARGET", "").startswith("SageMaker.") or _ENDPOINT.match(path)):
            reply = _error(ApiError("MissingAuthenticationTokenException", "Missing Authentication Token", 403))
        else:
            return self._hand_on(environ, start_response)
        reply.headers["Content-Length"] = str(len(reply.body))
        reply.headers["x-amzn-RequestId"] = str(uuid.uuid4())
        start_response(f"{reply.status} {_phrase(reply.status)}", list(reply.headers.items()))
        return [reply.body]

    def _advance(self, environ: Environ) -> Reply:
        """Skip time: `{"advance": seconds}`; the answer comes when all that was due meanwhile has been sent."""
        try:
            moment = self._aws.part(EventBus).advance(float(_parsed(_body(environ, _REQUEST_BYTES))["advance"]))
        except (ApiError, KeyError, TypeError, ValueError) as error:
            return _error(ApiError("ValidationException", f'{{"advance": seconds}} is expected: {error}'))
        return _json(200, {"time": moment})

    def _token(self, environ: Environ) -> Reply:
        """A web identity: `{"claims": {"iss": …, "aud": …, "sub": …}}`, as a CI system's provider would sign it."""
        try:
            claims = _parsed(_body(environ, _REQUEST_BYTES)).get("claims")
            if not isinstance(claims, dict):
                raise validation_error('{"claims": {…}} is expected.')
            return _json(200, {"token": self._aws.part(Issuer).issue(claims)})
        except ApiError as error:
            return _error(error)

    def _hand_on(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            with admit(self._aws, environ):
                return self._moto(environ, start_response)
        except ApiError as error:
            return refusal(environ, start_response, error)

    def _answer(self, environ: Environ, path: str, access_key: str, region: str, service: Service) -> Reply:
        try:
            caller = identify(access_key)
            check_expiry(caller)
            if path == "/":
                return self._control(environ, caller, region, service)
            return self._invoke(environ, path, caller, region)
        except ApiError as error:
            return _error(in_form(error, "sagemaker", json=True))
        except Exception:
            log.exception("%s %s failed", environ.get("HTTP_X_AMZ_TARGET", environ["REQUEST_METHOD"]), path)
            return _error(ApiError("InternalFailure", "A defect of the local AWS; its log has the traceback.", 500))

    def _control(self, environ: Environ, caller: Caller, region: str, service: Service) -> Reply:
        name = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        model = _supported(name, service)
        request = _parsed(_body(environ, _REQUEST_BYTES))
        if model.input_shape:
            validate(request, model.input_shape)
        context = admit_operation(self._aws, caller, region, service.model.signing_name, name, request)
        answer = service.operations[name](Call(self._aws, caller.account, region, request, caller.arn, context))
        shaped = _shaped(answer, model.output_shape) if model.output_shape else {}
        return _json(200, shaped, "application/x-amz-json-1.1")

    def _invoke(self, environ: Environ, path: str, caller: Caller, region: str) -> Reply:
        from common.local.sagemaker.runtime import MAX_BODY_BYTES, invoke_endpoint
        from common.local.sagemaker.runtime_async import invoke_endpoint_async

        endpoint = _ENDPOINT.fullmatch(path)
        if not endpoint or endpoint[2] not in _INVOCATIONS:
            raise _unsupported(f"{environ['REQUEST_METHOD']} {path}")
        invocation, body = _INVOCATIONS[endpoint[2]], _body(environ, MAX_BODY_BYTES)
        request = _invocation_request(environ, endpoint[1], invocation)
        name = "InvokeEndpointAsync" if endpoint[2] == "async-invocations" else "InvokeEndpoint"
        context = admit_operation(self._aws, caller, region, "sagemaker", name, request)
        call = Call(self._aws, caller.account, region, request, caller.arn, context)
        if endpoint[2] == "async-invocations":
            content, headers = invoke_endpoint_async(call, body)
            reply = _json(202, content)
            return reply._replace(headers=reply.headers | headers)
        answer, headers = invoke_endpoint(call, body)
        return Reply(200, headers, answer)


def _invocation_request(environ: Environ, endpoint: str, invocation: Invocation) -> dict[str, Any]:
    """The request's members but its body, checked against the API's limits."""
    shape = invocation.shape
    request: dict[str, Any] = {"EndpointName": endpoint, "Body": b""}
    for name, key in invocation.headers.items():
        if key in environ:
            number = shape.members[name].type_name == "integer" and environ[key].isdecimal()
            request[name] = int(environ[key]) if number else environ[key]
    try:
        validate(request, shape)
    except ApiError as error:
        raise ApiError("ValidationError", error.message) from None
    del request["Body"]
    return request


def _supported(name: str, service: Service) -> OperationModel:
    if name not in service.operations:
        raise _unsupported(name)
    return service.model.operation_model(name)


def _unsupported(name: str) -> ApiError:
    return ApiError("UnsupportedOperation", f"The local AWS does not support {name or 'a request without operation'}.")


def _body(environ: Environ, limit: int) -> bytes:
    """What was sent, unless it is longer than it may be: such is never held in memory."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > limit:
        raise ApiError("ValidationError", f"Request body of {length} bytes exceeds the limit of {limit} bytes.")
    content: bytes = environ["wsgi.input"].read(length)
    return content


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body or b"{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ApiError("SerializationException", "The request is not JSON.") from None
    if not isinstance(request, dict):
        raise ApiError("SerializationException", "The request is not a JSON object.")
    return request


def _refuse_constant(name: str) -> None:
    """Python would read NaN and Infinity, which are no JSON."""
    raise ValueError(name)


def _shaped(value: Any, shape: Shape) -> Any:
    """What of an answer belongs to the output shape."""
    if isinstance(shape, StructureShape):
        members = shape.members
        return {k: _shaped(v, members[k]) for k, v in value.items() if k in members and v is not None}
    if isinstance(shape, ListShape):
        return [_shaped(item, shape.member) for item in value]
    if isinstance(shape, MapShape):
        return {key: _shaped(item, shape.value) for key, item in value.items()}
    return value


def _error(error: ApiError) -> Reply:
    """The form that both protocols of SageMaker read: the code in the body and in a header."""
    content = {"__type": error.code, "message": error.message, "Message": error.message, **error.members}
    reply = _json(error.status, content)
    reply.headers["x-amzn-ErrorType"] = error.code
    return reply


def _json(status: int, content: dict[str, Any], kind: str = "application/json") -> Reply:
    return Reply(status, {"Content-Type": kind}, json.dumps(content).encode())


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error"
