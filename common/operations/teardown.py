"""Taking a model down: everything of it that costs money by the hour goes, nothing of another model does.

What tells where the model came from stays: the packages of the registry, and the artifacts, data and evaluations in S3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing, says
from common.deployment.execute import wait_until_settled
from common.deployment.hold import already_held, hold_of
from common.deployment.live import describe_endpoint
from common.deployment.plan import CHANGING
from common.errors import DeploymentError, UsageError
from common.operations.belongings import Belongings, Job, Target, belongings_of
from common.storage import Bucket

Say = Callable[[str], None]


def tear_down(aws: Aws, name: str, say: Say, *, confirmed: bool) -> None:
    """Say what would go, and let it go where that is confirmed. A rerun continues one that was killed.

    Args:
        name: of a model, also of one that is no longer in the checkout.

    Raises:
        UsageError: it is not confirmed; nothing was changed.
        DeploymentError: somebody holds the endpoint, or something could not be removed.
    """
    held = hold_of(aws, name)
    if held:
        raise already_held(name, held)
    found = belongings_of(aws, name)
    if not found:
        say(f"{name}: nothing of it runs or waits to run. {_stays(aws, name)}")
        return
    for number, step in enumerate(describe_teardown(found), start=1):
        say(f"  {number}. {step}")
    if not confirmed:
        raise UsageError(
            f"Nothing of {name} was removed.", f"`./models teardown {name} --yes` does what is listed above."
        )
    _remove(aws, found, say)
    left = belongings_of(aws, name)
    if left:
        raise DeploymentError(
            f"Of {name} there is something again: {'; '.join(describe_teardown(left))}.",
            "Somebody deploys or trains it at this moment: find out who, then run this again.",
        )
    say(f"{name}: taken down. {_stays(aws, name)} main's next deploy would create the endpoint again.")


def describe_teardown(found: Belongings) -> list[str]:
    """The steps in words; none where nothing is left."""
    kinds: list[tuple[str, tuple[str, ...]]] = [
        ("stop", tuple(f"{job.kind} job {job.name}" for job in found.jobs)),
        ("end the scaling of", tuple(target.resource for target in found.targets)),
        ("delete endpoint", found.endpoints),
        ("delete endpoint configurations", found.configurations),
        ("delete models", found.models),
        ("delete alarms", found.alarms),
    ]
    return [f"{what} {', '.join(names)}" for what, names in kinds if names]


def _remove(aws: Aws, found: Belongings, say: Say) -> None:
    """First what runs, then what it was made from: an interrupted teardown has stopped the larger costs."""
    for job in found.jobs:
        _stop(aws, job)
    for target in found.targets:
        _deregister(aws, target)
    for endpoint in found.endpoints:
        _delete_endpoint(aws, endpoint, say)
    for configuration in found.configurations:
        _unless_gone(aws.sagemaker.delete_endpoint_config, EndpointConfigName=configuration)
    for model in found.models:
        _unless_gone(aws.sagemaker.delete_model, ModelName=model)
    if found.alarms:
        aws.cloudwatch.delete_alarms(AlarmNames=list(found.alarms))


def _delete_endpoint(aws: Aws, name: str, say: Say) -> None:
    """SageMaker deletes no endpoint that it is changing: its change ends first."""
    found = describe_endpoint(aws, name)
    if found and found["EndpointStatus"] in CHANGING:
        say(f"Endpoint {name} is {found['EndpointStatus']}: waiting")
        wait_until_settled(aws, name, say)
    say(f"Deleting endpoint {name}")
    _unless_gone(aws.sagemaker.delete_endpoint, EndpointName=name)
    wait_until_settled(aws, name, say)


_STOP = {
    "training": ("stop_training_job", "TrainingJobName"),
    "processing": ("stop_processing_job", "ProcessingJobName"),
    "transform": ("stop_transform_job", "TransformJobName"),
    "tuning": ("stop_hyper_parameter_tuning_job", "HyperParameterTuningJobName"),
}


def _stop(aws: Aws, job: Job) -> None:
    """Ask the job to stop; SageMaker gives it up to two minutes."""
    operation, parameter = _STOP[job.kind]
    try:
        getattr(aws.sagemaker, operation)(**{parameter: job.name})
    except ClientError as error:
        # SageMaker does not stop what has ended since it was listed.
        if not (is_missing(error) or says(error, "is in status", "cannot be stopped")):
            raise


def _deregister(aws: Aws, target: Target) -> None:
    """AWS deletes the target's policies, and the alarms that these made, with it."""
    client = aws.autoscaling
    try:
        client.deregister_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId=target.resource,
            ScalableDimension=target.dimension,  # type: ignore[arg-type]
        )
    except client.exceptions.ObjectNotFoundException:
        return  # somebody else was faster


def _unless_gone(delete: Callable[..., object], **name: Any) -> None:
    try:
        delete(**name)
    except ClientError as error:
        if not is_missing(error):
            raise


def _stays(aws: Aws, name: str) -> str:
    return (
        f"What stays: the packages of the registry, the logs, and {Bucket(aws).uri(f'{name}/')} with artifacts, data and "
        "evaluations, by which every answer can still be traced."
    )
