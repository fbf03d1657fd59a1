"""Whether a classifier can tell a window's records from the training set's: the classifier two-sample test.

Columns can go together differently while each by itself looks as before. If a classifier tells the two sets apart better than
chance does, on records that it has not seen, they differ (Lopez-Paz and Oquab, Revisiting classifier two-sample tests, 2017;
Kim, Ramdas, Singh and Wasserman, Classification accuracy as a proxy for two-sample testing, 2021).

Ours is the nearest shrunken centroid (Tibshirani, Hastie, Narasimhan and Chu, PNAS 99, 2002) on columns and products of two
columns. It goes by few features and can name them; a classifier that goes by all finds half as much, since a joint difference
is mostly one of a pair or two among hundreds. It is cross-fitted: each record is scored by a classifier that was fitted on
others. The folds' scores depend on each other, and the usual variance of the AUC knows nothing of that. Its null distribution
is therefore that of the same cross-fitting after the records were dealt out anew to the two sets, which is exact. Ranks,
products and folds come from the pooled records, whichever set they belong to, so that a deal costs a multiplication of
matrices and no fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from .checks import Column
from .values import aligned

Floats = NDArray[np.float64]
Singles = NDArray[np.floating[Any]]

FEWEST_ROWS = 50
"""Of each side, below which nothing is said."""
_MOST_ROWS = 2500
_FOLDS = 5
_CATEGORIES, _RAREST = 6, 0.02
_PRODUCTS = 1000
_OUTERMOST = 6.0
_FIRST_DEALS, _DEALS, _HOPELESS = 39, 999, 0.1
_BATCH = 250
_BY_CHANCE = 0.001
_SEED = 0


@dataclass(frozen=True)
class Told:
    """How well the classifier tells the sets apart.

    Attributes:
        auc: on records that it has not seen; 0.5 is not at all, 1 always.
        p: how likely chance makes it that much.
        rows: how many records were compared (before, now).
        shares: by one or two columns' names, their share in what the classifier goes by; the greatest first.
    """

    auc: float
    p: float
    rows: tuple[int, int]
    shares: dict[tuple[str, ...], float]


@dataclass(frozen=True)
class _Features:
    """Records × features, each of mean 0 and variance 1, and for each feature its columns' positions."""

    values: Floats
    columns: tuple[tuple[int, ...], ...]


def tell_apart(before: pd.DataFrame, now: pd.DataFrame, columns: Sequence[Column]) -> Told:
    """Try to tell two sets of at least `FEWEST_ROWS` records apart by columns that both have."""
    sides = [drawn(side) for side in (before, now)]
    rows = len(sides[0]), len(sides[1])
    pooled = pd.concat([side[[column.name for column in columns]] for side in sides], ignore_index=True)
    features = _features([(aligned(pooled[column.name], column), column) for column in columns])
    if not features.columns:  # every column has one value: there is nothing to tell apart
        return Told(0.5, 1.0, rows, {})
    is_now = np.repeat([0.0, 1.0], rows)
    auc, p = _tested(features.values, is_now)
    return Told(auc, p, rows, _shares(features, is_now, [column.name for column in columns]))


def drawn(frame: pd.DataFrame) -> pd.DataFrame:
    """The records of one side that are compared: all, or as many as are enough."""
    if len(frame) <= _MOST_ROWS:
        return frame
    chosen = np.random.default_rng(_SEED).choice(len(frame), _MOST_ROWS, replace=False)
    return frame.iloc[np.sort(chosen)]


def _features(columns: Sequence[tuple[NDArray[np.generic], Column]]) -> _Features:
    """Each column's features, and the products of two columns' that are furthest from 0 on average.

    Two columns that go together on either side have such a product, whatever set the records belong to.
    """
    singles = [
        (position, feature)
        for position, (values, column) in enumerate(columns)
        for feature in (_of_number(values) if column.kind == "number" else _of_category(values))
    ]
    if not singles:
        return _Features(np.empty((0, 0)), ())
    values = _standardised(np.column_stack([feature for _, feature in singles]))
    owner = np.array([position for position, _ in singles])
    first, second = np.triu_indices(len(owner), 1)
    apart = owner[first] != owner[second]
    first, second = first[apart], second[apart]
    together = np.abs((values.T @ values)[first, second])
    chosen = np.argsort(-together, kind="stable")[:_PRODUCTS]
    first, second = first[chosen], second[chosen]
    products = np.clip(values[:, first] * values[:, second], -_OUTERMOST, _OUTERMOST)
    pairs = [(int(owner[one]), int(owner[other])) for one, other in zip(first, second, strict=True)]
    return _Features(np.hstack([values, _standardised(products)]), (*((int(each),) for each in owner), *pairs))


