"""How good predictions were whose truth has become known, beside what they were when the model was evaluated."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from .checks import Metric, Outcomes
from .findings import Estimate, Measured, Quality
from .wording import figure, share

Floats = NDArray[np.float64]

FEWEST = 30
"""Outcomes below which nothing is said; in a classification, `_FEWEST_OF_EACH` of each truth."""
_FEWEST_OF_EACH = 5
_LEVEL = 0.95
_NAMES = {
    "rmse": "root mean squared error",
    "mae": "mean absolute error",
    "log_loss": "log loss",
    "brier": "Brier score",
    "roc_auc": "ROC AUC",
}


@dataclass(frozen=True)
class _Mean:
    """A mean of independent losses, and its squared standard error. A ROC AUC counts as 1 - AUC, so that more is worse."""

    value: float
    variance: float
    rows: int


def too_few(metric: Metric, outcomes: Outcomes) -> str:
    """Why nothing can be said of outcomes; empty where something can."""
    if len(outcomes.truth) < FEWEST:
        return (
            f"The truth of {len(outcomes.truth)} predictions is known; {FEWEST} are needed to say how good they were."
        )
    if metric in ("rmse", "mae"):
        return ""
    positive = int((outcomes.truth == 1).sum())
    fewest = min(positive, len(outcomes.truth) - positive)
    if fewest < _FEWEST_OF_EACH:
        return f"Of one of the two truths only {fewest} outcomes are known; {_FEWEST_OF_EACH} are needed."
    return ""


def compare_quality(metric: Metric, before: Outcomes, now: Outcomes, rate: float, least: float) -> Quality:
    """Whether predictions are worse than when the model was evaluated; of neither are there too few.

    A metric is a mean of the rows' losses, or its root. Means of two independent sets of rows are compared by Welch's test,
    one-sided; a root has the interval of its mean's, by the delta method. The ROC AUC's variance is that of DeLong, DeLong and
    Clarke-Pearson (Biometrics 44, 1988).

    Args:
        metric: what decides; the others of its kind are told.
        rate: how often predictions may be called worse that are not.
        least: by how much, relative to before, they have to be worse.
    """
    names: tuple[Metric, ...] = ("rmse", "mae") if metric in ("rmse", "mae") else ("log_loss", "brier", "roc_auc")
    losses = {name: (_loss(name, before), _loss(name, now)) for name in names}
    metrics: dict[str, Measured] = {
        name: Measured(_estimate(name, old), _estimate(name, new)) for name, (old, new) in losses.items()
    }
    old, new = losses[metric]
    change = _change(metric, old, new)
    p = _p_worse(old, new)
    worse = _rise(metric, old, new)
    degraded = p <= rate and worse >= least
    return Quality(
        metric, change, p, degraded, new.rows, metrics, _words(metric, metrics[metric], new.rows, worse, degraded)
    )


def _loss(metric: Metric, outcomes: Outcomes) -> _Mean:
    truth, predictions = outcomes.truth, outcomes.predictions
    if metric == "roc_auc":
        return _one_less_auc(truth, predictions)
    if metric == "log_loss":
        margin = float(np.finfo(float).eps)
        losses = -np.log(np.clip(np.where(truth == 1, predictions, 1 - predictions), margin, 1 - margin))
    else:
        losses = np.abs(predictions - truth) if metric == "mae" else (predictions - truth) ** 2
    return _Mean(float(losses.mean()), float(losses.var(ddof=1)) / len(losses), len(losses))


def _one_less_auc(truth: Floats, scores: Floats) -> _Mean:
    positive, negative = scores[truth == 1], scores[truth == 0]
    n, m = len(positive), len(negative)
    together = stats.rankdata(np.concatenate([positive, negative]))
    # For each positive the share of negatives that it ranks above, and the reverse; ties count half.
    above = (together[:n] - stats.rankdata(positive)) / m
    below = 1 - (together[n:] - stats.rankdata(negative)) / n
    return _Mean(1 - float(above.mean()), float(above.var(ddof=1)) / n + float(below.var(ddof=1)) / m, n + m)


def _estimate(metric: Metric, mean: _Mean) -> Estimate:
    half = float(stats.t.ppf((1 + _LEVEL) / 2, mean.rows - 1)) * math.sqrt(mean.variance)
    low, high = max(mean.value - half, 0.0), mean.value + half
    if metric == "roc_auc":
        return Estimate(1 - mean.value, max(1 - high, 0.0), 1 - low)
    if metric == "rmse":
        return Estimate(math.sqrt(mean.value), math.sqrt(low), math.sqrt(high))
    return Estimate(mean.value, low, high)


def _change(metric: Metric, old: _Mean, new: _Mean) -> Estimate:
    """How much worse the metric is now, in its own unit."""
    slopes = [1 / (2 * math.sqrt(each.value)) if metric == "rmse" and each.value else 1.0 for each in (old, new)]
    values = [math.sqrt(each.value) if metric == "rmse" else each.value for each in (old, new)]
    variance = sum(slope**2 * each.variance for slope, each in zip(slopes, (old, new), strict=True))
    half = float(stats.norm.ppf((1 + _LEVEL) / 2)) * math.sqrt(variance)
    value = values[1] - values[0]
    return Estimate(value, value - half, value + half)


def _p_worse(old: _Mean, new: _Mean) -> float:
    variance = old.variance + new.variance
    if variance == 0:
        return 0.0 if new.value > old.value else 1.0
    freedom = variance**2 / (old.variance**2 / (old.rows - 1) + new.variance**2 / (new.rows - 1))
    return float(stats.t.sf((new.value - old.value) / math.sqrt(variance), freedom))


def _rise(metric: Metric, old: _Mean, new: _Mean) -> float:
    """By how much the metric (of a ROC AUC what it lacks of 1) is worse, relative to before; infinite where it was perfect."""
    values = [math.sqrt(each.value) if metric == "rmse" else each.value for each in (old, new)]
    if values[0] <= 0:
        return math.inf if values[1] > 0 else 0.0
    return values[1] / values[0] - 1


def _words(metric: Metric, measured: Measured, rows: int, worse: float, degraded: bool) -> str:
    before, now = (f"{figure(e.value)} ({figure(e.low)} to {figure(e.high)})" for e in (measured.before, measured.now))
    verdict = ", which is worse" if degraded else ""
    by = f" by {share(worse)}" if degraded and math.isfinite(worse) and metric != "roc_auc" else ""
    return (
        f"The {_NAMES[metric]} of {rows:,} predictions whose truth is known by now is {now}; when the model was evaluated it "
        f"was {before}{verdict}{by}."
    )
