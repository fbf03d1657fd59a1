"""What IAM answers to a request, from all the policies that have a say in it. Pure functions.

Source: "Policy evaluation logic" and "Cross-account policy evaluation logic" in the IAM user guide; for keys "Key policies in
AWS KMS"; the sentences are those of "Troubleshoot access denied error messages".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from common.local.access.patterns import Context
from common.local.access.policy import Policy, Principals, parse_policy, plain_arn

Kind = Literal[
    "identity-based policy", "resource-based policy", "session policy", "permissions boundary", "role trust policy"
]

ADMINISTRATOR = parse_policy({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
"""The identity policy of those whom nothing restrains."""


@dataclass(frozen=True)
class Principal:
    """Who asks: a role, a session of one, a user, an account's root, a service, or an identity provider's subject."""

    arn: str
    """ARN, or the name of a service (`sagemaker.amazonaws.com`)."""

    @property
    def account(self) -> str:
        """Empty for services."""
        return self.arn.split(":")[4] if self.arn.startswith("arn:") else ""

    @property
    def names(self) -> frozenset[str]:
        """What a resource policy may call it, beside its account."""
        return frozenset((self.arn, plain_arn(self.arn)))


@dataclass(frozen=True)
class Decision:
    """Whether the request is allowed, and if not, what AWS says to the caller."""

    effect: Literal["allow", "explicit deny", "implicit deny"]
    message: str = ""
    """Empty where it is allowed."""

    @property
    def allowed(self) -> bool:
        return self.effect == "allow"


class Request(NamedTuple):
    """What is asked for."""

    principal: Principal
    action: str
    resource: str
    context: Context


class _Opinion(NamedTuple):
    """What the statements that apply to a request say."""

    denied: bool
    named: bool
    """Allowed by a statement that names the principal itself, or everyone."""
    allowed: bool
    """Allowed so, or by one that names the principal's account."""


def decide(
    principal: Principal,
    action: str,
    resource: str,
    context: Context,
    *,
    identity: Iterable[Policy],
    resource_policy: Policy | None = None,
    owner: str = "",
    resource_decides: bool = False,
    limits: Sequence[tuple[Kind, Policy]] = (),
    kind: Kind = "resource-based policy",
) -> Decision:
    """Evaluate a request.

    Args:
        action: e.g. `s3:GetObject`.
        resource: ARN, or `*` for actions that have none.
        context: condition keys in lower case.
        identity: the policies attached to the principal, inline and managed.
        resource_policy: of the bucket, key, package group or role; None where there is none.
        owner: the account of the resource, where its ARN does not say it (buckets).
        resource_decides: the resource's policy has to allow it also within one account, as for keys and for assuming a
            role: by naming the principal, or by naming the account, which leaves it to identity policies.
        limits: policies that have to allow it, too: a session's own, the permissions boundary.
        kind: what the resource's policy is called.

    Raises:
        PolicyError: a condition on a key with several values does not say whether one or all of them count.
    """
    request = Request(principal, action, resource, context)
    own = _opinion(request, identity)
    theirs = _opinion(request, [resource_policy] if resource_policy else [], by_name=True)
    owner = owner or _account(resource) or principal.account
    if own.denied:
        return _denied(request, "identity-based policy", explicit=True)
    if theirs.denied:
        return _denied(request, kind, explicit=True)
    for name, policy in limits:
        limit = _opinion(request, [policy])
        if limit.denied or not limit.allowed:
            return _denied(request, name, explicit=limit.denied)
    if theirs.named and principal.account in ("", owner):
        return Decision("allow")
    if not theirs.allowed and (resource_decides or principal.account != owner):
        return _denied(request, kind)
    return Decision("allow") if own.allowed else _denied(request, "identity-based policy")


def _opinion(request: Request, policies: Iterable[Policy], *, by_name: bool = False) -> _Opinion:
    """All of it, also where the answer is known: whether a condition cannot be evaluated must not depend on the order."""
    denied = named = allowed = False
    for statement in (statement for policy in policies for statement in policy):
        match = _match(statement.principals, request.principal) if by_name else "principal"
        if match and statement.applies(request.action, request.resource, request.context):
            denied = denied or statement.effect == "Deny"
            allowed = allowed or statement.effect == "Allow"
            named = named or (statement.effect == "Allow" and match == "principal")
    return _Opinion(denied, named, allowed)


def _match(principals: Principals | None, principal: Principal) -> Literal["principal", "account", ""]:
    if principals is None:
        return ""
    root = principal.arn == f"arn:aws:iam::{principal.account}:root"
    of_account = principal.account in principals.accounts
    named = principals.everyone or bool(principals.named & principal.names) or (root and of_account)
    if principals.negated:
        return "" if named else "principal"
    return "principal" if named else "account" if of_account else ""


def _account(arn: str) -> str:
    return arn.split(":")[4] if arn.count(":") >= 5 else ""


def _denied(request: Request, kind: Kind, *, explicit: bool = False) -> Decision:
    """AWS's sentence; it names the first policy that stands in the way."""
    article = "the" if kind == "role trust policy" else "an" if kind[0] == "i" else "a"
    reason = (
        f"with an explicit deny in {article} {kind}"
        if explicit
        else f"because no {kind} allows the {request.action} action"
    )
    return Decision(
        "explicit deny" if explicit else "implicit deny",
        f"User: {request.principal.arn} is not authorized to perform: {request.action} on resource: {request.resource} {reason}",
    )
