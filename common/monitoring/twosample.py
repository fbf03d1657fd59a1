"""Whether two samples of one column come from one distribution: tests that hold for few rows, ties and rare categories.

Each compares counts or ranks given the pooled sample, in which, where nothing has changed, every choice of rows is as likely
to be the window as any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_FEW_VALUES = 50
"""Different numbers up to which a column counts as discrete: the usual p-value of Kolmogorov and Smirnov knows no ties."""
_ENOUGH = 5
"""Expected count of each cell from which Pearson's statistic is near enough to its chi-squared distribution (Cochran, 1954)."""
_FIRST_DRAWS, _DRAWS = 199, 9999
_HOPELESS = 0.1
_COUNTS_AT_ONCE, _MOST_COUNTS = 2_000_000, 200_000_000
"""Of draws × different values: what is held in memory, and what is drawn at most."""
_SEED = 0

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Result:
    """A test's outcome.

    Attributes:
        effect: how different the samples are, between -1 and 1.
    """

    method: str
    statistic: float
    p: float
    effect: float


def numbers(before: NDArray[np.float64], now: NDArray[np.float64]) -> Result:
    """Kolmogorov's and Smirnov's test of two samples that are not empty; the effect is the distance, which is the statistic.

    Continuous columns have the usual approximate p-value, those with few different values one by draws.
    """
    levels = np.unique(np.concatenate([before, now]))
    below = [np.searchsorted(np.sort(side), levels, side="right") / len(side) for side in (before, now)]
    seen = float(np.abs(below[1] - below[0]).max())
    effective = round(len(before) * len(now) / (len(before) + len(now)))
    usual = float(stats.kstwo.sf(seen, max(effective, 1)))
    if len(levels) > _FEW_VALUES:
        return Result("Kolmogorov–Smirnov", seen, usual, seen)
    table = np.array([_counted(levels, side) for side in (before, now)])

    def distance(drawn: Counts) -> NDArray[np.float64]:
        left = table.sum(axis=0) - drawn
        gaps = drawn.cumsum(axis=-1) / len(now) - left.cumsum(axis=-1) / len(before)
        return np.asarray(np.abs(gaps).max(axis=-1))

    return Result("Kolmogorov–Smirnov by draws", seen, _by_draws(table, distance, usual), seen)


def categories(before: NDArray[Any], now: NDArray[Any]) -> Result:
    """Pearson's chi-squared test of two samples that are not empty; by draws where a category is rare.

    The effect is the total variation distance: the share of rows that are in other categories now.
    """
    levels = np.unique(np.concatenate([before, now]).astype(str))
    table = np.array([_counted(levels, side.astype(str)) for side in (before, now)])
    shares = table / table.sum(axis=1, keepdims=True)
    effect = float(np.abs(shares[1] - shares[0]).sum() / 2)
    if len(levels) < 2:
        return Result("chi-squared", 0.0, 1.0, 0.0)
    if len(levels) == 2:
        return Result("Fisher's exact test", effect, _fisher(table, "two-sided"), effect)
    expected = table.sum(axis=0) * len(now) / table.sum()

    def pearson(drawn: Counts) -> NDArray[np.float64]:
        # Given the pooled counts, the other row's deviations are the same with the opposite sign.
        whole = 1 + len(now) / len(before)
        return np.asarray(((drawn - expected) ** 2 / expected).sum(axis=-1) * whole)

    statistic = float(pearson(table[1]))
    p = float(stats.chi2.sf(statistic, len(levels) - 1))
    if min(expected.min(), (table.sum(axis=0) - expected).min()) >= _ENOUGH:
        return Result("chi-squared", statistic, p, effect)
    return Result("chi-squared by draws", statistic, _by_draws(table, pearson, p), effect)


def shares(
    before: int, of_before: int, now: int, of_now: int, alternative: Literal["two-sided", "greater"] = "two-sided"
) -> Result:
    """Fisher's exact test of whether a share of rows differs, or is greater now; the effect is by how much it rose."""
    rise = now / of_now - before / of_before
    table = np.array([[of_before - before, before], [of_now - now, now]])
    return Result("Fisher's exact test", rise, _fisher(table, alternative), rise)


def unseen(before: NDArray[Any], now: NDArray[Any]) -> Result:
    """Whether there are more rows of categories that were never seen before than were to be expected.

    Where nothing has changed, a new row is of an unseen category about as often as a row of the sample is the only one of
    its category (Good, The population frequencies of species, 1953).
    """
    known, counts = np.unique(before.astype(str), return_counts=True)
    strangers = int((~np.isin(now.astype(str), known)).sum())
    return shares(int((counts == 1).sum()), len(before), strangers, len(now), "greater")


def _counted(levels: NDArray[Any], values: NDArray[Any]) -> Counts:
    return np.bincount(np.searchsorted(levels, values), minlength=len(levels))


def _fisher(table: Counts, alternative: str) -> float:
    # Of (before, now) × (others, those): "greater" odds are more of those in the second row.
    return float(stats.fisher_exact(table, alternative=alternative).pvalue)


def _by_draws(table: Counts, statistic: Callable[[Counts], NDArray[np.float64]], smallest: float) -> float:
    """How often windows that are drawn from the pooled rows have a statistic at least as large.

    Few draws are enough to see that a difference is nothing. Where none of many reaches the statistic, they only say that p
    is small, and `smallest`, the approximate p-value, says how small.
    """
    random, seen, levels = np.random.default_rng(_SEED), float(statistic(table[1])), table.shape[1]
    most = max(_FIRST_DRAWS, min(_DRAWS, _MOST_COUNTS // levels))
    reached = drawn = 0
    while drawn < most:
        until = most if drawn >= _FIRST_DRAWS else _FIRST_DRAWS
        draws = min(until - drawn, max(_COUNTS_AT_ONCE // levels, 1))
        windows = random.multivariate_hypergeometric(table.sum(axis=0), int(table[1].sum()), draws, method="marginals")
        reached, drawn = reached + int((statistic(windows) >= seen * (1 - 1e-9)).sum()), drawn + draws
        if drawn >= _FIRST_DRAWS and (1 + reached) / (1 + drawn) > _HOPELESS:
            break
    p = (1 + reached) / (1 + drawn)
    return p if reached else min(p, smallest)
