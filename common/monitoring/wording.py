"""Differences between the training records and a window's, in words that a person understands."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from .checks import Column
from .findings import PREDICTION
from .values import Values, aligned

Floats = NDArray[np.float64]

_MOVED = 0.15
"""Of the middle half's width: from where on a median counts as moved."""
_WIDER = 1.25
_EXAMPLES = 3
_SAME_CORRELATION = 0.1
_FEWEST = 20


def share(value: float) -> str:
    """`12 %`, `1.3 %`, `0.04 %`"""
    percent = 100 * value
    digits = 0 if percent >= 10 or percent == 0 else 1 if percent >= 1 else 2
    return f"{percent:.{digits}f} %"


def figure(value: float) -> str:
    """A value with three digits: `0.0123`, `4.57`, `12,346`."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def named(feature: str) -> str:
    """How a sentence calls a column, or the predictions."""
    return "the prediction" if feature == PREDICTION else f"'{feature}'"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def numbers_words(feature: str, before: Floats, now: Floats) -> str:
    """How a number's values differ: they are higher or lower, spread more or less, or have gathered somewhere else."""
    (low, middle, high), (low_now, middle_now, high_now) = (
        np.quantile(side, [0.25, 0.5, 0.75]).tolist() for side in (before, now)
    )
    if now.min() == now.max():
        lay = f"half of the values lay between {figure(low)} and {figure(high)}"
        return _sentence(f"{named(feature)} is {figure(middle_now)} in all records, before {lay}.")
    width, width_now = high - low, high_now - low_now
    facts = []
    if abs(middle_now - middle) > _MOVED * width:
        direction = "higher" if middle_now > middle else "lower"
        facts.append(
            f"is {direction}: half of the values are below {figure(middle_now)}, before it was {figure(middle)}"
        )
    if width and not 1 / _WIDER < width_now / width < _WIDER:
        spread = "varies more" if width_now > width else "varies less"
        facts.append(
            f"{spread}: the middle half of the values lies between {figure(low_now)} and {figure(high_now)}, "
            f"before between {figure(low)} and {figure(high)}"
        )
    if not facts:
        at, share_before, share_now = _furthest(before, now)
        more = "more" if share_now > share_before else "fewer"
        facts.append(
            f"has {more} low values: {share(share_now)} are at most {figure(at)}, before {share(share_before)} were"
        )
    return _sentence(f"{named(feature)} {'; it '.join(facts)}.")


def _furthest(before: Floats, now: Floats) -> tuple[float, float, float]:
    """The value where the shares of values up to it differ most, and these shares."""
    levels = np.unique(np.concatenate([before, now]))
    shares = [np.searchsorted(np.sort(side), levels, side="right") / len(side) for side in (before, now)]
    at = int(np.abs(shares[1] - shares[0]).argmax())
    return float(levels[at]), float(shares[0][at]), float(shares[1][at])


def categories_words(feature: str, before: NDArray[Any], now: NDArray[Any]) -> str:
    """The categories whose shares moved most."""
    sides = [pd.Series(side.astype(str)).value_counts(normalize=True) for side in (before, now)]
    shares = pd.concat(sides, axis=1, keys=["before", "now"]).fillna(0.0)
    shares["gap"] = (shares["now"] - shares["before"]).abs()
    moved = shares[shares["gap"] >= shares["gap"].max() / 2].sort_values("gap", ascending=False, kind="stable")
    told = [
        f"'{name}' is {share(new)}, before {share(old)}"
        for name, old, new in zip(moved.index, moved["before"], moved["now"], strict=True)
    ][:_EXAMPLES]
    return f"The categories of {named(feature)} are distributed differently: {'; '.join(told)}."


def unit_words(feature: str, before: Floats, now: Floats, unit: str) -> str:
    """A change of unit."""
    middles = [figure(float(np.median(side))) for side in (before, now)]
    return (
        f"{named(feature)} looks like another unit, as from {unit}: half of the values are below {middles[1]}, "
        f"before it was {middles[0]}."
    )


def missing_words(feature: str, before: Values, now: Values) -> str:
    """Gaps."""
    shares = [share(side.missing / side.rows) for side in (before, now)]
    return f"{named(feature)} is empty in {shares[1]} of the records, before in {shares[0]}."


def faulty_words(feature: str, now: Values) -> str:
    """Values that the model does not declare."""
    return (
        f"{now.faulty:,} of {now.rows:,} values of {named(feature)} are not what the model declares: "
        f"{'; '.join(now.faults)}."
    )


