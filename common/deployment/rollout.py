"""How traffic moves to a new package, as `deploy.py` declares it, and in SageMaker's form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from common.errors import UsageError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import DeploymentConfigTypeDef


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


def deployment_config(rollout: Rollout, alarm_names: list[str]) -> DeploymentConfigTypeDef:
    """SageMaker's form of the rollout, guarded by those alarms."""
    wait = rollout.bake_seconds
    match rollout:
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
