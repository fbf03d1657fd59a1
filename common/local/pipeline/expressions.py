"""CircleCI's expressions (`pipeline.git.branch == "main" and not …`) and templates (`<< parameters.model >>`).

What is implemented is what the two files use: `and`, `or`, `not`, `==`, `!=`, `starts-with`, parentheses, strings,
whole numbers, `true` and `false`. Anything else is an error.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from common.local.pipeline.config import Value
from common.local.pipeline.errors import ConfigError

_TOKEN = re.compile(r'\s*(?:(?P<string>"[^"]*")|(?P<number>\d+)|(?P<word>[A-Za-z][\w.-]*)|(?P<symbol>==|!=|[()]))')
_TEMPLATE = re.compile(r"<<\s*([^\s<>]+)\s*>>")
_OPERATORS = ("and", "or", "not", "starts-with", "true", "false")

Lookup = Callable[[str], Value]


def evaluate(expression: str, values: Mapping[str, Value]) -> Value:
    """The expression's value, with names such as `pipeline.git.branch` taken from `values`.

    Raises:
        ConfigError: the expression is malformed, or names something that does not exist.
    """

    def lookup(name: str) -> Value:
        if name not in values:
            raise ConfigError(f"the expression {expression!r} names {name!r}, which does not exist")
        return values[name]

    return _Parser(expression, lookup).parse()


def names(expression: str) -> set[str]:
    """The pipeline values that an expression or a text's templates name."""
    if _TEMPLATE.search(expression):
        return set(_TEMPLATE.findall(expression))
    return {token for token in _tokens(expression) if token[0].isalpha() and token not in _OPERATORS}


def templates(text: str) -> set[str]:
    """What the templates of a text name."""
    return set(_TEMPLATE.findall(text))


def fill(text: str, values: Mapping[str, Value]) -> Value:
    """The text with its templates filled in; a text that is one template only keeps the value's type.

    Raises:
        ConfigError: a template names something that does not exist, or puts a boolean into a text (CircleCI's form of
            it differs between places).
    """
    whole = _TEMPLATE.fullmatch(text)
    if whole:
        return _value(whole, values)

    def filled(match: re.Match[str]) -> str:
        value = _value(match, values)
        if isinstance(value, bool):
            raise ConfigError(f"{match[0]} puts a boolean into the text {text!r}", "use it in `when` or `filters`")
        return str(value)

    return _TEMPLATE.sub(filled, text)


def _value(match: re.Match[str], values: Mapping[str, Value]) -> Value:
    if match[1] not in values:
        raise ConfigError(f"the template {match[0]} names {match[1]!r}, which does not exist")
    return values[match[1]]


def _tokens(expression: str) -> Iterator[str]:
    position = 0
    text = expression.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise ConfigError(f"the expression {expression!r} cannot be read from {text[position:]!r} on")
        yield match[0].strip()
        position = match.end()


class _Parser:
    """Recursive descent, loosest first: or, and, not, comparison, operand."""

    def __init__(self, expression: str, lookup: Lookup) -> None:
        self._expression = expression
        self._tokens = list(_tokens(expression))
        self._lookup = lookup

    def parse(self) -> Value:
        value = self._either()
        if self._tokens:
            raise ConfigError(f"the expression {self._expression!r} goes on after its end: {self._tokens[0]!r}")
        return value

    def _take(self, *wanted: str) -> str:
        """The next token when it is one of `wanted`, and past it; otherwise the empty string."""
        return self._tokens.pop(0) if self._tokens and self._tokens[0] in wanted else ""

    def _either(self) -> Value:
        value = self._both()
        while self._take("or"):
            right = self._both()
            value = bool(value) or bool(right)
        return value

    def _both(self) -> Value:
        value = self._negation()
        while self._take("and"):
            right = self._negation()
            value = bool(value) and bool(right)
        return value

    def _negation(self) -> Value:
        return not self._negation() if self._take("not") else self._comparison()

    def _comparison(self) -> Value:
        left = self._operand()
        match self._take("==", "!=", "starts-with"):
            case "==":
                return left == self._operand()
            case "!=":
                return left != self._operand()
            case "starts-with":
                return str(left).startswith(str(self._operand()))
        return left

    def _operand(self) -> Value:
        if self._take("("):
            value = self._either()
            if not self._take(")"):
                raise ConfigError(f"a parenthesis stays open in the expression {self._expression!r}")
            return value
        symbol = self._tokens.pop(0) if self._tokens else ""
        if symbol.startswith('"'):
            return symbol[1:-1]
        if symbol.isdigit():
            return int(symbol)
        if symbol in ("true", "false"):
            return symbol == "true"
        if not symbol or not symbol[0].isalpha() or symbol in _OPERATORS:
            raise ConfigError(f"an operand is missing in the expression {self._expression!r}")
        return self._lookup(symbol)
