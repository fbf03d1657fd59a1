"""The CloudWatch alarms that guard a deploy, as `deploy.py` declares them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from common.errors import UsageError

Metric = Literal["Invocation5XXErrors", "Invocation4XXErrors", "ModelLatency", "OverheadLatency"]


@dataclass(frozen=True)
class Alarm:
    """A CloudWatch alarm on the endpoint's own metrics; when it fires while traffic shifts, SageMaker shifts it back.

    Attributes:
        statistic: `Sum`, `Average`, `Maximum`, or a percentile such as `p99`.
        above: the threshold, in the metric's unit: counts, or microseconds for latencies.
        period_seconds: length of one data point; a multiple of 60, since SageMaker reports once a minute.
        periods: how many consecutive data points must be above the threshold.
    """

    metric: Metric
    statistic: str
    above: float
    period_seconds: int = 60
    periods: int = 1

    def __post_init__(self) -> None:
        if self.period_seconds < 60 or self.period_seconds % 60:
            raise UsageError(
                f"An alarm period of {self.period_seconds} s is not possible.",
                "Declare a multiple of 60: SageMaker reports once a minute, and a shorter period would never see data.",
            )
