"""How traffic moves to a new package, as `deploy.py` declares it, and in SageMaker's form."""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True)
class Rolling:
    """Batches of new instances replace batches of old ones, with a baking time after each, unless an alarm fires.

    It needs only one batch of instances beyond the fleet, where the other rollouts need a second fleet.

    Attributes:
        batch_percent: of the instances; SageMaker rounds a batch down to whole instances, but never below one.
        rollback_percent: of the instances that come back at a time when an alarm fires; 100 brings all back at once.
    """

    batch_percent: int
    bake_seconds: int = 300
    rollback_percent: int = 100

    def __post_init__(self) -> None:
        if not 5 <= self.batch_percent <= 50:
            raise UsageError(f"Batches of {self.batch_percent} % are not possible.", "SageMaker takes 5 to 50 percent.")
        if not 5 <= self.rollback_percent <= 100:
            raise UsageError(
                f"A rollback in batches of {self.rollback_percent} % is not possible.",
                "Declare 5 to 100 percent; 100 brings all instances back at once.",
            )
        _require_bakeable(self.bake_seconds, times=self.most_batches)

    @property
    def most_batches(self) -> int:
        """How many batches replace a fleet of any size: rounded down, one is more than half of what was asked for."""
        return -(-200 // self.batch_percent)


_MOST_EXECUTION_SECONDS = 28800
_START_SECONDS = 1800
"""What a new fleet may take to start and to end, beside the baking."""
_BATCH_START_SECONDS = 600
"""The same for a batch of a rolling update."""


def _require_bakeable(bake_seconds: int, times: int) -> None:
    """Refuse baking times that SageMaker would refuse, on main, when the deploy begins."""
    most = min(3600, (_MOST_EXECUTION_SECONDS - _START_SECONDS) // times)
    if not 0 <= bake_seconds <= most:
        raise UsageError(
            f"Baking for {bake_seconds} s is not possible.",
            f"Declare 0 to {most} seconds: SageMaker waits an hour at most each time, and takes eight hours for a deploy.",
        )


Rollout = AllAtOnce | Canary | Linear | Rolling


def baking_seconds(rollout: Rollout, instances: int) -> int:
    """How long the alarms watch the new package in all, on a fleet of so many instances."""
    match rollout:
        case AllAtOnce():
            times = 1
        case Canary():
            times = 2
        case Linear(steps=steps):
            times = steps
        case Rolling(batch_percent=percent):
            times = -(-instances // max(1, instances * percent // 100))
    return times * rollout.bake_seconds


def why_refused(rollout: Rollout, old_variants: Sequence[str], new_variants: Sequence[str]) -> str:
    """Why SageMaker would not bring one configuration to the other by this rollout; empty where it would.

    Args:
        old_variants, new_variants: names of the production variants.
    """
    if isinstance(rollout, Rolling) and max(len(old_variants), len(new_variants)) > 1:
        return "SageMaker makes no rolling update of an endpoint that has several variants"
    if set(old_variants) != set(new_variants):
        return "SageMaker shifts traffic between variants of the same names only"
    return ""


def in_words(rollout: Rollout) -> str:
    """How traffic moves, for the plan of a deploy."""
    match rollout:
        case AllAtOnce(bake_seconds=bake):
            return f"all at once, baking {bake} s"
        case Canary(percent=percent, bake_seconds=bake):
            return f"canary of {percent} % for {bake} s, then all"
        case Linear(step_percent=step, bake_seconds=bake):
            return f"steps of {step} %, baking {bake} s each"
        case Rolling(batch_percent=batch, bake_seconds=bake, rollback_percent=back):
            return f"batches of {batch} % of the instances, baking {bake} s each, back in batches of {back} %"


def deployment_config(rollout: Rollout, alarm_names: list[str]) -> DeploymentConfigTypeDef:
    """SageMaker's form of the rollout, guarded by those alarms; without any nothing but a failed start rolls back."""
    guards: dict[str, Any] = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarm_names]}}
    guards = guards if alarm_names else {}
    policy = _rolling(rollout) if isinstance(rollout, Rolling) else _blue_green(rollout)
    return cast("DeploymentConfigTypeDef", policy | guards)


def _blue_green(rollout: AllAtOnce | Canary | Linear) -> dict[str, Any]:
    match rollout:
        case AllAtOnce():
            routing: dict[str, Any] = {"Type": "ALL_AT_ONCE"}
        case Canary(percent=percent):
            routing = {"Type": "CANARY", "CanarySize": _share(percent)}
        case Linear(step_percent=step):
            routing = {"Type": "LINEAR", "LinearStepSize": _share(step)}
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing | {"WaitIntervalInSeconds": rollout.bake_seconds},
            "TerminationWaitInSeconds": 60,
            "MaximumExecutionTimeoutInSeconds": baking_seconds(rollout, instances=1) + _START_SECONDS,
        }
    }


def _rolling(rollout: Rolling) -> dict[str, Any]:
    longest = rollout.most_batches * (rollout.bake_seconds + _BATCH_START_SECONDS)
    return {
        "RollingUpdatePolicy": {
            "MaximumBatchSize": _share(rollout.batch_percent),
            "WaitIntervalInSeconds": rollout.bake_seconds,
            "MaximumExecutionTimeoutInSeconds": min(longest, _MOST_EXECUTION_SECONDS),
            "RollbackMaximumBatchSize": _share(rollout.rollback_percent),
        }
    }


def _share(percent: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": percent}
