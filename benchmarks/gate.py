"""The gate against a champion: how often it refuses an equal, a degraded and a better model, over many retrainings.

Run it with `python -m benchmarks.gate`. Every retraining has data of its own from one process, in which the true
probability of each row is known to the process alone: 5,000 customers, of whom 14 % are positive and a fifth are test rows.
"""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
import xgboost
from scipy import stats

from common.evaluation.gate import Gate, decide
from common.evaluation.intervals import Score, score
from common.evaluation.metrics import Values, choose_threshold

ROWS, VALIDATION, TEST = 5000, 500, 1000
SHUFFLED = 0.2
"""The share of training and validation rows whose labels are dealt out anew among them, in the degraded model."""
RETRAININGS = 200
GATE = Gate("log_loss", at_most=0.7, may_lose_to_champion_by=0.004, confidence=0.9)
"""The margin is about half the standard deviation of the gain between two equal models of this process."""
OTHERS = (
    Gate("log_loss", at_most=0.7, may_lose_to_champion_by=0.004, confidence=0.95),
    Gate("log_loss", at_most=0.7, confidence=0.9),
    Gate("brier", at_most=0.3, may_lose_to_champion_by=0.0012, confidence=0.9),
    Gate("roc_auc", at_least=0.5, may_lose_to_champion_by=0.004, confidence=0.9),
    Gate("pr_auc", at_least=0.1, may_lose_to_champion_by=0.012, confidence=0.9),
    Gate("f1", at_least=0.1, may_lose_to_champion_by=0.015, confidence=0.9),
)
"""The same confidence with margins of the same size in other metrics; more confidence; and no margin."""
_RECIPE = {"eta": 0.05, "max_depth": 3, "min_child_weight": 5, "subsample": 0.5, "colsample_bytree": 0.6}
_ROUNDS = 200


@dataclass(frozen=True)
class Retraining:
    """Three models on the test rows of one data version."""

    champion: Score
    """Trained on another data version."""
    equal: Score
    degraded: Score


class Refused(NamedTuple):
    """How many challengers are refused: equal ones (false alarms), degraded ones whose champion was trained on other or
    on the same rows, and ones that are better than a degraded champion."""

    equal: int
    degraded: int
    degraded_on_same_rows: int
    better: int


def customers(seed: int) -> Values:
    """Rows × (label, 12 features); what makes a label positive is in seven of them, partly in their interactions."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(ROWS, 12))
    x[:, 6:9] = x[:, 6:9] > 0.5
    log_odds = (
        -5.35
        + 1.8 * np.maximum(x[:, 0], 0)
        + 3.3 * (x[:, 1] > 0.8) * (1 - x[:, 6])
        + 3.0 * x[:, 7] * (x[:, 2] < 0)
        + 2.7 * ((x[:, 3] > 0.3) & (x[:, 4] > 0))
        - 0.75 * x[:, 5]
    )
    return np.column_stack([random.random(ROWS) < 1 / (1 + np.exp(-log_odds)), x]).astype(float)


def retraining(seed: int) -> Retraining:
    """A champion, and on fresh data of the same process an equal and a degraded challenger."""
    before, now = customers(2 * seed), customers(2 * seed + 1)
    test, dealt = now[:TEST], now.copy()
    chosen = TEST + np.random.default_rng(seed).choice(ROWS - TEST, round(SHUFFLED * (ROWS - TEST)), replace=False)
    dealt[chosen, 0] = np.random.default_rng(seed).permutation(dealt[chosen, 0])
    return Retraining(*(_trained(data, 3 * seed + i, test) for i, data in enumerate((before, now, dealt))))


def _trained(data: Values, seed: int, test: Values) -> Score:
    """A model of the rows behind the test rows, scored on these test rows."""
    validation, train = data[TEST : TEST + VALIDATION], data[TEST + VALIDATION :]
    booster = xgboost.train(
        {"objective": "binary:logistic", **_RECIPE, "nthread": 1, "seed": seed},
        xgboost.DMatrix(train[:, 1:], train[:, 0], nthread=1),
        num_boost_round=_ROUNDS,
    )
    answers, known = (
        booster.predict(xgboost.DMatrix(rows[:, 1:], nthread=1)).astype(float) for rows in (test, validation)
    )
    return score("binary_classification", test[:, 0], answers, choose_threshold(validation[:, 0], known))


def retrainings(seeds: range) -> Iterator[Retraining]:
    """One for each seed, on two cores."""
    # Not forked: OpenMP's threads, which the caller may have started, do not survive a fork.
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield from pool.map(retraining, seeds)


def counts(results: Iterable[Retraining], gate: Gate) -> Refused:
    """How many of the retrainings the gate refuses."""

    def refused(challenger: Score, champion: Score) -> bool:
        comparison = challenger.against(champion, gate.confidence)[gate.metric]
        return not decide(gate, challenger.metrics[gate.metric], comparison).passed

    duels = [
        ((r.equal, r.champion), (r.degraded, r.champion), (r.degraded, r.equal), (r.equal, r.degraded)) for r in results
    ]
    return Refused(*(sum(refused(*duel) for duel in column) for column in zip(*duels, strict=True)))


def interval(count: int, of: int) -> tuple[float, float]:
    """The exact 95 % interval of a share (Clopper and Pearson, 1934)."""
    low, high = stats.binomtest(count, of).proportion_ci(method="exact")
    return float(low), float(high)


def main() -> None:
    started = time.monotonic()
    results = list(retrainings(range(RETRAININGS)))
    gains = [result.equal.against(result.champion, 0.9)["log_loss"].difference for result in results]
    print(f"share of {RETRAININGS} retrainings that the gate refuses, with its 95 % interval")
    print(f"  gain in log loss between equal models: {np.mean(gains):+.4f}, standard deviation {np.std(gains):.4f}")
    print(f"  {'metric':<9} margin  confidence  {''.join(f'{name:<24}' for name in Refused._fields)}".rstrip())
    for gate in (GATE, *OTHERS):
        cells = "".join(f"{_share(count):<24}" for count in counts(results, gate))
        print(f"  {gate.metric:<9} {gate.may_lose_to_champion_by:<7} {gate.confidence:<11} {cells}".rstrip())
    print(f"  ({time.monotonic() - started:.1f} s)")


def _share(count: int) -> str:
    low, high = interval(count, RETRAININGS)
    return f"{count / RETRAININGS:.1%} ({low:.1%} to {high:.1%})"


if __name__ == "__main__":
    main()
