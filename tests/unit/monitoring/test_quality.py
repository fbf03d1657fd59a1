"""Quality against a truth that comes late."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import log_loss, mean_absolute_error, roc_auc_score, root_mean_squared_error

from common.monitoring.checks import Metric, Outcomes
from common.monitoring.quality import FEWEST, compare_quality, too_few


def classified(random: np.random.Generator, rows: int, bias: float = 0.0) -> Outcomes:
    """Probabilities that are right on the logistic scale, but for a bias."""
    log_odds = random.normal(-1.5, 1.5, rows)
    truth = (random.random(rows) < 1 / (1 + np.exp(-log_odds - bias))).astype(float)
    return Outcomes(1 / (1 + np.exp(-log_odds)), truth)


def regressed(random: np.random.Generator, rows: int, deviation: float = 1.0) -> Outcomes:
    truth = random.gamma(2, 3, rows)
    return Outcomes(truth + deviation * random.standard_t(6, rows), truth)


@pytest.mark.parametrize("metric", ["rmse", "mae", "log_loss", "brier", "roc_auc"])
def test_equal_quality_is_called_worse_no_more_often_than_declared(metric: Metric) -> None:
    random, make = np.random.default_rng(4), regressed if metric in ("rmse", "mae") else classified
    found = [compare_quality(metric, make(random, 800), make(random, 150), 0.05, 0.0) for _ in range(100)]
    assert sum(each.degraded for each in found) <= stats.binom.ppf(0.9999, 100, 0.05)


@pytest.mark.parametrize("metric", ["rmse", "mae", "log_loss", "brier", "roc_auc"])
def test_intervals_contain_the_truth(metric: Metric) -> None:
    random, make = np.random.default_rng(6), regressed if metric in ("rmse", "mae") else classified
    far = compare_quality(metric, make(random, 200_000), make(random, 200_000), 0.05, 0.0).metrics[metric].now.value
    inside = zero = 0
    for _ in range(100):
        each = compare_quality(metric, make(random, 300), make(random, 300), 0.05, 0.0)
        now = each.metrics[metric].now
        inside += now.low <= far <= now.high
        zero += each.change.low <= 0 <= each.change.high
    assert min(inside, zero) >= 0.87 * 100


@pytest.mark.parametrize("metric", ["log_loss", "brier"])
def test_probabilities_that_went_wrong_are_found(metric: Metric) -> None:
    random = np.random.default_rng(1)
    found = compare_quality(metric, classified(random, 1000), classified(random, 400, bias=2), 0.01, 0.1)
    assert found.degraded
    assert found.change.low > 0
    assert "which is worse by " in found.words
    assert set(found.metrics) == {"log_loss", "brier", "roc_auc"}


def test_larger_errors_are_found_and_told() -> None:
    random = np.random.default_rng(1)
    found = compare_quality("rmse", regressed(random, 1000), regressed(random, 300, deviation=2), 0.01, 0.1)
    assert found.degraded
    assert found.words.startswith("The root mean squared error of 300 predictions whose truth is known by now is 2.")


def test_a_certain_but_small_loss_does_not_matter() -> None:
    random = np.random.default_rng(1)
    sides = regressed(random, 200_000), regressed(random, 200_000, deviation=1.05)
    assert not compare_quality("rmse", *sides, 0.01, 0.1).degraded
    assert compare_quality("rmse", *sides, 0.01, 0.01).degraded


def test_better_predictions_are_no_reason() -> None:
    random = np.random.default_rng(1)
    assert not compare_quality("mae", regressed(random, 500, 2), regressed(random, 500, 1), 0.05, 0.0).degraded


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9]), st.booleans()), min_size=10, max_size=40))
def test_metrics_are_those_of_scikit_learn(pairs: list[tuple[float, bool]]) -> None:
    table = np.array([*pairs, (0.3, True), (0.6, True), (0.3, False), (0.6, False)], dtype=float)
    outcomes = Outcomes(table[:, 0], table[:, 1])
    metrics = compare_quality("log_loss", outcomes, outcomes, 0.05, 0.1).metrics
    assert metrics["roc_auc"].now.value == pytest.approx(roc_auc_score(outcomes.truth, outcomes.predictions))
    assert metrics["log_loss"].now.value == pytest.approx(log_loss(outcomes.truth, outcomes.predictions))
    errors = compare_quality("rmse", outcomes, outcomes, 0.05, 0.1).metrics
    assert errors["rmse"].before.value == pytest.approx(root_mean_squared_error(outcomes.truth, outcomes.predictions))
    assert errors["mae"].before.value == pytest.approx(mean_absolute_error(outcomes.truth, outcomes.predictions))


@pytest.mark.parametrize("metric", ["rmse", "mae", "brier", "roc_auc", "log_loss"])
def test_perfect_predictions_are_as_good_as_perfect_ones(metric: Metric) -> None:
    truth = np.array([0.0, 1.0] * 20)
    perfect = Outcomes(truth, truth)
    same = compare_quality(metric, perfect, perfect, 0.01, 0.1)
    assert not same.degraded
    assert same.change.value == pytest.approx(0, abs=1e-12)
    wrong = compare_quality(metric, perfect, Outcomes(1 - truth, truth), 0.01, 0.1)
    assert wrong.degraded


def test_few_outcomes_say_nothing_and_why() -> None:
    few, one_sided = np.zeros(FEWEST - 1), np.zeros(200)
    assert too_few("rmse", Outcomes(few, few)) == (
        "The truth of 29 predictions is known; 30 are needed to say how good they were."
    )
    assert too_few("brier", Outcomes(one_sided, one_sided)).startswith("Of one of the two truths only 0 outcomes")
    assert too_few("rmse", Outcomes(one_sided, one_sided)) == ""
