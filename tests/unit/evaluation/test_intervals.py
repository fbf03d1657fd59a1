import time
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from common.errors import DataError
from common.evaluation import intervals
from common.evaluation.intervals import RESAMPLES, score
from common.evaluation.metrics import Values, evaluate

RANDOM = np.random.default_rng(0)
LABELS = (RANDOM.random(1000) < 0.14).astype(float)
GOOD = np.clip(RANDOM.beta(1, 6, 1000) + 0.3 * LABELS, 0, 1)
POOR = np.clip(GOOD + RANDOM.normal(0, 0.2, 1000), 0, 1)


@st.composite
def drawn(draw: st.DrawFn) -> tuple[Values, Values, NDArray[np.int64]]:
    """Labels of both classes, probabilities of which some are equal, and the rows of a resample with both classes."""
    rows = draw(st.integers(2, 30))

    def column(values: st.SearchStrategy[float]) -> list[float]:
        return draw(st.lists(values, min_size=rows, max_size=rows))

    truth = np.array([0.0, 1.0, *column(st.sampled_from([0.0, 1.0]))[2:]])
    probabilities = np.array(column(st.one_of(st.sampled_from([0, 0.25, 0.5, 1]), st.floats(0, 1))), dtype=float)
    return truth, probabilities, np.array([0, 1, *column(st.integers(0, rows - 1))[2:]])


def counts(rows: NDArray[np.int64]) -> Values:
    return np.bincount(rows, minlength=len(rows))[np.newaxis].astype(float)


@given(drawn(), st.sampled_from([0.25, 0.5, 0.6]))
def test_a_resampled_classification_is_measured_as_scikit_learn_measures_it(
    case: tuple[Values, Values, NDArray[np.int64]], threshold: float
) -> None:
    truth, probabilities, rows = case
    measured = intervals._ranked(truth, probabilities, threshold)(counts(rows))
    expected = evaluate("binary_classification", truth[rows], probabilities[rows], threshold)
    assert {name: values.item() for name, values in measured.items()} == pytest.approx(expected, abs=1e-12)


@given(drawn())
def test_a_resampled_regression_is_measured_as_scikit_learn_measures_it(
    case: tuple[Values, Values, NDArray[np.int64]],
) -> None:
    truth, predictions, rows = case[0] * 7 + 1e4, case[1] * 9 + 1e4, case[2]
    measured = intervals._regression(truth, predictions)(counts(rows))
    expected = evaluate("regression", truth[rows], predictions[rows])
    assert {name: values.item() for name, values in measured.items()} == pytest.approx(expected, abs=1e-9)


def test_intervals_are_those_of_resampling_row_by_row() -> None:
    samples = [RANDOM.integers(0, 1000, 1000) for _ in range(400)]
    stated = score("binary_classification", LABELS, GOOD).intervals()
    for name, function in {"roc_auc": metrics.roc_auc_score, "log_loss": metrics.log_loss}.items():
        low, high = np.quantile([function(LABELS[rows], GOOD[rows]) for rows in samples], [0.025, 0.975])
        width = high - low
        assert stated[name].low == pytest.approx(low, abs=0.15 * width)
        assert stated[name].high == pytest.approx(high, abs=0.15 * width)


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for _ in range(100):
        truth = RANDOM.normal(0, 1, 200)
        interval = score("regression", truth, truth + RANDOM.normal(0, 2, 200)).intervals()["rmse"]
        covered += interval.low <= 2 <= interval.high
    assert 88 <= covered <= 100


def test_two_models_are_measured_on_the_same_resamples_so_that_what_they_share_cancels() -> None:
    truth = RANDOM.normal(0, 5, 500)
    mine, its = score("regression", truth, truth + 1), score("regression", truth, truth - 1.1)
    gain = mine.against(its, confidence=0.95)["rmse"]
    assert (gain.difference, gain.low, gain.high, gain.at_best) == pytest.approx((0.1, 0.1, 0.1, 0.1))


def test_a_gain_is_positive_where_the_challenger_is_better_whatever_the_metrics_direction() -> None:
    good, poor = (score("binary_classification", LABELS, values, 0.3) for values in (GOOD, POOR))
    for comparison in good.against(poor, 0.95).values():
        assert comparison.low < comparison.difference < comparison.high
        assert comparison.difference > 0
    for comparison in poor.against(good, 0.95).values():
        assert comparison.difference < 0


def test_the_gain_at_best_is_the_quantile_of_the_declared_confidence() -> None:
    good, poor = (score("binary_classification", LABELS, values) for values in (GOOD, POOR))
    at_best = [good.against(poor, confidence)["brier"].at_best for confidence in (0.5, 0.8, 0.95, 0.975)]
    assert at_best == sorted(at_best)
    assert at_best[-1] == good.against(poor, 0.5)["brier"].high


def test_equal_predictions_gain_exactly_nothing() -> None:
    for comparison in (
        score("binary_classification", LABELS, GOOD)
        .against(score("binary_classification", LABELS, GOOD), 0.95)
        .values()
    ):
        assert (comparison.difference, comparison.low, comparison.high, comparison.at_best) == (0, 0, 0, 0)


def test_the_same_input_gives_the_same_resamples_however_they_are_batched() -> None:
    whole = score("binary_classification", LABELS, GOOD).samples
    with patch.object(intervals, "_DRAWS", 7000):
        batched = score("binary_classification", LABELS, GOOD).samples
    for name, values in whole.items():
        assert len(values) == RESAMPLES
        np.testing.assert_allclose(batched[name], values, rtol=1e-12)


def test_resamples_without_two_kinds_of_label_are_left_out() -> None:
    truth, probabilities = np.array([0.0, 0.0, 1.0]), np.array([0.1, 0.2, 0.3])
    samples = score("binary_classification", truth, probabilities).samples
    share = 1 - (2 / 3) ** 3 - (1 / 3) ** 3
    assert len(samples["roc_auc"]) == pytest.approx(share * RESAMPLES, rel=0.1)
    assert all(np.isfinite(values).all() for values in samples.values())


def test_a_model_is_not_scored_on_one_kind_of_label() -> None:
    with pytest.raises(DataError, match="no metric could tell"):
        score("binary_classification", np.zeros(10), np.full(10, 0.5))


def test_two_classifiers_are_scored_in_a_second_and_a_half_of_one_core() -> None:
    started = time.process_time()
    score("binary_classification", LABELS, GOOD).against(score("binary_classification", LABELS, POOR), 0.95)
    assert time.process_time() - started < 1.5
