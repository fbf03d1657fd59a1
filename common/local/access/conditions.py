"""The Condition element of a policy's statement. Pure functions.

Source: "IAM JSON policy elements: Condition operators", and "Multivalued context keys", in the IAM user guide.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from common.local.access.patterns import Context, matches, substituted

Test = Callable[[str, str, Context], bool]
"""(value of the request, value of the policy, context) -> whether they agree."""

_SETS = ("ForAllValues", "ForAnyValue")


class PolicyError(Exception):
    """A text is no policy document, or it holds what is not evaluated here and would allow or deny silently."""


@dataclass(frozen=True)
class Condition:
    """One key of one operator, e.g. `"StringEquals": {"aws:RequestTag/model": ["abalone"]}`; all of a statement must hold."""

    operator: str
    """The operator without prefix, suffix and negation."""
    negated: bool
    quantifier: str
    """`ForAllValues`, `ForAnyValue`, or empty: the key has one value."""
    if_exists: bool
    key: str
    """In lower case."""
    wanted: tuple[str, ...]

    def holds(self, context: Context) -> bool:
        """Whether the request fulfils it.

        Raises:
            PolicyError: the key has several values in this request, and the operator does not say whether one or all count.
        """
        found = context.get(self.key)
        if self.operator == "Null":
            return str(found is None).lower() in {value.lower() for value in self.wanted}
        values = [found] if isinstance(found, str) else list(found or [])
        if self.quantifier == "ForAllValues":
            return all(self._agrees(value, context) for value in values)
        if self.quantifier == "ForAnyValue":
            return (not values and self.if_exists) or any(self._agrees(value, context) for value in values)
        if not values:
            return self.if_exists or self.negated
        if len(values) > 1:
            raise PolicyError(
                f"{self.key} has several values in this request: say ForAllValues: or ForAnyValue: {self.operator}."
            )
        return self._agrees(values[0], context)

    def _agrees(self, value: str, context: Context) -> bool:
        test = _TESTS[self.operator]
        return any(test(value, wanted, context) for wanted in self.wanted) is not self.negated


def parse_conditions(element: Any) -> tuple[Condition, ...]:
    """The conditions of a statement.

    Raises:
        PolicyError: an operator is unknown, or a value has not the form that its operator wants.
    """
    if not isinstance(element, dict) or not all(isinstance(keys, dict) for keys in element.values()):
        raise PolicyError(f"Condition {element!r} is not an object of operators, each an object of keys.")
    return tuple(_condition(name, key, wanted) for name, keys in element.items() for key, wanted in keys.items())


def _condition(name: str, key: str, wanted: Any) -> Condition:
    quantifier, _, rest = name.rpartition(":")
    operator = rest.removesuffix("IfExists")
    negated = operator in _NEGATIONS
    operator = _NEGATIONS.get(operator, operator)
    if quantifier not in ("", *_SETS) or operator not in (*_TESTS, "Null"):
        raise PolicyError(f"The condition operator {name} is not evaluated by the local AWS.")
    values = tuple(_text(value) for value in (wanted if isinstance(wanted, list) else [wanted]))
    form = _FORMS.get(operator)
    for value in values:
        if form and "${" not in value:
            _check(form, value, name)
    return Condition(operator, negated, quantifier, rest.endswith("IfExists"), key.lower(), values)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise PolicyError(f"{value!r} is no value of a condition.")


def _check(form: Callable[[str], object], value: str, name: str) -> None:
    try:
        form(value)
    except ValueError:
        raise PolicyError(f"{value!r} is no value for the condition operator {name}.") from None


def _string_equals(value: str, wanted: str, context: Context) -> bool:
    return value == substituted(wanted, context)


def _ignoring_case(value: str, wanted: str, context: Context) -> bool:
    expected = substituted(wanted, context)
    return expected is not None and value.casefold() == expected.casefold()


def _arn_like(value: str, wanted: str, context: Context) -> bool:
    """Each of the six parts on its own, so that a wildcard does not reach over a colon but in the last."""
    values, patterns = value.split(":", 5), wanted.split(":", 5)
    if len(patterns) < 6 or len(values) < 6:
        return wanted == "*" or value == substituted(wanted, context)
    return all(matches(pattern, part, context) for part, pattern in zip(values, patterns, strict=True))


def _bool(value: str, wanted: str, _context: Context) -> bool:
    return value.lower() == wanted.lower()


def _comparison(read: Callable[[str], float], compare: Callable[[float, float], bool]) -> Test:
    def test(value: str, wanted: str, context: Context) -> bool:
        expected = substituted(wanted, context)
        try:
            return expected is not None and compare(read(value), read(expected))
        except ValueError:  # what is no number or date fulfils no comparison
            return False

    return test


def _date(text: str) -> float:
    """Epoch seconds of an ISO 8601 date, or of epoch seconds."""
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _ip_address(value: str, wanted: str, _context: Context) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "Equals": lambda found, wanted: found == wanted,
    "LessThan": lambda found, wanted: found < wanted,
    "LessThanEquals": lambda found, wanted: found <= wanted,
    "GreaterThan": lambda found, wanted: found > wanted,
    "GreaterThanEquals": lambda found, wanted: found >= wanted,
}

_TESTS: dict[str, Test] = {
    "StringEquals": _string_equals,
    "StringEqualsIgnoreCase": _ignoring_case,
    "StringLike": lambda value, wanted, context: matches(wanted, value, context),
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": _bool,
    "BinaryEquals": _string_equals,
    "IpAddress": _ip_address,
    **{f"Numeric{name}": _comparison(float, compare) for name, compare in _COMPARISONS.items()},
    **{f"Date{name}": _comparison(_date, compare) for name, compare in _COMPARISONS.items()},
}

_NEGATIONS = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}


def _truth(text: str) -> None:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)


_FORMS: dict[str, Callable[[str], object]] = {
    "Bool": _truth,
    "Null": _truth,
    "IpAddress": lambda text: ipaddress.ip_network(text, strict=False),
    **{f"Numeric{name}": float for name in _COMPARISONS},
    **{f"Date{name}": _date for name in _COMPARISONS},
}
