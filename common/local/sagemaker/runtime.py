"""SageMaker Runtime: InvokeEndpoint, with the error contract that callers see on AWS."""

import time
import uuid

from common.local.api import ApiError, Call
from common.local.hosting.host import Hosting
from common.local.hosting.lifecycle import KIND
from common.local.hosting.live import NotServing
from common.local.hosting.multi_model import LoadFailed, ModelHost, ModelMissing, ModelNotReady
from common.local.hosting.spec import ContainerSpec
from common.local.hosting.telemetry import Invocation, Origin
from common.local.hosting.worker import Reply, Worker, WorkerGone

MAX_BODY_BYTES = 6_291_456
TIMEOUT_SECONDS = 60.0
"""How long a container may take to answer: real seconds, since it is the model's own work that takes them."""

_CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_FORWARDED = {
    "ContentType": "Content-Type",
    "Accept": "Accept",
    "CustomAttributes": _CUSTOM_ATTRIBUTES,
    "InferenceId": "X-Amzn-SageMaker-Inference-Id",
}
"""What of a request its container sees, and as which header."""

_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container {label}. Review the latency metrics for each "
    "container in Amazon CloudWatch, resolve the issue, and try again."
)


def invoke_endpoint(call: Call, body: bytes) -> tuple[bytes, dict[str, str]]:
    """Answer one invocation: the container's body, and the headers of the response.

    Custom attributes come back when the container returns them, as on AWS. The request's other members have been
    checked against the API's limits before.

    Raises:
        ApiError: `ValidationError` when the endpoint or variant does not serve or the request does not fit it, or when
            there is no such model; `ModelError` (424) when the container answers an error, not in time, or not at all;
            `ModelNotReadyException` (429) when a model is not loaded in time.
    """
    began = time.perf_counter()
    request = call.request
    name: str = request["EndpointName"]
    if len(body) > MAX_BODY_BYTES:
        raise _invalid(f"Request body of {len(body)} bytes exceeds the limit of {MAX_BODY_BYTES} bytes.")
    live = call.aws.part(Hosting).live(call.scope, name)
    if live is None:
        raise _not_serving(call, name)
    _refuse_foreign_targets(request, name)
    target = _target_model(request)
    headers = {header: request[member] for member, header in _FORWARDED.items() if request.get(member)}
    try:
        with live.instance(request.get("TargetVariant"), TIMEOUT_SECONDS, target) as instance:
            if instance.models is None:
                _refuse_target(target, name)
                label, reply, model_seconds = _through(instance.workers, body, headers)
            else:
                [(container, _)] = instance.workers
                label, reply, model_seconds = _to_model(instance.models, container.label, target, body, headers)
    except NotServing:
        raise _not_serving(call, name) from None
    except KeyError:
        raise _invalid(f"Variant {request['TargetVariant']} not found for Endpoint {name}.") from None
    origin = Origin(call.account, call.region, name)
    overhead = time.perf_counter() - began - model_seconds
    status = reply.status or 504
    call.aws.part(Hosting).telemetry.record(
        origin, instance.variant, Invocation(status, model_seconds * 1e6, overhead * 1e6)
    )
    if not 200 <= reply.status < 300:
        raise _model_error(origin, label, reply)
    answer = {"Content-Type": reply.content_type, "x-Amzn-Invoked-Production-Variant": instance.variant}
    if reply.custom_attributes is not None:
        answer[_CUSTOM_ATTRIBUTES] = reply.custom_attributes
    return reply.body, {header: value for header, value in answer.items() if value is not None}


def _through(
    workers: list[tuple[ContainerSpec, Worker]], body: bytes, headers: dict[str, str]
) -> tuple[str, Reply, float]:
    """Send the body through the containers, each one's answer to the next, until the last or the first error.

    Returns the label of the container that answered, its reply, and the seconds spent in containers. Status 0 stands
    for no answer.
    """
    began = time.perf_counter()
    label, reply = "", Reply(0, body, headers.get("Content-Type"), None)
    for container, worker in workers:
        label = container.label
        sent = headers if reply.content_type is None else {**headers, "Content-Type": reply.content_type}
        left = TIMEOUT_SECONDS - (time.perf_counter() - began)
        try:
            reply = worker.invoke(reply.body, sent, max(left, 0.001))
        except (TimeoutError, WorkerGone) as fault:
            reply = _unanswered(label, fault)
        if not 200 <= reply.status < 300:
            break
    return label, reply, time.perf_counter() - began


def _unanswered(label: str, fault: TimeoutError | WorkerGone) -> Reply:
    if isinstance(fault, TimeoutError):
        return Reply(0, _TIMED_OUT.format(label=label).encode(), None, None)
    return Reply(503, f"The container is not available: {fault}".encode(), None, None)


def _to_model(
    models: ModelHost, label: str, target: str | None, body: bytes, headers: dict[str, str]
) -> tuple[str, Reply, float]:
    """Ask one model of a multi-model container; returns what `_through` does."""
    if target is None:
        raise _invalid(f"Request {uuid.uuid4()} is missing a target model header.")
    began = time.perf_counter()
    try:
        reply, seconds = models.invoke(target, body, headers, TIMEOUT_SECONDS)
    except ModelMissing as missing:
        raise _invalid(str(missing)) from None
    except ModelNotReady as wait:
        raise ApiError("ModelNotReadyException", str(wait), 429) from None
    except LoadFailed as failure:
        reply, seconds = failure.reply, 0.0
    except (TimeoutError, WorkerGone) as fault:
        reply, seconds = _unanswered(label, fault), time.perf_counter() - began
    return label, reply, seconds


def _target_model(request: dict[str, str]) -> str | None:
    """The model that the request asks for, by its key below the endpoint's prefix."""
    target = request.get("TargetModel")
    if target is not None and (target.startswith("/") or {"..", "."} & set(target.split("/"))):
        raise _invalid(f"TargetModel {target} must be the path of an object below the endpoint's prefix.")
    return target


def _refuse_target(target: str | None, name: str) -> None:
    if target is not None:
        raise _invalid(f"Endpoint {name} is not a multi-model endpoint and does not support target model header.")


def _refuse_foreign_targets(request: dict[str, str], name: str) -> None:
    for member, kind in {
        "TargetContainerHostname": "multi-container endpoints in direct mode",
        "InferenceComponentName": "endpoints with inference components",
        "SessionId": "stateful endpoints",
    }.items():
        if request.get(member):
            raise _invalid(f"{member} is only valid for {kind}; Endpoint {name} is none.")


def _not_serving(call: Call, name: str) -> ApiError:
    document = call.aws.store.get(call.scope, KIND, name)
    if document is None or document["EndpointStatus"] == "Deleting":
        return _invalid(f"Endpoint {name} of account {call.account} not found.")
    status = document["EndpointStatus"]
    return _invalid(f"Endpoint {name} of account {call.account} is not in service: its status is {status}.")


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationError", message)


def _model_error(origin: Origin, label: str, reply: Reply) -> ApiError:
    text = reply.body.decode(errors="replace")
    kind = "client" if 400 <= reply.status < 500 else "server"
    message = (
        f'Received {kind} error ({reply.status}) from {label} with message "{text}". See '
        f"https://{origin.region}.console.aws.amazon.com/cloudwatch/home?region={origin.region}"
        f"#logEventViewer:group={origin.log_group} in account {origin.account} for more information."
    )
    return ApiError(
        "ModelError",
        message,
        424,
        OriginalStatusCode=reply.status,
        OriginalMessage=text,
        LogStreamArn=f"arn:aws:logs:{origin.region}:{origin.account}:log-group:{origin.log_group}",
    )
