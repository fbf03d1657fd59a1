"""What a shadow test says: two models' answers to the same requests. Pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from common.errors import DataError
from common.evaluation.metrics import Values
from common.experiments.losses import Loss
from common.experiments.outcomes import Answer, Truth
from common.experiments.sequential import FEWEST_UNITS, Effect, Mean, Units, effect
from common.experiments.shift import Shift, shift

_SAME = 1e-4
"""Relative difference below which two predictions are one, as for golden predictions."""


@dataclass(frozen=True)
class Pairs:
    """Records that both variants answered, in the order of time.

    Attributes:
        units: the independent unit of each record, numbered as they first occur.
        same_label: whether both called the record the same; empty in a regression.
        truth: NaN where it is not known.
        requests: how many requests the records came in.
    """

    production: Values
    shadow: Values
    units: Units
    same_label: Values
    truth: Values
    requests: int


@dataclass(frozen=True)
class Quality:
    """Both models against the truth.

    Attributes:
        records: how many have a truth.
        change: of the mean loss from production to shadow; above 0 the shadow is worse.
    """

    loss: str
    records: int
    production: float
    shadow: float
    change: Effect


@dataclass(frozen=True)
class Comparison:
    """How the shadow's answers differ from production's.

    Attributes:
        records, requests, units: what was answered by both; units are what counts as independent.
        same: the share of records with equal predictions.
        same_label: the share of records that both call the same, with its interval; None in a regression.
        change: the mean of shadow minus production, in units of the prediction.
        typical, large, largest: the median, 95th percentile and maximum of the absolute differences.
        shift: between the distributions of the two models' predictions.
        quality: None where no truth is known.
    """

    records: int
    requests: int
    units: int
    same: float
    same_label: Effect | None
    change: Effect
    typical: float
    large: float
    largest: float
    shift: Shift
    quality: Quality | None


def pair(production: Iterable[Answer], shadow: Iterable[Answer], truth: Truth) -> Pairs:
    """Join the answers to the same requests, each of which is used once; those without a counterpart are left out.

    Two requests with equal bodies and no inference ids are joined in the order of time: equal bodies have equal answers.
    """
    waiting: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in shadow:
        waiting[answer.request].append(answer)
    for answers in waiting.values():
        answers.reverse()
    rows: list[tuple[float, float, int, float, float]] = []
    units: dict[str, int] = {}
    requests = 0
    for ours in production:
        if not waiting.get(ours.request):
            continue
        theirs = waiting[ours.request].pop()
        if len(theirs.predictions) != len(ours.predictions):
            continue
        requests += 1
        unit = units.setdefault(ours.unit, len(units))
        labels = [float(a == b) for a, b in zip(ours.labels, theirs.labels, strict=False)]
        known = truth.get(ours.event, ())
        count = len(ours.predictions)
        truths = known if len(known) == count else [np.nan] * count
        same = labels if len(labels) == count else [np.nan] * count
        rows += zip(ours.predictions, theirs.predictions, [unit] * count, same, truths, strict=True)
    table = np.array(rows, dtype=float).reshape(-1, 5)
    labelled = bool(rows) and not np.isnan(table[:, 3]).any()
    return Pairs(
        production=table[:, 0],
        shadow=table[:, 1],
        units=table[:, 2].astype(int),
        same_label=table[:, 3] if labelled else np.empty(0),
        truth=table[:, 4],
        requests=requests,
    )


def compare(pairs: Pairs, loss: Loss) -> Comparison:
    """Everything that the pairs say.

    Raises:
        DataError: there are too few of them.
    """
    units = len(np.unique(pairs.units))
    if units < FEWEST_UNITS:
        raise DataError(
            f"{pairs.requests} captured requests of {units} callers were answered by both variants; a comparison takes "
            f"{FEWEST_UNITS}.",
            "Wait for more traffic. SageMaker writes captured calls to S3 some minutes later.",
        )
    gap = pairs.shadow - pairs.production
    size = np.abs(gap)
    first = np.unique(pairs.units, return_index=True)[1]  # one of each unit: those of one resemble each other
    return Comparison(
        records=len(gap),
        requests=pairs.requests,
        units=units,
        same=float((size <= _SAME * np.maximum(1, np.abs(pairs.production))).mean()),
        same_label=effect(Mean.of(pairs.same_label, pairs.units)) if len(pairs.same_label) else None,
        change=effect(Mean.of(gap, pairs.units)),
        typical=float(np.median(size)),
        large=float(np.quantile(size, 0.95)),
        largest=float(size.max()),
        shift=shift(pairs.production[first], pairs.shadow[first]),
        quality=_quality(pairs, loss),
    )


def _quality(pairs: Pairs, loss: Loss) -> Quality | None:
    known = ~np.isnan(pairs.truth)
    if not known.any():
        return None
    truth = pairs.truth[known]
    before, after = (loss.of(truth, answers[known]) for answers in (pairs.production, pairs.shadow))
    change = effect(Mean.of(after - before, pairs.units[known]))
    return Quality(loss.name, int(known.sum()), float(before.mean()), float(after.mean()), change)


def course(pairs: Pairs, loss: Loss, looks: int = 40) -> Sequence[Effect]:
    """The change of the mean loss as it was known along the way, where there is truth: what a curve of it shows."""
    known = np.flatnonzero(~np.isnan(pairs.truth))
    truth, units = pairs.truth[known], pairs.units[known]
    change = loss.of(truth, pairs.shadow[known]) - loss.of(truth, pairs.production[known])
    if not len(known):
        return []
    ends = np.unique(np.geomspace(min(FEWEST_UNITS, len(known)), len(known), looks).astype(int))
    return [effect(Mean.of(change[:end], units[:end])) for end in ends]
