"""Alarms that guard a rollout: what may be declared, thresholds learned from what serves, and what they cannot guard."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.deployment.alarms import Alarm, Learned, require_alarms, threshold_of
from common.deployment.guard import (
    Guard,
    firing,
    may_clear,
    require_guarding,
    shortcomings,
    wanted_definition,
)
from common.errors import DeploymentError, UsageError

ERRORS = Alarm("Invocation5XXErrors", "Sum", above=0)
SLOW = Alarm("ModelLatency", "p99", above=Learned(times=1.5, fallback=500_000))
MISSING = Alarm("Invocations", "Sum", below=Learned(times=0.2, fallback=1))
QUIET = replace(MISSING, below=1)
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def guard(alarm: Alarm = ERRORS, **known: Any) -> Guard:
    return Guard(alarm.name("abalone"), alarm, threshold_of(alarm, []), **known)


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: Alarm("ModelLatency", "p99"), "needs one threshold"),
        (lambda: Alarm("ModelLatency", "p99", above=1, below=1), "needs one threshold"),
        (lambda: Alarm("ModelLatency", "median", above=1), "no statistic median"),
        (lambda: Alarm("ModelLatency", "p101", above=1), "no statistic p101"),
        (lambda: Alarm("ModelLatency", "p99", above=1, periods=0), "over 0 periods"),
        (lambda: Alarm("ModelLatency", "p99", above=1, period_seconds=3600, periods=25), "over 25 periods"),
        (lambda: Learned(times=0, fallback=1), "0 times the usual"),
        (lambda: Learned(times=2, fallback=1, hours=0), "learned from 0 hours"),
        (lambda: Learned(times=2, fallback=1, hours=337), "learned from 337 hours"),
        (lambda: require_alarms(()), "declares no alarms"),
        (lambda: require_alarms((ERRORS, replace(ERRORS, above=2))), "same statistic of the same metric"),
        (lambda: require_alarms([Alarm("ModelLatency", f"p{n}", above=1) for n in range(11)]), "declares 11 alarms"),
    ],
)
def test_alarms_that_cannot_work_are_refused_where_they_are_declared(declare: Callable[[], object], said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        declare()
    assert error.value.remedy


def test_ten_alarms_are_as_many_as_sagemaker_takes() -> None:
    require_alarms([Alarm("ModelLatency", f"p{n}", above=1) for n in range(10)])


def test_a_declared_threshold_is_taken_as_it_is() -> None:
    assert threshold_of(ERRORS, [5.0] * 100).value == 0
    assert threshold_of(QUIET, []).value == 1


def test_a_threshold_is_learned_from_what_is_usual_and_not_from_the_worst_minute() -> None:
    minutes = [float(each) for each in range(1, 101)]
    learned = threshold_of(SLOW, [*minutes, 1e9])
    assert learned.value == 1.5 * 96  # the 96th of 101
    assert "1.5 times 96, which was usual in 24 h (101 data points)" in learned.origin


def test_of_falling_requests_what_is_usual_counts_the_minutes_without_any() -> None:
    day = 24 * 60
    assert threshold_of(MISSING, [100.0] * day).value == 20
    quiet_nights = threshold_of(MISSING, [100.0] * (day // 2))
    assert quiet_nights.value == 1
    assert "usual in 24 h is 0" in quiet_nights.origin


@pytest.mark.parametrize("points", [[], [7.0] * 29, [0.0] * 500])
def test_where_nothing_can_be_learned_the_fallback_holds_and_says_why(points: list[float]) -> None:
    threshold = threshold_of(SLOW, points)
    assert threshold.value == 500_000
    assert threshold.origin.startswith("the declared fallback: ")


@given(st.lists(st.floats(1, 1e6), min_size=30, max_size=200))
def test_at_most_one_in_twenty_minutes_would_have_been_above_a_learned_threshold(points: list[float]) -> None:
    once = replace(SLOW, above=Learned(times=1, fallback=0))
    threshold = threshold_of(once, points).value
    assert threshold in points
    assert sum(point > threshold for point in points) <= len(points) / 20


def test_alarms_of_falling_metrics_count_missing_data_as_fallen() -> None:
    below, above = wanted_definition("abalone", QUIET, 1), wanted_definition("abalone", SLOW, 5)
    assert (below["ComparisonOperator"], below["TreatMissingData"]) == ("LessThanThreshold", "breaching")
    assert (above["ComparisonOperator"], above["TreatMissingData"]) == ("GreaterThanThreshold", "notBreaching")
    assert (below["Statistic"], above["ExtendedStatistic"]) == ("Sum", "p99")


def test_what_an_alarm_cannot_guard_is_said_and_nothing_else() -> None:
    assert shortcomings([guard()], 300) == []
    [said] = shortcomings([guard(has_data=False), guard(SLOW)], 300)
    assert "abalone-Invocation5XXErrors-Sum cannot guard this rollout: no Invocation5XXErrors" in said
    assert shortcomings([guard(QUIET, has_data=False)], 300) == []  # it fires just because there are none
    long = replace(ERRORS, period_seconds=300, periods=3)
    [said] = shortcomings([guard(long)], 600)
    assert "cannot fire in time: it looks at 900 s, and the rollout bakes 600 s" in said
    [said] = shortcomings([guard(state="INSUFFICIENT_DATA")], 300)
    assert "has not been evaluated" in said


def test_an_alarm_that_fires_already_is_refused_with_its_reason_and_a_way_out() -> None:
    loud = guard(state="ALARM", reason="three errors")
    assert firing([guard(state="OK"), loud]) == [loud]
    with pytest.raises(
        DeploymentError, match=r"in ALARM already.*abalone-Invocation5XXErrors-Sum \(three errors\)"
    ) as error:
        require_guarding("abalone", [guard(SLOW, state="OK"), loud])
    assert "--despite-alarms" in error.value.remedy


def test_an_alarm_without_data_is_refused_where_it_has_to_guard() -> None:
    require_guarding("abalone", [guard(has_data=False)])
    strict = replace(ERRORS, require_data=True)
    require_guarding("abalone", [guard(strict)])
    with pytest.raises(DeploymentError, match="abalone-Invocation5XXErrors-Sum must guard the rollout"):
        require_guarding("abalone", [guard(strict, has_data=False)])


@pytest.mark.parametrize(
    ("state", "minutes_ago", "threshold", "clears"),
    [
        ("ALARM", 60, 0, False),  # it has been so for long, and looks at what it did
        ("ALARM", 1, 0, True),  # the last rollout may have set it off
        ("ALARM", 60, 5, True),  # it is adjusted
        ("OK", 1, 5, False),
    ],
)
def test_only_an_alarm_that_may_be_over_by_itself_is_waited_for(
    state: str, minutes_ago: int, threshold: float, clears: bool
) -> None:
    known = wanted_definition("abalone", ERRORS, 0) | {"StateValue": state}
    known["StateUpdatedTimestamp"] = NOW - timedelta(minutes=minutes_ago)
    assert may_clear(known, wanted_definition("abalone", ERRORS, threshold), NOW) == clears
