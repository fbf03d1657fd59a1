"""What a prediction is worth: the metrics of each problem type, from scikit-learn."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import ArtifactError, UsageError
from common.model import ProblemType

Values = npt.NDArray[np.float64]


def evaluate(problem: ProblemType, truth: Values, predictions: Values) -> dict[str, float]:
    """The metrics of predictions for rows whose labels are known; errors are in units of the label.

    Raises:
        ArtifactError: there is not one finite prediction for each row, so that the model cannot be scored.
        UsageError: the problem type has no metrics.
    """
    if predictions.shape != truth.shape or not np.isfinite(predictions).all():
        finite = int(np.isfinite(predictions).sum())
        raise ArtifactError(
            f"The model gave {finite} finite predictions for {len(truth)} rows.",
            "Look at the training job's log: the model is damaged, or was trained from other columns.",
        )
    functions = _functions(problem)
    return {name: float(function(truth, predictions)) for name, function in functions.items()}


def _functions(problem: ProblemType) -> dict[str, Callable[[Values, Values], Any]]:
    # Imported here because scikit-learn takes most of a second, and whoever reads a gate needs its names only.
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    if problem != "regression":
        raise UsageError(f"There are no metrics for {problem}.", "Declare problem='regression' in the model's folder.")
    return {"rmse": root_mean_squared_error, "mae": mean_absolute_error, "r2": r2_score}


def model_quality(truth: Values, predictions: Values) -> dict[str, Any]:
    """The statistics of a regression in the form that SageMaker reads as `ModelMetrics.ModelQuality.Statistics`.

    `standard_deviation` is that of the metric over samples of as many rows, to first order: the spread of each row's
    influence on the metric over the root of the number of rows (the delta method).
    """
    metrics = evaluate("regression", truth, predictions)
    squares = (predictions - truth) ** 2
    deviations = (truth - truth.mean()) ** 2
    mse, variance = squares.mean(), deviations.mean()
    influence = {
        "mae": np.sqrt(squares),
        "mse": squares,
        "rmse": squares / (2 * metrics["rmse"]) if mse else squares,
        "r2": (squares - deviations * mse / variance) / variance if variance else squares,
    }
    values = metrics | {"mse": float(mse)}
    return {
        "regression_metrics": {
            name: {"value": values[name], "standard_deviation": float(np.std(rows)) / len(rows) ** 0.5}
            for name, rows in influence.items()
        }
    }
