"""Texts with wildcards and policy variables, as IAM matches them. Pure functions.

Source: "IAM JSON policy elements: Resource", and "Variables and tags", in the IAM user guide.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

Context = Mapping[str, str | list[str]]
"""Condition keys of a request, in lower case, and their values; a list for keys that can have several."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_KIND = re.compile(r"(?:[^:]*:){5}([^:/]*)[:/]")
_SPECIAL = ("*", "?", "$")


def matches(pattern: str, text: str, context: Context, *, fold: bool = False) -> bool:
    """Whether the pattern matches the whole text; a variable that the context lacks makes it match nothing.

    Args:
        fold: pass over the difference of upper and lower case, as action names do.
    """
    if "${" in pattern:
        expression = _with_variables(pattern, context)
        return expression is not None and bool(
            re.fullmatch(expression, text, re.DOTALL | (re.IGNORECASE if fold else 0))
        )
    return bool(_compiled(pattern, fold).fullmatch(text))


def matches_arn(pattern: str, arn: str, context: Context) -> bool:
    """Whether the pattern matches the ARN. A wildcard in what says the kind of resource (`model/`) makes it match nothing.

    Source: "Incorrect wildcard usage" in the IAM user guide, "Identify AWS resources with ARNs".
    """
    kind = _KIND.match(pattern)
    if kind and not pattern.startswith("arn:aws:s3:::") and any(wildcard in kind[1] for wildcard in "*?"):
        return False
    return matches(pattern, arn, context)


def substituted(value: str, context: Context) -> str | None:
    """A text in which wildcards mean themselves, with its variables replaced; None when the context lacks one."""
    parts: list[str] = []
    for plain, variable in _parts(value):
        found = _value(variable, context) if variable else ""
        if found is None:
            return None
        parts += [plain, found]
    return "".join(parts)


@lru_cache(maxsize=4096)
def _compiled(pattern: str, fold: bool) -> re.Pattern[str]:
    return re.compile(_expression(pattern), re.DOTALL | (re.IGNORECASE if fold else 0))


def _expression(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")


def _with_variables(pattern: str, context: Context) -> str | None:
    parts: list[str] = []
    for plain, variable in _parts(pattern):
        found = _value(variable, context) if variable else ""
        if found is None:
            return None
        parts += [_expression(plain), re.escape(found)]
    return "".join(parts)


def _parts(text: str) -> list[tuple[str, str]]:
    """(plain text, the variable after it), the last with an empty variable."""
    split = _VARIABLE.split(text)
    return list(zip(split[::2], [*split[1::2], ""], strict=True))


def _value(variable: str, context: Context) -> str | None:
    """A variable's one value: of `${*}` the character itself, of `${key, 'default'}` the default where there is none."""
    if variable in _SPECIAL:
        return variable
    key, _, default = (part.strip() for part in variable.partition(","))
    found = context.get(key.lower())
    if isinstance(found, str):
        return found
    if found is not None and len(found) == 1:
        return found[0]
    return default[1:-1] if len(default) >= 2 and default[0] == default[-1] == "'" else None
