"""SageMaker Runtime: InvokeEndpoint, with the error contract that callers see on AWS."""

import uuid

from common.local.api import ApiError, Call
from common.local.hosting.asynchronous import AsyncQueues
from common.local.hosting.host import Hosting
from common.local.hosting.invocation import TIMEOUT_SECONDS, Outcome, Request, WrongTarget
from common.local.hosting.lifecycle import KIND
from common.local.hosting.live import NotServing
from common.local.hosting.multi_model import ModelMissing, ModelNotReady
from common.local.hosting.serverless import ColdStartFailed, Throttled
from common.local.hosting.telemetry import Origin

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
            `ModelNotReadyException` (429) when a model is not loaded in time; `ThrottlingException` when a serverless variant
            has as many requests as it may.
    """
    request = call.request
    name: str = request["EndpointName"]
    if len(body) > MAX_BODY_BYTES:
        raise invalid(f"Request body of {len(body)} bytes exceeds the limit of {MAX_BODY_BYTES} bytes.")
    live = call.aws.part(Hosting).live(call.scope, name)
    if live is None:
        raise not_serving(call, name)
    if call.aws.part(AsyncQueues).of(call.scope, name) is not None:
        raise invalid(f"Endpoint {name} is an asynchronous endpoint: it takes InvokeEndpointAsync, not InvokeEndpoint.")
    _refuse_foreign_targets(request, name)
    asked = _request(request, body)
    try:
        with live.instance(request.get("TargetVariant"), TIMEOUT_SECONDS, asked.target) as instance:
            outcome = instance.answer(asked)
    except NotServing:
        raise not_serving(call, name) from None
    except KeyError:
        raise invalid(f"Variant {request['TargetVariant']} not found for Endpoint {name}.") from None
    except Throttled:
        raise ApiError("ThrottlingException", "Rate exceeded") from None
    except ColdStartFailed as failure:
        text = str(failure)
        raise ApiError("ModelError", text, 424, OriginalStatusCode=500, OriginalMessage=text) from None
    except WrongTarget as wrong:
        raise _wrong_target(wrong, name) from None
    except ModelMissing as missing:
        raise invalid(str(missing)) from None
    except ModelNotReady as wait:
        raise ApiError("ModelNotReadyException", str(wait), 429) from None
    if not outcome.succeeded:
        raise _model_error(Origin(call.account, call.region, name), outcome)
    reply = outcome.reply
    answer = {"Content-Type": reply.content_type, "x-Amzn-Invoked-Production-Variant": instance.variant}
    if reply.custom_attributes is not None:
        answer[_CUSTOM_ATTRIBUTES] = reply.custom_attributes
    return reply.body, {header: value for header, value in answer.items() if value is not None}


def forwarded(members: dict[str, str]) -> dict[str, str]:
    """What of a request its container sees, as headers."""
    return {header: members[member] for member, header in _FORWARDED.items() if members.get(member)}


def _request(members: dict[str, str], body: bytes) -> Request:
    return Request(
        body,
        headers=forwarded(members),
        target=_target_model(members),
        inference_id=members.get("InferenceId"),
        timeout=TIMEOUT_SECONDS,
    )


def _target_model(request: dict[str, str]) -> str | None:
    """The model that the request asks for, by its key below the endpoint's prefix."""
    target = request.get("TargetModel")
    if target is not None and (target.startswith("/") or {"..", "."} & set(target.split("/"))):
        raise invalid(f"TargetModel {target} must be the path of an object below the endpoint's prefix.")
    return target


def _wrong_target(wrong: WrongTarget, name: str) -> ApiError:
    if wrong.given:
        return invalid(f"Endpoint {name} is not a multi-model endpoint and does not support target model header.")
    return invalid(f"Request {uuid.uuid4()} is missing a target model header.")


def _refuse_foreign_targets(request: dict[str, str], name: str) -> None:
    for member, kind in {
        "TargetContainerHostname": "multi-container endpoints in direct mode",
        "InferenceComponentName": "endpoints with inference components",
        "SessionId": "stateful endpoints",
    }.items():
        if request.get(member):
            raise invalid(f"{member} is only valid for {kind}; Endpoint {name} is none.")


def not_serving(call: Call, name: str) -> ApiError:
    document = call.aws.store.get(call.scope, KIND, name)
    if document is None or document["EndpointStatus"] == "Deleting":
        return invalid(f"Endpoint {name} of account {call.account} not found.")
    status = document["EndpointStatus"]
    return invalid(f"Endpoint {name} of account {call.account} is not in service: its status is {status}.")


def invalid(message: str) -> ApiError:
    return ApiError("ValidationError", message)


def _model_error(origin: Origin, outcome: Outcome) -> ApiError:
    return ApiError(
        "ModelError",
        outcome.error_message(origin),
        424,
        OriginalStatusCode=outcome.reply.status,
        OriginalMessage=outcome.reply.body.decode(errors="replace"),
        LogStreamArn=f"arn:aws:logs:{origin.region}:{origin.account}:log-group:{origin.log_group}",
    )
