import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UsageError
from common.evaluation.gate import Check, Gate, Verdict, decide

GATE = Gate(metric="rmse", at_most=2.6, may_lose_to_champion_by=0.02)


@pytest.mark.parametrize(
    ("candidate", "champion", "passed"),
    [
        (2.5, None, True),
        (2.6, None, True),
        (2.61, None, False),
        (math.nan, None, False),
        (2.5, 2.5, True),
        (2.5, 2.4, False),
        (2.5, 2.485, True),
        (2.5, 2.9, True),
        (2.7, 2.9, False),
        (2.5, math.nan, False),
    ],
)
def test_the_gate_holds_an_error_against_bound_and_champion(
    candidate: float, champion: float | None, passed: bool
) -> None:
    rival = None if champion is None else {"rmse": champion}
    assert decide(GATE, {"rmse": candidate}, rival).passed is passed


@pytest.mark.parametrize(
    ("candidate", "champion", "passed"), [(0.6, None, True), (0.4, None, False), (0.6, 0.605, True), (0.6, 0.7, False)]
)
def test_a_metric_that_is_better_when_higher_is_held_the_other_way_round(
    candidate: float, champion: float | None, passed: bool
) -> None:
    gate = Gate(metric="r2", at_least=0.5, may_lose_to_champion_by=0.01)
    rival = None if champion is None else {"r2": champion}
    assert decide(gate, {"r2": candidate}, rival).passed is passed


@given(st.floats(0, 2.6))
def test_a_model_never_loses_to_its_equal(error: float) -> None:
    gate = Gate(metric="rmse", at_most=2.6)
    assert decide(gate, {"rmse": error}, {"rmse": error}).passed


def test_each_check_says_the_figures_that_decided_it() -> None:
    verdict = decide(GATE, {"rmse": 2.7}, {"rmse": 2.65})
    assert verdict.checks == (
        Check("rmse at most 2.6", False, "rmse is 2.7000, at most 2.6 is wanted"),
        Check(
            "rmse against the champion",
            False,
            "rmse is 2.7000 and the champion's 2.6500: worse by 0.0500, worse by 0.02 is allowed",
        ),
    )


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
    ],
)
def test_a_gate_that_binds_nothing_is_refused_where_it_is_declared(declared: dict[str, float], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        Gate(**declared)  # type: ignore[arg-type]
