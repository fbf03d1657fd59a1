"""How the training data differ from those of the champion: rows, columns, missing values, categories and drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

Size = Literal["none", "small", "large"]

SMALL, LARGE = 0.1, 0.25
"""From which index a drift counts as small and as large: the customary bounds of the population stability index."""
_CHANCE = 0.99


@dataclass(frozen=True)
class ColumnChange:
    """How the values of one column differ.

    Attributes:
        missing: the share of missing values (before, now).
        drift: the population stability index (see `stability_index`).
        size: that index in words; `none` also where rows drawn from the same source would differ as much.
        new, vanished: categories that only the new or only the champion's rows have, in order; empty for numbers.
    """

    name: str
    missing: tuple[float, float]
    drift: float
    size: Size
    new: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataChange:
    """What is different in the data since the champion was trained.

    Attributes:
        versions: data versions (before, now).
        rows: by set, how many (before, now).
        columns: those that both have, the greatest drift first.
        added, removed: columns that only the new or only the champion's rows have.
    """

    versions: tuple[str, str]
    rows: Mapping[str, tuple[int, int]]
    columns: tuple[ColumnChange, ...]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether both were trained on the very same data version."""
        return self.versions[0] == self.versions[1]


def compare_data(
    before: pd.DataFrame, now: pd.DataFrame, manifest_before: Mapping[str, Any], manifest: Mapping[str, Any]
) -> DataChange:
    """Compare the champion's raw training rows with the new ones.

    Args:
        before, now: rows with their label; numbers in numeric columns, categories as text, missing values as NaN or "".
        manifest_before, manifest: of their data versions; `version` and `rows` are read.
    """
    common = [str(name) for name in now.columns if name in before.columns]
    columns = [_compare(name, before[name], now[name]) for name in common]
    rows_before, rows = manifest_before["rows"], manifest["rows"]
    return DataChange(
        versions=(manifest_before["version"], manifest["version"]),
        rows={name: (rows_before.get(name, 0), count) for name, count in rows.items()},
        columns=tuple(sorted(columns, key=lambda column: -column.drift)),
        added=tuple(str(name) for name in now.columns if name not in before.columns),
        removed=tuple(str(name) for name in before.columns if name not in now.columns),
    )


def _compare(name: str, before: pd.Series[Any], now: pd.Series[Any]) -> ColumnChange:
    numeric = before.dtype.kind in "fiu" and now.dtype.kind in "fiu"
    gone, going = _missing(before), _missing(now)
    known, fresh = before[~gone], now[~going]
    if numeric:
        counts = _binned(known.to_numpy(float), fresh.to_numpy(float))
        new: tuple[str, ...] = ()
        vanished: tuple[str, ...] = ()
    else:
        known, fresh = known.astype(str), fresh.astype(str)
        counts, categories = _counted(known, fresh)
        new = tuple(c for c, was in zip(categories, counts[0], strict=True) if not was)
        vanished = tuple(c for c, still in zip(categories, counts[1], strict=True) if not still)
    counts = np.column_stack([counts, [gone.sum(), going.sum()]])
    drift, chance = stability_index(counts[0], counts[1]), _index_by_chance(counts[0], counts[1])
    size: Size = "none" if drift < max(SMALL, chance) else "small" if drift < LARGE else "large"
    return ColumnChange(name, (_share(gone), _share(going)), drift, size, new, vanished)


def stability_index(before: npt.NDArray[Any], now: npt.NDArray[Any]) -> float:
    """The population stability index of rows counted in the same bins: Σ (q - p) · ln(q / p).

    p and q are the shares of a bin before and now. Half a row is added to each count, so that an empty bin has a
    logarithm. Without any row on either side it is 0.
    """
    occupied = (before + now) > 0
    if not before.sum() or not now.sum():
        return 0.0
    p, q = ((counts[occupied] + 0.5) / (counts[occupied] + 0.5).sum() for counts in (before, now))
    return float(((q - p) * np.log(q / p)).sum())


def _index_by_chance(before: npt.NDArray[Any], now: npt.NDArray[Any]) -> float:
    """The index that 99 of 100 pairs of samples from one source stay below.

    For samples of n and m rows in k bins it is about (1/n + 1/m) times chi-squared with k - 1 degrees of freedom
    (Yurdakul and Naranjo, Statistical properties of the population stability index, 2020).
    """
    # Imported here because it takes a third of a second, and whoever reads a report's types needs none of it.
    from scipy.stats import chi2

    freedom = int(((before + now) > 0).sum()) - 1
    if freedom < 1 or not before.sum() or not now.sum():
        return 0.0
    return float(chi2.ppf(_CHANCE, freedom) * (1 / before.sum() + 1 / now.sum()))


def _binned(before: npt.NDArray[np.float64], now: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Rows (before, now) by the champion's deciles, with a bin on either side for what it never saw."""
    if not len(before):
        return np.array([[0], [len(now)]])
    inner = np.quantile(before, np.linspace(0.1, 0.9, 9))
    edges = np.unique([np.nextafter(before.min(), -np.inf), *inner, before.max()])
    return np.array([np.bincount(np.searchsorted(edges, side), minlength=len(edges) + 1) for side in (before, now)])


def _counted(before: pd.Series[Any], now: pd.Series[Any]) -> tuple[npt.NDArray[Any], list[str]]:
    """Rows (before, now) of each category, and the categories in order."""
    counts = [side.value_counts() for side in (before, now)]
    categories = sorted(set(counts[0].index) | set(counts[1].index))
    return np.array([side.reindex(categories, fill_value=0).to_numpy() for side in counts]), categories


def _missing(values: pd.Series[Any]) -> pd.Series[bool]:
    return values.isna() | (values == "")


def _share(missing: pd.Series[bool]) -> float:
    return float(missing.mean()) if len(missing) else 0.0
