"""A request, with all the policies that have a say in it; and what the local AWS's own evaluator decides on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from common.local.access.decision import Principal
from common.local.access.decision import decide as decide_locally
from common.local.access.policy import parse_policy

Document = dict[str, Any]
"""A policy document."""
Context = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class Request:
    """Who asks for what, and the policies of both sides."""

    principal: str
    """ARN of a role's session or of an identity provider, or the name of a service."""
    action: str
    resource: str
    owner: str
    """The account that the resource is in."""
    context: Context
    identity: tuple[Document, ...] = field(repr=False)
    """The principal's own policies."""
    attached: Document | None = field(repr=False)
    """The policy of the resource: of a bucket, key, topic or package group; a role's trust policy where it is assumed."""

    @property
    def documents(self) -> tuple[Document, ...]:
        return self.identity if self.attached is None else (*self.identity, self.attached)


def decide(request: Request) -> bool:
    """Whether the local AWS allows it."""
    return decide_locally(
        Principal(request.principal),
        request.action,
        request.resource,
        {key.lower(): value if isinstance(value, str) else list(value) for key, value in request.context.items()},
        identity=[parse_policy(document) for document in request.identity],
        resource_policy=None if request.attached is None else parse_policy(request.attached),
        owner=request.owner,
        resource_decides=request.action.startswith(("kms:", "sts:")),
    ).allowed
