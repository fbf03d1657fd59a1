"""Selectable inference content of the built-in XGBoost (`SAGEMAKER_INFERENCE_OUTPUT`)."""

import json
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from common.local.containers.http import Refusal

_REGRESSION = ("reg:squarederror", "reg:logistic", "reg:gamma", "reg:absoluteerror", "reg:tweedie")
_LABELS = ("predicted_label", "labels", "raw_score", "raw_scores")
_PROBABILITIES = (*_LABELS, "probability", "probabilities")
CONTENT = dict.fromkeys(_REGRESSION, ("predicted_score",)) | {
    "binary:logistic": _PROBABILITIES,
    "binary:logitraw": _LABELS,
    "binary:hinge": _LABELS,
    "multi:softmax": _LABELS,
    "multi:softprob": _PROBABILITIES,
}
"""What can be selected, by objective; anything else is answered as NaN."""


def select(predictions: npt.NDArray[np.float32], selected: str, objective: str, classes: int, accept: str) -> str:
    """The selected content of each prediction, as JSON, JSON lines, or CSV in the order of the selection.

    Args:
        selected: comma-separated names, e.g. `predicted_label,probabilities`.
        classes: number of classes of a multi-class model.

    Raises:
        Refusal: 500, nothing can be selected for this objective.
    """
    if objective not in CONTENT:
        raise Refusal(500, f"Objective `{objective}` unsupported for selectable inference predictions.")
    names = selected.replace(" ", "").lower().split(",")
    records = [
        {
            name: _value(name, objective, prediction, classes) if name in CONTENT[objective] else math.nan
            for name in names
        }
        for prediction in predictions
    ]
    if accept == "application/json":
        return json.dumps({"predictions": records})
    if accept == "application/jsonlines":
        return "".join(json.dumps(record) + "\n" for record in records)
    lines = [",".join(f'"{v}"' if isinstance(v, list) else str(v) for v in record.values()) for record in records]
    return "\n".join(lines) + ("\n" if os.environ.get("SAGEMAKER_BATCH") == "true" else "")


def _value(name: str, objective: str, prediction: Any, classes: int) -> Any:
    """One item of one prediction, which is an array of probabilities for softprob and a number otherwise."""
    several = objective == "multi:softprob"
    labels: dict[str, Callable[[], Any]] = {
        "multi:softprob": lambda: int(prediction.argmax()),
        "binary:logistic": lambda: int(prediction > 0.5),
        "binary:logitraw": lambda: int(prediction > 0),
    }
    if name == "predicted_label":
        return labels.get(objective, prediction.item)()
    if name == "labels":
        return list(range(classes if objective.startswith("multi:") else 2))
    if name in ("probability", "raw_score"):
        return prediction.max().item() if several else prediction.item()
    if name in ("probabilities", "raw_scores"):
        return prediction.tolist() if several else [1.0 - prediction.item(), prediction.item()]
    return prediction.item()
