"""Training jobs."""

import re
import shutil
import time
from pathlib import PurePosixPath
from typing import Any

from common.local.api import Answer, Call, in_use, operation, validation_error
from common.local.containers import UnknownImage, program
from common.local.context import LocalAws
from common.local.jobs.runner import Runner
from common.local.jobs.state import KIND, Ending, JobState
from common.local.jobs.training_run import Follower, TrainingRun
from common.local.roles.passing import check_role, check_volume_key
from common.local.sagemaker.resources import list_page, set_tags
from common.local.store import Document

_DEFAULT_RUNTIME_SECONDS = 86_400


def resume(aws: LocalAws) -> None:
    """Mark as failed what ran when the server ended: its processes ended with it."""
    for scope, name, document in aws.store.everywhere(KIND):
        if document["TrainingJobStatus"] in ("InProgress", "Stopping"):
            reason = "InternalServerError: The local AWS was stopped while the job was running."
            JobState(aws.store, scope, name).finish(Ending("Failed", reason))
    shutil.rmtree(aws.root / "jobs", ignore_errors=True)


@operation
def create_training_job(call: Call) -> Answer:
    """Start a training job: one process for each instance, at most as many jobs at once as this machine has processors."""
    check_request(call)
    return {"TrainingJobArn": launch(call, Follower())}


def check_request(call: Call) -> None:
    """Check what the request asks for, beyond its shape.

    Raises:
        ApiError: AWS would refuse it, or it cannot run here.
    """
    request = call.request
    _check_image(request["AlgorithmSpecification"])
    check_role(call, request["RoleArn"])
    _check_resources(call)
    _check_time_limits(request)
    _check_checkpoints(request.get("CheckpointConfig", {}))
    for channel in request.get("InputDataConfig", []):
        _check_channel(channel, request)


def launch(call: Call, follower: Follower, **of_tuning_job: Any) -> str:
    """Start the training job that a checked request describes; its ARN.

    Args:
        of_tuning_job: members of the document that no request can set.

    Raises:
        ApiError: the name is taken, or there are too many tags.
    """
    document = _document(call) | of_tuning_job
    name: str = document["TrainingJobName"]
    arn: str = document["TrainingJobArn"]
    with call.aws.store.transaction():
        if call.aws.store.get(call.scope, KIND, name):
            raise in_use(
                "Training job names must be unique within an AWS account and region, and a training job with this name "
                f"already exists ({arn})"
            )
        call.aws.store.put(call.scope, KIND, name, document)
        set_tags(call, arn, call.request.get("Tags", []))
        JobState(call.aws.store, call.scope, name).enter("Starting")
    run = TrainingRun(call.aws, call.account, call.region, name, follower)
    call.aws.part(Runner).start(f"training job {name}", run.run)
    return arn


@operation
def describe_training_job(call: Call) -> Answer:
    """Describe a training job."""
    return _existing(call)


@operation
def list_training_jobs(call: Call) -> Answer:
    """List training jobs, the newest first."""
    for member in ("WarmPoolStatusEquals", "TrainingPlanArnEquals"):
        if member in call.request:
            raise validation_error(f"The local AWS does not support {member}.")
    documents = call.aws.store.list(call.scope, KIND)
    page = list_page(call, documents, name="TrainingJobName", status="TrainingJobStatus", descending=True)
    return {"TrainingJobSummaries": page.items, "NextToken": page.next_token}


@operation
def stop_training_job(call: Call) -> Answer:
    """Stop a training job: SIGTERM, and SIGKILL after two minutes of AWS's time."""
    status = JobState(call.aws.store, call.scope, _existing(call)["TrainingJobName"]).stop()
    if status not in ("InProgress", "Stopping"):
        raise validation_error(f"The request was rejected because the training job is in status {status}.")
    return {}


def _existing(call: Call) -> Document:
    document = call.aws.store.get(call.scope, KIND, call.request["TrainingJobName"])
    if document is None:
        raise validation_error("Requested resource not found.")
    return document


