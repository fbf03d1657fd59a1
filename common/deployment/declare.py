"""What `deploy.py` declares: the endpoint, how traffic moves to a new package, and the alarms that guard the move."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from common.errors import UsageError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import DeploymentConfigTypeDef, ProductionVariantTypeDef

VARIANT = "AllTraffic"

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


@dataclass(frozen=True)
class AllAtOnce:
    """The new package takes all traffic as soon as its instances are healthy; the old ones stay for the baking time."""

    bake_seconds: int = 300

    def __post_init__(self) -> None:
        _require_bakeable(self.bake_seconds, times=1)


@dataclass(frozen=True)
class Canary:
    """A share of the traffic first; all of it after the baking time, unless an alarm fires."""

    percent: int
    bake_seconds: int = 300

    def __post_init__(self) -> None:
        if not 1 <= self.percent <= 50:
            raise UsageError(f"A canary of {self.percent} % is not possible.", "SageMaker takes 1 to 50 percent.")
        _require_bakeable(self.bake_seconds, times=2)


@dataclass(frozen=True)
class Linear:
    """Equal steps of traffic, with a baking time after each, unless an alarm fires."""

    step_percent: int
    bake_seconds: int = 300

    def __post_init__(self) -> None:
        if not 10 <= self.step_percent <= 50:
            raise UsageError(f"Steps of {self.step_percent} % are not possible.", "SageMaker takes 10 to 50 percent.")
        _require_bakeable(self.bake_seconds, times=self.steps)

    @property
    def steps(self) -> int:
        """How many steps bring all traffic over."""
        return -(-100 // self.step_percent)


_MOST_EXECUTION_SECONDS = 28800
_START_SECONDS = 1800
"""What a new fleet may take to start and to end, beside the baking."""


def _require_bakeable(bake_seconds: int, times: int) -> None:
    """Refuse baking times that SageMaker would refuse, on main, when the deploy begins."""
    most = min(3600, (_MOST_EXECUTION_SECONDS - _START_SECONDS) // times)
    if not 0 <= bake_seconds <= most:
        raise UsageError(
            f"Baking for {bake_seconds} s is not possible.",
            f"Declare 0 to {most} seconds: SageMaker waits an hour at most each time, and takes eight hours for a deploy.",
        )


Rollout = AllAtOnce | Canary | Linear


@dataclass(frozen=True)
class Endpoint:
    """The endpoint of a model, declared as `ENDPOINT` in `deploy.py`.

    Attributes:
        keep: how many of the packages deployed last keep their model and endpoint configuration, ready to return to.
    """

    instance_type: str
    rollout: Rollout
    alarms: tuple[Alarm, ...]
    instance_count: int = 1
    keep: int = 3

    def __post_init__(self) -> None:
        if self.keep < 2:
            raise UsageError("Endpoint(keep=…) is below 2.", "Keep the package that serves and the one before it.")
        if self.instance_count < 2 and not isinstance(self.rollout, AllAtOnce):
            raise UsageError(
                f"A {type(self.rollout).__name__.lower()} rollout needs two instances, and {self.instance_count} is declared.",
                "SageMaker shifts traffic by parts of the new fleet, at most half of it at a time: declare "
                "instance_count=2 or more, or AllAtOnce.",
            )
        if not self.alarms:
            raise UsageError(
                "The endpoint declares no alarms.",
                "Without alarms SageMaker never rolls back: declare at least one, e.g. on Invocation5XXErrors.",
            )
        if len({(alarm.metric, alarm.statistic) for alarm in self.alarms}) < len(self.alarms):
            raise UsageError(
                "Two alarms of the endpoint watch the same statistic of the same metric.",
                "They would share a name: keep the stricter one.",
            )

    def variant(self, model_name: str) -> ProductionVariantTypeDef:
        """The production variant that serves that model."""
        return {
            "VariantName": VARIANT,
            "ModelName": model_name,
            "InstanceType": cast("Any", self.instance_type),
            "InitialInstanceCount": self.instance_count,
            "InitialVariantWeight": 1.0,
        }

    def digest(self) -> str:
        """Eight hexadecimal digits over what the endpoint configuration holds, the model aside."""
        return hashlib.sha256(json.dumps(self.variant(""), sort_keys=True).encode()).hexdigest()[:8]

    def deployment_config(self, alarm_names: list[str]) -> DeploymentConfigTypeDef:
        """SageMaker's form of the rollout, guarded by those alarms."""
        wait = self.rollout.bake_seconds
        match self.rollout:
            case AllAtOnce():
                routing: dict[str, Any] = {"Type": "ALL_AT_ONCE"}
                total = wait
            case Canary(percent=percent):
                routing = {"Type": "CANARY", "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": percent}}
                total = 2 * wait
            case Linear(step_percent=step, steps=steps):
                routing = {"Type": "LINEAR", "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": step}}
                total = steps * wait
        return {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": cast("Any", routing | {"WaitIntervalInSeconds": wait}),
                "TerminationWaitInSeconds": 60,
                "MaximumExecutionTimeoutInSeconds": total + _START_SECONDS,
            },
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarm_names]},
        }
