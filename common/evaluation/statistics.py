"""A model's evaluation in the form that SageMaker reads as `ModelMetrics.ModelQuality.Statistics`.

The names and shapes are those of Model Monitor's model quality files
(https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-metrics.html). A standard deviation is that
over resamples of the rows.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from common.evaluation.intervals import RESAMPLES, Score
from common.evaluation.metrics import Values
from common.model import ProblemType

_CURVE_POINTS = 200
_OF_CONSTANT = ("recall", "precision", "accuracy", "f0_5", "f1", "f2")

Counts = npt.NDArray[np.int64]


def model_quality(
    problem: ProblemType, truth: Values, predictions: Values, threshold: float, score: Score
) -> dict[str, Any]:
    """The statistics of a model, as JSON values.

    The "best constant classifier" calls every label positive. A rate of nothing, such as the precision where no label
    is called positive, is 0, as in scikit-learn.

    Args:
        truth, predictions, threshold: as for `evaluate`.
        score: that of these predictions.
    """
    entries = {name: _entry(value, score.samples[name]) for name, value in score.metrics.items()}
    if problem == "regression":
        squared = _entry(score.metrics["rmse"] ** 2, score.samples["rmse"] ** 2)
        return {"regression_metrics": entries | {"mse": squared}}
    return {
        "binary_classification_metrics": {
            "auc": entries["roc_auc"],
            **_classified(truth, predictions >= threshold),
            **_curves(truth, predictions),
        }
    }


def _entry(value: float, samples: Values) -> dict[str, float]:
    return {"value": float(value), "standard_deviation": float(samples.std())}


def _classified(truth: Values, predicted: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """The confusion matrix (actual label, then predicted), and all that follows from it."""
    counts = np.bincount(2 * truth.astype(int) + predicted, minlength=4)
    constant = np.array([0, counts[0] + counts[1], 0, counts[2] + counts[3]])
    matrix = {actual: {said: int(counts[2 * int(actual) + int(said)]) for said in "01"} for actual in "01"}
    of_constant = {f"{name}_best_constant_classifier": _rate_entries(constant)[name] for name in _OF_CONSTANT}
    return {"confusion_matrix": matrix, **_rate_entries(counts), **of_constant}


def _rate_entries(counts: Counts) -> dict[str, Any]:
    rows = counts.sum()
    # Drawing rows with replacement draws the four counts from a multinomial distribution.
    resampled = _rates(np.random.default_rng(0).multinomial(rows, counts / rows, RESAMPLES))
    return {name: _entry(value, resampled[name]) for name, value in _rates(counts).items()}


def _rates(counts: Counts) -> dict[str, Any]:
    """Each rate of (true negatives, false positives, false negatives, true positives) along the last axis."""
    tn, fp, fn, tp = np.moveaxis(counts, -1, 0)
    parts = {
        "recall": (tp, tp + fn),
        "precision": (tp, tp + fp),
        "accuracy": (tp + tn, tp + tn + fp + fn),
        "true_positive_rate": (tp, tp + fn),
        "true_negative_rate": (tn, tn + fp),
        "false_positive_rate": (fp, tn + fp),
        "false_negative_rate": (fn, tp + fn),
        # F with the weight of recall b: (1 + b²) tp / ((1 + b²) tp + b² fn + fp)
        "f0_5": (5 * tp, 5 * tp + fn + 4 * fp),
        "f1": (2 * tp, 2 * tp + fn + fp),
        "f2": (5 * tp, 5 * tp + 4 * fn + fp),
    }
    return {name: part / np.maximum(whole, 1) for name, (part, whole) in parts.items()}


def _curves(truth: Values, probabilities: Values) -> dict[str, Any]:
    # Imported here because scikit-learn takes most of a second.
    from sklearn.metrics import precision_recall_curve, roc_curve

    false, true, _ = roc_curve(truth, probabilities)
    precisions, recalls, _ = precision_recall_curve(truth, probabilities, drop_intermediate=True)
    return {
        "receiver_operating_characteristic_curve": {
            "false_positive_rates": _thinned(false),
            "true_positive_rates": _thinned(true),
        },
        "precision_recall_curve": {"precisions": _thinned(precisions[::-1]), "recalls": _thinned(recalls[::-1])},
    }


def _thinned(points: Values) -> list[float]:
    """At most so many of a curve's points, with both ends: the document must not grow with the rows."""
    chosen = np.unique(np.linspace(0, len(points) - 1, _CURVE_POINTS).round().astype(int))
    return [float(point) for point in points[chosen]]
