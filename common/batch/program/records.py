"""Records as the package's own code reads them: a line becomes values, and a value what its column takes, or a fault.

`column.read` of the package decides on every value, as it does when an endpoint is asked. It is asked about each distinct
text once, since most columns have few; newer packages read good numbers by whole columns.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from .lines import LONGEST_LINE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = list[Any] | NDArray[np.float64]

_MOST_REMEMBERED = 100_000
_SHOWN = 2_000
_UNSENDABLE = re.compile("[\x00\n\r\ufeff\ufffd\ud800-\udfff]")
"""What splits a payload into other lines, or makes the model refuse all of it: no text of a record may hold it."""
_EXACT = 2**53
"""Up to which every whole number has a float of its own."""


@dataclass(frozen=True)
class Bad:
    """Why a record, or a value in it, cannot be scored."""

    reason: str


@dataclass
class Chunk:
    """Some lines of a file, read.

    Attributes:
        lines: the numbers of the records that can be scored.
        texts: of each input column their texts, as the transform is given them.
        values: of each key and each input column their values, in its type; None or NaN where missing.
        rejected: (line number, why, the record as far as it can be shown) of every other record.
        blank: how many lines held nothing.
    """

    lines: list[int] = field(default_factory=list)
    texts: list[Sequence[str]] = field(default_factory=list)
    values: list[Values] = field(default_factory=list)
    rejected: list[tuple[int, str, str]] = field(default_factory=list)
    blank: int = 0


Take = Callable[[str], "list[str] | Bad"]
"""The texts of the wanted fields of a line, in order."""


class Field(dict[str, Any]):
    """What a field makes of each text that it was asked about: its value, None where it is missing, or `Bad`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def all(self, texts: Sequence[str]) -> Values:
        """What it makes of each of them."""
        return [self[text] for text in texts]


class Input(Field):
    """A column that the model takes."""

    def __init__(self, column: Any, fault: type[Exception], names: frozenset[str]) -> None:
        super().__init__(column.name)
        self._column, self._fault, self._names = column, fault, names
        self.is_number = hasattr(column, "integer")
        self.is_whole = self.is_number and column.integer and max(-column.at_least, column.at_most) <= _EXACT

    def all(self, texts: Sequence[str]) -> Values:
        """Numbers at once, where all are good and the package's code can; otherwise one by one."""
        if hasattr(self._column, "read_all"):
            with suppress(self._fault):
                return np.asarray(self._column.read_all(texts))
        return super().all(texts)

    def __missing__(self, text: str) -> Any:
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        self[text] = value = self._read(text)
        return value

    def _read(self, text: str) -> Any:
        try:
            value = self._column.read(text)
        except self._fault as fault:
            return Bad(f"{self.name}: {fault}")
        if isinstance(value, float):
            if value != value:  # NaN: an optional number is missing
                return None
            return value
        if _UNSENDABLE.search(text):
            return Bad(f"{self.name}: a line break, or a character that is none")
        if (
            value in self._names
        ):  # as in a header among the records; in a payload's first line the model takes it for one
            return Bad(f"{self.name}: the name of a column")
        return value or None


class Key(Field):
    """A column that says whose the record is: any text, but not none."""

    def __missing__(self, text: str) -> Any:
        if _UNSENDABLE.search(text):
            return Bad(f"{self.name}: a line break, or a character that is none")
        return text or Bad(f"{self.name}: missing")


