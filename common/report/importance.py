"""Which columns move a model's predictions, and by how much."""

from __future__ import annotations

import numpy as np

from common.evaluation.metrics import Values
from common.serving.inference import Predictor


def importance(predictor: Predictor, rows: Values) -> dict[str, float]:
    """Each column's share of the model's mean absolute contribution over the rows, the greatest first; they sum to 1.

    Contributions are SHAP values as XGBoost computes them for trees (Lundberg et al., From local explanations to global
    understanding with explainable AI for trees, Nature Machine Intelligence 2, 2020); those of a column's indicators count
    together.

    Args:
        rows: rows × features.
    """
    # Imported here, since a deploy reads evaluations without ever computing one.
    import xgboost

    matrix = xgboost.DMatrix(rows, nthread=1)
    contributions = predictor.booster.predict(matrix, pred_contribs=True, validate_features=False)[:, :-1]
    origins = predictor.encoder.origin()
    shares = {
        column: float(np.abs(contributions[:, [o == column for o in origins]].sum(axis=1)).mean())
        for column in dict.fromkeys(origins)
    }
    total = sum(shares.values()) or 1.0
    return {column: share / total for column, share in sorted(shares.items(), key=lambda item: -item[1])}
