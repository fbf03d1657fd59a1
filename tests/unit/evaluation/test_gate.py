import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UsageError
from common.evaluation.gate import HIGHER_IS_BETTER, Check, Gate, Verdict, decide, shown_better
from common.evaluation.intervals import Comparison

GATE = Gate(metric="rmse", at_most=2.6, may_lose_to_champion_by=0.02)


def gained(difference: float, at_best: float | None = None) -> Comparison:
    return Comparison(difference, difference - 0.1, difference + 0.1, difference if at_best is None else at_best)


@pytest.mark.parametrize(("value", "passed"), [(2.5, True), (2.6, True), (2.61, False), (math.nan, False)])
def test_an_error_may_reach_its_bound_and_not_more(value: float, passed: bool) -> None:
    assert decide(GATE, value).passed is passed


@pytest.mark.parametrize(("value", "passed"), [(0.6, True), (0.5, True), (0.49, False), (math.nan, False)])
def test_a_metric_that_is_better_when_higher_is_held_the_other_way_round(value: float, passed: bool) -> None:
    assert decide(Gate(metric="r2", at_least=0.5), value).passed is passed


@pytest.mark.parametrize(
    ("difference", "at_best", "passed"),
    [
        (0.4, 0.5, True),
        (0.0, 0.0, True),
        (-0.1, 0.01, True),  # worse on these rows, but by chance perhaps better
        (-0.1, -0.02, True),  # surely worse, but perhaps by no more than is allowed
        (-0.1, -0.0201, False),
        (math.nan, math.nan, False),
        (0.4, math.nan, False),
    ],
)
def test_a_challenger_is_refused_when_even_its_gain_at_best_is_a_greater_loss_than_is_allowed(
    difference: float, at_best: float, passed: bool
) -> None:
    assert decide(GATE, 2.5, gained(difference, at_best)).passed is passed


def test_a_model_that_beats_its_champion_still_has_to_reach_the_bound() -> None:
    assert not decide(GATE, 2.7, gained(0.2)).passed


@given(st.sampled_from(sorted(HIGHER_IS_BETTER)), st.floats(0, 1), st.floats(0.5, 0.999))
def test_a_model_never_loses_to_its_equal(metric: str, value: float, confidence: float) -> None:
    bound = {"at_least": 0.0} if HIGHER_IS_BETTER[metric] else {"at_most": 1.0}
    assert decide(Gate(metric, **bound, confidence=confidence), value, Comparison(0, 0, 0, 0)).passed


def test_each_check_says_the_figures_that_decided_it() -> None:
    verdict = decide(GATE, 2.7, Comparison(-0.05, -0.08, -0.02, at_best=-0.0256))
    assert verdict.checks == (
        Check("rmse at most 2.6", False, "rmse is 2.7000, at most 2.6 is wanted"),
        Check(
            "rmse against the champion",
            False,
            "rmse is 2.7000 and the champion's 2.6500: worse by 0.0500 (gain between -0.0800 and -0.0200, 95 % interval); "
            "with 95 % confidence the loss is at least 0.0256, and 0.02 is allowed",
        ),
    )


def test_a_check_that_is_passed_says_that_no_loss_is_shown() -> None:
    gate = Gate(metric="roc_auc", at_least=0.8, may_lose_to_champion_by=0.01, confidence=0.975)
    check = decide(gate, 0.91, Comparison(0.02, -0.005, 0.045, at_best=0.045)).checks[1]
    assert check.detail == (
        "roc_auc is 0.9100 and the champion's 0.8900: better by 0.0200 (gain between -0.0050 and +0.0450, 95 % interval); "
        "no loss above 0.01 is shown with 97.5 % confidence"
    )


def test_small_figures_keep_the_digits_that_decide() -> None:
    gate = Gate("rmse", at_most=5e-4, may_lose_to_champion_by=1e-6)
    verdict = decide(gate, 5.002e-4, Comparison(-2.5e-6, -4e-6, -1.25e-6, at_best=-1.5e-6))
    assert verdict.reason == (
        "rmse is 0.0005002, at most 0.0005 is wanted; rmse is 0.0005002 and the champion's 0.0004977: worse by 2.5e-06 "
        "(gain between -4e-06 and -1.25e-06, 95 % interval); with 95 % confidence the loss is at least 1.5e-06, and "
        "1e-06 is allowed"
    )


@pytest.mark.parametrize(("low", "passed"), [(0.01, True), (0.0, False), (-0.01, False), (math.nan, False)])
def test_a_retraining_has_to_be_surely_better_on_fresh_rows(low: float, passed: bool) -> None:
    check = shown_better(GATE, 400, Comparison(0.05, low, 0.1, at_best=0.09))
    assert (check.passed, "400 fresh test rows" in check.detail) == (passed, True)


def test_what_a_retraining_has_shown_is_told_with_its_figures() -> None:
    check = shown_better(GATE, 1400, Comparison(-0.05, -0.08, -0.02, at_best=-0.0256))
    assert check.detail == (
        "on 1,400 fresh test rows rmse is worse by 0.0500 than the champion's (gain between -0.0800 and -0.0200, 95 % "
        "interval): it is not shown to be any better"
    )


def test_too_few_fresh_rows_show_nothing() -> None:
    check = shown_better(GATE, 12, None)
    assert not check.passed
    assert "12 are fresh, too few" in check.detail


def test_the_reason_tells_what_failed_or_else_what_passed_and_fits_the_registry() -> None:
    good, bad = Check("a", True, "good"), Check("b", False, "bad")
    assert Verdict((good, bad)).reason == "bad"
    assert Verdict((good,)).reason == "good"
    assert len(Verdict((Check("long", False, "x" * 2000),)).reason) == 1024


@pytest.mark.parametrize(
    ("declared", "fault"),
    [
        ({"metric": "accuracy", "at_least": 0.5}, "no metric 'accuracy'"),
        ({"metric": "rmse"}, "needs at_most"),
        ({"metric": "rmse", "at_least": 2}, "needs at_most, and no at_least"),
        ({"metric": "rmse", "at_most": 2, "at_least": 1}, "needs at_most, and no at_least"),
        ({"metric": "r2", "at_most": 1}, "needs at_least, and no at_most"),
        ({"metric": "rmse", "at_most": 2, "may_lose_to_champion_by": -1}, "below 0"),
        ({"metric": "rmse", "at_most": 2, "confidence": 0.4}, "A confidence of 0.4"),
        ({"metric": "rmse", "at_most": 2, "confidence": 1}, "A confidence of 1"),
        ({"metric": "rmse", "at_most": 2, "confidence": 95}, "A confidence of 95"),
    ],
)
def test_a_gate_that_binds_nothing_is_refused_where_it_is_declared(declared: dict[str, float], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        Gate(**declared)  # type: ignore[arg-type]


def test_a_gate_is_held_against_the_problem_that_it_judges() -> None:
    Gate("rmse", at_most=2).require_metric_of("regression")
    Gate("log_loss", at_most=0.3).require_metric_of("binary_classification")
    with pytest.raises(UsageError, match=r"roc_auc, which a regression does not have\.\n.*Name one of rmse, mae, r2"):
        Gate("roc_auc", at_least=0.8).require_metric_of("regression")
    with pytest.raises(UsageError, match="rmse, which a binary classification does not have"):
        Gate("rmse", at_most=2).require_metric_of("binary_classification")


def test_who_reads_a_gate_waits_for_no_numeric_library() -> None:
    program = "import sys, common.evaluation.gate; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
