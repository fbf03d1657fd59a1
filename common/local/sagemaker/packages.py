"""Model packages: versions in a group, and packages that stand alone."""

import hashlib
import json
import time
from typing import Any

from common.local.api import Answer, ApiError, Call, operation, validation_error
from common.local.roles.s3 import RoleS3
from common.local.sagemaker.access import authorize
from common.local.sagemaker.artifacts import check_model_data
from common.local.sagemaker.package_groups import KIND as GROUP
from common.local.sagemaker.package_groups import group
from common.local.sagemaker.resources import Resource, drop_tags, list_page, resource, set_tags
from common.local.store import Document

KIND = "model-package"
MAX_CUSTOMER_METADATA = 50

_UPDATED = (
    "ModelApprovalStatus", "ModelPackageRegistrationType", "ApprovalDescription", "InferenceSpecification", "SourceUri",
    "ModelCard", "ModelLifeCycle",
)  # fmt: skip


def package(call: Call, name_or_arn: str, action: str) -> tuple[Resource, Document]:
    """The package that a request means, once the caller may do the action on it.

    Raises:
        ApiError: `AccessDeniedException`, or `ValidationException` when there is no such package.
    """
    found = resource(call, KIND, name_or_arn)
    authorize(call, action, found.arn)
    document = call.aws.store.get(found.scope, KIND, found.name)
    if document is None:
        raise validation_error(f"ModelPackage {found.arn} does not exist.")
    return found, document


@operation
def create_model_package(call: Call) -> Answer:
    """Register a package: the next version of a group, or one of its own name."""
    request = call.request
    if ("ModelPackageGroupName" in request) == ("ModelPackageName" in request):
        raise validation_error("Exactly one of ModelPackageName and ModelPackageGroupName must be given.")
    if "ModelPackageGroupName" in request and "Tags" in request:
        raise validation_error("A versioned model package takes its tags from its group; tag the group instead.")
    if "ModelPackageName" in request and not {"InferenceSpecification", "SourceAlgorithmSpecification"} & set(request):
        raise validation_error("InferenceSpecification or SourceAlgorithmSpecification is required.")
    group_name = request.get("ModelPackageGroupName")
    _check_containers(call, resource(call, GROUP, group_name).account if group_name else call.account)
    with call.aws.store.transaction():
        created = _earlier(call) or _create(call)
    return {"ModelPackageArn": created}


def _check_containers(call: Call, account: str) -> None:
    """Check model data as the registry's account sees them, which has to have access to what others register there."""
    request, s3 = call.request, RoleS3(call.aws, account, call.region, None)
    added = ("AdditionalInferenceSpecifications", "AdditionalInferenceSpecificationsToAdd")
    others = [specification for member in added for specification in request.get(member, [])]
    for specification in [request.get("InferenceSpecification", {}), *others]:
        for container in specification.get("Containers", []):
            check_model_data(call, container, s3)


def _earlier(call: Call) -> str | None:
    """The package that the same request, by its client token, created before."""
    token = call.request.get("ClientToken")
    remembered = call.aws.store.get(call.scope, "client-token", token) if token else None
    if remembered is None:
        return None
    if remembered["Request"] != _digest(call.request):
        raise ApiError("ConflictException", f"ClientToken {token} was used for another request.")
    arn: str = remembered["ModelPackageArn"]
    return arn


def _create(call: Call) -> str:
    request = {name: value for name, value in call.request.items() if name not in ("ClientToken", "Tags")}
    where, placed = _placed(call)
    document = {
        "ModelApprovalStatus": "PendingManualApproval",
        "ModelPackageRegistrationType": "Registered",
        "CertifyForMarketplace": False,
        **request,
        **placed,
        "ModelPackageArn": where.arn,
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "CreationTime": time.time(),
        "CreatedBy": {},
    }
    call.aws.store.put(where.scope, KIND, where.name, document)
    set_tags(call, where.arn, call.request.get("Tags", []))
    if token := call.request.get("ClientToken"):
        remembered = {"Request": _digest(call.request), "ModelPackageArn": where.arn}
        call.aws.store.put(call.scope, "client-token", token, remembered)
    return where.arn


