import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from common.errors import ArtifactError, DataError
from common.evaluation.baselines import baselines
from common.evaluation.metrics import choose_threshold, evaluate

TRUTH = np.array([1.0, 2.0, 3.0, 4.0])
PREDICTIONS = np.array([1.0, 2.0, 3.0, 6.0])
LABELS = np.array([0.0, 1.0, 0.0, 1.0])


def test_regression_metrics_are_those_of_the_textbook() -> None:
    assert evaluate("regression", TRUTH, PREDICTIONS) == pytest.approx({"rmse": 1.0, "mae": 0.5, "r2": 1 - 4 / 5})


def test_classification_metrics_are_those_of_the_textbook() -> None:
    probabilities = np.array([0.1, 0.4, 0.6, 0.8])
    assert evaluate("binary_classification", LABELS, probabilities, threshold=0.3) == pytest.approx(
        {
            "roc_auc": 3 / 4,  # of the four pairs, one is in the wrong order
            "pr_auc": (1 / 1 + 2 / 3) / 2,
            "log_loss": -(math.log(0.9) + math.log(0.4) + math.log(0.4) + math.log(0.8)) / 4,
            "brier": (0.01 + 0.36 + 0.36 + 0.04) / 4,
            "f1": 2 * 2 / (3 + 2),
        }
    )


def test_a_probability_at_the_threshold_is_positive() -> None:
    probabilities = np.array([0.2, 0.5, 0.2, 0.5])
    assert evaluate("binary_classification", LABELS, probabilities, threshold=0.5)["f1"] == 1
    assert evaluate("binary_classification", LABELS, probabilities, threshold=0.51)["f1"] == 0


@pytest.mark.parametrize("predictions", [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0, math.nan], [1.0, 2.0, 3.0, math.inf]])
def test_a_model_without_one_finite_prediction_for_each_row_cannot_be_scored(predictions: list[float]) -> None:
    with pytest.raises(ArtifactError, match="3 finite predictions for 4 rows"):
        evaluate("regression", TRUTH, np.array(predictions))


@pytest.mark.parametrize("odd", [-0.1, 1.1, math.nan])
def test_a_classifier_that_answers_no_probabilities_cannot_be_scored(odd: float) -> None:
    with pytest.raises(ArtifactError, match="3 finite probabilities for 4 rows"):
        evaluate("binary_classification", LABELS, np.array([0.1, 0.4, 0.6, odd]))


@pytest.mark.parametrize("problem", ["regression", "binary_classification"])
def test_labels_that_are_all_alike_tell_no_model_from_another(problem: str) -> None:
    with pytest.raises(DataError, match="The label is 1 in all 4 rows"):
        evaluate(problem, np.ones(4), LABELS)  # type: ignore[arg-type]


def test_the_chosen_threshold_lies_halfway_between_the_probabilities_that_it_parts() -> None:
    assert choose_threshold(LABELS[[0, 0, 1, 1]], np.array([0.1, 0.3, 0.5, 0.9])) == pytest.approx(0.4)
    assert choose_threshold(LABELS[[1, 1, 0, 1]], np.array([0.2, 0.5, 0.6, 0.9])) == pytest.approx(0.1)


@st.composite
def classified(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels of both classes, and probabilities of which some are equal."""
    rows = draw(st.integers(2, 30))
    labels = draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=rows - 2, max_size=rows - 2))
    probabilities = draw(st.lists(st.integers(0, 8), min_size=rows, max_size=rows))
    return np.array([0.0, 1.0, *labels]), np.array(probabilities) / 8


@given(classified())
def test_no_threshold_has_a_better_f1_than_the_chosen_one(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probabilities = case
    chosen = choose_threshold(truth, probabilities)
    best = max(f1_score(truth, probabilities >= level) for level in np.unique(probabilities))
    assert f1_score(truth, probabilities >= chosen) == pytest.approx(best)
    assert 0 <= chosen < 1


def test_baselines_of_a_regression_learn_from_the_training_rows_only() -> None:
    train = np.array([[3.0, 1.0], [5.0, 2.0], [7.0, 3.0]])  # the label is 1 + 2 × the feature
    test = np.array([[100.0, 4.0], [200.0, 5.0]])
    predicted = baselines("regression", train, test)
    assert predicted["mean"].tolist() == [5.0, 5.0]
    assert predicted["linear"].tolist() == pytest.approx([9.0, 11.0])


def test_baselines_of_a_classification_are_the_base_rate_and_a_logistic_regression() -> None:
    random = np.random.default_rng(0)
    large = random.normal(1e6, 1e5, 4000)  # features of very unequal size, and one that says nothing
    chances = 1 / (1 + np.exp(1.5 - (large - 1e6) / 1e5))
    rows = np.column_stack([random.random(4000) < chances, large, random.normal(0, 1e-3, 4000), np.ones(4000)])
    predicted = baselines("binary_classification", rows[:3000], rows[3000:])
    assert list(predicted) == ["logistic", "prior"]
    assert set(predicted["prior"]) == {rows[:3000, 0].mean()}
    assert np.abs(predicted["logistic"] - chances[3000:]).max() < 0.05
