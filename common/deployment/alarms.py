"""The CloudWatch alarms that guard a deploy, as `deploy.py` declares them, and thresholds learned from what serves."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from common.errors import UsageError

Metric = Literal["Invocations", "Invocation5XXErrors", "Invocation4XXErrors", "ModelLatency", "OverheadLatency"]

MOST_ALARMS = 10
"""Alarms that SageMaker takes for one deployment."""

_FEWEST_POINTS = 30
"""Data points below which a quantile of them says too little: one in twenty of them lies beyond it."""
_USUAL = 0.95
_STATISTIC = re.compile(r"Sum|Average|Minimum|Maximum|SampleCount|p(\d{1,2}(\.\d+)?|100)")


@dataclass(frozen=True)
class Learned:
    """A threshold learned from the variant that serves: a multiple of what it usually stays within.

    What is usual is the 95th percentile of the alarm's data points (for `below` the 5th, where a period without data
    counts as 0), so that one bad minute or the last rollout itself does not move the threshold.

    Attributes:
        times: the multiple; above 1 for `above`, below 1 for `below`.
        fallback: the threshold where fewer than 30 periods hold data, or what is usual is 0, of which no multiple differs.
        hours: how far back to look; CloudWatch keeps the minutes of two weeks.
    """

    times: float
    fallback: float
    hours: int = 24

    def __post_init__(self) -> None:
        if not 1 <= self.hours <= 336:
            raise UsageError(
                f"A threshold cannot be learned from {self.hours} hours.",
                "Declare 1 to 336: two weeks of minutes are kept.",
            )
        if self.times <= 0:
            raise UsageError(
                f"A threshold of {self.times:g} times the usual never holds.", "Declare a positive multiple."
            )


@dataclass(frozen=True)
class Alarm:
    """A CloudWatch alarm on the endpoint's own metrics; when it fires while traffic shifts, SageMaker shifts it back.

    `Average` of an error metric is the share of the requests that failed, `Sum` of `Invocations` their number.

    Attributes:
        statistic: `Sum`, `Average`, `Maximum`, or a percentile such as `p99`.
        above: the threshold, in the metric's unit: counts, shares, or microseconds for latencies.
        below: the threshold of an alarm that fires when the metric falls below it; a period without data is below it, too.
        period_seconds: length of one data point; a multiple of 60, since SageMaker reports once a minute.
        periods: how many consecutive data points must be beyond the threshold.
        require_data: refuse to deploy where the alarm could not guard, for want of data of the variant that serves; a
            quiet endpoint is deployed with a warning otherwise.
    """

    metric: Metric
    statistic: str
    above: float | Learned | None = None
    below: float | Learned | None = None
    period_seconds: int = 60
    periods: int = 1
    require_data: bool = False

    def __post_init__(self) -> None:
        if self.period_seconds < 60 or self.period_seconds % 60:
            raise UsageError(
                f"An alarm period of {self.period_seconds} s is not possible.",
                "Declare a multiple of 60: SageMaker reports once a minute, and a shorter period would never see data.",
            )
        if not _STATISTIC.fullmatch(self.statistic):
            raise UsageError(
                f"CloudWatch has no statistic {self.statistic} of {self.metric}.",
                "Declare Sum, Average, Minimum, Maximum, SampleCount or a percentile such as p99.",
            )
        if (self.above is None) == (self.below is None):
            raise UsageError(
                f"The alarm on {self.metric} needs one threshold, `above` or `below`.",
                "Declare exactly one of the two.",
            )
        if not 1 <= self.periods * self.period_seconds <= 86400:
            raise UsageError(
                f"An alarm over {self.periods} periods of {self.period_seconds} s is not possible.",
                "CloudWatch looks at a day at the most, and at one period at least.",
            )

    @property
    def declared(self) -> float | Learned:
        """The threshold as it is declared."""
        return self.above if self.above is not None else self.below  # type: ignore[return-value]  # one of them is given

    @property
    def span_seconds(self) -> int:
        """How long the metric has to be beyond the threshold before the alarm fires."""
        return self.period_seconds * self.periods

    def name(self, model: str) -> str:
        """The alarm's name in CloudWatch."""
        return alarm_name(model, self.metric, self.statistic)


def alarm_name(model: str, metric: str, statistic: str) -> str:
    """The name of the alarm on that statistic of the model's endpoint."""
    return f"{model}-{metric}-{statistic}"


def require_alarms(alarms: Sequence[Alarm]) -> None:
    """Refuse alarms that cannot guard a deployment together.

    Raises:
        UsageError: there are none, too many, or two that would share a name.
    """
    if not alarms:
        raise UsageError(
            "The endpoint declares no alarms.",
            "Without alarms SageMaker never rolls back: declare at least one, e.g. on Invocation5XXErrors.",
        )
    if len(alarms) > MOST_ALARMS:
        raise UsageError(
            f"The endpoint declares {len(alarms)} alarms, and SageMaker takes {MOST_ALARMS} for a deployment.",
            "Keep those that must bring the old package back; put the others on a dashboard.",
        )
    if len({(alarm.metric, alarm.statistic) for alarm in alarms}) < len(alarms):
        raise UsageError(
            "Two alarms of the endpoint watch the same statistic of the same metric.",
            "They would share a name: keep the stricter one.",
        )


@dataclass(frozen=True)
class Threshold:
    """A threshold as a number, and where it comes from, in words; empty where it was declared."""

    value: float
    origin: str = ""


def threshold_of(alarm: Alarm, points: Sequence[float]) -> Threshold:
    """The alarm's threshold, learned where that is declared.

    Args:
        points: the alarm's statistic in each period that has data, of the hours that `Learned` names; in any order.
    """
    wanted = alarm.declared
    if not isinstance(wanted, Learned):
        return Threshold(wanted)
    if len(points) < _FEWEST_POINTS:
        found = f"{len(points)} of {wanted.hours} h hold data, and {_FEWEST_POINTS} are needed"
        return Threshold(wanted.fallback, f"the declared fallback: periods of {alarm.period_seconds} s: {found}")
    usual = _usual(alarm, points, wanted.hours)
    if usual == 0:
        return Threshold(wanted.fallback, f"the declared fallback: what was usual in {wanted.hours} h is 0")
    origin = (
        f"learned: {wanted.times:g} times {usual:.4g}, which was usual in {wanted.hours} h ({len(points)} data points)"
    )
    return Threshold(wanted.times * usual, origin)


def _usual(alarm: Alarm, points: Sequence[float], hours: int) -> float:
    """What the points rarely exceed, or fall below: a nearest-rank quantile, so that it is one of them."""
    if alarm.below is None:
        return sorted(points)[math.ceil(_USUAL * len(points)) - 1]
    empty = max(0, hours * 3600 // alarm.period_seconds - len(points))
    return sorted([0.0] * empty + list(points))[max(0, math.ceil((1 - _USUAL) * (empty + len(points))) - 1)]