def _placed(call: Call) -> tuple[Resource, Document]:
    """Where the new package goes. A group counts its versions itself, so that a deleted one's number is not reused."""
    request = call.request
    if "ModelPackageName" in request:
        where = Resource(call.account, call.region, KIND, request["ModelPackageName"])
        if call.aws.store.get(where.scope, KIND, where.name):
            raise ApiError("ConflictException", f"Model package already exists: {where.arn}")
        return where, {}
    name = resource(call, GROUP, request["ModelPackageGroupName"])
    versions = Resource(name.account, name.region, KIND, f"{name.name}/*").arn
    found, document = group(call, request["ModelPackageGroupName"], "CreateModelPackage", versions)
    version = document["LastVersion"] + 1
    call.aws.store.update(found.scope, GROUP, found.name, LastVersion=version)
    where = Resource(found.account, found.region, KIND, f"{found.name}/{version}")
    return where, {"ModelPackageGroupName": found.name, "ModelPackageVersion": version}


def _digest(request: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


@operation
def describe_model_package(call: Call) -> Answer:
    """Describe a package, by ARN or by the name of one that stands alone."""
    _, document = package(call, call.request["ModelPackageName"], "DescribeModelPackage")
    return document


@operation
def batch_describe_model_package(call: Call) -> Answer:
    """Describe several versions at once; each that cannot be described gets its own error."""
    found, errors = {}, {}
    for arn in call.request["ModelPackageArnList"]:
        try:
            _, found[arn] = package(call, arn, "BatchDescribeModelPackage")
        except ApiError as error:
            errors[arn] = {"ErrorCode": error.code, "ErrorResponse": error.message}
    return {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": errors}


@operation
def list_model_packages(call: Call) -> Answer:
    """List the versions of a group, or the packages that stand alone."""
    request = call.request
    scope, name = call.scope, ""
    if "ModelPackageGroupName" in request:
        where = resource(call, GROUP, request["ModelPackageGroupName"])
        versions = Resource(where.account, where.region, KIND, f"{where.name}/*").arn
        where, _ = group(call, request["ModelPackageGroupName"], "ListModelPackages", versions)
        scope, name = where.scope, where.name
    kind = request.get("ModelPackageType", "Versioned" if name else "Unversioned")
    documents = [
        document
        for document in call.aws.store.list(scope, KIND)
        if kind == "Both" or ("ModelPackageVersion" in document) == (kind == "Versioned")
        if not name or document.get("ModelPackageGroupName") == name
        if document["ModelApprovalStatus"] == request.get("ModelApprovalStatus", document["ModelApprovalStatus"])
    ]
    page = list_page(call, documents, name="ModelPackageArn")
    return {"ModelPackageSummaryList": page.items, "NextToken": page.next_token}


@operation
def update_model_package(call: Call) -> Answer:
    """Approve or reject a package, and change what its owner may change later."""
    request = call.request
    with call.aws.store.transaction():
        found, document = package(call, request["ModelPackageArn"], "UpdateModelPackage")
        _check_containers(call, found.account)
        changes = {member: request[member] for member in _UPDATED if member in request}
        changes["CustomerMetadataProperties"] = _metadata(request, document)
        if added := request.get("AdditionalInferenceSpecificationsToAdd"):
            changes["AdditionalInferenceSpecifications"] = [
                *document.get("AdditionalInferenceSpecifications", []),
                *added,
            ]
        changes |= {"LastModifiedTime": time.time(), "LastModifiedBy": {}}
        call.aws.store.update(found.scope, KIND, found.name, **changes)
    return {"ModelPackageArn": found.arn}


def _metadata(request: dict[str, Any], document: Document) -> dict[str, str] | None:
    merged = document.get("CustomerMetadataProperties", {}) | request.get("CustomerMetadataProperties", {})
    for key in request.get("CustomerMetadataPropertiesToRemove", []):
        merged.pop(key, None)
    if len(merged) > MAX_CUSTOMER_METADATA:
        raise validation_error(
            f"A model package can have {MAX_CUSTOMER_METADATA} CustomerMetadataProperties, not {len(merged)}."
        )
    return merged or None


@operation
def delete_model_package(call: Call) -> Answer:
    """Delete a package; its version number is not used again."""
    with call.aws.store.transaction():
        found, _ = package(call, call.request["ModelPackageName"], "DeleteModelPackage")
        call.aws.store.delete(found.scope, KIND, found.name)
        drop_tags(call, found.arn)
    return {}
