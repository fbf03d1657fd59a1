"""SageMaker's events, in the form that AWS documents: from a document before and after it changed. Pure functions.

https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html has a sample of each.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from common.local.hosting.spec import FleetSpec
from common.local.store import Change, Document


class Kind(NamedTuple):
    """What of a kind of documents goes into its events.

    Attributes:
        arn: the member that holds the resource's ARN.
        watched: the members whose change is an event.
        told: the members of `detail`, where the document has them.
    """

    detail_type: str
    arn: str
    watched: tuple[str, ...]
    told: tuple[str, ...]


_TIMES = ("CreationTime", "LastModifiedTime")
KINDS = {
    "training-job": Kind(
        "SageMaker Training Job State Change",
        "TrainingJobArn",
        ("TrainingJobStatus", "SecondaryStatus"),
        (
            "TrainingJobName", "TrainingJobArn", "TrainingJobStatus", "SecondaryStatus", "FailureReason", "HyperParameters",
            "AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig", "ResourceConfig", "VpcConfig",
            "StoppingCondition", "ModelArtifacts", "TrainingStartTime", "TrainingEndTime", "SecondaryStatusTransitions",
            *_TIMES,
        ),
    ),
    "processing-job": Kind(
        "SageMaker Processing Job State Change",
        "ProcessingJobArn",
        ("ProcessingJobStatus",),
        (
            "ProcessingInputs", "ProcessingOutputConfig", "ProcessingJobName", "ProcessingResources", "StoppingCondition",
            "AppSpecification", "NetworkConfig", "RoleArn", "ExperimentConfig", "ProcessingJobArn", "ProcessingJobStatus",
            "FailureReason", "ExitMessage", "ProcessingStartTime", "ProcessingEndTime", *_TIMES,
        ),
    ),
    "transform-job": Kind(
        "SageMaker Transform Job State Change",
        "TransformJobArn",
        ("TransformJobStatus",),
        (
            "TransformJobName", "TransformJobArn", "TransformJobStatus", "FailureReason", "ModelName", "BatchStrategy",
            "MaxConcurrentTransforms", "MaxPayloadInMB", "Environment", "TransformInput", "TransformOutput", "TransformResources",
            "DataProcessing", "TransformStartTime", "TransformEndTime", *_TIMES,
        ),
    ),
    "hyper-parameter-tuning-job": Kind(
        "SageMaker HyperParameter Tuning Job State Change",
        "HyperParameterTuningJobArn",
        ("HyperParameterTuningJobStatus",),
        (
            "HyperParameterTuningJobName", "HyperParameterTuningJobArn", "HyperParameterTuningJobConfig",
            "TrainingJobDefinition", "HyperParameterTuningJobStatus", "HyperParameterTuningEndTime", "FailureReason",
            "WarmStartConfig", "TrainingJobStatusCounters", "ObjectiveStatusCounters", *_TIMES,
        ),
    ),
    "model-package": Kind(
        "SageMaker Model Package State Change",
        "ModelPackageArn",
        (
            "ModelPackageStatus", "ModelApprovalStatus", "ApprovalDescription", "SourceUri", "CustomerMetadataProperties",
            "InferenceSpecification", "ModelLifeCycle",
        ),
        (
            "ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "ModelPackageDescription",
            "InferenceSpecification", "ModelPackageStatus", "ModelPackageStatusDetails", "CertifyForMarketplace",
            "ModelApprovalStatus", "ApprovalDescription", "MetadataProperties", "ModelMetrics", "ModelLifeCycle",
            "CustomerMetadataProperties", *_TIMES,
        ),
    ),
    "endpoint": Kind(
        "SageMaker Endpoint State Change",
        "EndpointArn",
        ("EndpointStatus",),
        ("EndpointName", "EndpointArn", "EndpointConfigName", "FailureReason", *_TIMES),
    ),
}  # fmt: skip
"""By the kind of the documents, which is how their ARN spells it."""

DEPLOYMENT = "SageMaker Endpoint Deployment State Change"

Event = dict[str, Any]
_Body = tuple[str, Document]


def events_of(change: Change, tags: Mapping[str, str]) -> list[_Body]:
    """(detail type, detail) of each event that a change is; a document that is gone is none."""
    if change.after is None:
        return []
    make: Callable[[Change], list[_Body]] = _endpoint if change.kind == "endpoint" else _plain
    return [(detail_type, detail | {"Tags": dict(tags)}) for detail_type, detail in make(change)]


def envelope(account: str, region: str, moment: float, resource: str, body: _Body, event_id: str) -> Event:
    """An event as EventBridge passes it on."""
    detail_type, detail = body
    return {
        "version": "0",
        "id": event_id,
        "detail-type": detail_type,
        "source": "aws.sagemaker",
        "account": account,
        "time": iso(moment),
        "region": region,
        "resources": [resource],
        "detail": detail,
    }


def iso(moment: float) -> str:
    """Epoch seconds as EventBridge writes a time: to the second, in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _plain(change: Change) -> list[_Body]:
    kind, before, after = KINDS[change.kind], change.before or {}, change.after or {}
    changed = [member for member in kind.watched if before.get(member) != after.get(member)]
    if not changed:
        return []
    detail = {member: _told(member, after[member]) for member in kind.told if after.get(member) is not None}
    if change.kind == "model-package" and change.before is not None:
        detail["UpdatedModelPackageFields"] = changed
    return [(kind.detail_type, detail)]


def _endpoint(change: Change) -> list[_Body]:
    """Its status, in the spelling of events (`IN_SERVICE`), and each phase of a deployment."""
    kind, before, after = KINDS["endpoint"], change.before or {}, change.after or {}
    detail = {member: _told(member, after[member]) for member in kind.told if after.get(member) is not None}
    detail |= {"EndpointStatus": _screaming(after["EndpointStatus"]), "ProductionVariants": _variants(after["Fleet"])}
    found = []
    if before.get("EndpointStatus") != after["EndpointStatus"]:
        found.append((kind.detail_type, detail))
    pending = after.get("Pending") or {}
    if pending and (before.get("Pending") or {}).get("PhaseTime") != pending.get("PhaseTime"):
        status = [{"Status": pending["Phase"], "StartTime": _milliseconds(pending["PhaseTime"])}]
        summary = {
            "EndpointConfigName": FleetSpec.from_json(pending["Fleet"]).config_name,
            "StartTime": _milliseconds(pending["StartTime"]),
            "ProductionVariants": [each | {"VariantStatus": status} for each in _variants(pending["Fleet"])],
        }
        found.append((DEPLOYMENT, detail | {"PendingDeploymentSummary": summary}))
    return found


def _variants(fleet: Document) -> list[Document]:
    return [
        {
            "VariantName": variant.name,
            "CurrentWeight": variant.weight,
            "DesiredWeight": variant.weight,
            "CurrentInstanceCount": variant.instances,
            "DesiredInstanceCount": variant.instances,
        }
        for variant in FleetSpec.from_json(fleet).variants
    ]


def _screaming(status: str) -> str:
    """`InService` → `IN_SERVICE`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", status).upper()


def _told(member: str, value: Any) -> Any:
    """A member's value, with each time in milliseconds, wherever it is."""
    if isinstance(value, Mapping):
        return {key: _told(key, each) for key, each in value.items()}
    if isinstance(value, list):
        return [_told("", each) for each in value]
    return _milliseconds(value) if member.endswith("Time") and isinstance(value, int | float) else value


def _milliseconds(moment: float) -> int:
    return round(moment * 1000)
