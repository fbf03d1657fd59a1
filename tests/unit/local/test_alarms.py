"""Alarms are evaluated as CloudWatch does: statistics, M of N periods, missing data."""

from typing import Any

import pytest

from common.local.hosting.alarms import Sample, evaluate, is_evaluable
from common.local.services import Alarm

NOW = 1000.0
PERIOD = 10.0


def alarm(**definition: Any) -> Alarm:
    return Alarm(
        **{
            "name": "errors",
            "state": "OK",
            "namespace": "AWS/SageMaker",
            "metric": "Invocation5XXErrors",
            "dimensions": {},
            "statistic": "Average",
            "extended_statistic": None,
            "period": 60,
            "evaluation_periods": 1,
            "datapoints_to_alarm": 1,
            "comparison": "GreaterThanThreshold",
            "threshold": 5.0,
            "missing_data": "missing",
            **definition,
        }
    )


def samples(*periods: float | None) -> list[Sample]:
    """One sample in the middle of each period, the last one being the latest; None leaves the period empty."""
    first = NOW - PERIOD * len(periods)
    return [(first + PERIOD * (i + 0.5), value) for i, value in enumerate(periods) if value is not None]


def state(watched: Alarm, given: list[Sample]) -> str:
    return evaluate(watched, given, NOW, PERIOD).state


@pytest.mark.parametrize(
    ("statistic", "value"), [("Average", 4.0), ("Sum", 12.0), ("Minimum", 1.0), ("Maximum", 9.0), ("SampleCount", 3.0)]
)
def test_each_statistic_is_taken_over_the_period(statistic: str, value: float) -> None:
    given = [(NOW - 1, 1.0), (NOW - 2, 9.0), (NOW - 3, 2.0)]
    for threshold, expected in ((value, "ALARM"), (value + 0.001, "OK")):
        watched = alarm(statistic=statistic, threshold=threshold, comparison="GreaterThanOrEqualToThreshold")
        assert state(watched, given) == expected


@pytest.mark.parametrize(
    ("percentile", "value"), [("p0", 1), ("p50", 50.5), ("p90", 90.1), ("p99.5", 99.505), ("p100", 100)]
)
def test_percentiles_interpolate_between_the_ordered_samples(percentile: str, value: float) -> None:
    given = [(NOW - 1, float(each)) for each in range(100, 0, -1)]
    for threshold, expected in ((value - 0.01, "ALARM"), (value + 0.01, "OK")):
        assert state(alarm(statistic=None, extended_statistic=percentile, threshold=threshold), given) == expected


@pytest.mark.parametrize(
    ("comparison", "below", "equal", "above"),
    [
        ("GreaterThanThreshold", "OK", "OK", "ALARM"),
        ("GreaterThanOrEqualToThreshold", "OK", "ALARM", "ALARM"),
        ("LessThanThreshold", "ALARM", "OK", "OK"),
        ("LessThanOrEqualToThreshold", "ALARM", "ALARM", "OK"),
    ],
)
def test_comparisons_treat_the_threshold_itself_as_they_say(
    comparison: str, below: str, equal: str, above: str
) -> None:
    watched = alarm(comparison=comparison)
    assert [state(watched, samples(value)) for value in (4.9, 5.0, 5.1)] == [below, equal, above]


@pytest.mark.parametrize(
    ("values", "expected"),
    [((9, 9, 1), "ALARM"), ((9, 1, 9), "ALARM"), ((9, 1, 1), "OK"), ((1, 1, 9), "OK"), ((9, 9, 9), "ALARM")],
)
def test_m_of_n_periods_out_of_bounds_are_an_alarm(values: tuple[float, ...], expected: str) -> None:
    assert state(alarm(evaluation_periods=3, datapoints_to_alarm=2), samples(*values)) == expected


def test_samples_before_the_evaluated_periods_and_after_now_do_not_count() -> None:
    watched = alarm(evaluation_periods=2, datapoints_to_alarm=1)
    given = [(NOW - 2 * PERIOD, 9.0), (NOW - 1, 1.0), (NOW - PERIOD - 1, 1.0), (NOW + 0.1, 9.0)]
    assert state(watched, given) == "OK"


@pytest.mark.parametrize(
    ("values", "missing", "ignore", "breaching", "not_breaching"),
    [
        ((None, None, None), "INSUFFICIENT_DATA", "kept", "ALARM", "OK"),
        ((9, None, None), "ALARM", "kept", "ALARM", "OK"),
        ((None, None, 9), "OK", "kept", "ALARM", "OK"),
        ((1, None, None), "OK", "OK", "OK", "OK"),
        ((9, 9, 9), "ALARM", "ALARM", "ALARM", "ALARM"),
        ((None, 1, 1), "OK", "OK", "OK", "OK"),
        ((9, 1, None), "OK", "OK", "OK", "OK"),
    ],
)
def test_missing_periods_count_as_the_alarm_says(
    values: tuple[float | None, ...], missing: str, ignore: str, breaching: str, not_breaching: str
) -> None:
    treatments = {"missing": missing, "ignore": ignore, "breaching": breaching, "notBreaching": not_breaching}
    for treatment, expected in treatments.items():
        for before in ("OK", "ALARM"):
            watched = alarm(evaluation_periods=3, datapoints_to_alarm=3, missing_data=treatment, state=before)
            assert state(watched, samples(*values)) == (before if expected == "kept" else expected), treatment


def test_the_reason_shows_each_period_and_the_bound() -> None:
    verdict = evaluate(alarm(evaluation_periods=2, datapoints_to_alarm=2), samples(None, 7.5), NOW, PERIOD)
    assert "[missing, 7.5]; GreaterThanThreshold 5" in verdict.reason
    assert verdict.has_data


@pytest.mark.parametrize(
    "definition",
    [
        {"metric": None},
        {"statistic": None, "extended_statistic": "tm99"},
        {"statistic": None, "extended_statistic": "p101"},
        {"comparison": "GreaterThanUpperThreshold"},
    ],
)
def test_kinds_of_alarms_that_cannot_be_evaluated_are_known_as_such(definition: dict[str, Any]) -> None:
    assert is_evaluable(alarm())
    assert not is_evaluable(alarm(**definition))
