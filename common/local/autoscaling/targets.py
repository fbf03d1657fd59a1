"""What Application Auto Scaling remembers: scalable targets, their policies, and what it has done."""

import re
from typing import NamedTuple

from common.local.api import Call, validation_error
from common.local.context import LocalAws
from common.local.store import Document

TARGET, POLICY, ACTIVITY = "scalable-target", "scaling-policy", "scaling-activity"
"""Kinds of documents in the store. A target's name is its resource id; a policy's, `<resource id>|<policy name>`."""

NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"

_RESOURCE = re.compile(r"endpoint/(?P<endpoint>[^/]+)/variant/(?P<variant>[^/]+)")


class Variant(NamedTuple):
    """The variant of an endpoint that a resource id names."""

    endpoint: str
    name: str

    @property
    def resource_id(self) -> str:
        return f"endpoint/{self.endpoint}/variant/{self.name}"


def variant_of(resource_id: str) -> Variant:
    """Raises ApiError (`ValidationException`) when this is no resource id of a variant."""
    found = _RESOURCE.fullmatch(resource_id)
    if not found:
        raise validation_error(f"Unsupported resource ID: {resource_id}. It must be endpoint/<name>/variant/<variant>.")
    return Variant(found["endpoint"], found["variant"])


def policies_of(aws: LocalAws, scope: str, resource_id: str) -> list[Document]:
    """The scaling policies of a target, oldest first."""
    return [policy for policy in aws.store.list(scope, POLICY) if policy["ResourceId"] == resource_id]


def drop_policy(aws: LocalAws, scope: str, policy: Document) -> None:
    """Forget a policy, and delete the alarms that came with it."""
    account, _, region = scope.partition("/")
    aws.services.delete_alarms(account, region, [alarm["AlarmName"] for alarm in policy["Alarms"]])
    aws.store.delete(scope, POLICY, f"{policy['ResourceId']}|{policy['PolicyName']}")


def drop_target(aws: LocalAws, scope: str, resource_id: str) -> None:
    """Forget a target with its policies and their alarms."""
    with aws.store.transaction():
        for policy in policies_of(aws, scope, resource_id):
            drop_policy(aws, scope, policy)
        aws.store.delete(scope, TARGET, resource_id)


def registered_variants(aws: LocalAws, scope: str, endpoint: str) -> set[str]:
    """Names of the endpoint's variants that are scalable targets."""
    variants = (variant_of(target["ResourceId"]) for target in aws.store.list(scope, TARGET))
    return {variant.name for variant in variants if variant.endpoint == endpoint}


def deregister_endpoint(call: Call, endpoint: str) -> None:
    """What SageMaker does when an endpoint is deleted: its variants are no scalable targets any more."""
    for name in registered_variants(call.aws, call.scope, endpoint):
        drop_target(call.aws, call.scope, Variant(endpoint, name).resource_id)


def check_instance_types(
    call: Call, endpoint: str, before: dict[str, str | None], after: dict[str, str | None]
) -> None:
    """Raise ApiError when an update removes a scalable target's variant or changes its instance type.

    Args:
        before, after: each variant's instance type, by the variant's name.
    """
    registered = registered_variants(call.aws, call.scope, endpoint)
    changed = [name for name in before if name in registered and (name not in after or before[name] != after[name])]
    if changed:
        raise validation_error(
            f'The variant(s) "[{", ".join(changed)}]" must be deregistered as scalable targets with AWS Auto Scaling '
            "before they can be removed or have their instance type updated."
        )
