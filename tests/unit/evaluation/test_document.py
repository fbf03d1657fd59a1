import json

import numpy as np
import pytest

from common.errors import ArtifactError, DataError, UsageError
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
    assert document["threshold"] is None
    assert document["comparisons"] == {}
    assert document["regression_metrics"]["rmse"]["value"] == pytest.approx(document["metrics"]["model"]["rmse"])


def test_a_champion_that_cannot_answer_for_every_row_is_refused() -> None:
    with pytest.raises(ArtifactError, match="29 finite predictions for 30 rows"):
        assessed(TEST[:, 0], Champion("version 6", TEST[1:, 0]))


FRESH_ROWS = np.column_stack([np.arange(100.0), np.arange(100.0)])
HALF = np.arange(100) >= 50


def retrained(predictions: np.ndarray, champion: np.ndarray, fresh: np.ndarray = HALF) -> Evaluation:
    return assess(
        "regression", Gate("rmse", at_most=9), TRAIN, FRESH_ROWS, predictions, Champion("v1", champion), fresh=fresh
    )


def test_a_retraining_is_held_against_the_champion_on_the_fresh_rows_alone() -> None:
    """As good as the champion on what both know, and better on what is new: over all rows it is the same one way or another."""
    truth, errors = FRESH_ROWS[:, 0], RANDOM.normal(0, 1, 100)
    better = retrained(truth + errors, truth + errors + 4 * HALF)
    assert better.verdict.passed
    assert "on 50 fresh test rows rmse is better by" in better.verdict.checks[-1].detail
    worse_there = retrained(truth + errors, truth + errors + 4 * ~HALF)
    assert not worse_there.verdict.passed
    assert worse_there.comparisons["rmse"].low > 0


@pytest.mark.parametrize("fresh", [np.zeros(100, bool), np.arange(100) > 71], ids=["none", "too few"])
def test_a_retraining_without_fresh_rows_to_show_it_on_is_not_better(fresh: np.ndarray) -> None:
    truth = FRESH_ROWS[:, 0]
    assert "too few to show" in retrained(truth, truth + 4, fresh).verdict.reason


def test_a_retraining_is_no_better_than_its_equal() -> None:
    truth = FRESH_ROWS[:, 0] + RANDOM.normal(0, 1, 100)
    assert not retrained(truth, truth).verdict.passed


def test_a_retraining_that_cannot_be_compared_is_left_to_a_person() -> None:
    evaluation = assess(
        "regression", GATE, TRAIN, TEST, TEST[:, 0], Champion("v1", reason="it is damaged"), fresh=np.ones(30, bool)
    )
    assert evaluation.verdict.passed


def test_a_champion_has_predictions_or_a_reason_for_having_none() -> None:
    with pytest.raises(ValueError, match="either"):
        Champion("version 6")
    with pytest.raises(ValueError, match="either"):
        Champion("version 6", TEST[:, 0], reason="none")


CHANCES = RANDOM.uniform(0.05, 0.95, 400)
CUSTOMERS = np.column_stack([RANDOM.random(400) < CHANCES, np.log(CHANCES / (1 - CHANCES))]).astype(float)
CUSTOMER_TRAIN, CUSTOMER_TEST, TRUE_CHANCES = CUSTOMERS[:200], CUSTOMERS[200:], CHANCES[200:]
LOG_LOSS = Gate(metric="log_loss", at_most=0.7)


def classified(
    predictions: np.ndarray, champion: Champion, gate: Gate = LOG_LOSS, threshold: float = 0.4
) -> Evaluation:
    return assess("binary_classification", gate, CUSTOMER_TRAIN, CUSTOMER_TEST, predictions, champion, threshold)


def test_a_classification_has_its_own_baselines_intervals_and_threshold() -> None:
    evaluation = classified(TRUE_CHANCES, Champion(reason="nothing is deployed"))
    assert list(evaluation.metrics) == ["model", "logistic", "prior"]
    assert evaluation.metrics["prior"]["roc_auc"] == 0.5
    assert set(evaluation.intervals) == set(evaluation.metrics["model"])
    for name, interval in evaluation.intervals.items():
        assert interval.low < evaluation.metrics["model"][name] < interval.high
    document = json.loads(json.dumps(evaluation.document(), allow_nan=False))
    assert document["threshold"] == 0.4
    assert document["intervals"]["brier"] == {
        "low": evaluation.intervals["brier"].low,
        "high": evaluation.intervals["brier"].high,
    }
    assert document["binary_classification_metrics"]["auc"]["value"] == document["metrics"]["model"]["roc_auc"]


def test_champion_and_challenger_each_have_their_own_threshold() -> None:
    same = classified(TRUE_CHANCES / 2, Champion("version 6", TRUE_CHANCES, threshold=0.6), threshold=0.3)
    assert same.comparisons["f1"].difference == 0
    assert same.comparisons["f1"].low == same.comparisons["f1"].high == 0


def test_a_challenger_that_is_clearly_worse_is_refused_and_the_other_way_round_passes() -> None:
    guesses = np.full(200, 0.5)
    worse = classified(guesses, Champion("version 6", TRUE_CHANCES))
    assert not worse.verdict.passed
    assert worse.comparisons["log_loss"].at_best < 0
    better = classified(TRUE_CHANCES, Champion("version 6", guesses))
    assert better.verdict.passed
    assert better.comparisons["log_loss"].low > 0
    assert json.loads(json.dumps(better.document()))["comparisons"]["log_loss"]["low"] > 0


def test_a_challenger_that_only_chance_makes_worse_passes() -> None:
    noisy = np.clip(TRUE_CHANCES + RANDOM.normal(0, 0.01, 200), 0.01, 0.99)
    for mine, its in ((noisy, TRUE_CHANCES), (TRUE_CHANCES, noisy), (noisy, noisy)):
        assert classified(mine, Champion("version 6", its)).verdict.passed


def test_the_same_evaluation_twice_is_the_same_document() -> None:
    champion = Champion("version 6", 1 - TRUE_CHANCES)
    assert classified(TRUE_CHANCES, champion).document() == classified(TRUE_CHANCES, champion).document()


def test_a_gate_of_the_other_problem_is_refused() -> None:
    with pytest.raises(UsageError, match="rmse, which a binary classification does not have"):
        classified(TRUE_CHANCES, Champion(reason="nothing is deployed"), GATE)


def test_test_rows_of_one_label_only_are_refused() -> None:
    stayed = CUSTOMER_TEST[CUSTOMER_TEST[:, 0] == 0]
    champion = Champion(reason="nothing is deployed")
    with pytest.raises(DataError, match=f"The label is 0 in all {len(stayed)} rows"):
        assess("binary_classification", LOG_LOSS, CUSTOMER_TRAIN, stayed, np.full(len(stayed), 0.1), champion)
