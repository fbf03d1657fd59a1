"""What state a CloudWatch alarm is in, from its definition and the samples of its metric. Pure functions.

Periods are taken backwards from the moment of evaluation, each one full, where CloudWatch aligns them to the clock: an
alarm reacts as fast, and a scaled period of a second needs no clock to be aligned with.
"""

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from common.local.services import Alarm

Sample = tuple[float, float]
"""Epoch seconds, value."""

OK, IN_ALARM, NO_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "Average": lambda values: sum(values) / len(values),
    "Sum": math.fsum,
    "Minimum": min,
    "Maximum": max,
    "SampleCount": lambda values: float(len(values)),
}
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")


@dataclass(frozen=True)
class Verdict:
    """The outcome of one evaluation: the alarm's state and why; `has_data` is false when no period held a sample."""

    state: str
    reason: str
    has_data: bool


def is_evaluable(alarm: Alarm) -> bool:
    """Whether `evaluate` knows this kind: one metric, a plain statistic or percentile, a fixed threshold.

    Composite alarms, metric math, anomaly detection and trimmed statistics are not; such alarms keep the state that
    `SetAlarmState` gives them.
    """
    statistic = alarm.statistic in _STATISTICS or bool(_PERCENTILE.fullmatch(alarm.extended_statistic or ""))
    return alarm.metric is not None and statistic and alarm.comparison in _COMPARISONS


def evaluate(alarm: Alarm, samples: Sequence[Sample], now: float, period_seconds: float) -> Verdict:
    """The alarm's state at `now`, from samples of its metric and dimensions.

    `period_seconds` is the alarm's period on the clock of the samples' time stamps. M of N periods out of bounds are
    an alarm (`DatapointsToAlarm` of `EvaluationPeriods`); periods without a sample count as `TreatMissingData` says.
    The alarm must be `is_evaluable`.
    """
    start = now - alarm.evaluation_periods * period_seconds
    periods: list[list[float]] = [[] for _ in range(alarm.evaluation_periods)]
    for moment, value in samples:
        if start < moment <= now:
            # The last period's end belongs to it; division may also round up to one index too many.
            periods[min(int((moment - start) / period_seconds), alarm.evaluation_periods - 1)].append(value)
    points = [statistic_of(alarm, values) if values else None for values in periods]
    exceeds = _COMPARISONS[alarm.comparison]
    breaches = [None if point is None else exceeds(point, alarm.threshold) for point in points]
    state = _state(breaches, alarm)
    shown = ", ".join("missing" if point is None else f"{point:g}" for point in points)
    reason = f"{alarm.metric} over the last {len(points)} period(s): [{shown}]; {alarm.comparison} {alarm.threshold:g}"
    return Verdict(state, reason, has_data=any(point is not None for point in points))


def statistic_of(alarm: Alarm, values: Sequence[float]) -> float:
    """The alarm's statistic of one period's values, which must not be empty."""
    return statistic(alarm.statistic or alarm.extended_statistic or "", values)


def statistic(name: str, values: Sequence[float]) -> float:
    """A plain statistic or a percentile such as `p99` of values, which must not be empty."""
    if name in _STATISTICS:
        return _STATISTICS[name](values)
    rank = float(name[1:]) / 100 * (len(values) - 1)
    ordered = sorted(values)
    below, above = ordered[math.floor(rank)], ordered[math.ceil(rank)]
    return below + (above - below) * (rank - math.floor(rank))


def _state(breaches: list[bool | None], alarm: Alarm) -> str:
    treatment, needed = alarm.missing_data, alarm.datapoints_to_alarm
    if treatment in ("breaching", "notBreaching"):
        breaches = [treatment == "breaching" if breach is None else breach for breach in breaches]
    breaching, missing = breaches.count(True), breaches.count(None)
    if breaching >= needed or (treatment == "missing" and _breaching_since(breaches, needed)):
        return IN_ALARM
    if treatment == "missing" and missing == len(breaches):
        return NO_DATA
    if treatment == "ignore" and breaching + missing >= needed:
        return alarm.state
    return OK


def _breaching_since(breaches: list[bool | None], needed: int) -> bool:
    """CloudWatch's early alarm: the oldest sample is old enough, and nothing since it was within bounds."""
    known = [(index, breach) for index, breach in enumerate(breaches) if breach is not None]
    return bool(known) and all(breach for _, breach in known) and len(breaches) - known[0][0] >= needed
