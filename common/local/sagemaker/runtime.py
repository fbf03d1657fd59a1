"""SageMaker Runtime: InvokeEndpoint, with the error contract that callers see on AWS."""

import uuid

from common.local.api import ApiError, Call
from common.local.hosting.host import Hosting
from common.local.hosting.invocation import TIMEOUT_SECONDS, Request, WrongTarget
from common.local.hosting.lifecycle import KIND
from common.local.hosting.live import NotServing
from common.local.hosting.multi_model import ModelMissing, ModelNotReady
from common.local.hosting.telemetry import Origin
from common.local.hosting.worker import Reply

MAX_BODY_BYTES = 6_291_456
_CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_FORWARDED = {
    "ContentType": "Content-Type",
    "Accept": "Accept",
    "CustomAttributes": _CUSTOM_ATTRIBUTES,
    "InferenceId": "X-Amzn-SageMaker-Inference-Id",
}
"""What of a request its container sees, and as which header."""


def invoke_endpoint(call: Call, body: bytes) -> tuple[bytes, dict[str, str]]:
    """Answer one invocation: the container's body, and the headers of the response.

    Custom attributes come back when the container returns them, as on AWS. The request's other members have been
    checked against the API's limits before.

    Raises:
        ApiError: `ValidationError` when the endpoint or variant does not serve or the request does not fit it, or when
            there is no such model; `ModelError` (424) when the container answers an error, not in time, or not at all;
            `ModelNotReadyException` (429) when a model is not loaded in time.
    """
    request = call.request
    name: str = request["EndpointName"]
    if len(body) > MAX_BODY_BYTES:
        raise _invalid(f"Request body of {len(body)} bytes exceeds the limit of {MAX_BODY_BYTES} bytes.")
    live = call.aws.part(Hosting).live(call.scope, name)
    if live is None:
        raise _not_serving(call, name)
    _refuse_foreign_targets(request, name)
    asked = _request(request, body)
    try:
        with live.instance(request.get("TargetVariant"), TIMEOUT_SECONDS, asked.target) as instance:
            outcome = instance.answer(asked)
    except NotServing:
        raise _not_serving(call, name) from None
    except KeyError:
        raise _invalid(f"Variant {request['TargetVariant']} not found for Endpoint {name}.") from None
    except WrongTarget as wrong:
        raise _wrong_target(wrong, name) from None
    except ModelMissing as missing:
        raise _invalid(str(missing)) from None
    except ModelNotReady as wait:
        raise ApiError("ModelNotReadyException", str(wait), 429) from None
    if not outcome.succeeded:
        raise _model_error(Origin(call.account, call.region, name), outcome.label, outcome.reply)
    reply = outcome.reply
    answer = {"Content-Type": reply.content_type, "x-Amzn-Invoked-Production-Variant": instance.variant}
    if reply.custom_attributes is not None:
        answer[_CUSTOM_ATTRIBUTES] = reply.custom_attributes
    return reply.body, {header: value for header, value in answer.items() if value is not None}


def _request(members: dict[str, str], body: bytes) -> Request:
    return Request(
        body,
        headers={header: members[member] for member, header in _FORWARDED.items() if members.get(member)},
        target=_target_model(members),
        inference_id=members.get("InferenceId"),
    )


def _target_model(request: dict[str, str]) -> str | None:
    """The model that the request asks for, by its key below the endpoint's prefix."""
    target = request.get("TargetModel")
    if target is not None and (target.startswith("/") or {"..", "."} & set(target.split("/"))):
        raise _invalid(f"TargetModel {target} must be the path of an object below the endpoint's prefix.")
    return target


def _wrong_target(wrong: WrongTarget, name: str) -> ApiError:
    if wrong.given:
        return _invalid(f"Endpoint {name} is not a multi-model endpoint and does not support target model header.")
    return _invalid(f"Request {uuid.uuid4()} is missing a target model header.")


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
