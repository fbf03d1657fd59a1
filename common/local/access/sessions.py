"""Sessions of roles, as services make them for what acts as a role: jobs, containers."""

from typing import Any, NamedTuple

from moto.sts.models import sts_backends

from common.local.access.callers import conditions
from common.local.access.guard import may_assume
from common.local.access.roles import find_role
from common.local.api import ApiError

_LASTING = 10**9
"""Seconds: on AWS a service renews what its containers use."""


class Credentials(NamedTuple):
    """Keys that act as a role."""

    access_key_id: str
    secret_access_key: str
    session_token: str

    @property
    def environment(self) -> dict[str, str]:
        """By the names that AWS's tools read."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.session_token,
        }


def trusts(role_arn: str, service: str) -> bool:
    """Whether a role lets the service assume it; one that IAM does not have belongs to no one, and does."""
    if find_role(role_arn) is None:
        return True
    own_account = {"aws:sourceaccount": role_arn.split(":")[4]}  # a role is passed within its account only
    return may_assume(service, role_arn, "sts:AssumeRole", conditions(service) | own_account).allowed


def role_session(role_arn: str, *, service: str = "sagemaker.amazonaws.com", name: str = "SageMaker") -> Credentials:
    """Keys that act as the role, for what the service runs. They do not expire.

    Raises:
        ApiError: `ValidationException`: the role does not trust the service.
    """
    if not trusts(role_arn, service):
        raise ApiError(
            "ValidationException",
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal '{service}' "
            "to assume the role.",
        )
    sts: Any = sts_backends[role_arn.split(":")[4]]["aws"]
    role = sts.assume_role(
        region_name="us-east-1",
        role_session_name=name,
        role_arn=role_arn,
        policy=None,
        duration=_LASTING,
        external_id=None,
    )
    return Credentials(role.access_key_id, role.secret_access_key, role.session_token)
