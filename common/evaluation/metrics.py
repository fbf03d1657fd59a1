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

    `standard_deviation` is that of the metric over samples of rows: the standard error of a mean for MAE and MSE, and by
    the delta method for RMSE (sd(MSE) / 2 RMSE) and R² (sd(MSE) / variance of the label).
    """
    metrics = evaluate("regression", truth, predictions)
    errors = np.abs(predictions - truth)
    mse = float(np.mean(errors**2))
    mse_deviation = float(np.std(errors**2)) / len(errors) ** 0.5
    spread = float(np.var(truth))
    deviations = {
        "mae": (metrics["mae"], float(np.std(errors)) / len(errors) ** 0.5),
        "mse": (mse, mse_deviation),
        "rmse": (metrics["rmse"], mse_deviation / (2 * metrics["rmse"]) if mse else 0.0),
        "r2": (metrics["r2"], mse_deviation / spread if spread else 0.0),
    }
    return {"regression_metrics": {k: {"value": v, "standard_deviation": sd} for k, (v, sd) in deviations.items()}}
