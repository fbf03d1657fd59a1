"""What SageMaker checks of an execution role, and of the key of its volumes, before it takes a request on."""

import re

from common.local.access.guard import require
from common.local.access.sessions import trusts
from common.local.api import ApiError, Call, validation_error
from common.local.roles.keys import KeyUnusable, usable_key
from common.local.roles.s3 import session_arn

SERVICE = "sagemaker.amazonaws.com"

_NOT_ASSUMABLE = (
    "Could not assume role {role}. Please ensure that the role exists and allows principal 'sagemaker.amazonaws.com' to "
    "assume the role."
)
_LOCAL_STORAGE = re.compile(r"ml\.([a-z]+\d+[a-z]*d[a-z]*|[gp][5-9][a-z0-9-]*|trn\d[a-z]*)\..+")
"""Instance types with NVMe disks of their own, which the hardware encrypts: `d` in the name, and newer ones for training."""


def check_role(call: Call, role: str, untrusted: str = _NOT_ASSUMABLE) -> None:
    """Check that SageMaker may assume an execution role. Whether the caller may pass it has been decided before.

    Args:
        role: ARN.
        untrusted: the message where SageMaker may not assume it, with `{role}` for the ARN.

    Raises:
        ApiError: `ValidationException`, also when the role is of another account.
    """
    if role.split(":")[4] != call.account:
        raise validation_error("Cross-account pass role is not allowed.")
    if not trusts(role, SERVICE):
        raise validation_error(untrusted.format(role=role))


def check_volume_key(call: Call, key: str | None, role: str | None, *instance_types: str) -> None:
    """Check the key of KMS that is to encrypt the volumes of a job's instances.

    Raises:
        ApiError: `ValidationException`: the instances have disks that take no key, there is no such key, it is not enabled, or
            neither the role nor the caller may let SageMaker use it.
    """
    if not key:
        return
    if any(_LOCAL_STORAGE.fullmatch(each) for each in instance_types):
        raise validation_error("KMS key is not supported for NVMe instance storage.")
    check_key_for_volumes(call, key, role)


def check_key_for_volumes(call: Call, key: str, role: str | None) -> None:
    """As `check_volume_key`, where disks that take no key are passed over: those of endpoints."""
    try:
        arn = usable_key(call.account, call.region, key)
    except KeyUnusable as error:
        raise validation_error(f"The KMS key of the storage volumes cannot be used: {error}") from error
    context = {
        "kms:GrantIsForAWSResource": "true",
        "kms:ViaService": f"sagemaker.{call.region}.amazonaws.com",
        "kms:CallerAccount": call.account,
    }
    refusals = []
    for principal in filter(None, (role and session_arn(role), call.caller)):
        try:
            require(call.aws, principal, "kms:CreateGrant", arn, context)
        except ApiError as error:
            refusals.append(error.message)
        else:
            return
    if refusals:
        raise validation_error(f"The KMS key of the storage volumes cannot be used: {refusals[0]}")
