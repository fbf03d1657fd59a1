"""Whether a resource's policy lets a service of AWS act on it: a topic, a queue, a key. Pure functions.

What EventBridge may not do it does not do, and tells nobody: the usual reason why no alert ever arrives.
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

EVENTS = "events.amazonaws.com"


def allows(policy: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]) -> bool:
    """Whether EventBridge may do the action on the resource.

    Args:
        context: condition keys, e.g. `aws:SourceArn`, the rule that asks.
    """
    statements = [each for each in _several(policy.get("Statement", [])) if _applies(each, action, resource, context)]
    effects = {each["Effect"] for each in statements}
    return "Allow" in effects and "Deny" not in effects


def _applies(statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]) -> bool:
    return (
        _names_events(statement.get("Principal", {}))
        and any(_like(pattern.lower(), action.lower()) for pattern in _several(statement.get("Action", [])))
        and any(_like(pattern, resource) for pattern in _several(statement.get("Resource", [])))
        and all(
            _holds(operator, key, wanted, context)
            for operator, conditions in statement.get("Condition", {}).items()
            for key, wanted in conditions.items()
        )
    )


def _names_events(principal: Any) -> bool:
    if principal == "*":
        return True
    services, accounts = (_several(principal.get(kind, [])) for kind in ("Service", "AWS"))
    return EVENTS in services or "*" in services or "*" in accounts


def _holds(operator: str, key: str, wanted: Any, context: Mapping[str, str]) -> bool:
    """Whether a condition holds; one on a key that the request lacks, or by an operator that is not known here, does not."""
    found = next((value for name, value in context.items() if name.lower() == key.lower()), None)
    if found is None:
        return operator.endswith("IfExists")
    values, operator = [str(each) for each in _several(wanted)], operator.removesuffix("IfExists")
    if operator in ("StringEquals", "Bool"):
        return found in values
    if operator in ("StringLike", "ArnLike", "ArnEquals"):  # the two of ARNs do the same
        return any(_like(value, found) for value in values)
    return False


def _like(pattern: str, text: str) -> bool:
    """IAM's wildcards are `*` and `?`; brackets are themselves."""
    return fnmatchcase(text, re.sub(r"\[", "[[]", pattern))


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