def _document(call: Call) -> Document:
    """What the request says, with AWS's defaults, and the members that only answers have."""
    now = time.time()
    request: dict[str, Any] = call.request
    name = request["TrainingJobName"]
    output = request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    return {
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        **{member: value for member, value in request.items() if member != "Tags"},
        "StoppingCondition": {"MaxRuntimeInSeconds": _DEFAULT_RUNTIME_SECONDS} | request.get("StoppingCondition", {}),
        "TrainingJobArn": call.arn(KIND, name),
        "TuningJobArn": None,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "SecondaryStatusTransitions": [],
        "ModelArtifacts": {"S3ModelArtifacts": f"{output}/{name}/output/model.tar.gz"},
        "CreationTime": now,
        "LastModifiedTime": now,
    }


def _check_image(specification: dict[str, Any]) -> None:
    """An unknown image is refused at once, rather than with a job that can only fail."""
    for member in ("AlgorithmName", "ContainerEntrypoint", "ContainerArguments"):
        if member in specification:
            raise validation_error(f"The local AWS does not support AlgorithmSpecification.{member}.")
    if "TrainingImage" not in specification:
        raise validation_error("AlgorithmSpecification needs a TrainingImage.")
    try:
        program(specification["TrainingImage"])
    except UnknownImage as error:
        raise validation_error(f"Requested image not found: {error}") from error
    for definition in specification.get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            raise validation_error(f"The Regex of metric {definition['Name']} is invalid: {error}") from error


def _check_resources(call: Call) -> None:
    request = call.request
    resources = request.get("ResourceConfig", {})
    if "InstanceType" not in resources or resources.get("InstanceCount", 0) < 1:
        raise validation_error(
            "The local AWS needs ResourceConfig with InstanceType and an InstanceCount of at least 1."
        )
    check_volume_key(call, resources.get("VolumeKmsKeyId"), request["RoleArn"], resources["InstanceType"])
    if request["OutputDataConfig"].get("CompressionType", "GZIP") != "GZIP":
        raise validation_error("The local AWS does not support OutputDataConfig.CompressionType NONE.")


def _check_time_limits(request: dict[str, Any]) -> None:
    condition = request.get("StoppingCondition", {})
    runtime = condition.get("MaxRuntimeInSeconds", _DEFAULT_RUNTIME_SECONDS)
    wait = condition.get("MaxWaitTimeInSeconds")
    if request.get("EnableManagedSpotTraining"):
        if wait is None or wait < runtime:
            raise validation_error(
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
            )
    elif wait is not None:
        raise validation_error("MaxWaitTimeInSeconds is supported only with EnableManagedSpotTraining.")


def _check_checkpoints(config: dict[str, Any]) -> None:
    """What lies in the folder goes to S3 and what lies there into it: it must be a folder of the container's own."""
    parts = PurePosixPath(config.get("LocalPath", "/opt/ml/checkpoints").removeprefix("/opt/ml").strip("/")).parts
    if not parts or ".." in parts:
        raise validation_error(f"CheckpointConfig.LocalPath {config['LocalPath']} is no folder of the container's own.")


def _check_channel(channel: dict[str, Any], request: dict[str, Any]) -> None:
    name = channel["ChannelName"]
    if name in (".", ".."):
        raise validation_error(f"The channel name {name} stands for a folder that is not the channel's.")
    if [other["ChannelName"] for other in request["InputDataConfig"]].count(name) > 1:
        raise validation_error(f"Channel names must be unique, but there are several named {name}.")
    source = channel["DataSource"].get("S3DataSource")
    if source is None:
        raise validation_error(f"Channel {name}: the local AWS reads channels from S3 only.")
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise validation_error(f"Channel {name}: the local AWS does not support S3DataType {source['S3DataType']}.")
    mode = channel.get("InputMode", request["AlgorithmSpecification"]["TrainingInputMode"])
    if mode == "Pipe":
        raise validation_error(f"Channel {name}: the local AWS does not support Pipe mode.")
    if channel.get("CompressionType", "None") != "None":
        raise validation_error(f"Channel {name}: CompressionType {channel['CompressionType']} needs Pipe mode.")
