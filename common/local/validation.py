"""Requests checked against botocore's service model, as AWS's own front end does before any operation sees them.

boto3 checks names and types on the caller's side, but neither enums, patterns nor most bounds; AWS answers those with a
`ValidationException` whose wording people search for, so the wording here is AWS's.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from common.local.api import ApiError

Check = Callable[[Any, str], Iterator[str]]
"""From a value and its path to the messages about what is wrong with it."""

_CLASSES = {
    "L": r"\w",
    "N": r"\w",
    "M": "\u0300-\u036f",
    "Z": " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
    "S": "$+<->^`|~\u00a2-\u00a9\u00ac-\u00b6\u00d7\u00f7\u2000-\u2bff",
    "P": "!-#%-*,-/:;?@\\[-\\]_{}\u00a1\u00a7\u00ab\u00b6\u00b7\u00bb\u00bf\u2010-\u2027",
    "ASCII": r"\x00-\x7f",
    "Print": " -~",
    "Alnum": "0-9A-Za-z",
}
"""Java's character classes that the models use, in Python's spelling."""

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),
    "list": (list,),
    "structure": (dict,),
    "map": (dict,),
}
_TYPE_NAMES = {
    bool: "TRUE_VALUE",
    int: "NUMBER_VALUE",
    float: "DECIMAL_VALUE",
    str: "STRING_VALUE",
    list: "START_ARRAY",
}


def validate(request: dict[str, Any], shape: StructureShape) -> None:
    """Check a request, without its body's meaning, against an operation's input shape.

    Raises:
        ApiError: `SerializationException` when a member has another JSON type than the model says, else
            `ValidationException` with every violated constraint.
    """
    messages = list(_check(shape)(request, ""))
    if messages:
        plural = "s" if len(messages) > 1 else ""
        raise ApiError(
            "ValidationException", f"{len(messages)} validation error{plural} detected: {'; '.join(messages)}"
        )


def python_pattern(pattern: str) -> re.Pattern[str]:
    """The model's (Java) regular expression for Python's `fullmatch`."""
    pattern = re.sub(r"\$\{\d+,\d+\}", "", pattern).replace(r"\z", r"\Z")
    pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")  # in Java pairs of surrogates
    outside = re.sub(r"(?<!\[)\\p\{(\w+)\}(?=[*+]|$)", lambda found: f"[{_CLASSES[found[1]]}]", pattern)
    return re.compile(re.sub(r"\\p\{(\w+)\}", lambda found: _CLASSES[found[1]], outside))


@cache
def _check(shape: Shape) -> Check:
    """The check for a shape. Cached: shapes are shared objects of a model that is loaded once, and may be recursive."""
    makers: dict[str, Callable[[Any], Check]] = {
        "structure": _structure,
        "list": _list,
        "map": _map,
        "string": _string,
        "integer": _number,
        "long": _number,
        "float": _number,
        "double": _number,
    }
    content = makers[shape.type_name](shape) if shape.type_name in makers else _nothing
    allowed = _TYPES.get(shape.type_name, (object,))

    def check(value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            name = _TYPE_NAMES.get(type(value), "START_OBJECT")
            raise ApiError("SerializationException", f"{name} at '{path}' can not be converted to {shape.type_name}")
        return content(value, path)

    return check


def _nothing(_value: Any, _path: str) -> Iterator[str]:
    return iter(())


def _structure(shape: StructureShape) -> Check:
    required, members = shape.required_members, shape.members
    is_union = shape.is_tagged_union

    def check(value: dict[str, Any], path: str) -> Iterator[str]:
        for name in required:
            if value.get(name) is None:
                yield _violation(None, _member(path, name), "Member must not be null")
        if is_union and sum(value.get(name) is not None for name in members) != 1:
            yield _violation(value, path, "Exactly one member must be set")
        for name, member in value.items():
            if member is not None and name in members:
                yield from _check(members[name])(member, _member(path, name))

    return check


def _list(shape: ListShape) -> Check:
    sizes = _bounds(shape, "have length", len)

    def check(value: list[Any], path: str) -> Iterator[str]:
        yield from sizes(value, path)
        for number, item in enumerate(value, start=1):
            yield from _check(shape.member)(item, f"{path}.{number}.member")

    return check


def _map(shape: MapShape) -> Check:
    sizes = _bounds(shape, "have length", len)

    def check(value: dict[str, Any], path: str) -> Iterator[str]:
        yield from sizes(value, path)
        for key, item in value.items():
            yield from _check(shape.key)(key, f"{path}.{key}.key")
            yield from _check(shape.value)(item, f"{path}.{key}.member")

    return check


def _string(shape: StringShape) -> Check:
    sizes = _bounds(shape, "have length", len)
    source = shape.metadata.get("pattern")
    pattern = python_pattern(source) if source else None
    allowed = list(shape.enum)

    def check(value: str, path: str) -> Iterator[str]:
        yield from sizes(value, path)
        if allowed and value not in allowed:
            yield _violation(value, path, f"Member must satisfy enum value set: [{', '.join(allowed)}]")
        if pattern and not pattern.fullmatch(value):
            yield _violation(value, path, f"Member must satisfy regular expression pattern: {source}")

    return check


def _number(shape: Shape) -> Check:
    return _bounds(shape, "have value", lambda value: value)


def _bounds(shape: Shape, has: str, measure: Callable[[Any], float]) -> Check:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")

    def check(value: Any, path: str) -> Iterator[str]:
        if low is not None and measure(value) < low:
            yield _violation(value, path, f"Member must {has} greater than or equal to {low}")
        if high is not None and measure(value) > high:
            yield _violation(value, path, f"Member must {has} less than or equal to {high}")

    return check


def _violation(value: Any, path: str, constraint: str) -> str:
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def _member(path: str, name: str) -> str:
    camel = name[0].lower() + name[1:]
    return f"{path}.{camel}" if path else camel