@dataclass(frozen=True)
class Reader:
    """How the records of a batch are read.

    Attributes:
        keys: the key columns that are no inputs.
        inputs: the input columns, in the order in which the model takes them.
    """

    keys: tuple[Key, ...]
    inputs: tuple[Input, ...]

    @classmethod
    def of(cls, inference: ModuleType, state: Mapping[str, Any], keys: Iterable[str]) -> Reader:
        """By the code and the state (`serving.json`) out of the package's artifact."""
        columns = inference.Encoder.from_state(state["encoder"]).columns
        names = frozenset(column.name for column in columns)
        inputs = tuple(Input(column, inference.Fault, names) for column in columns)
        return cls(tuple(Key(name) for name in keys if name not in names), inputs)

    @property
    def names(self) -> list[str]:
        """The fields that are wanted of a record: the keys, then the inputs."""
        return [column.name for column in (*self.keys, *self.inputs)]

    def taking(self, header: bytes | None) -> Take | Bad:
        """How lines are taken apart: CSV by its header, JSON lines where there is none; or why no line of the file can be."""
        if header is None:
            return _json_taker(self.names)
        fields = _csv_fields(_decoded(header))
        if isinstance(fields, Bad):
            return Bad(f"the file's header: {fields.reason}")
        lacking = [name for name in self.names if name not in fields]
        if lacking:
            return Bad(f"the file's header has no {', '.join(lacking)}")
        if repeated := sorted({name for name in self.names if fields.count(name) > 1}):
            return Bad(f"the file's header names {', '.join(repeated)} twice")
        return _csv_taker([fields.index(name) for name in self.names], len(fields))

    def read(self, lines: Iterable[tuple[int, bytes]], take: Take | Bad) -> Chunk:
        """Read lines; every one of them is in the chunk once: scored, rejected or blank."""
        chunk = Chunk()
        taken: list[tuple[int, bytes, list[str]]] = []
        for number, line in lines:
            if not line.strip():
                chunk.blank += 1
                continue
            found = _taken(line, take)
            if isinstance(found, Bad):
                chunk.rejected.append((number, found.reason, _shown(line)))
            else:
                taken.append((number, line, found))
        fields: tuple[Field, ...] = (*self.keys, *self.inputs)
        texts: list[Sequence[str]] = [*zip(*(found for _, _, found in taken), strict=True)] or [()] * len(fields)
        values = [field.all(given) for field, given in zip(fields, texts, strict=True)]
        if bad := _bad_rows(values):
            chunk.rejected += [(taken[row][0], reason, _shown(taken[row][1])) for row, reason in bad.items()]
            good = [row for row in range(len(taken)) if row not in bad]
            taken = [taken[row] for row in good]
            texts = [[each[row] for row in good] for each in texts]
            values = [each[good] if isinstance(each, np.ndarray) else [each[row] for row in good] for each in values]
        chunk.lines = [number for number, _, _ in taken]
        chunk.texts, chunk.values = texts[len(self.keys) :], values
        return chunk


def _bad_rows(values: Sequence[Values]) -> dict[int, str]:
    """By the rows that hold something bad, everything that is."""
    reasons: dict[int, list[str]] = {}
    for column in values:
        if not isinstance(column, np.ndarray) and Bad in set(map(type, column)):
            for row, value in enumerate(column):
                if isinstance(value, Bad):
                    reasons.setdefault(row, []).append(value.reason)
    return {row: "; ".join(found) for row, found in sorted(reasons.items())}


def _taken(line: bytes, take: Take | Bad) -> list[str] | Bad:
    if isinstance(take, Bad):
        return take
    if len(line) > LONGEST_LINE:
        return Bad(f"longer than {LONGEST_LINE:,} bytes")
    try:
        return take(line.decode())
    except UnicodeDecodeError:
        return Bad("not UTF-8")


def _decoded(line: bytes) -> str:
    return line.decode(errors="replace").removeprefix("\ufeff")


def _shown(line: bytes) -> str:
    return line[:_SHOWN].decode(errors="backslashreplace")


def _csv_fields(line: str) -> list[str] | Bad:
    """The fields of a line, without the spaces around them."""
    if '"' not in line:
        return [text.strip() for text in line.split(",")]
    try:
        [fields] = csv.reader([line], strict=True, skipinitialspace=True)
    except (csv.Error, ValueError) as error:
        return Bad(f"no CSV: {error}")
    return [text.strip() for text in fields]


def _csv_taker(positions: Sequence[int], width: int) -> Take:
    def take(line: str) -> list[str] | Bad:
        fields = _csv_fields(line)
        if isinstance(fields, Bad):
            return fields
        if len(fields) != width:
            return Bad(f"{len(fields)} fields where the header has {width}")
        return [fields[position] for position in positions]

    return take


def _json_taker(names: Sequence[str]) -> Take:
    def take(line: str) -> list[str] | Bad:
        try:
            record = json.loads(line.removeprefix("\ufeff"))
        except (ValueError, RecursionError) as error:
            return Bad(f"no JSON: {getattr(error, 'msg', error)}")
        if not isinstance(record, dict):
            return Bad("no JSON object")
        texts = []
        for name in names:
            text = _text(record[name]) if name in record else Bad("there is no such field")
            if isinstance(text, Bad):
                return Bad(f"{name}: {text.reason}")
            texts.append(text)
        return texts

    return take


def _text(value: object) -> str | Bad:
    """A JSON value as CSV spells it; the package's code reads both as the same."""
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        return Bad("neither text nor a number")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
