"""What an A/B test says: outcomes of callers who were dealt to different models. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from common.errors import DataError
from common.evaluation.metrics import Values
from common.experiments.losses import Loss
from common.experiments.outcomes import Answer, Truth
from common.experiments.sequential import ALPHA, FEWEST_UNITS, Effect, Mean, Units, difference, is_mismatch

_LOOKS = 40


@dataclass(frozen=True)
class Outcomes:
    """What one variant's answers lost against the truth, in the order of time.

    Attributes:
        loss: of each record.
        units: the independent unit of each record, as numbers that are those of this arm only.
        order: when each record was answered, as a rank over all arms.
        answered: requests that were captured, with truth or without.
        callers: units among all of these.
    """

    loss: Values
    units: Units
    order: Values
    answered: int
    callers: int

    @property
    def records(self) -> int:
        return len(self.loss)


@dataclass(frozen=True)
class Duel:
    """Two variants against each other; `effect` is by how much more the second one loses."""

    first: str
    second: str
    effect: Effect

    @property
    def better(self) -> str:
        """The variant that certainly loses less; empty where that is open."""
        return {1: self.first, -1: self.second, 0: ""}[self.effect.sign]


@dataclass(frozen=True)
class Standing:
    """What is known at this moment.

    Attributes:
        loss: the name of what is compared.
        arms: by variant.
        means: the mean loss of each arm that has outcomes.
        duels: of every two arms; all their intervals hold together, however often one looks.
        mismatched: arms that got another share of the callers than their weight, which no chance explains.
    """

    loss: str
    arms: Mapping[str, Outcomes]
    means: Mapping[str, float]
    duels: tuple[Duel, ...]
    mismatched: tuple[str, ...]

    @property
    def winner(self) -> str:
        """The variant that is certainly better than every other; empty while there is none."""
        if self.mismatched:
            return ""
        wins = [duel.better for duel in self.duels]
        return next((name for name in self.arms if wins.count(name) == len(self.arms) - 1), "")


def outcomes(answers: Mapping[str, Sequence[Answer]], truth: Truth, loss: Loss) -> dict[str, Outcomes]:
    """The outcomes of each variant's answers, which are in the order of time."""
    moments = sorted({answer.at for each in answers.values() for answer in each})
    rank = {moment: float(number) for number, moment in enumerate(moments)}
    return {name: _outcomes(each, truth, loss, rank) for name, each in answers.items()}


def _outcomes(answers: Sequence[Answer], truth: Truth, loss: Loss, rank: Mapping[str, float]) -> Outcomes:
    numbers: dict[str, int] = {}
    rows: list[tuple[float, float, int, float]] = []
    for answer in answers:
        unit = numbers.setdefault(answer.unit, len(numbers))
        known = truth.get(answer.event, ())
        if len(known) == len(answer.predictions):
            rows += [(true, said, unit, rank[answer.at]) for true, said in zip(known, answer.predictions, strict=True)]
    table = np.array(rows, dtype=float).reshape(-1, 4)
    lost = loss.of(table[:, 0], table[:, 1])
    return Outcomes(lost, table[:, 2].astype(int), table[:, 3], len(answers), len(numbers))


def stand(arms: Mapping[str, Outcomes], weights: Mapping[str, float], loss: Loss) -> Standing:
    """Compare every two variants.

    Raises:
        DataError: a variant has no outcomes yet, or too few.
    """
    units = {name: len(np.unique(arm.units)) for name, arm in arms.items()}
    fewest = min(units, key=lambda name: units[name])
    if units[fewest] < FEWEST_UNITS:
        arm = arms[fewest]
        raise DataError(
            f"Variant {fewest} has {arm.answered} captured requests, and the truth of those of {units[fewest]} callers; "
            f"a comparison takes {FEWEST_UNITS} of each variant.",
            "Wait for more traffic, and put the truth into the bucket as docs/experiments.md says.",
        )
    means = {name: Mean.of(arm.loss, arm.units) for name, arm in arms.items()}
    pairs = list(combinations(arms, 2))
    alpha = ALPHA / len(pairs)
    duels = tuple(Duel(a, b, difference(means[a], means[b], alpha)) for a, b in pairs)
    return Standing(
        loss=loss.name,
        arms=arms,
        means={name: mean.value for name, mean in means.items()},
        duels=duels,
        mismatched=_mismatched({name: arm.callers for name, arm in arms.items()}, weights),
    )


def _mismatched(callers: Mapping[str, int], weights: Mapping[str, float]) -> tuple[str, ...]:
    total, weight = sum(callers.values()), sum(weights[name] for name in callers)
    return tuple(name for name, count in callers.items() if is_mismatch(count, total, weights[name] / weight))


def course(first: Outcomes, second: Outcomes, alpha: float = ALPHA) -> list[Effect]:
    """The effect between two arms as it was known along the way: what a curve of it shows."""
    moments = np.sort(np.concatenate([first.order, second.order]))
    ends = np.unique(moments[np.geomspace(1, len(moments), _LOOKS).astype(int) - 1])
    looks = [[(arm.loss[arm.order <= end], arm.units[arm.order <= end]) for arm in (first, second)] for end in ends]
    return [difference(Mean.of(*a), Mean.of(*b), alpha) for a, b in looks if len(a[0]) and len(b[0])]
