"""What an asynchronous request ends in: an object in S3, and a notification in the form that SageMaker documents."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from common.local.access.guard import require
from common.local.api import ApiError
from common.local.hosting.telemetry import Origin
from common.local.roles.s3 import RoleS3, S3Refused

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


def deliver(s3: RoleS3, config: dict[str, Any], request: "Waiting", result: Result) -> Result:
    """Write the result to where the request's answer named; a result that cannot be written is a failure."""
    kms_key = config.get("OutputConfig", {}).get("KmsKeyId") or None
    if result.error is None:
        reason = _write(s3, request.output_location, result.body, kms_key)
        if reason is None:
            return result
        result = failure(f"ClientError: Could not upload the response to {request.output_location}: {reason}")
    if request.failure_location is not None:
        _write(s3, request.failure_location, result.body, kms_key)
    return result


def _write(s3: RoleS3, location: str, body: bytes, kms_key: str | None) -> str | None:
    """None, or why it could not be written."""
    bucket, _, key = location.removeprefix("s3://").partition("/")
    try:
        s3.write(bucket, key, body, kms_key)
    except KeyError:
        return "no such bucket."
    except S3Refused as refusal:
        return str(refusal)
    return None


def announce(role: RoleS3, origin: Origin, config: dict[str, Any], request: "Waiting", result: Result) -> bool:
    """Notify the topic that is meant for such a result, if there is one; false when there is none, or not for the role."""
    wanted = config.get("OutputConfig", {}).get("NotificationConfig", {})
    topic = wanted.get("SuccessTopic" if result.error is None else "ErrorTopic")
    if not topic:
        return True
    kind = "SUCCESS_NOTIFICATION_TOPIC" if result.error is None else "ERROR_NOTIFICATION_TOPIC"
    included = kind in wanted.get("IncludeInferenceResponseIn", ()) and len(result.body) <= MAX_INCLUDED_BYTES
    try:
        require(role.aws, role.principal, "sns:Publish", topic)
        role.aws.services.publish(topic, json.dumps(message(origin, request, result, included)))
    except (KeyError, ApiError):
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
