import json

import numpy as np
import pytest

from common.errors import ArtifactError
from common.evaluation.document import Champion, Evaluation, assess
from common.evaluation.gate import Gate

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.uniform(0, 10, 80)
ROWS = np.column_stack([FEATURES + RANDOM.normal(0, 1, 80), FEATURES])
TRAIN, TEST = ROWS[:50], ROWS[50:]
GATE = Gate(metric="rmse", at_most=2)


def assessed(predictions: np.ndarray, champion: Champion) -> Evaluation:
    return assess("regression", GATE, TRAIN, TEST, predictions, champion)


def test_model_champion_and_baselines_are_scored_on_the_same_rows() -> None:
    truth = TEST[:, 0]
    evaluation = assessed(truth + 0.5, Champion("version 6", truth + 1))
    assert list(evaluation.metrics) == ["model", "champion", "linear", "mean"]
    assert evaluation.metrics["model"]["rmse"] == pytest.approx(0.5)
    assert evaluation.metrics["champion"]["rmse"] == pytest.approx(1)
    assert 0.5 < evaluation.metrics["linear"]["rmse"] < 1.5 < evaluation.metrics["mean"]["rmse"]
    assert evaluation.verdict.passed


def test_the_document_is_json_that_holds_verdict_figures_and_sagemakers_statistics() -> None:
    evaluation = assessed(TEST[:, 0] + 3, Champion(reason="nothing is deployed yet"))
    document = json.loads(json.dumps(evaluation.document(), allow_nan=False))
    assert document["rows"] == {"train": 50, "test": 30}
    assert document["champion"] == {"package": "", "not_scored": "nothing is deployed yet"}
    assert "champion" not in document["metrics"]
    assert document["gate"]["passed"] is False
    assert document["gate"]["checks"][0]["name"] == "rmse at most 2"
    assert document["regression_metrics"]["rmse"]["value"] == pytest.approx(document["metrics"]["model"]["rmse"])


def test_a_champion_that_cannot_answer_for_every_row_is_refused() -> None:
    with pytest.raises(ArtifactError, match="29 finite predictions for 30 rows"):
        assessed(TEST[:, 0], Champion("version 6", TEST[1:, 0]))


def test_a_champion_has_predictions_or_a_reason_for_having_none() -> None:
    with pytest.raises(ValueError, match="either"):
        Champion("version 6")
    with pytest.raises(ValueError, match="either"):
        Champion("version 6", TEST[:, 0], reason="none")
