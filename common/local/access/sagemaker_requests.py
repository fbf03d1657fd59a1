"""What a request to SageMaker needs: the resources that it names, the roles that it passes, and the keys of conditions.

Source: "Actions, resources, and condition keys for Amazon SageMaker AI" in the Service Authorization Reference.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from common.local.access.guard import Need
from common.local.access.service_requests import Asked

_KINDS = {
    "ModelPackageGroupName": "model-package-group",
    "ModelPackageName": "model-package",
    "EndpointConfigName": "endpoint-config",
    "EndpointName": "endpoint",
    "ModelName": "model",
    "TrainingJobName": "training-job",
    "ProcessingJobName": "processing-job",
    "TransformJobName": "transform-job",
    "HyperParameterTuningJobName": "hyper-parameter-tuning-job",
}
"""The kind of resource that a member names, as ARNs spell it."""
_OWN = {"CreateTransformJob": ["TransformJobName"]}
"""The members that name a resource of the action, where others name what is none of it."""
_REGISTRY = {
    "CreateModelPackage",
    "DescribeModelPackage",
    "UpdateModelPackage",
    "DeleteModelPackage",
    "BatchDescribeModelPackage",
    "ListModelPackages",
    "DescribeModelPackageGroup",
    "DeleteModelPackageGroup",
}
"""Groups may belong to another account: the operations ask, when they have found whose it is (`sagemaker/access.py`)."""
_ROLES = ("RoleArn", "ExecutionRoleArn")

_SINGLE = {
    "ModelApprovalStatus": "sagemaker:modelapprovalstatus",
    "EnableNetworkIsolation": "sagemaker:networkisolation",
    "TargetModel": "sagemaker:targetmodel",
}
_SEVERAL = {
    ("InstanceType",): "sagemaker:instancetypes",
    ("VolumeKmsKeyId",): "sagemaker:volumekmskey",
    ("Subnets",): "sagemaker:vpcsubnets",
    ("SecurityGroupIds",): "sagemaker:vpcsecuritygroupids",
}


def sagemaker_needs(asked: Asked) -> Iterator[Need]:
    """What has to be allowed: the action on each resource that the request names, tagging it, and passing its roles."""
    operation, request, account, region = asked.operation, asked.parameters, asked.account, asked.region
    resources = named_resources(operation, request, account, region)
    if operation not in _REGISTRY or ("ModelPackageName" in request and operation == "CreateModelPackage"):
        for resource in resources or ["*"]:
            yield Need(f"sagemaker:{operation}", resource)
    if operation.startswith("Create") and request.get("Tags") and resources:
        yield Need("sagemaker:AddTags", resources[0])
    if operation.startswith(("Create", "Update")):
        associated = {"iam:AssociatedResourceArn": resources[0]} if resources else {}
        for role in sorted(_passed(request)):
            yield Need("iam:PassRole", role, {"iam:PassedToService": "sagemaker.amazonaws.com", **associated})


def named_resources(operation: str, request: Mapping[str, Any], account: str, region: str) -> list[str]:
    """ARNs of the resources that the action is about."""
    found = [request["ResourceArn"]] if "ResourceArn" in request else []
    for member in _OWN.get(operation, _KINDS):
        if name := request.get(member):
            kind = _KINDS[member]
            found.append(name if name.startswith("arn:") else f"arn:aws:sagemaker:{region}:{account}:{kind}/{name}")
    return found


def _passed(request: Any) -> set[str]:
    """The roles that a request hands over, wherever it names them."""
    if isinstance(request, list):
        return {role for each in request for role in _passed(each)}
    if not isinstance(request, Mapping):
        return set()
    own = {request[name] for name in _ROLES if isinstance(request.get(name), str)}
    return own | {role for value in request.values() for role in _passed(value)}


def request_conditions(request: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, str | list[str]]:
    """The condition keys of a request, in lower case.

    Args:
        tags: of the resource that it names, where that exists.
    """
    found: dict[str, str | list[str]] = {}
    given = request.get("Tags") or []
    if keys := [tag["Key"] for tag in given] + list(request.get("TagKeys") or []):
        found["aws:tagkeys"] = keys
    for tag in given:
        found[f"aws:requesttag/{tag['Key'].lower()}"] = tag["Value"]
    for key, value in tags.items():
        found[f"aws:resourcetag/{key.lower()}"] = found[f"sagemaker:resourcetag/{key.lower()}"] = value
    for member, key in _SINGLE.items():
        if member in request:
            found[key] = _text(request[member])
    for members, key in _SEVERAL.items():
        if values := sorted({value for member in members for value in _values(request, member)}):
            found[key] = values
    return found


def _values(request: Any, member: str) -> Iterator[str]:
    if isinstance(request, list):
        for each in request:
            yield from _values(each, member)
    elif isinstance(request, Mapping):
        for name, value in request.items():
            if name == member:
                yield from (_text(each) for each in (value if isinstance(value, list) else [value]))
            else:
                yield from _values(value, member)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
