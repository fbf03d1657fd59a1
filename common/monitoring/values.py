"""What raw records hold in a column: values, gaps, and what is neither."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .checks import Column

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""What counts as no value, in any case; the same as in `common/serving/inference.py`."""
_LONGEST = 256
"""Characters of a category that are compared: NumPy makes every text as long as the longest."""
_LARGEST = 3.4028234663852886e38  # of 32 bits, in which XGBoost computes


@dataclass(frozen=True)
class Values:
    """A column of raw records.

    Attributes:
        present: the values: floats, also those out of bounds, or categories as text. No gaps.
        rows: of all records.
        missing, faulty: how many records have no value, or one that the column does not declare. A number that is out of
            bounds is both faulty and present.
        faults: the faults by what they are, with examples, e.g. `above 1.5 (455, 365)`; the most frequent first.
    """

    present: NDArray[Any]
    rows: int
    missing: int
    faulty: int
    faults: tuple[str, ...]


def read(raw: pd.Series[Any], column: Column) -> Values:
    """The values of a column's raw records, text or typed."""
    return _numbers(raw, column) if column.kind == "number" else _categories(raw, column)


def aligned(raw: pd.Series[Any], column: Column) -> NDArray[Any]:
    """Each record's value in its place: NaN where there is no number, `""` where there is no category."""
    if column.kind == "number":
        return _spelled(raw)[0]
    texts = [text(value) for value in raw.tolist()]
    return np.array(
        [each if each in column.values or each.lower() not in MISSING else "" for each in texts], dtype=object
    )


def text(value: object) -> str:
    """A value as text: without spaces around it, a whole number without its point, and of a long one the beginning."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a category that JSON or a data frame has made a number: 415.0
    return str(value).strip()[:_LONGEST]


def _spelled(raw: pd.Series[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The numbers, NaN where there is none, and where there is no value at all."""
    if raw.dtype.kind in "fiu":
        numbers = raw.to_numpy(dtype=float)
        return numbers, np.isnan(numbers)
    values = raw.tolist()
    numbers = np.full(len(values), math.nan)
    if set(map(type, values)) <= {str, float, int, type(None)}:  # no booleans, which pandas takes for 0 and 1
        with suppress(OverflowError):  # JSON knows whole numbers of any length
            numbers = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").to_numpy(dtype=float, copy=True)
    missing = np.zeros(len(values), dtype=bool)
    for row in np.flatnonzero(np.isnan(numbers)).tolist():
        spelled = text(values[row]).lower()
        missing[row] = spelled in MISSING
        numbers[row] = _number(spelled)
    return numbers, missing


def _number(spelled: str) -> float:
    try:
        return float(spelled.replace("_", "?"))  # Python reads 1_000, which is a number in nobody's data
    except ValueError:
        return math.nan


def _numbers(raw: pd.Series[Any], column: Column) -> Values:
    numbers, missing = _spelled(raw)
    unread, infinite = np.isnan(numbers), np.abs(numbers) > _LARGEST
    fractional = np.where(unread | infinite, 0, numbers) % 1 != 0
    kinds = {
        "no number": unread & ~missing,
        "infinite": infinite,
        "not whole": fractional & column.integer,
        f"below {column.at_least}": ~infinite & (numbers < (-math.inf if column.at_least is None else column.at_least)),
        f"above {column.at_most}": ~infinite & (numbers > (math.inf if column.at_most is None else column.at_most)),
    }
    faulty = np.logical_or.reduce(list(kinds.values()))
    return Values(
        present=numbers[~unread & ~infinite],
        rows=len(raw),
        missing=int(missing.sum()),
        faulty=int(faulty.sum()),
        faults=_faults([(kind, raw[rows]) for kind, rows in kinds.items()]),
    )


def _categories(raw: pd.Series[Any], column: Column) -> Values:
    texts = aligned(raw, column)
    present = texts[texts != ""]
    unknown = [each for each in present if each not in column.values] if column.values else []
    return Values(
        present=present,
        rows=len(raw),
        missing=len(texts) - len(present),
        faulty=len(unknown),
        faults=_faults([(f"none of {', '.join(column.values)}", unknown)]),
    )


def _faults(found: Sequence[tuple[str, Sequence[object] | pd.Series[Any]]]) -> tuple[str, ...]:
    lines = []
    for kind, values in sorted(found, key=lambda each: -len(each[1])):
        if len(values):
            examples = list(dict.fromkeys(f"{v:g}" if isinstance(v, float) else text(v)[:40] for v in values))[:3]
            lines.append(f"{kind} ({', '.join(examples)})")
    return tuple(lines)
