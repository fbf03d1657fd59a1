"""Whether a principal may do something in this local AWS: the rules of `decision`, on the documents that it holds now."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from moto.backends import get_backend

from common.local.access.callers import conditions, lower
from common.local.access.conditions import PolicyError
from common.local.access.decision import Decision, Kind, Principal, decide
from common.local.access.patterns import Context
from common.local.access.policy import Policy
from common.local.access.roles import FREE, find_role, held, parsed, trust
from common.local.api import ApiError
from common.local.context import LocalAws

NO_CONTEXT: Context = {}
_EVERYONE_PULLS = """{"Statement": {"Effect": "Allow", "Principal": "*", "Resource": "*",
  "Action": ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"]}}"""
"""The policy of AWS's own repositories, as far as it matters here."""


class Need(NamedTuple):
    """What a request has to be allowed."""

    action: str
    """E.g. `s3:GetObject`."""
    resource: str = "*"
    """ARN, or `*` where the action has none."""
    context: Context = NO_CONTEXT
    """Condition keys beyond those of the caller and of the request as a whole."""


class Side(NamedTuple):
    """A resource's own say in who may use it."""

    owner: str
    policy: Policy | None
    decides: bool = False
    """Whether its policy has to allow it also within its account."""
    kind: Kind = "resource-based policy"


def allowed(aws: LocalAws, principal: str, action: str, resource: str, context: Context | None = None) -> bool:
    """Whether a role, a session or a service may do this now.

    Args:
        principal: ARN, or a service's name such as `sagemaker.amazonaws.com`.
        context: condition keys beyond those of the principal itself, e.g. `{"kms:ViaService": …}`.
    """
    return evaluate(aws, principal, Need(action, resource), conditions(principal) | lower(context or {})).allowed


def require(aws: LocalAws, principal: str, action: str, resource: str, context: Context | None = None) -> None:
    """As `allowed`.

    Raises:
        ApiError: `AccessDeniedException`, with AWS's sentence.
    """
    require_all(aws, principal, [Need(action, resource, context or {})], conditions(principal))


def require_all(aws: LocalAws, principal: str, needs: Iterable[Need], context: Context) -> None:
    """Check several, in their order. `context` holds for all of them, its keys in lower case.

    Raises:
        ApiError: `AccessDeniedException`, about the first that is not allowed.
    """
    for need in needs:
        decided = evaluate(aws, principal, need, {**context, **lower(need.context)})
        if not decided.allowed:
            raise ApiError("AccessDeniedException", decided.message)


def evaluate(aws: LocalAws, principal: str, need: Need, context: Context) -> Decision:
    """Decide on one.

    Raises:
        ApiError: `AccessDeniedException`: a policy that has a say in it cannot be evaluated.
    """
    try:
        identity, boundary = held(principal)
        side = resource_side(aws, need.resource)
        return decide(
            Principal(principal),
            need.action,
            need.resource,
            {**context, "aws:resourceaccount": side.owner} if side.owner else context,
            identity=identity,
            resource_policy=side.policy,
            owner=side.owner,
            resource_decides=side.decides,
            limits=[("permissions boundary", boundary)] if boundary else (),
            kind=side.kind,
        )
    except PolicyError as error:
        raise ApiError(
            "AccessDeniedException",
            f"The local AWS cannot tell whether {principal} may do {need.action} on {need.resource}: {error}",
        ) from error


def restrained(principal: str) -> bool:
    """Whether identity policies hold a principal: it is a role, or a session of one, that has at least one.

    Raises:
        ApiError: `AccessDeniedException`: one of its policies cannot be evaluated.
    """
    try:
        return held(principal) is not FREE
    except PolicyError as error:
        raise ApiError("AccessDeniedException", f"A policy of {principal} cannot be evaluated here: {error}") from error


def resource_side(aws: LocalAws, arn: str) -> Side:
    """What the policy of the resource with this ARN says, if it is of a kind that has one here.

    Raises:
        PolicyError: it cannot be evaluated.
    """
    parts = arn.split(":", 5)
    if len(parts) < 6:
        return Side("", None)
    _, _, service, region, account, rest = parts
    if service == "s3":
        return bucket_side(rest.partition("/")[0])
    if service == "kms" and rest.startswith("key/"):
        key: Any = get_backend("kms")[account][region].keys.get(rest.removeprefix("key/"))
        return Side(account, parsed(key.policy), decides=True) if key else Side(account, None)
    if service == "sns":
        topic: Any = get_backend("sns")[account][region].topics.get(arn)
        return Side(account, parsed(topic.policy) if topic else None)
    if service == "sqs":
        queue: Any = get_backend("sqs")[account][region].queues.get(rest)
        text = queue.policy if queue else None
        return Side(account, parsed(text if isinstance(text, str) else json.dumps(text)) if text else None)
    if service == "sagemaker" and rest.startswith(("model-package/", "model-package-group/")):
        document = aws.store.get(f"{account}/{region}", "model-package-group-policy", rest.split("/")[1])
        return Side(account, parsed(document["ResourcePolicy"]) if document else None)
    if service == "ecr" and rest.startswith("repository/sagemaker-"):
        return Side(account, parsed(_EVERYONE_PULLS))
    return Side(account, None)


def bucket_side(name: str) -> Side:
    """The owner of a bucket and its policy; nobody where there is no such bucket."""
    backends: Any = get_backend("s3")
    _, owner = backends.bucket_accounts.get(name, ("", ""))
    bucket = backends[owner]["aws"].buckets.get(name) if owner else None
    return Side(owner, parsed(bucket.policy) if bucket is not None and bucket.policy else None)


def may_assume(principal: str, role_arn: str, action: str, context: Context) -> Decision:
    """Whether a principal may take on a role: by its own policies and by the trust policy of the role, if IAM has that.

    Raises:
        ApiError: `AccessDeniedException`: a policy cannot be evaluated.
    """
    role = find_role(role_arn)
    try:
        identity, boundary = held(principal)
        return decide(
            Principal(principal),
            action,
            role_arn,
            context,
            identity=identity,
            resource_policy=trust(role) if role else None,
            resource_decides=role is not None,
            owner="" if role else Principal(principal).account,
            limits=[("permissions boundary", boundary)] if boundary else (),
            kind="role trust policy",
        )
    except PolicyError as error:
        raise ApiError(
            "AccessDeniedException", f"The trust policy of {role_arn} cannot be evaluated: {error}"
        ) from error
