"""How far chance in the choice of test rows moves a metric: the percentile bootstrap, paired between two models.

The test rows are drawn again and again with replacement, as often as there are rows, and each metric is computed on every
such resample (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 16). The draws depend on the
labels and on nothing else, so that two models are measured on the same resamples, and the same input gives the same
figures always. A resample whose labels are all alike is left out, since there ROC AUC and R² do not exist.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.evaluation.gate import HIGHER_IS_BETTER
from common.evaluation.metrics import Values, evaluate
from common.model import ProblemType

RESAMPLES = 2000
LEVEL = 0.95
"""The coverage of `Interval`, and of the interval in a `Comparison`."""
_SEED = 0
# Draws held in memory at once. Arrays of this size stay in the processor's cache: ten times as many take twice as long.
_DRAWS = 100_000


@dataclass(frozen=True)
class Interval:
    """Where a metric lies in 95 % of the resamples, in units of the metric."""

    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """How much better a challenger is than the champion on the same rows, in units of the metric; below 0 it is worse.

    Attributes:
        difference: the gain on the test rows themselves.
        low, high: where the gain lies in 95 % of the resamples.
        at_best: the `confidence` quantile of the gain: with that confidence, the challenger gains no more.
    """

    difference: float
    low: float
    high: float
    at_best: float


@dataclass(frozen=True)
class Score:
    """A model's metrics on the test rows, and on each resample of them, by metric."""

    metrics: Mapping[str, float]
    samples: Mapping[str, Values]

    def intervals(self) -> dict[str, Interval]:
        """The percentile interval of each metric."""
        return {name: Interval(*around(values)) for name, values in self.samples.items()}

    def against(self, champion: "Score", confidence: float) -> dict[str, Comparison]:
        """The gain over a champion that was scored on the same rows, in each metric."""
        comparisons = {}
        for name, samples in self.samples.items():
            sign = 1 if HIGHER_IS_BETTER[name] else -1
            gains = sign * (samples - champion.samples[name])
            comparisons[name] = Comparison(
                sign * (self.metrics[name] - champion.metrics[name]),
                *around(gains),
                at_best=float(np.quantile(gains, confidence)),
            )
        return comparisons


def score(problem: ProblemType, truth: Values, predictions: Values, threshold: float = 0.5) -> Score:
    """Measure predictions on the test rows and on their resamples; arguments and errors are those of `evaluate`."""
    metrics = evaluate(problem, truth, predictions, threshold)
    measure = _regression(truth, predictions) if problem == "regression" else _ranked(truth, predictions, threshold)
    parts = [measure(counts) for counts in _resamples(truth)]
    return Score(metrics, {name: np.concatenate([part[name] for part in parts]) for name in metrics})


def around(values: Values) -> tuple[float, float]:
    """Where the middle 95 % of the values lie."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def resamples(rows: int) -> Iterator[Values]:
    """Resamples × rows: how often each resample holds each row; in batches that fit into memory."""
    for drawn in _draws(rows):
        yield _counted(drawn)


def _resamples(truth: Values) -> Iterator[Values]:
    """`resamples` of labels, without those that have one label only."""
    for drawn in _draws(len(truth)):
        yield _counted(drawn[np.ptp(truth[drawn], axis=1) > 0])


def _draws(rows: int) -> Iterator[npt.NDArray[np.int64]]:
    random = np.random.default_rng(_SEED)
    batch = max(1, _DRAWS // rows)
    for start in range(0, RESAMPLES, batch):
        yield random.integers(0, rows, (min(batch, RESAMPLES - start), rows))


def _counted(drawn: npt.NDArray[np.int64]) -> Values:
    cells = drawn + drawn.shape[1] * np.arange(len(drawn))[:, np.newaxis]
    return np.bincount(cells.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(float)


_Measure = Callable[[Values], dict[str, Values]]


def _regression(truth: Values, predictions: Values) -> _Measure:
    errors, deviations = predictions - truth, truth - truth.mean()
    per_row = np.column_stack([np.abs(errors), errors**2, deviations, deviations**2])

    def measure(counts: Values) -> dict[str, Values]:
        mae, mse, mean, square = (counts @ per_row / len(truth)).T
        return {"rmse": np.sqrt(mse), "mae": mae, "r2": 1 - mse / (square - mean**2)}

    return measure


def _ranked(truth: Values, probabilities: Values, threshold: float) -> _Measure:
    """Every metric of a classification; ROC AUC and PR AUC walk down the distinct probabilities, as scikit-learn does."""
    order = np.argsort(-probabilities)
    truth, probabilities = truth[order], probabilities[order]
    ends = np.flatnonzero(np.diff(probabilities, append=-1))
    surprise = _surprise(truth, probabilities)
    positive = probabilities >= threshold
    per_row = np.column_stack([surprise, (probabilities - truth) ** 2, positive * truth, positive])

    def measure(counts: Values) -> dict[str, Values]:
        counts = counts[:, order]
        log_loss, brier, hits, predicted = (counts @ per_row / len(truth)).T
        chosen = counts.cumsum(axis=1)[:, ends]
        found = (counts * truth).cumsum(axis=1)[:, ends]
        false = chosen - found
        positives, negatives = found[:, -1], false[:, -1]
        step = np.diff(found, prepend=0)
        area = (np.diff(false, prepend=0) * (found - step / 2)).sum(axis=1)
        # Where nothing is chosen yet, nothing is found either.
        precision = found / np.maximum(chosen, 1)
        return {
            "roc_auc": area / (positives * negatives),
            "pr_auc": (step * precision).sum(axis=1) / positives,
            "log_loss": log_loss,
            "brier": brier,
            "f1": 2 * hits / (predicted + positives / len(truth)),
        }

    return measure


def _surprise(truth: Values, probabilities: Values) -> Values:
    """What each row adds to the log loss; a certain error costs as much as scikit-learn charges for it."""
    margin = np.finfo(float).eps
    surprise: Values = -np.log(np.clip(np.where(truth == 1, probabilities, 1 - probabilities), margin, 1 - margin))
    return surprise
