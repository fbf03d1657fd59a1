"""Processing jobs."""

import time
from pathlib import PurePosixPath
from typing import Any

from common.local.api import Answer, Call, in_use, operation, validation_error
from common.local.containers import UnknownImage, program
from common.local.context import LocalAws
from common.local.jobs.processing_contract import inputs, outputs
from common.local.jobs.processing_run import ProcessingRun
from common.local.jobs.runner import Runner
from common.local.jobs.state import PROCESSING_KIND as KIND
from common.local.jobs.state import Ending, ProcessingState
from common.local.roles.passing import check_role, check_volume_key
from common.local.sagemaker.resources import list_page, set_tags
from common.local.store import Document

_DEFAULT_RUNTIME_SECONDS = 86_400
_ROOT = PurePosixPath("/opt/ml/processing")


def resume(aws: LocalAws) -> None:
    """Mark as failed what ran when the server ended: its processes ended with it."""
    for scope, name, document in aws.store.everywhere(KIND):
        if document["ProcessingJobStatus"] in ("InProgress", "Stopping"):
            reason = "InternalServerError: The local AWS was stopped while the job was running."
            ProcessingState(aws.store, scope, name).finish(Ending("Failed", reason))


@operation
def create_processing_job(call: Call) -> Answer:
    """Start a processing job: one process for each instance, which takes its turn with the training jobs."""
    _check(call)
    document = _document(call)
    name: str = document["ProcessingJobName"]
    arn: str = document["ProcessingJobArn"]
    with call.aws.store.transaction():
        if call.aws.store.get(call.scope, KIND, name):
            raise in_use(
                f"Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})"
            )
        call.aws.store.put(call.scope, KIND, name, document)
        set_tags(call, arn, call.request.get("Tags", []))
    run = ProcessingRun(call.aws, call.account, call.region, name)
    call.aws.part(Runner).start(f"processing job {name}", run.run)
    return {"ProcessingJobArn": arn}


@operation
def describe_processing_job(call: Call) -> Answer:
    """Describe a processing job."""
    return _existing(call)


@operation
def list_processing_jobs(call: Call) -> Answer:
    """List processing jobs, the newest first."""
    documents = call.aws.store.list(call.scope, KIND)
    page = list_page(call, documents, name="ProcessingJobName", status="ProcessingJobStatus", descending=True)
    return {"ProcessingJobSummaries": page.items, "NextToken": page.next_token}


@operation
def stop_processing_job(call: Call) -> Answer:
    """Stop a processing job: SIGTERM, and SIGKILL after two minutes of AWS's time."""
    status = ProcessingState(call.aws.store, call.scope, _existing(call)["ProcessingJobName"]).stop()
    if status not in ("InProgress", "Stopping"):
        raise validation_error(f"The request was rejected because the processing job is in status {status}.")
    return {}


def _existing(call: Call) -> Document:
    name = call.request["ProcessingJobName"]
    document = call.aws.store.get(call.scope, KIND, name)
    if document is None:
        raise validation_error(f"Could not find requested job with name: {name}")
    return document


def _document(call: Call) -> Document:
    """What the request says, with AWS's defaults, and the members that only answers have."""
    now = time.time()
    request: dict[str, Any] = call.request
    return {
        **{member: value for member, value in request.items() if member != "Tags"},
        "StoppingCondition": request.get("StoppingCondition", {"MaxRuntimeInSeconds": _DEFAULT_RUNTIME_SECONDS}),
        "ProcessingJobArn": call.arn(KIND, request["ProcessingJobName"]),
        "ProcessingJobStatus": "InProgress",
        "CreationTime": now,
        "LastModifiedTime": now,
    }


def _check(call: Call) -> None:
    """Check what the request asks for, beyond its shape.

    Raises:
        ApiError: AWS would refuse it, or it cannot run here.
    """
    request = call.request
    check_role(call, request["RoleArn"])
    _check_application(request["AppSpecification"])
    cluster = request["ProcessingResources"]["ClusterConfig"]
    if "InstanceType" not in cluster or "InstanceCount" not in cluster:
        raise validation_error("The local AWS needs ClusterConfig with InstanceType and InstanceCount.")
    check_volume_key(call, cluster.get("VolumeKmsKeyId"), request["RoleArn"], cluster["InstanceType"])
    _check_places(request.get("ProcessingInputs", []), "InputName", "S3Input")
    _check_places(request.get("ProcessingOutputConfig", {}).get("Outputs", []), "OutputName", "S3Output")
    folders = [PurePosixPath(given["LocalPath"]) for given in (*inputs(request), *outputs(request))]
    for folder in folders:
        if folders.count(folder) > 1:
            raise validation_error(f"The LocalPath {folder} is that of several inputs and outputs; each needs its own.")
    for given in request.get("ProcessingInputs", []):
        _check_input(given["InputName"], given["S3Input"])


def _check_application(specification: dict[str, Any]) -> None:
    try:
        program(specification["ImageUri"])
    except UnknownImage as error:
        raise validation_error(f"Requested image not found: {error}") from error
    if "ContainerEntrypoint" not in specification:
        raise validation_error("The local AWS needs a ContainerEntrypoint: an image's own entrypoint is not there.")


def _check_places(places: list[dict[str, Any]], name: str, kind: str) -> None:
    names = [place[name] for place in places]
    for place in places:
        if names.count(place[name]) > 1:
            raise validation_error(f"{name} must be unique, but there are several named {place[name]}.")
        if kind not in place or place.get("AppManaged"):
            raise validation_error(
                f"{place[name]}: the local AWS supports {kind} only, and nothing that is AppManaged."
            )
        folder = PurePosixPath(place[kind].get("LocalPath", "/"))
        if not folder.is_relative_to(_ROOT) or folder == _ROOT or ".." in folder.parts:
            raise validation_error(f"{place[name]}: LocalPath must be a folder below {_ROOT}/, not {folder}.")


def _check_input(name: str, source: dict[str, Any]) -> None:
    if source.get("S3InputMode", "File") != "File":
        raise validation_error(f"{name}: the local AWS does not support Pipe mode.")
    if source.get("S3CompressionType", "None") != "None":
        raise validation_error(f"{name}: S3CompressionType {source['S3CompressionType']} needs Pipe mode.")
