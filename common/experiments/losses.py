"""What an answer loses against the truth, a number for each: what two models are compared by on live traffic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common.evaluation.metrics import Values


@dataclass(frozen=True)
class Loss:
    """A loss of single answers, 0 at best; its mean over answers is the `name`."""

    name: str
    of: Callable[[Values, Values], Values]
    """From truths and predictions (0 or 1, and probabilities, in a classification) to the loss of each."""


def _log_loss(truth: Values, probability: Values) -> Values:
    right = np.where(truth == 1, probability, 1 - probability)
    return np.asarray(-np.log(np.clip(right, np.finfo(float).eps, None)))


_SQUARED = Loss("squared error", lambda truth, prediction: (prediction - truth) ** 2)
_BRIER = Loss("Brier score", lambda truth, probability: (probability - truth) ** 2)
_LOSSES = {
    "rmse": _SQUARED,
    "r2": _SQUARED,
    "mae": Loss("absolute error", lambda truth, prediction: np.abs(prediction - truth)),
    "log_loss": Loss("log loss", _log_loss),
    "brier": _BRIER,
    # No mean over answers gives these. The Brier score rewards what they do, and also probabilities that are right.
    "roc_auc": _BRIER,
    "pr_auc": _BRIER,
    "f1": _BRIER,
}


def loss_for(metric: str) -> Loss:
    """The loss that goes with the metric that a model's gate decides by."""
    return _LOSSES[metric]
