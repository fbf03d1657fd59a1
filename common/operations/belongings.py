"""What of a model is in the account and costs money, or leads to costs. Reads only.

What counts is the tag `model` that this project gives to everything it creates, and being registered for an endpoint that
carries it. A name only says where to look: abalone2-model-1 contains «abalone», and is another model's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing
from common.deployment.live import describe_endpoint

_TAG = "model"


@dataclass(frozen=True)
class Job:
    """A running job. `kind` is `training`, `processing`, `transform` or `tuning`."""

    kind: str
    name: str


@dataclass(frozen=True)
class Target:
    """A number that Application Auto Scaling keeps in a range, e.g. the instances of a variant."""

    resource: str
    dimension: str


@dataclass(frozen=True)
class Belongings:
    """What of one model is in the account, by name."""

    endpoints: tuple[str, ...] = ()
    configurations: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    jobs: tuple[Job, ...] = ()

    def __bool__(self) -> bool:
        return any((self.endpoints, self.configurations, self.models, self.alarms, self.targets, self.jobs))


def belongings_of(aws: Aws, name: str) -> Belongings:
    """Everything of the model of that name, also what an interrupted teardown has left."""
    endpoints = _of(aws, name, "list_endpoints", "Endpoints", "Endpoint")
    return Belongings(
        endpoints=endpoints,
        configurations=_of(aws, name, "list_endpoint_configs", "EndpointConfigs", "EndpointConfig"),
        models=_of(aws, name, "list_models", "Models", "Model"),
        alarms=_alarms(aws, name),
        targets=_targets(aws, name, endpoints),
        jobs=tuple(job for job, owner in listed_jobs(aws, NameContains=name) if owner == name),
    )


def owned(aws: Aws, operation: str, member: str, kind: str, **request: Any) -> Iterator[tuple[str, str]]:
    """(name, model) of everything that SageMaker lists and that carries a model's tag."""
    pages = aws.sagemaker.get_paginator(operation).paginate(**request)  # type: ignore[call-overload]
    for page in pages:
        for item in page[member]:
            if owner := _owner(aws, item[f"{kind}Arn"]):
                yield item[f"{kind}Name"], owner


def _of(aws: Aws, name: str, operation: str, member: str, kind: str) -> tuple[str, ...]:
    found = owned(aws, operation, member, kind, NameContains=name)
    return tuple(sorted(each for each, owner in found if owner == name))


def _owner(aws: Aws, arn: str) -> str:
    """The model that a resource of SageMaker belongs to; empty where it is nobody's, or gone by now."""
    try:
        pages = aws.sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
        return next((tag["Value"] for page in pages for tag in page["Tags"] if tag["Key"] == _TAG), "")
    except ClientError as error:
        if is_missing(error):
            return ""
        raise


def _alarms(aws: Aws, name: str) -> tuple[str, ...]:
    pages = aws.cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=f"{name}-", AlarmTypes=["MetricAlarm"]
    )
    found = [(alarm["AlarmName"], alarm["AlarmArn"]) for page in pages for alarm in page["MetricAlarms"]]
    own = {"Key": _TAG, "Value": name}
    return tuple(alarm for alarm, arn in found if own in aws.cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"])


def _targets(aws: Aws, name: str, endpoints: tuple[str, ...]) -> tuple[Target, ...]:
    """What is registered for the model's endpoints, and for one of its name that is gone: targets outlive endpoints."""
    owned = {*endpoints, *([] if describe_endpoint(aws, name) else [name])}
    pages = aws.autoscaling.get_paginator("describe_scalable_targets").paginate(ServiceNamespace="sagemaker")
    return tuple(
        Target(target["ResourceId"], target["ScalableDimension"])
        for page in pages
        for target in page["ScalableTargets"]
        if target["ResourceId"].split("/")[:2] in [["endpoint", endpoint] for endpoint in owned]
    )


_JOBS = {
    "tuning": ("list_hyper_parameter_tuning_jobs", "HyperParameterTuningJobSummaries", "HyperParameterTuningJob"),
    "training": ("list_training_jobs", "TrainingJobSummaries", "TrainingJob"),
    "processing": ("list_processing_jobs", "ProcessingJobSummaries", "ProcessingJob"),
    "transform": ("list_transform_jobs", "TransformJobSummaries", "TransformJob"),
}


def listed_jobs(aws: Aws, **narrowed: str) -> Iterator[tuple[Job, str]]:
    """(job, model) of all that run now."""
    for kind, (operation, member, prefix) in _JOBS.items():
        for name, owner in owned(aws, operation, member, prefix, StatusEquals="InProgress", **narrowed):
            yield Job(kind, name), owner