def unseen_words(feature: str, before: Values, now: Values) -> str:
    """Categories that are new."""
    strange = pd.Series(now.present[~np.isin(now.present.astype(str), before.present.astype(str))].astype(str))
    counts = strange.value_counts()
    names = ", ".join(f"'{name}'" for name in counts.index[:_EXAMPLES]) + (", …" if len(counts) > _EXAMPLES else "")
    some = "a category" if len(counts) == 1 else f"{len(counts)} categories"
    records = f"in {share(len(strange) / now.rows)} of the records"
    return f"{named(feature)} has {some} that no training record had, {records}: {names}."


def together_words(before: pd.DataFrame, now: pd.DataFrame, columns: tuple[Column, ...]) -> str:
    """How a column differs, or how two columns go together differently."""
    if len(columns) == 1:
        return f"{named(columns[0].name)} is distributed differently."
    kinds = {column.kind for column in columns}
    if kinds == {"number"}:
        return _two_numbers(before, now, *columns)
    if kinds == {"category"}:
        return _two_categories(before, now, *columns)
    number, category = sorted(columns, key=lambda column: column.kind, reverse=True)
    return _number_by_category(before, now, number, category)


def _two_numbers(before: pd.DataFrame, now: pd.DataFrame, one: Column, other: Column) -> str:
    old, new = (_rank_correlation(side, one, other) for side in (before, now))
    lead = f"'{one.name}' and '{other.name}' go together differently"
    if abs(new - old) < _SAME_CORRELATION:
        return f"{lead}: not by rising together more or less (rank correlation {new:+.2f}, before {old:+.2f})."
    return f"{lead}: {_in_words(new)} (rank correlation {new:+.2f}), before {_in_words(old)} ({old:+.2f})."


def _in_words(correlation: float) -> str:
    if abs(correlation) < _SAME_CORRELATION:
        return "they have nothing to do with each other"
    closely = "closely " if abs(correlation) > 0.6 else "loosely " if abs(correlation) < 0.3 else ""
    return f"one {closely}{'rises' if correlation > 0 else 'falls'} as the other rises"


def _rank_correlation(side: pd.DataFrame, one: Column, other: Column) -> float:
    first, second = (aligned(side[column.name], column).astype(float) for column in (one, other))
    both = ~np.isnan(first) & ~np.isnan(second)
    if min(len(np.unique(first[both])), len(np.unique(second[both]))) < 2:
        return 0.0
    return float(stats.spearmanr(first[both], second[both]).statistic)


def _two_categories(before: pd.DataFrame, now: pd.DataFrame, one: Column, other: Column) -> str:
    shares = []
    for side in (before, now):
        pairs = zip(aligned(side[one.name], one), aligned(side[other.name], other), strict=True)
        counts = Counter(pairs)
        shares.append({pair: count / len(side) for pair, count in counts.items()})
    old, new = shares
    furthest = max(sorted(old.keys() | new.keys()), key=lambda pair: abs(new.get(pair, 0.0) - old.get(pair, 0.0)))
    return (
        f"'{one.name}' and '{other.name}' go together differently: {share(new.get(furthest, 0.0))} of the records have "
        f"'{furthest[0]}' with '{furthest[1]}', before {share(old.get(furthest, 0.0))}."
    )


def _number_by_category(before: pd.DataFrame, now: pd.DataFrame, number: Column, category: Column) -> str:
    old, new = (_medians(side, number, category) for side in (before, now))
    lead = f"'{number.name}' and '{category.name}' go together differently"
    both = sorted(old.keys() & new.keys())
    if not both:
        return f"{lead}."
    furthest = max(both, key=lambda name: abs(new[name] - old[name]))
    return (
        f"{lead}: where '{category.name}' is '{furthest}', half of the values of '{number.name}' are below "
        f"{figure(new[furthest])}, before below {figure(old[furthest])}."
    )


def _medians(side: pd.DataFrame, number: Column, category: Column) -> dict[str, float]:
    """The median of a number for each category that is not rare."""
    values, names = aligned(side[number.name], number).astype(float), aligned(side[category.name], category)
    known = ~np.isnan(values)
    counts = Counter(names[known].tolist())
    return {
        name: float(np.median(values[known & (names == name)])) for name, count in counts.items() if count >= _FEWEST
    }
