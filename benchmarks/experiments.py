"""A/B and shadow comparisons on simulated traffic: how often equal models raise an alarm, and how soon a worse one is found.

Run it with `python -m benchmarks.experiments`. Each experiment is looked at 1,000 times on its way; what is counted is whether
any look found a difference. Beside ours, the test that most people would use: the usual 95 % interval, looked at as often.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.evaluation.metrics import Values
from common.experiments.sequential import FEWEST_UNITS, Effect, Mean, difference, effect

PEEKS = 1000
EXPERIMENTS = 1000
REQUESTS = 60_000
NAIVE = 1.959964
"""The quantile of the normal distribution that the usual 95 % interval takes."""

Draw = Callable[[np.random.Generator, int], Values]
"""Losses of that many callers."""


@dataclass(frozen=True)
class Found:
    """What one experiment came to.

    Attributes:
        at: after how many callers ours first told the two apart; 0 for never.
        naive_at: the same of the usual interval.
        wrong: whether ours ever told them apart the wrong way round.
    """

    at: int
    naive_at: int
    wrong: bool


def wrong_labels(share: float) -> Draw:
    """0 or 1, as often 1 as the model errs."""
    return lambda random, count: (random.random(count) < share).astype(float)


def squared_errors(deviation: float) -> Draw:
    """Squares of normal errors."""
    return lambda random, count: random.normal(0, deviation, count) ** 2


def peeks(total: int, looks: int = PEEKS) -> npt.NDArray[np.int64]:
    """When an experiment of that many callers is looked at: more often in the beginning, when alarms are most likely."""
    return np.unique(np.geomspace(2, total, 2 * looks).astype(int))[-looks:]


def arms(random: np.random.Generator, first: Draw, second: Draw, weight: float, total: int, looks: int) -> Found:
    """An A/B test in which each caller asks the first model with probability `weight`."""
    chosen = random.random(total) < weight
    losses = np.where(chosen, first(random, total), second(random, total))
    ends = peeks(total, looks)
    sides = zip(_means(losses, chosen, ends), _means(losses, ~chosen, ends), strict=True)
    return _found(ends, [(difference(a, b), a.variance / a.units + b.variance / b.units) for a, b in sides])


def pairs(random: np.random.Generator, gaps: Draw, total: int, looks: int) -> Found:
    """A shadow test: the difference between both models' losses for the same request."""
    ends = peeks(total, looks)
    means = _means(gaps(random, total), np.ones(total, dtype=bool), ends)
    return _found(ends, [(effect(mean), mean.variance / mean.units) for mean in means])


def returning(random: np.random.Generator, customers: int, visits: int, looks: int) -> Found:
    """An A/B test of equal models whose callers come back, each with errors as frequent as before."""
    level = random.beta(0.5, 4.5, customers)
    caller = random.integers(0, customers, customers * visits)
    loss = (random.random(len(caller)) < level[caller]).astype(float)
    first = (random.random(customers) < 0.5)[caller]
    found, ends = [], peeks(len(caller), looks)
    for end in ends:
        sides = [(loss[:end][of[:end]], caller[:end][of[:end]]) for of in (first, ~first)]
        if all(len(values) for values, _ in sides):
            a, b = (Mean.of(values, units) for values, units in sides)
            found.append((difference(a, b), sum(float(values.var()) / len(values) for values, _ in sides)))
    return _found(ends[len(ends) - len(found) :], found)


def _means(values: Values, of: npt.NDArray[np.bool_], ends: npt.NDArray[np.int64]) -> Iterator[Mean]:
    """What `Mean.of` says of the values so far, at each end: by running sums, a thousand times as fast."""
    counts = np.cumsum(of)[ends - 1]
    powers = [np.cumsum(np.where(of, values**power, 0.0))[ends - 1] for power in (1, 2, 3, 4)]
    safe = np.maximum(counts, 1)
    m1, m2, m3, m4 = (power / safe for power in powers)
    variance = np.maximum(m2 - m1**2, 0)
    fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
    kurtosis = np.divide(fourth, variance**2, out=np.full(len(ends), np.inf), where=variance > 1e-12)
    corrected = variance * counts / np.maximum(counts - 1, 1)
    columns = (counts.tolist(), m1.tolist(), corrected.tolist(), kurtosis.tolist())
    for count, mean, spread, fourth_moment in zip(*columns, strict=True):
        yield Mean(max(count, 1), mean, spread, fourth_moment)


