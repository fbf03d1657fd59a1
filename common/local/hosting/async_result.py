"""What an asynchronous request ends in: an object in S3, and a notification in the form that SageMaker documents."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from common.local.hosting.telemetry import Origin
from common.local.services import Services

if TYPE_CHECKING:
    from common.local.hosting.asynchronous import Waiting

MAX_INCLUDED_BYTES = 128 * 1024
"""A larger response is in S3 only, whatever `IncludeInferenceResponseIn` says."""


@dataclass(frozen=True)
class Result:
    """The model's answer, or why there is none."""

    body: bytes
    content_type: str | None
    error: str | None = None
    """The `failureReason`; the body is its text then."""


def failure(reason: str) -> Result:
    return Result(reason.encode(), "text/plain", reason)


def deliver(services: Services, account: str, request: "Waiting", result: Result) -> Result:
    """Write the result to where the request's answer named; a result that cannot be written is a failure."""
    if result.error is None:
        if _write(services, account, request.output_location, result.body):
            return result
        result = failure(f"ClientError: Could not upload the response to {request.output_location}: no such bucket.")
    if request.failure_location is not None:
        _write(services, account, request.failure_location, result.body)
    return result


def _write(services: Services, account: str, location: str, body: bytes) -> bool:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    try:
        services.write_object(account, bucket, key, body)
    except KeyError:
        return False
    return True


def announce(services: Services, origin: Origin, config: dict[str, Any], request: "Waiting", result: Result) -> bool:
    """Notify the topic that is meant for such a result, if there is one; false when that topic does not exist."""
    wanted = config.get("OutputConfig", {}).get("NotificationConfig", {})
    topic = wanted.get("SuccessTopic" if result.error is None else "ErrorTopic")
    if not topic:
        return True
    kind = "SUCCESS_NOTIFICATION_TOPIC" if result.error is None else "ERROR_NOTIFICATION_TOPIC"
    included = kind in wanted.get("IncludeInferenceResponseIn", ()) and len(result.body) <= MAX_INCLUDED_BYTES
    try:
        services.publish(topic, json.dumps(message(origin, request, result, included)))
    except KeyError:
        return False
    return True


def message(origin: Origin, request: "Waiting", result: Result, included: bool) -> dict[str, Any]:
    """The notification of a result; `included` puts the response itself into it."""
    asked = {
        "accept": request.headers.get("Accept"),
        "contentType": request.headers.get("Content-Type"),
        "endpointName": request.endpoint,
        "inputLocation": request.input_location,
    }
    told: dict[str, Any] = {
        "awsRegion": origin.region,
        "eventTime": _iso(datetime.now(UTC)),
        "receivedTime": _iso(datetime.fromtimestamp(request.received, UTC)),
        "invocationStatus": "Completed" if result.error is None else "Failed",
        "requestParameters": {name: value for name, value in asked.items() if value is not None},
        "inferenceId": request.inference_id,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    if result.error is None:
        told["responseParameters"] = {"contentType": result.content_type, "outputLocation": request.output_location}
    else:
        told["failureReason"] = result.error
    if included:
        told["responseBody"] = _content(result)
    return told


def _content(result: Result) -> dict[str, Any]:
    try:
        text, encoding = result.body.decode(), "UTF8"
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(result.body).decode(), "BASE64"
    return {"content": text, "contentType": result.content_type, "encoding": encoding}


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
