"""Metrics that the image computes itself, beside those of xgboost. `rmse` and `mae` are xgboost's own, to the digit."""

from collections.abc import Callable, Sequence
from typing import Any

CONTAINER_METRICS = (
    "accuracy", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "mse", "precision", "precision_macro",
    "precision_micro", "r2", "recall", "recall_macro", "recall_micro",
)  # fmt: skip

Evaluation = Callable[[Any, Any], list[tuple[str, float]]]


def evaluation(names: Sequence[str], objective: str) -> Evaluation:
    """What `xgboost.train` takes as `custom_metric`: (predictions, matrix) to (name, value) of each named metric."""
    from sklearn import metrics

    scores: dict[str, Callable[[Any, Any], float]] = {
        "accuracy": metrics.accuracy_score,
        "balanced_accuracy": metrics.balanced_accuracy_score,
        "mse": metrics.mean_squared_error,
        "r2": metrics.r2_score,
    }
    for base, score in (
        ("f1", metrics.f1_score),
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
    ):
        scores[base] = _averaged(score, "macro" if base == "f1" else "binary")
        scores |= {f"{base}_{average}": _averaged(score, average) for average in ("binary", "macro", "micro")}

    def evaluate(predictions: Any, matrix: Any) -> list[tuple[str, float]]:
        truth = matrix.get_label()
        labels = _labels(predictions, objective)
        return [(name, scores[name](truth, predictions if name in ("mse", "r2") else labels)) for name in names]

    return evaluate


def _averaged(score: Callable[..., float], average: str) -> Callable[[Any, Any], float]:
    return lambda truth, labels: score(truth, labels, average=average, zero_division=0)


def _labels(predictions: Any, objective: str) -> Any:
    if predictions.ndim > 1:
        return predictions.argmax(axis=-1)
    if objective == "binary:logitraw":
        return (predictions > 0).astype(int)
    if objective.startswith("multi:"):
        return predictions.astype(int)
    return (predictions > 0.5).astype(int)
