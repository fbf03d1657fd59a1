import json
import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from common.evaluation.intervals import score
from common.evaluation.metrics import Values
from common.evaluation.statistics import model_quality

RANDOM = np.random.default_rng(0)
LABELS = (RANDOM.random(1000) < 0.14).astype(float)
PROBABILITIES = np.clip(RANDOM.beta(1, 6, 1000) + 0.3 * LABELS, 0, 1)
# The example in SageMaker's documentation: one of three negatives recognised, and the only positive.
FOUR_LABELS, FOUR_PROBABILITIES = np.array([0.0, 0.0, 0.0, 1.0]), np.array([0.2, 0.6, 0.7, 0.9])
AWS_EXAMPLE = {
    "recall": 1.0,
    "precision": 1 / 3,
    "accuracy": 0.5,
    "recall_best_constant_classifier": 1.0,
    "precision_best_constant_classifier": 0.25,
    "accuracy_best_constant_classifier": 0.25,
    "true_positive_rate": 1.0,
    "true_negative_rate": 1 / 3,
    "false_positive_rate": 2 / 3,
    "false_negative_rate": 0.0,
    "auc": 1.0,
    "f0_5": 0.3846153846153846,
    "f1": 0.5,
    "f2": 0.7142857142857143,
    "f0_5_best_constant_classifier": 0.29411764705882354,
    "f1_best_constant_classifier": 0.4,
    "f2_best_constant_classifier": 0.625,
}


def classified(truth: Values, probabilities: Values, threshold: float = 0.5) -> dict[str, Any]:
    problem_score = score("binary_classification", truth, probabilities, threshold)
    quality = model_quality("binary_classification", truth, probabilities, threshold, problem_score)
    json.dumps(quality, allow_nan=False)
    statistics: dict[str, Any] = quality["binary_classification_metrics"]
    return statistics


def regressed(truth: Values, predictions: Values) -> dict[str, Any]:
    quality = model_quality("regression", truth, predictions, 0.5, score("regression", truth, predictions))
    statistics: dict[str, Any] = quality["regression_metrics"]
    return statistics


def test_a_regression_has_sagemakers_names_and_the_textbooks_figures() -> None:
    statistics = regressed(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, 6.0]))
    assert {name: entry["value"] for name, entry in statistics.items()} == pytest.approx(
        {"mae": 0.5, "mse": 1.0, "rmse": 1.0, "r2": 0.2}
    )
    assert all(set(entry) == {"value", "standard_deviation"} for entry in statistics.values())


def test_standard_deviations_of_a_regression_are_those_of_the_delta_method() -> None:
    truth = RANDOM.normal(10, 3, 1000)
    predictions = truth + RANDOM.normal(0, 2, 1000)
    statistics, errors = regressed(truth, predictions), predictions - truth
    assert statistics["mae"]["standard_deviation"] == pytest.approx(np.abs(errors).std() / 1000**0.5, rel=0.1)
    assert statistics["mse"]["standard_deviation"] == pytest.approx((errors**2).std() / 1000**0.5, rel=0.1)
    expected = (errors**2).std() / (2 * statistics["rmse"]["value"]) / 1000**0.5
    assert statistics["rmse"]["standard_deviation"] == pytest.approx(expected, rel=0.1)


def test_perfect_predictions_have_finite_figures() -> None:
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    for entry in regressed(truth, truth).values():
        assert math.isfinite(entry["value"])
        assert entry["standard_deviation"] == 0


def test_a_classification_has_the_figures_of_sagemakers_own_example() -> None:
    statistics = classified(FOUR_LABELS, FOUR_PROBABILITIES)
    assert statistics["confusion_matrix"] == {"0": {"0": 1, "1": 2}, "1": {"0": 0, "1": 1}}
    assert {name: statistics[name]["value"] for name in AWS_EXAMPLE} == pytest.approx(AWS_EXAMPLE)
    curves = {"confusion_matrix", "receiver_operating_characteristic_curve", "precision_recall_curve"}
    assert set(statistics) == {*AWS_EXAMPLE, *curves}


def test_the_threshold_decides_what_is_called_positive() -> None:
    statistics = classified(FOUR_LABELS, FOUR_PROBABILITIES, threshold=0.9)
    assert statistics["confusion_matrix"] == {"0": {"0": 3, "1": 0}, "1": {"0": 0, "1": 1}}


def test_where_no_label_is_called_positive_the_figures_are_finite() -> None:
    statistics = classified(FOUR_LABELS, FOUR_PROBABILITIES, threshold=0.95)
    assert statistics["precision"]["value"] == statistics["f1"]["value"] == 0
    assert statistics["accuracy"]["value"] == 0.75


def test_standard_deviations_of_rates_are_those_of_a_share() -> None:
    statistics = classified(LABELS, PROBABILITIES)
    for name, rows in {"accuracy": 1000, "recall": LABELS.sum(), "precision": (PROBABILITIES >= 0.5).sum()}.items():
        share = statistics[name]["value"]
        expected = (share * (1 - share) / rows) ** 0.5
        assert statistics[name]["standard_deviation"] == pytest.approx(expected, rel=0.1)


def test_curves_run_from_end_to_end_with_the_area_that_is_stated() -> None:
    statistics = classified(LABELS, PROBABILITIES)
    roc, recall = statistics["receiver_operating_characteristic_curve"], statistics["precision_recall_curve"]
    false, true = np.array(roc["false_positive_rates"]), np.array(roc["true_positive_rates"])
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert metrics.auc(false, true) == pytest.approx(statistics["auc"]["value"], abs=0.002)
    recalls, precisions = np.array(recall["recalls"]), np.array(recall["precisions"])
    assert (recalls[0], precisions[0], recalls[-1]) == (0, 1, 1)
    assert (np.diff(recalls) >= 0).all()


def test_curves_do_not_grow_with_the_rows() -> None:
    labels = (RANDOM.random(3000) < 0.5).astype(float)
    for curve in ("receiver_operating_characteristic_curve", "precision_recall_curve"):
        assert all(len(points) <= 200 for points in classified(labels, RANDOM.random(3000))[curve].values())
