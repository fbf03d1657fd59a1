"""Models: the containers and artifacts that an endpoint serves."""

import time
from typing import Any

from common.local.api import Answer, Call, operation, validation_error
from common.local.roles.passing import check_role
from common.local.roles.s3 import RoleS3
from common.local.sagemaker.artifacts import check_model_data
from common.local.sagemaker.packages import package
from common.local.sagemaker.resources import drop_tags, list_page, set_tags
from common.local.store import Document

KIND = "model"

_UNTRUSTED = (
    'The execution role ARN "{role}" is invalid. Please ensure that the role exists and that its trust relationship policy '
    'allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com".'
)
_FROM_PACKAGE = ("Image", "ModelDataUrl", "ModelDataSource", "ContainerHostname")


def model(call: Call, name: str) -> Document:
    """The model of this name. Beside what `DescribeModel` answers it holds `ResolvedContainers`: the containers with
    image, model data and environment of the packages that they name, as they were when the model was created.

    Raises:
        ApiError: `ValidationException`, when there is none.
    """
    found = call.aws.store.get(call.scope, KIND, name)
    if found is None:
        raise validation_error(f'Could not find model "{call.arn(KIND, name)}".')
    return found


@operation
def create_model(call: Call) -> Answer:
    """Create a model from images and artifacts, or from approved packages."""
    request = call.request
    name = request["ModelName"]
    arn = call.arn(KIND, name)
    if ("PrimaryContainer" in request) == ("Containers" in request):
        raise validation_error("Exactly one of PrimaryContainer and Containers must be given.")
    role = request.get("ExecutionRoleArn")
    if role:
        check_role(call, role, _UNTRUSTED)
    containers = request.get("Containers") or [request["PrimaryContainer"]]
    resolved = [part for container in containers for part in _resolved(call, container)]
    hosts = [part["ContainerHostname"] for part in resolved if "ContainerHostname" in part]
    if len(set(hosts)) < len(hosts):
        raise validation_error(
            f"Each container must have a unique ContainerHostname, but there are {', '.join(hosts)}."
        )
    document = {
        "EnableNetworkIsolation": False,
        **{member: value for member, value in request.items() if member != "Tags"},
        "ModelArn": arn,
        "CreationTime": time.time(),
        "ResolvedContainers": resolved,
    }
    with call.aws.store.transaction():
        if call.aws.store.get(call.scope, KIND, name):
            raise validation_error(f'Cannot create already existing model "{arn}".')
        call.aws.store.put(call.scope, KIND, name, document)
        set_tags(call, arn, request.get("Tags", []))
    return {"ModelArn": arn}


def _resolved(call: Call, container: dict[str, Any]) -> list[dict[str, Any]]:
    """The container itself, or those of the package that it names, with its own environment over theirs."""
    s3 = RoleS3(call.aws, call.account, call.region, call.request.get("ExecutionRoleArn"))
    if ("ModelPackageName" in container) == ("Image" in container):
        raise validation_error("A container must have either Image or ModelPackageName.")
    if "Image" in container:
        check_model_data(call, container, s3)
        return [container]
    found, document = package(call, container["ModelPackageName"], "CreateModel")
    status = document["ModelApprovalStatus"]
    if "ModelPackageVersion" in document and status != "Approved":
        raise validation_error(
            f"Cannot create a model from {found.arn}: its approval status is {status}, and it has to be Approved."
        )
    specification = document.get("InferenceSpecification")
    if specification is None:
        raise validation_error(f"Cannot create a model from {found.arn}: it has no InferenceSpecification.")
    own = {member: value for member, value in container.items() if member != "ModelPackageName"}
    for part in specification["Containers"]:
        check_model_data(call, part, s3)
    return [
        {
            **{member: part[member] for member in _FROM_PACKAGE if member in part},
            **own,
            "Environment": part.get("Environment", {}) | own.get("Environment", {}),
        }
        for part in specification["Containers"]
    ]


@operation
def describe_model(call: Call) -> Answer:
    """Describe a model."""
    return model(call, call.request["ModelName"])


@operation
def list_models(call: Call) -> Answer:
    """List the account's models."""
    page = list_page(call, call.aws.store.list(call.scope, KIND), name="ModelName", descending=True)
    return {"Models": page.items, "NextToken": page.next_token}


@operation
def delete_model(call: Call) -> Answer:
    """Delete a model. Endpoints that serve it keep what they have loaded."""
    name = call.request["ModelName"]
    with call.aws.store.transaction():
        drop_tags(call, model(call, name)["ModelArn"])
        call.aws.store.delete(call.scope, KIND, name)
    return {}
