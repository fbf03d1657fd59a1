"""How many instances a scaling policy wants."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.local.autoscaling.scaling import Bounds, check_steps, is_cooling, step_scaling, target_tracking

STEPS = [
    {"MetricIntervalUpperBound": -10.0, "ScalingAdjustment": -2},
    {"MetricIntervalLowerBound": -10.0, "MetricIntervalUpperBound": 0.0, "ScalingAdjustment": -1},
    {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0, "ScalingAdjustment": 1},
    {"MetricIntervalLowerBound": 10.0, "ScalingAdjustment": 3},
]


@pytest.mark.parametrize(
    ("count", "value", "wanted"), [(2, 15.0, 3), (2, 10.0, 2), (2, 30.0, 6), (4, 4.9, 2), (3, 0.0, 0), (0, 25.0, 3)]
)
def test_target_tracking_scales_in_proportion_to_the_metric(count: int, value: float, wanted: int) -> None:
    assert target_tracking(count, value, target=10.0) == wanted


@given(st.integers(1, 50), st.floats(0.1, 1e6), st.floats(0.1, 1e6))
def test_what_target_tracking_wants_is_the_least_count_that_keeps_the_target(
    count: int, value: float, target: float
) -> None:
    wanted = target_tracking(count, value, target)
    load = count * value
    assert load / wanted <= target * (1 + 1e-6)
    assert wanted == 1 or load / (wanted - 1) > target * (1 - 1e-6)


@pytest.mark.parametrize(
    ("distance", "wanted"), [(0.0, 6), (9.9, 6), (10.0, 8), (1e9, 8), (-0.1, 4), (-9.9, 4), (-10.0, 3), (-1e9, 3)]
)
def test_the_step_for_the_distance_from_the_threshold_applies(distance: float, wanted: int) -> None:
    config = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": STEPS}
    assert step_scaling(5, distance, config) == wanted


@pytest.mark.parametrize(
    ("adjustment", "least", "wanted"),
    [(100, 0, 10), (10, 0, 6), (50, 0, 7), (10, 3, 8), (-10, 0, 4), (-50, 0, 3), (-10, 2, 3), (0, 0, 5)],
)
def test_percentages_round_towards_what_there_is_but_change_something(adjustment: int, least: int, wanted: int) -> None:
    config = {
        "AdjustmentType": "PercentChangeInCapacity",
        "MinAdjustmentMagnitude": least,
        "StepAdjustments": [{"ScalingAdjustment": adjustment}],
    }
    assert step_scaling(5, 1.0, config) == wanted


def test_exact_capacity_is_what_it_says_and_no_step_is_no_change() -> None:
    config = {
        "AdjustmentType": "ExactCapacity",
        "StepAdjustments": [{"MetricIntervalLowerBound": 5.0, "ScalingAdjustment": 2}],
    }
    assert step_scaling(7, 5.0, config) == 2
    assert step_scaling(7, 4.0, config) == 7


def test_bounds_hold_a_count() -> None:
    bounds = Bounds(1, 4)
    assert [bounds.hold(count) for count in (0, 1, 3, 9)] == [1, 1, 3, 4]


def test_an_activity_cools_from_its_end_on() -> None:
    assert is_cooling({"EndTime": 100.0}, 10, now=109.9)
    assert not is_cooling({"EndTime": 100.0}, 10, now=110.0)
    assert not is_cooling(None, 10, now=0.0)


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([], "At least one"),
        ([{"MetricIntervalLowerBound": 5.0, "MetricIntervalUpperBound": 1.0, "ScalingAdjustment": 1}], "less than"),
        ([STEPS[0], {"MetricIntervalLowerBound": -20.0, "ScalingAdjustment": 1}], "overlap"),
        ([STEPS[0], STEPS[3]], "gap"),
    ],
)
def test_steps_that_make_no_sense_are_refused(steps: list[dict[str, Any]], says: str) -> None:
    assert says in (check_steps(steps) or "")
    assert check_steps(STEPS) is None
