"""Transform jobs."""

import time
from typing import Any

from common.local.api import Answer, Call, in_use, operation, validation_error
from common.local.context import LocalAws
from common.local.hosting.spec import VariantSpec, variant_spec
from common.local.jobs.runner import Runner
from common.local.jobs.state import TRANSFORM_KIND as KIND
from common.local.jobs.state import Ending, TransformState
from common.local.roles.passing import check_volume_key
from common.local.sagemaker.models import model
from common.local.sagemaker.resources import list_page, set_tags
from common.local.store import Document
from common.local.transform.association import association
from common.local.transform.filters import FilterError
from common.local.transform.run import TransformRun
from common.local.transform.settings import DEFAULT_PAYLOAD_MB, LARGEST_PAYLOAD_MB


def resume(aws: LocalAws) -> None:
    """Mark as failed what ran when the server ended: its processes ended with it."""
    for scope, name, document in aws.store.everywhere(KIND):
        if document["TransformJobStatus"] in ("InProgress", "Stopping"):
            reason = "InternalServerError: The local AWS was stopped while the job was running."
            TransformState(aws.store, scope, name).finish(Ending("Failed", reason))


@operation
def create_transform_job(call: Call) -> Answer:
    """Start a transform job: processes for each instance's containers; it takes its turn with the other jobs."""
    request = call.request
    used = model(call, request["ModelName"])
    _check(request)
    spec = _instances(request, used)
    resources = request["TransformResources"]
    check_volume_key(call, resources.get("VolumeKmsKeyId"), spec.role_arn, resources["InstanceType"])
    name: str = request["TransformJobName"]
    arn = call.arn(KIND, name)
    with call.aws.store.transaction():
        if call.aws.store.get(call.scope, KIND, name):
            raise in_use(
                f"Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})"
            )
        call.aws.store.put(call.scope, KIND, name, _document(request, arn, used))
        set_tags(call, arn, request.get("Tags", []))
    run = TransformRun(call.aws, call.account, call.region, name, spec)
    call.aws.part(Runner).start(f"transform job {name}", run.run)
    return {"TransformJobArn": arn}


@operation
def describe_transform_job(call: Call) -> Answer:
    """Describe a transform job."""
    return _existing(call)


@operation
def list_transform_jobs(call: Call) -> Answer:
    """List transform jobs, the newest first."""
    documents = call.aws.store.list(call.scope, KIND)
    page = list_page(call, documents, name="TransformJobName", status="TransformJobStatus", descending=True)
    return {"TransformJobSummaries": page.items, "NextToken": page.next_token}


@operation
def stop_transform_job(call: Call) -> Answer:
    """Stop a transform job; what it has written is deleted."""
    status = TransformState(call.aws.store, call.scope, _existing(call)["TransformJobName"]).stop()
    if status not in ("InProgress", "Stopping"):
        raise validation_error(f"The request was rejected because the transform job is in status {status}.")
    return {}


def _existing(call: Call) -> Document:
    name = call.request["TransformJobName"]
    document = call.aws.store.get(call.scope, KIND, name)
    if document is None:
        raise validation_error(f"Could not find requested job with name: {name}")
    return document


def _document(request: dict[str, Any], arn: str, used: Document) -> Document:
    """What the request says, and the members that only answers have."""
    now = time.time()
    return {
        **{member: value for member, value in request.items() if member != "Tags"},
        "RoleArn": used.get("ExecutionRoleArn", ""),
        "TransformJobArn": arn,
        "TransformJobStatus": "InProgress",
        "CreationTime": now,
        "LastModifiedTime": now,
    }


def _instances(request: dict[str, Any], used: Document) -> VariantSpec:
    """The containers and how many instances of them, as the model is now."""
    resources = request["TransformResources"]
    spec = variant_spec(
        {
            "VariantName": request["TransformJobName"],
            "InstanceType": resources["InstanceType"],
            "InitialInstanceCount": resources["InstanceCount"],
        },
        used,
    )
    if any(container.multi_model for container in spec.containers):
        raise validation_error(
            f"Transform jobs do not support multi-model containers, as model {used['ModelName']} has one."
        )
    return spec


def _check(request: dict[str, Any]) -> None:
    """Check what the request asks for, beyond its shape.

    Raises:
        ApiError: AWS would refuse it, or it cannot run here.
    """
    given = request["TransformInput"]
    kind = given["DataSource"]["S3DataSource"]["S3DataType"]
    if kind not in ("S3Prefix", "ManifestFile"):
        raise validation_error(f"The local AWS does not support S3DataType {kind}.")
    if given.get("SplitType", "None") not in ("None", "Line"):
        raise validation_error(f"The local AWS does not support SplitType {given['SplitType']}.")
    if "DataCaptureConfig" in request:
        raise validation_error("The local AWS does not support the DataCaptureConfig of transform jobs.")
    try:
        association(request)
    except FilterError as error:
        raise validation_error(str(error)) from error
    _check_payload(request)


def _check_payload(request: dict[str, Any]) -> None:
    megabytes, at_once = request.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MB), request.get("MaxConcurrentTransforms", 0)
    if megabytes == 0:
        raise validation_error(
            "The local AWS does not support MaxPayloadInMB 0 (HTTP chunked encoding), nor do SageMaker's own algorithms."
        )
    if megabytes > LARGEST_PAYLOAD_MB:
        raise validation_error(f"MaxPayloadInMB must be at most {LARGEST_PAYLOAD_MB}, not {megabytes}.")
    if megabytes * at_once > LARGEST_PAYLOAD_MB:
        raise validation_error(
            f"MaxConcurrentTransforms * MaxPayloadInMB must be at most {LARGEST_PAYLOAD_MB}, not {at_once} * {megabytes}."
        )