def _found(ends: npt.NDArray[np.int64], looks: Sequence[tuple[Effect, float]]) -> Found:
    at = next((int(end) for end, (each, _) in zip(ends, looks, strict=True) if each.sign), 0)
    usual = (
        int(end)
        for end, (each, squared) in zip(ends, looks, strict=True)
        if end >= FEWEST_UNITS and abs(each.value) > NAIVE * squared**0.5 > 0
    )
    return Found(at, next(usual, 0), any(each.sign < 0 for each, _ in looks))


def ab_cases() -> Mapping[str, tuple[Draw, Draw, float]]:
    """By name: both models' losses, and the weight of the first."""
    tenth, rare, squared = wrong_labels(0.10), wrong_labels(0.01), squared_errors(1.0)
    return {
        "equal, 10 % errors, 50:50": (tenth, tenth, 0.5),
        "equal, 1 % errors, 90:10": (rare, rare, 0.9),
        "equal, squared errors, 90:10": (squared, squared, 0.9),
        "worse: 12 instead of 10 % errors, 50:50": (tenth, wrong_labels(0.12), 0.5),
        "worse: 12 instead of 10 % errors, 90:10": (tenth, wrong_labels(0.12), 0.9),
    }


def shadow_cases() -> Mapping[str, Draw]:
    """By name: differences between the losses of two models, whose errors are mostly the same."""

    def gaps(worse: float) -> Draw:
        def draw(random: np.random.Generator, count: int) -> Values:
            shared = random.normal(0, 1, count)
            ours, theirs = (0.95 * shared + random.normal(0, 0.3122, count) for _ in range(2))
            return np.asarray((1 + worse) * theirs**2 - ours**2)

        return draw

    return {"equal shadows": gaps(0.0), "worse: squared error 2 % larger": gaps(0.02)}


def simulate(experiments: int, total: int = REQUESTS, looks: int = PEEKS) -> Iterator[tuple[str, list[Found]]]:
    """Every case, so many times."""
    for name, (first, second, weight) in ab_cases().items():
        random = np.random.default_rng(1)
        yield name, [arms(random, first, second, weight, total, looks) for _ in range(experiments)]
    for name, gaps in shadow_cases().items():
        random = np.random.default_rng(2)
        yield name, [pairs(random, gaps, total, looks) for _ in range(experiments)]
    random, customers = np.random.default_rng(3), total // 30
    yield (
        "equal, callers come back 10 times",
        [returning(random, customers, 10, looks // 10) for _ in range(experiments // 2)],
    )


def main() -> None:
    started = time.monotonic()
    print(
        f"share of {EXPERIMENTS} experiments of {REQUESTS:,} callers in which one of {PEEKS:,} looks tells the models apart"
    )
    print(f"  {'':<42} {'ours':>8} {'after, median':>14}   {'peeked at':>9}   wrong way")
    for name, found in simulate(EXPERIMENTS):
        at = [each.at for each in found if each.at]
        median = f"{int(np.median(at)):,}" if "worse" in name and at else "–"
        usual = sum(each.naive_at > 0 for each in found) / len(found)
        wrong = f"{sum(each.wrong for each in found) / len(found):.1%}" if "worse" in name else "–"
        print(f"  {name:<42} {len(at) / len(found):>8.1%} {median:>14}   {usual:>9.1%}   {wrong}")
    print(f"  ({time.monotonic() - started:.0f} s)")


if __name__ == "__main__":
    main()
