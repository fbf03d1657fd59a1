"""The subset of JSONPath that `InputFilter` and `OutputFilter` know, for JSON values and for rows of CSV.

    $   $.name   $['a','b']   $[1]   $[0,-1]   $[0,5:]   $[2:5]   $.name[0]   $.name.*

Choosing one element goes deeper; choosing several makes an object or an array of them, and ends the expression.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeVar

Cell = TypeVar("Cell", str, bytes)

_STEP = re.compile(
    r"""\.?\[(?P<quoted>\s*'[^']*'(?:\s*,\s*'[^']*')*\s*)\]
      | \.?\[(?P<numbers>\s*[-\d:]+(?:\s*,\s*[-\d:]+)*\s*)\]
      | \.(?P<name>[^.\[\]'*\s]+)
      | (?P<all>\.\*|\[\*\])""",
    re.VERBOSE,
)
_INDEX = re.compile(r"-?\d+")
_SLICE = re.compile(r"(-?\d+)?:(-?\d+)?")


class FilterError(ValueError):
    """The expression is none that is supported, or does not fit the data; the message says which."""


@dataclass(frozen=True)
class Step:
    """What one step chooses: elements by name, by index and slice, or all."""

    names: tuple[str, ...] = ()
    indices: tuple[int | slice, ...] = ()

    @property
    def is_single(self) -> bool:
        return len(self.names) == 1 or (len(self.indices) == 1 and isinstance(self.indices[0], int))


@dataclass(frozen=True)
class Filter:
    """A parsed expression."""

    text: str
    steps: tuple[Step, ...] = ()

    @property
    def keeps_all(self) -> bool:
        return not self.steps

    def of_value(self, value: Any) -> Any:
        """What it chooses of a JSON value. Raises FilterError."""
        for step in self.steps:
            value = self._chosen(value, step)
        return value

    def of_rows(self, rows: Iterable[Sequence[Cell]]) -> Iterator[Sequence[Cell]]:
        """The cells that it chooses of each row. Raises FilterError."""
        pickers: dict[int, Callable[[Sequence[Cell]], Sequence[Cell]]] = {}
        for row in rows:
            width = len(row)
            if width not in pickers:  # what it chooses depends on nothing else
                pickers[width] = _picker(self.of_value(list(range(width))))
            yield pickers[width](row)

    def require_csv(self) -> None:
        """Raise FilterError unless it fits rows, which have neither names nor depth."""
        if len(self.steps) > 1 or any(step.names for step in self.steps):
            raise FilterError(f"{self.text} does not fit text/csv, whose rows are arrays: use indices, as in $[0,2:]")

    def _chosen(self, value: Any, step: Step) -> Any:
        if step.names:
            if not isinstance(value, dict) or not set(step.names) <= set(value):
                raise FilterError(f"{self.text} names what is not in the data: {str(value)[:100]}")
            return value[step.names[0]] if step.is_single else {name: value[name] for name in step.names}
        if not step.indices:
            return list(value.values()) if isinstance(value, dict) else self._items(value, step)
        chosen = self._items(value, step)
        return chosen[0] if step.is_single else chosen

    def _items(self, value: Any, step: Step) -> list[Any]:
        if not isinstance(value, list):
            raise FilterError(f"{self.text} takes elements of what is no array: {str(value)[:100]}")
        if not step.indices:
            return value
        chosen: list[Any] = []
        for index in step.indices:
            if isinstance(index, slice):
                chosen += value[index]
            elif -len(value) <= index < len(value):
                chosen.append(value[index])
            else:
                raise FilterError(f"{self.text} is not within the data, which have {len(value)} elements")
        return chosen


def _picker(chosen: list[int] | int) -> Callable[[Sequence[Cell]], Sequence[Cell]]:
    places = [chosen] if isinstance(chosen, int) else chosen
    if len(places) < 2:
        return lambda row: [row[place] for place in places]
    return itemgetter(*places)


def parse(text: str) -> Filter:
    """The filter that an expression spells. Raises FilterError."""
    if not text.startswith("$"):
        raise FilterError(f"{text!r} is not a JSONPath expression: it begins with $")
    steps: list[Step] = []
    rest = text[1:]
    while rest:
        found = _STEP.match(rest)
        if found is None or (steps and not steps[-1].is_single):
            raise FilterError(f"{text!r} is not supported as a filter (after {text[: len(text) - len(rest)]!r})")
        steps.append(_step(found, text))
        rest = rest[found.end() :]
    return Filter(text, tuple(steps))


def _step(found: re.Match[str], text: str) -> Step:
    if found["name"]:
        return Step(names=(found["name"],))
    if found["quoted"]:
        return Step(names=tuple(re.findall(r"'([^']*)'", found["quoted"])))
    if found["all"]:
        return Step()
    return Step(indices=tuple(_index(item.strip(), text) for item in found["numbers"].split(",")))


def _index(item: str, text: str) -> int | slice:
    if _INDEX.fullmatch(item):
        return int(item)
    if bounds := _SLICE.fullmatch(item):
        return slice(*(None if bound is None else int(bound) for bound in bounds.groups()))
    raise FilterError(f"{text!r} is not supported as a filter: {item!r} is neither an index nor a slice")
