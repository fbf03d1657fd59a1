"""What the local IAM holds about a role: its policies, its trust, its tags. Documents are parsed once, by their text."""

from functools import lru_cache
from typing import Any, NamedTuple

from moto.iam.models import iam_backends

from common.local.access.decision import ADMINISTRATOR
from common.local.access.policy import Policy, parse_policy, plain_arn

_parsed = lru_cache(maxsize=4096)(parse_policy)


class Held(NamedTuple):
    """What a principal is held to."""

    policies: tuple[Policy, ...]
    boundary: Policy | None


FREE = Held((ADMINISTRATOR,), None)
"""Nothing: the administrator of an account."""


def parsed(text: str | bytes) -> Policy:
    """The statements of a document. Raises PolicyError."""
    return _parsed(text)


def find_role(arn: str) -> Any | None:
    """The role of an ARN, with or without its path, or of a session's ARN; None where IAM has no such role."""
    plain = plain_arn(arn)
    account, _, name = plain.removeprefix("arn:aws:iam::").partition(":role/")
    if not name:
        return None
    iam: Any = iam_backends[account]["aws"]
    return next((role for role in list(iam.roles.values()) if role.name == name), None)


def held(arn: str) -> Held:
    """The identity policies of a role or a session of it; FREE for all others, and for a role that has none.

    Raises:
        PolicyError: one of them cannot be evaluated.
    """
    role = find_role(arn)
    if role is None:
        return FREE
    texts = [*role.policies.values(), *map(_document, role.managed_policies.values())]
    if not texts:
        return FREE
    return Held(tuple(_parsed(text) for text in texts), _boundary(role))


def trust(role: Any) -> Policy:
    """Raises PolicyError when it cannot be evaluated."""
    return _parsed(role.assume_role_policy_document)


def tags(role: Any) -> dict[str, str]:
    found = role.tags.values() if isinstance(role.tags, dict) else role.tags or ()
    return {tag["Key"]: tag["Value"] for tag in found}


def _boundary(role: Any) -> Policy | None:
    if not role.permissions_boundary_arn:
        return None
    iam: Any = iam_backends[role.account_id]["aws"]
    return _parsed(_document(iam.managed_policies[role.permissions_boundary_arn]))


def _document(managed: Any) -> str:
    """The text of a managed policy's default version."""
    text: str = next(each.document for each in managed.versions if each.version_id == managed.default_version_id)
    return text
