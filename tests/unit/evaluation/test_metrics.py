import math

import numpy as np
import pytest

from common.errors import ArtifactError, UsageError
from common.evaluation.baselines import baselines
from common.evaluation.metrics import evaluate, model_quality

TRUTH = np.array([1.0, 2.0, 3.0, 4.0])
PREDICTIONS = np.array([1.0, 2.0, 3.0, 6.0])


def test_regression_metrics_are_those_of_the_textbook() -> None:
    assert evaluate("regression", TRUTH, PREDICTIONS) == pytest.approx({"rmse": 1.0, "mae": 0.5, "r2": 1 - 4 / 5})


@pytest.mark.parametrize("predictions", [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0, math.nan], [1.0, 2.0, 3.0, math.inf]])
def test_a_model_without_one_finite_prediction_for_each_row_cannot_be_scored(predictions: list[float]) -> None:
    with pytest.raises(ArtifactError, match="3 finite predictions for 4 rows"):
        evaluate("regression", TRUTH, np.array(predictions))


def test_a_problem_type_without_metrics_is_refused() -> None:
    with pytest.raises(UsageError, match="no metrics for binary_classification"):
        evaluate("binary_classification", TRUTH, PREDICTIONS)


def test_model_quality_has_sagemakers_form_and_the_same_figures() -> None:
    quality = model_quality(TRUTH, PREDICTIONS)["regression_metrics"]
    assert {name: entry["value"] for name, entry in quality.items()} == pytest.approx(
        {"mae": 0.5, "mse": 1.0, "rmse": 1.0, "r2": 0.2}
    )
    assert all(set(entry) == {"value", "standard_deviation"} for entry in quality.values())


def test_standard_deviations_are_those_that_resampling_the_rows_shows() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(10, 3, 1000)
    predictions = truth + random.normal(0, 2, 1000)
    stated = model_quality(truth, predictions)["regression_metrics"]
    samples = [random.integers(0, 1000, 1000) for _ in range(400)]
    scores = [evaluate("regression", truth[rows], predictions[rows]) for rows in samples]
    for name in ("rmse", "mae", "r2"):
        resampled = np.std([score[name] for score in scores])
        assert stated[name]["standard_deviation"] == pytest.approx(resampled, rel=0.25)


def test_perfect_predictions_and_a_constant_label_have_finite_figures() -> None:
    for truth in (TRUTH, np.ones(4)):
        for entry in model_quality(truth, truth)["regression_metrics"].values():
            assert math.isfinite(entry["value"])
            assert entry["standard_deviation"] == 0


def test_baselines_learn_from_the_training_rows_only() -> None:
    train = np.array([[3.0, 1.0], [5.0, 2.0], [7.0, 3.0]])  # the label is 1 + 2 × the feature
    test = np.array([[100.0, 4.0], [200.0, 5.0]])
    predicted = baselines(train, test)
    assert predicted["mean"].tolist() == [5.0, 5.0]
    assert predicted["linear"].tolist() == pytest.approx([9.0, 11.0])
