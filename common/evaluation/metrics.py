"""What a prediction is worth: the metrics of each problem type, from scikit-learn."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import ArtifactError, DataError
from common.model import ProblemType

Values = npt.NDArray[np.float64]


def evaluate(problem: ProblemType, truth: Values, predictions: Values, threshold: float = 0.5) -> dict[str, float]:
    """The metrics of predictions for rows whose labels are known; errors are in units of the label.

    `pr_auc` is the average precision; `log_loss` is in nats.

    Args:
        truth: the labels; 0 and 1 in a classification.
        predictions: values of the label, or probabilities of the positive class.
        threshold: the probability from which a label is predicted to be positive, for `f1`.

    Raises:
        ArtifactError: there is not one finite prediction (or probability) for each row: the model cannot be scored.
        DataError: the labels are all alike, so that there is nothing to tell apart.
    """
    _require_scorable(problem, truth, predictions)
    functions = _regression() if problem == "regression" else _classification(threshold)
    return {name: float(function(truth, predictions)) for name, function in functions.items()}


def _require_scorable(problem: ProblemType, truth: Values, predictions: Values) -> None:
    kind, low, high = ("predictions", -np.inf, np.inf) if problem == "regression" else ("probabilities", 0, 1)
    sound = int((np.isfinite(predictions) & (predictions >= low) & (predictions <= high)).sum())
    if predictions.shape != truth.shape or sound < len(truth):
        raise ArtifactError(
            f"The model gave {sound} finite {kind} for {len(truth)} rows.",
            "Look at the training job's log: the model is damaged, or was trained from other columns or for another label.",
        )
    if np.ptp(truth) == 0:
        raise DataError(
            f"The label is {truth[0]:g} in all {len(truth)} rows that the model is scored on: no metric could tell "
            "a good model from a bad one.",
            "Gather more rows, or declare a larger share of test rows.",
        )


# scikit-learn is imported below because it takes most of a second, and whoever reads a declaration needs no metric.


def _regression() -> dict[str, Callable[[Values, Values], Any]]:
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    return {"rmse": root_mean_squared_error, "mae": mean_absolute_error, "r2": r2_score}


def _classification(threshold: float) -> dict[str, Callable[[Values, Values], Any]]:
    from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, log_loss, roc_auc_score

    return {
        "roc_auc": roc_auc_score,
        "pr_auc": average_precision_score,
        "log_loss": log_loss,
        "brier": brier_score_loss,
        "f1": lambda truth, probabilities: f1_score(truth, probabilities >= threshold),
    }


def choose_threshold(truth: Values, probabilities: Values) -> float:
    """The probability from which calling a label positive gives the highest F1 on these rows; of equals the lowest.

    It lies halfway between two probabilities that occur, so that a difference in the last digit between two builds of
    XGBoost changes no label.

    Raises:
        ArtifactError: there is not one probability for each row.
        DataError: the labels are all alike.
    """
    _require_scorable("binary_classification", truth, probabilities)
    levels, level = np.unique(probabilities, return_inverse=True)
    chosen, found = (np.bincount(level, weights=rows)[::-1].cumsum()[::-1] for rows in (np.ones_like(truth), truth))
    best = int(np.argmax(2 * found / (chosen + truth.sum())))
    below = levels[best - 1] if best else 0.0
    return float((levels[best] + below) / 2)
