"""Who of another account may use a model package: the resource policy of its group, as IAM would evaluate it."""

import json
import re
from collections.abc import Iterable
from typing import Any

from common.local.api import ApiError, Call, validation_error
from common.local.sagemaker.resources import Resource

_UNEVALUATED = ("Condition", "NotAction", "NotResource", "NotPrincipal")


def parse_policy(text: str) -> list[dict[str, Any]]:
    """The statements of a resource policy.

    Raises:
        ApiError: it is no policy, or holds an element that is not evaluated here and would grant or deny silently.
    """
    try:
        statements = json.loads(text)["Statement"]
    except (ValueError, KeyError, TypeError):
        raise validation_error("Invalid resource policy: it is no JSON object with a Statement.") from None
    statements = statements if isinstance(statements, list) else [statements]
    for statement in statements:
        _check_statement(statement)
    return statements


def _check_statement(statement: Any) -> None:
    if not isinstance(statement, dict):
        raise validation_error("Invalid resource policy: a statement is no JSON object.")
    for element in ("Effect", "Principal", "Action", "Resource"):
        if element not in statement and f"Not{element}" not in statement:
            raise validation_error(f"Invalid resource policy: a statement has no {element}.")
    for element in _UNEVALUATED:
        if element in statement:
            raise validation_error(f"The local AWS does not evaluate {element} in the policy of a group.")
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise validation_error(f"Invalid resource policy: Effect {statement.get('Effect')!r}.")
    principal = {} if statement["Principal"] == "*" else statement["Principal"]
    if not isinstance(principal, dict):
        raise validation_error(f'Invalid resource policy: Principal {principal!r} is neither an object nor "*".')
    for value in (*principal.values(), statement["Action"], statement["Resource"]):
        if not all(isinstance(item, str) for item in _listed(value)):
            raise validation_error(f"Invalid resource policy: {value!r} is neither a text nor a list of texts.")


def authorize(call: Call, action: str, group: Resource, *arns: str) -> None:
    """Check that the caller may do `action` on one of these ARNs, which belong to the group.

    The group's own account needs no policy, yet a Deny holds for it, too; every other account needs an Allow.

    Raises:
        ApiError: `AccessDeniedException`.
    """
    policy = call.aws.store.get(group.scope, "model-package-group-policy", group.name)
    statements = parse_policy(policy["ResourcePolicy"]) if policy else []
    effects = {
        statement["Effect"]
        for statement in statements
        if _matches(_listed(statement["Action"]), [f"sagemaker:{action}"], re.IGNORECASE)
        and _matches(_listed(statement["Resource"]), arns)
        and _is_principal(statement["Principal"], call)
    }
    if "Deny" not in effects and ("Allow" in effects or call.account == group.account):
        return
    reason = "with an explicit deny in" if "Deny" in effects else "because no statement allows it in"
    raise ApiError(
        "AccessDeniedException",
        f"User: {call.caller} is not authorized to perform: sagemaker:{action} on resource: {arns[0]} "
        f"{reason} the resource policy of {group.arn}",
    )


def _is_principal(principal: Any, call: Call) -> bool:
    if principal == "*":
        return True
    allowed = _listed(principal.get("AWS", []))
    return any(one in ("*", call.account, f"arn:aws:iam::{call.account}:root") for one in allowed) or any(
        _identity(one) == _identity(call.caller) for one in allowed
    )


def _identity(arn: str) -> str:
    """A role and the sessions of it are one principal; sessions leave out the role's path."""
    session = re.fullmatch(r"arn:aws:sts::(\d+):assumed-role/([^/]+)/.+", arn)
    if session:
        return f"arn:aws:iam::{session[1]}:role/{session[2]}"
    return re.sub(r":role/.*/", ":role/", arn)


def _matches(patterns: Iterable[str], values: Iterable[str], flags: int = 0) -> bool:
    """Whether a pattern, in which * and ? are wildcards, matches one of the values."""
    values = list(values)
    expressions = [re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".") for pattern in patterns]
    return any(re.fullmatch(expression, value, flags) for expression in expressions for value in values)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
