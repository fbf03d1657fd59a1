"""Model package groups, and the policies by which other accounts use them."""

import time

from common.local.api import Answer, ApiError, Call, operation, validation_error
from common.local.sagemaker.access import authorize, check_group_policy
from common.local.sagemaker.resources import Resource, drop_tags, list_page, resource, set_tags
from common.local.store import Document

KIND = "model-package-group"
_POLICY = "model-package-group-policy"


def group(call: Call, name_or_arn: str, action: str, versions: str = "") -> tuple[Resource, Document]:
    """The group that a request means, once the caller may do the action on it.

    Args:
        versions: the ARN of the group's packages that the action also touches, where a policy may name those instead.

    Raises:
        ApiError: `AccessDeniedException`, or `ValidationException` when there is no such group.
    """
    found = resource(call, KIND, name_or_arn)
    authorize(call, action, found.arn, *([versions] if versions else []))
    document = call.aws.store.get(found.scope, KIND, found.name)
    if document is None:
        raise validation_error(f"ModelPackageGroup {found.arn} does not exist.")
    return found, document


@operation
def create_model_package_group(call: Call) -> Answer:
    """Create a group for the versions of one model."""
    name = call.request["ModelPackageGroupName"]
    arn = call.arn(KIND, name)
    document = {
        "ModelPackageGroupName": name,
        "ModelPackageGroupArn": arn,
        "ModelPackageGroupDescription": call.request.get("ModelPackageGroupDescription"),
        "ModelPackageGroupStatus": "Completed",
        "CreationTime": time.time(),
        "CreatedBy": {},
        "LastVersion": 0,
    }
    with call.aws.store.transaction():
        if call.aws.store.get(call.scope, KIND, name):
            raise validation_error(f"Model Package Group already exists: {arn}")
        call.aws.store.put(call.scope, KIND, name, document)
        set_tags(call, arn, call.request.get("Tags", []))
    return {"ModelPackageGroupArn": arn}


@operation
def describe_model_package_group(call: Call) -> Answer:
    """Describe a group, by name or ARN."""
    _, document = group(call, call.request["ModelPackageGroupName"], "DescribeModelPackageGroup")
    return document


@operation
def list_model_package_groups(call: Call) -> Answer:
    """List the account's groups."""
    page = list_page(call, call.aws.store.list(call.scope, KIND), name="ModelPackageGroupName")
    return {"ModelPackageGroupSummaryList": page.items, "NextToken": page.next_token}


@operation
def delete_model_package_group(call: Call) -> Answer:
    """Delete a group that has no packages any more."""
    with call.aws.store.transaction():
        found, _ = group(call, call.request["ModelPackageGroupName"], "DeleteModelPackageGroup")
        packages = call.aws.store.list(found.scope, "model-package")
        if any(package.get("ModelPackageGroupName") == found.name for package in packages):
            raise ApiError("ConflictException", f"Cannot delete {found.arn}: it still contains model packages.")
        call.aws.store.delete(found.scope, KIND, found.name)
        call.aws.store.delete(found.scope, _POLICY, found.name)
        drop_tags(call, found.arn)
    return {}


@operation
def put_model_package_group_policy(call: Call) -> Answer:
    """Set the resource policy by which other accounts use a group and its packages."""
    found = _own(call)
    check_group_policy(call.request["ResourcePolicy"])
    call.aws.store.put(found.scope, _POLICY, found.name, {"ResourcePolicy": call.request["ResourcePolicy"]})
    return {"ModelPackageGroupArn": found.arn}


@operation
def get_model_package_group_policy(call: Call) -> Answer:
    """Read the resource policy of a group."""
    found = _own(call)
    policy = call.aws.store.get(found.scope, _POLICY, found.name)
    if policy is None:
        raise validation_error(f"Cannot find resource policy for: {found.arn}")
    return policy


@operation
def delete_model_package_group_policy(call: Call) -> Answer:
    """Remove the resource policy of a group."""
    get_model_package_group_policy(call)
    found = _own(call)
    call.aws.store.delete(found.scope, _POLICY, found.name)
    return {}


def _own(call: Call) -> Resource:
    """The group whose policy is meant; only its own account manages that."""
    found = resource(call, KIND, call.request["ModelPackageGroupName"])
    if call.aws.store.get(call.scope, KIND, found.name) is None or found.scope != call.scope:
        raise validation_error(f"Cannot find Model Package Group: {found.arn}")
    return found
