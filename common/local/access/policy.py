"""Policy documents: their statements, and whether one applies to a request. Pure functions.

Source: "IAM JSON policy elements reference" in the IAM user guide.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, cast

from common.local.access.conditions import Condition, PolicyError, parse_conditions
from common.local.access.patterns import Context, matches, matches_arn

Effect = Literal["Allow", "Deny"]

_ACCOUNT = re.compile(r"(?:arn:aws:iam::)?(\d{12})(?::root)?")
_KINDS = ("AWS", "Service", "Federated", "CanonicalUser")
_ELEMENTS = {"Sid", "Effect", "Condition"} | {
    f"{no}{element}" for no in ("", "Not") for element in ("Principal", "Action", "Resource")
}


@dataclass(frozen=True)
class Patterns:
    """An element and its negation: `Action` or `NotAction`, `Resource` or `NotResource`."""

    texts: tuple[str, ...]
    negated: bool

    def match(self, text: str, context: Context, *, fold: bool = False) -> bool:
        return any(matches(each, text, context, fold=fold) for each in self.texts) is not self.negated

    def match_resource(self, arn: str, context: Context) -> bool:
        return any(matches_arn(each, arn, context) for each in self.texts) is not self.negated


@dataclass(frozen=True)
class Principals:
    """`Principal` or `NotPrincipal` of a resource policy."""

    everyone: bool
    named: frozenset[str]
    """ARNs (of roles and users without their paths), services, identity providers."""
    accounts: frozenset[str]
    """Accounts named as a whole."""
    negated: bool


@dataclass(frozen=True)
class Statement:
    """One statement. Those of identity policies have no principals; trust policies have no resources."""

    effect: Effect
    actions: Patterns
    resources: Patterns | None
    principals: Principals | None
    conditions: tuple[Condition, ...]

    def applies(self, action: str, resource: str, context: Context) -> bool:
        """Whether it speaks of this request, whoever sends it."""
        return (
            self.actions.match(action, {}, fold=True)
            and (self.resources is None or self.resources.match_resource(resource, context))
            and all(condition.holds(context) for condition in self.conditions)
        )


Policy = tuple[Statement, ...]


def parse_policy(document: str | bytes | dict[str, Any]) -> Policy:
    """The statements of any policy document: of an identity, a resource, or a role's trust.

    Raises:
        PolicyError: it is none, or holds an element or a condition operator that is not evaluated here.
    """
    try:
        parsed = document if isinstance(document, dict) else json.loads(document)
        statements = parsed["Statement"]
    except (ValueError, KeyError, TypeError):
        raise PolicyError("it is no JSON object with a Statement.") from None
    if parsed.get("Version", "2008-10-17") != "2012-10-17":  # variables came with that version
        statements = json.loads(json.dumps(statements).replace("${", "${$}{"))
    return tuple(_statement(each) for each in (statements if isinstance(statements, list) else [statements]))


def plain_arn(arn: str) -> str:
    """A role's or user's ARN without its path, which sessions leave out; the role of a session's ARN."""
    session = re.fullmatch(r"arn:aws:sts::(\d{12}):assumed-role/([^/]+)/.+", arn)
    if session:
        return f"arn:aws:iam::{session[1]}:role/{session[2]}"
    return re.sub(r":(role|user)/.*/", r":\1/", arn)


def _statement(element: Any) -> Statement:
    if not isinstance(element, dict):
        raise PolicyError("a statement is no JSON object.")
    if unknown := sorted(set(element) - _ELEMENTS):
        raise PolicyError(f"a statement has no element {unknown[0]}.")
    if element.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"Effect {element.get('Effect')!r} is neither Allow nor Deny.")
    actions = _patterns(element, "Action")
    if actions is None:
        raise PolicyError("a statement has no Action.")
    return Statement(
        cast(Effect, element["Effect"]),
        actions,
        _patterns(element, "Resource"),
        _principals(element),
        parse_conditions(element.get("Condition", {})),
    )


def _patterns(element: dict[str, Any], name: str) -> Patterns | None:
    found = _one_of(element, name)
    return Patterns(_texts(element[found]), found != name) if found else None


def _one_of(element: dict[str, Any], name: str) -> str | None:
    given = [key for key in (name, f"Not{name}") if key in element]
    if len(given) == 2:
        raise PolicyError(f"a statement has both {name} and Not{name}.")
    return given[0] if given else None


def _principals(element: dict[str, Any]) -> Principals | None:
    found = _one_of(element, "Principal")
    if found is None:
        return None
    given = element[found]
    if given == "*":
        return Principals(True, frozenset(), frozenset(), found != "Principal")
    if not isinstance(given, dict) or not given or set(given) - set(_KINDS):
        raise PolicyError(f'{found} {given!r} is neither "*" nor an object of {", ".join(_KINDS)}.')
    aws = _texts(given.get("AWS", []))
    accounts = {match[1] for text in aws if (match := _ACCOUNT.fullmatch(text))}
    named = {plain_arn(text) if "assumed-role" not in text else text for text in aws if not _ACCOUNT.fullmatch(text)}
    others = {text for kind in ("Service", "Federated") for text in _texts(given.get(kind, []))}
    return Principals("*" in aws, frozenset(named | others), frozenset(accounts), found != "Principal")


def _texts(value: Any) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise PolicyError(f"{value!r} is neither a text nor a list of texts.")
    return tuple(texts)
