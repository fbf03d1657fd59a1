"""Checks of readings, customer by customer: a customer whose readings cannot be trusted is set aside, with the reason.

Repaired and counted are rows in another order than that of time, rows that were delivered twice, and times in other zones
than UTC. Whatever would have to be guessed is not repaired: one reading without a time, one value that is no number or lies
beyond the declared bounds, one instant with two different values, and the whole customer is set aside.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .readings import iso_time
from .series import Series, Unfit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Texts = NDArray[np.object_]
    Flags = NDArray[np.bool_]
    Numbers = NDArray[np.float64]

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""What can name a customer, since it names a file, an object in S3 and the target of a request."""
_DECIMALS = 6
"""Of a day: a tenth of a second."""
_LARGEST = 1e100
"""Beyond it, squares are infinite."""
_MICROSECONDS = 86_400e6
_OTHER_ZONE = re.compile(r".*[+-](?!00:?(?:00)?$)\d\d:?(?:\d\d)?")
_ZONE_CHARACTERS, _DATE_CHARACTERS = 6, 10
_SHORTEST_DATE = 8
"""Characters: 20250131, or 2025-1-1."""
_FIRST_DAY, _END = (float((when - datetime(1970, 1, 1)).days) for when in (datetime.min, datetime.max))
"""Of the calendar, whose last day is not used: a time in UTC beyond them cannot be told."""


@dataclass(frozen=True)
class Limits:
    """What readings are held against.

    Attributes:
        at_least, at_most: the bounds of a value.
        ceiling: the time from which on readings lie in the future, in days since 1970-01-01T00:00Z.
        least_rows: a customer with fewer readings is set aside.
    """

    at_least: float = -math.inf
    at_most: float = math.inf
    ceiling: float = math.inf
    least_rows: int = 14


class Checked(NamedTuple):
    """What became of some customers.

    Attributes:
        series: the clean readings of those that passed.
        set_aside: why each of the others did not.
        counts: `rows` that came; `duplicates` that were dropped and rows in `other_time_zones` that were converted;
            `unsorted` customers.
    """

    series: list[Series]
    set_aside: dict[str, str]
    counts: dict[str, int]


class _Rows(NamedTuple):
    """Readings row by row, and whose they are (`code`, an index of `names`)."""

    names: list[str]
    codes: NDArray[np.intp]
    times: Texts
    texts: Texts
    days: Numbers
    values: Numbers

    def take(self, which: Any) -> _Rows:
        return _Rows(self.names, *(column[which] for column in self[1:]))

    def starts(self) -> NDArray[np.intp]:
        """The first row of each customer; rows are sorted by customer."""
        return np.flatnonzero(np.r_[True, np.diff(self.codes) != 0])[: len(self.codes)]


def clean_customer(customer: str, timestamps: Sequence[str], values: Sequence[str], limits: Limits) -> Series | Unfit:
    """The clean readings of one customer, or why there are none."""
    checked = check_customers([customer] * len(timestamps), timestamps, values, limits)
    if checked.series:
        return checked.series[0]
    return Unfit(checked.set_aside.get(customer, "it has no readings"))


def check_customers(
    customers: Sequence[str], timestamps: Sequence[str], values: Sequence[str], limits: Limits
) -> Checked:
    """Check readings as a source spells them, row by row. A time without a zone is in UTC."""
    codes, names = pd.factorize(np.asarray(customers, dtype=object))
    times, texts = np.asarray(timestamps, dtype=object), np.asarray(values, dtype=object)
    rows = _Rows(names.tolist(), codes, times, texts, _days(times), _numbers(texts))
    counts = {"rows": len(times), "other_time_zones": _count_other_zones(times)}

    reasons = {code: _unusable(name) for code, name in enumerate(rows.names) if not ID.fullmatch(name)}
    rows = _without(rows, reasons)
    for flags, tell in _row_faults(rows, limits):
        for code, (where, many) in _by_customer(rows, flags & ~np.isin(rows.codes, list(reasons))).items():
            reasons[code] = tell(where, many)
    rows, counts["unsorted"] = _in_order(_without(rows, reasons))
    rows, counts["duplicates"] = _once(rows)
    reasons |= _conflicts(rows)
    rows = _without(rows, reasons)
    reasons |= _uninformative(rows, limits)
    series = list(_series(_without(rows, reasons)))
    return Checked(series, {rows.names[code]: reason for code, reason in sorted(reasons.items())}, counts)


def _row_faults(rows: _Rows, limits: Limits) -> Iterator[tuple[Flags, Callable[[NDArray[np.intp], int], str]]]:
    """What can be wrong with single readings: (which ones are; what is said of a customer's faulty rows, and how many
    rows it has).
    """
    times, texts, days, values = rows.times, rows.texts, rows.days, rows.values
    timeless, missing = np.isnan(days), np.isnan(values)
    no_time, no_value = timeless & (times == ""), missing & (texts == "")
    not_a_number = missing & ~no_value
    not_a_number[not_a_number] = [text.strip().lower() == "nan" for text in texts[not_a_number]]
    highest, lowest = min(limits.at_most, _LARGEST), max(limits.at_least, -_LARGEST)

    yield no_time, lambda where, many: f"no time {_told(where, many)}"
    yield (
        timeless,
        lambda where, many: f"an unreadable time {_told(where, many)}, e.g. {_quoted(times[where[0]])}",
    )
    yield no_value, lambda where, many: f"no value {_told(where, many)}"
    yield not_a_number, lambda where, many: f"NaN {_told(where, many)}"
    yield missing, lambda where, many: f"no number {_told(where, many)}, e.g. {_quoted(texts[where[0]])}"
    yield np.isinf(values), lambda where, many: f"an infinite value {_told(where, many)}"
    yield (
        values < lowest,
        lambda where, many: f"a value below {lowest:,g} {_told(where, many)}; the lowest is {values[where].min():g}",
    )
    yield (
        values > highest,
        lambda where, many: f"a value above {highest:,g} {_told(where, many)}; the highest is {values[where].max():g}",
    )
    yield (
        days >= limits.ceiling,
        lambda where, many: (
            f"a time in the future {_told(where, many)}: the last is of {iso_time(days[where].max())}, "
            f"and none can be of {iso_time(limits.ceiling)} or later"
        ),
    )


