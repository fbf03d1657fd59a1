"""When early stopping Auto ends a training job."""

import pytest

from common.local.tuning.early_stopping import MedianRule

CURVES = [[4.0, 3.0, 2.0, 1.0], [6.0, 5.0, 4.0, 3.0], [8.0, 7.0, 6.0, 5.0]]
"""Their running averages after the second epoch are 3.5, 5.5 and 7.5."""


def rule(curves: list[list[float]], minimize: bool = True) -> MedianRule:
    made = MedianRule(minimize)
    for curve in curves:
        made.completed(curve)
    return made


@pytest.mark.parametrize(("objective", "stopped"), [(5.4, False), (5.5, False), (5.6, True)])
def test_a_job_worse_than_the_median_of_the_running_averages_is_stopped(objective: float, stopped: bool) -> None:
    assert rule(CURVES).stops([9.0, objective]) is stopped


@pytest.mark.parametrize(("objective", "stopped"), [(5.4, True), (5.5, False), (5.6, False)])
def test_a_maximised_objective_is_worse_when_it_is_lower(objective: float, stopped: bool) -> None:
    assert rule(CURVES, minimize=False).stops([9.0, objective]) is stopped


def test_no_job_is_stopped_before_half_of_the_completed_jobs_length() -> None:
    assert not rule(CURVES).stops([100.0])
    assert rule(CURVES).stops([100.0, 100.0])


def test_no_job_is_stopped_before_three_have_completed() -> None:
    assert not rule(CURVES[:2]).stops([100.0, 100.0])


def test_jobs_that_did_not_get_so_far_are_not_compared() -> None:
    short = [[0.0]] * 2
    # the median length is 4, and only the long ones have a third epoch: averages 3, 5, 7
    assert not rule(CURVES + short).stops([9.0, 9.0, 5.0])
    assert rule(CURVES + short).stops([9.0, 9.0, 5.1])


def test_a_job_longer_than_all_others_is_not_stopped() -> None:
    assert not rule(CURVES).stops([100.0] * 5)