def _of_number(values: NDArray[np.generic]) -> list[Floats]:
    """A number's normal score, its square, and whether it is missing; what is the same everywhere is left out."""
    numbers = values.astype(float)
    missing = np.isnan(numbers)
    features = []
    known = numbers[~missing]
    if len(known) and np.ptp(known) > 0:
        score = np.zeros(len(numbers))
        score[~missing] = stats.norm.ppf((stats.rankdata(known) - 0.5) / len(known))
        features = [score] if len(np.unique(known)) == 2 else [score, score**2]
    return features + ([missing.astype(float)] if _RAREST < missing.mean() < 1 - _RAREST else [])


def _of_category(values: NDArray[np.generic]) -> list[Floats]:
    """Whether it is each of the most frequent categories (a gap is one); of two categories the one says all."""
    levels, code, counts = np.unique(values.astype(str), return_inverse=True, return_counts=True)
    frequent = [
        level for level in np.argsort(-counts, kind="stable")[:_CATEGORIES] if _is_told(counts[level], len(values))
    ]
    return [(code == level).astype(float) for level in frequent[: 1 if len(levels) == 2 else None]]


def _is_told(count: int, of: int) -> bool:
    return _RAREST < count / of < 1 - _RAREST


def _standardised(features: Floats) -> Floats:
    centred = features - features.mean(axis=0)
    deviations = centred.std(axis=0)
    return np.asarray(centred / np.where(deviations > 0, deviations, 1))


def _tested(values: Floats, is_now: Floats) -> tuple[float, float]:
    """The cross-fitted AUC, and how often deals of the records reach it; few deals show that a difference is nothing."""
    random = np.random.default_rng(_SEED)
    values = values.astype(np.float32)  # twice as fast, and all deals are rounded alike
    folds = random.permutation(len(values)) % _FOLDS
    auc = float(_aucs(values, is_now[:, np.newaxis].astype(np.float32), folds)[0])
    reached = dealt = 0
    while dealt < _DEALS:
        count = min(_BATCH, _DEALS - dealt) if dealt else _FIRST_DEALS
        deals = np.column_stack([random.permutation(is_now) for _ in range(count)]).astype(np.float32)
        reached, dealt = reached + int((_aucs(values, deals, folds) >= auc).sum()), dealt + count
        if dealt == _FIRST_DEALS and (1 + reached) / (1 + dealt) > _HOPELESS:
            break
    return auc, (1 + reached) / (1 + dealt)


def _aucs(values: Singles, deals: Singles, folds: NDArray[np.int64]) -> Floats:
    """The cross-fitted AUC of each deal, a column that is 1 for the records of the window."""
    scores = np.empty_like(deals)
    for fold in range(_FOLDS):
        out = folds == fold
        scores[out] = values[out] @ _weights(values[~out], deals[~out])
    inside = deals.sum(axis=0, dtype=float)
    above = np.array(
        [np.flatnonzero(deal[order]).sum() for deal, order in zip(deals.T, scores.argsort(axis=0).T, strict=True)]
    )
    return np.asarray((above - inside * (inside - 1) / 2) / (inside * (len(deals) - inside)))


def _weights(values: Singles, deals: Singles) -> Singles:
    """Features × deals: how far apart the two sets' means are, in standard errors, beyond what chance makes of so many.

    The largest of k such differences is about √(2 ln k) by chance (Donoho and Johnstone, 1994). Where none is larger, the
    classifier goes by the largest.
    """
    centred = deals - deals.mean(axis=0)
    apart = values.T @ centred / np.sqrt((centred**2).sum(axis=0))
    size = np.abs(apart)
    threshold = np.minimum(np.sqrt(2 * np.log(len(apart))), 0.8 * size.max(axis=0))
    weights = np.sign(apart) * np.maximum(size - threshold, 0)
    # Of one length in every fold, since the folds' scores are ranked together.
    return np.asarray(weights / np.maximum(np.sqrt((weights**2).sum(axis=0)), np.finfo(np.float32).tiny))


def _shares(features: _Features, is_now: Floats, names: Sequence[str]) -> dict[tuple[str, ...], float]:
    """What the classifier of all records goes by: the distance between the sets' mean scores, feature by feature.

    Named is the feature that is furthest apart, and those that would be found if each were tested alone, among so many.
    """
    centred = is_now - is_now.mean()
    apart = features.values.T @ centred / np.sqrt((centred**2).sum())
    size = np.abs(apart)
    certain = size >= min(stats.norm.isf(_BY_CHANCE / len(size) / 2), size.max())
    parts = np.where(certain, apart * _weights(features.values, is_now[:, np.newaxis])[:, 0], 0)
    shares: dict[tuple[str, ...], float] = {}
    for columns, part in zip(features.columns, parts.tolist(), strict=True):
        if part > 0:
            key = tuple(names[column] for column in columns)
            shares[key] = shares.get(key, 0.0) + part / float(parts.sum())
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