def _told(where: NDArray[np.intp], many: int) -> str:
    return f"in {len(where)} of {many} reading{'s' if many > 1 else ''}"


def _by_customer(rows: _Rows, flags: Flags) -> dict[int, tuple[NDArray[np.intp], int]]:
    """(its flagged rows, how many rows it has at all) of each customer that has any."""
    where = np.flatnonzero(flags)
    found = rows.codes[where]
    counts = np.bincount(rows.codes, minlength=len(rows.names)) if len(where) else np.zeros(0, dtype=np.intp)
    return {int(code): (where[found == code], int(counts[code])) for code in np.unique(found)}


def _in_order(rows: _Rows) -> tuple[_Rows, int]:
    """(the rows by customer and time; how many customers had theirs in another order)."""
    together, before = np.diff(rows.codes) == 0, np.diff(rows.days) < 0
    unsorted = len(np.unique(rows.codes[1:][together & before]))
    if not unsorted and bool(np.all(np.diff(rows.codes) >= 0)):
        return rows, 0
    return rows.take(np.lexsort((rows.values, rows.days, rows.codes))), unsorted


def _once(rows: _Rows) -> tuple[_Rows, int]:
    """(the rows without those that repeat the row before; how many did)."""
    repeats = np.r_[False, _same_time(rows) & (np.diff(rows.values) == 0)][: len(rows.codes)]
    return rows.take(~repeats), int(repeats.sum())


def _conflicts(rows: _Rows) -> dict[int, str]:
    """Which customers have two values for one time: nobody can say which one is true."""
    where = np.flatnonzero(_same_time(rows))
    codes = rows.codes[where]
    return {
        int(code): f"two values for one time, {(codes == code).sum()} times, first on "
        f"{iso_time(float(rows.days[where[codes == code][0]]))}"
        for code in np.unique(codes)
    }


def _same_time(rows: _Rows) -> Flags:
    """Of each row but the first, whether it is of the customer and time of the row before."""
    return np.asarray((np.diff(rows.codes) == 0) & (np.diff(rows.days) == 0))


def _uninformative(rows: _Rows, limits: Limits) -> dict[int, str]:
    """Which customers have nothing that a model could learn from."""
    starts = rows.starts()
    if not len(starts):
        return {}
    counts = np.diff(np.r_[starts, len(rows.codes)])
    lowest, highest = np.minimum.reduceat(rows.values, starts), np.maximum.reduceat(rows.values, starts)
    reasons = {}
    for i in np.flatnonzero((counts < limits.least_rows) | (lowest == highest)).tolist():
        few = f"{counts[i]} reading{'s' if counts[i] > 1 else ''}, and at least {limits.least_rows} are needed"
        constant = f"all {counts[i]} values are {lowest[i]:g}"
        reasons[int(rows.codes[starts[i]])] = few if counts[i] < limits.least_rows else constant
    return reasons


def _series(rows: _Rows) -> Iterator[Series]:
    starts = rows.starts().tolist()
    for start, end in pairwise([*starts, len(rows.codes)]):
        yield Series(rows.names[rows.codes[start]], rows.days[start:end], rows.values[start:end])


def _without(rows: _Rows, reasons: dict[int, str]) -> _Rows:
    return rows.take(~np.isin(rows.codes, list(reasons))) if reasons else rows


def _unusable(name: str) -> str:
    if not name:
        return "it has no id"
    return f"its id {_quoted(name)} cannot name a file: letters, digits, '_', '.' and '-', at most 100, can"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")


def _days(times: Texts) -> Numbers:
    """Days since 1970-01-01T00:00Z; NaN where a text spells no time."""
    read = pd.to_datetime(pd.Series(times, dtype=object), format="ISO8601", utc=True, errors="coerce")
    microseconds = read.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    days = np.asarray(microseconds.astype(np.int64) / _MICROSECONDS)
    unread = np.flatnonzero(np.isnat(microseconds))
    days[unread] = [
        _day(text) for text in times[unread]
    ]  # pandas reads no year beyond 2262, which is a time all the same
    # It also takes `now` for a time, and a year for its first day.
    dated = np.array([text[:1].isdigit() and len(text) >= _SHORTEST_DATE for text in times], dtype=bool)
    return np.asarray(np.where(dated & (days >= _FIRST_DAY) & (days < _END), days, math.nan).round(_DECIMALS))


def _day(text: str) -> float:
    try:
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return math.nan
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (when - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() / 86_400


def _count_other_zones(times: Texts) -> int:
    ends = [text[-_ZONE_CHARACTERS:] if len(text) > _DATE_CHARACTERS else "" for text in times]
    codes, distinct = pd.factorize(np.asarray(ends, dtype=object))
    others = [code for code, end in enumerate(distinct) if _OTHER_ZONE.fullmatch(end)]
    return int(np.isin(codes, others).sum())


def _numbers(texts: Texts) -> Numbers:
    """The numbers that the texts spell; NaN where one spells none."""
    return np.asarray(pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce"), dtype=np.float64)
