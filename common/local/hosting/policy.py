"""What a `DeploymentConfig` asks for: checked against SageMaker's limits, and as the steps that traffic takes."""

from dataclasses import dataclass
from math import ceil
from typing import Any

from common.local.api import validation_error
from common.local.hosting.spec import FleetSpec

LONGEST_EXECUTION_SECONDS = 28800
"""How long a deployment may take when it sets no `MaximumExecutionTimeoutInSeconds`: the API's own maximum."""


@dataclass(frozen=True)
class Step:
    """One shift of traffic and the baking period after it."""

    percent: float
    """Share of all requests that the new fleet answers during this step."""
    bake_seconds: int


@dataclass(frozen=True)
class Rolling:
    """A rolling update: how many instances of the new fleet replace old ones at a time, and bake."""

    batch: int
    rollback_batch: int
    bake_seconds: int


@dataclass(frozen=True)
class Policy:
    """An update: how traffic shifts, what guards it, and how long it may take. Seconds are AWS time."""

    steps: tuple[Step, ...] = ()
    """Of a blue/green update."""
    termination_wait_seconds: int = 0
    maximum_seconds: int = LONGEST_EXECUTION_SECONDS
    alarms: tuple[str, ...] = ()
    rolling: Rolling | None = None
    """Instead of a blue/green update."""


ALL_AT_ONCE = Policy(steps=(Step(100, 0),))
"""What an update without a `DeploymentConfig` does."""


def deployment_policy(config: dict[str, Any] | None, instances: int) -> Policy:
    """The policy that a `DeploymentConfig` describes, for a new fleet of that many instances.

    Raises:
        ApiError: ValidationException; the configuration breaks a limit of SageMaker's.
    """
    if config is None:
        return ALL_AT_ONCE
    alarms = _alarms(config.get("AutoRollbackConfiguration", {}))
    if "RollingUpdatePolicy" in config:
        if "BlueGreenUpdatePolicy" in config:
            raise validation_error(
                "DeploymentConfig takes either BlueGreenUpdatePolicy or RollingUpdatePolicy, not both."
            )
        return _rolling(config["RollingUpdatePolicy"], instances, alarms)
    if "BlueGreenUpdatePolicy" not in config:
        return Policy(steps=ALL_AT_ONCE.steps, alarms=alarms)
    blue_green = config["BlueGreenUpdatePolicy"]
    steps = _steps(blue_green["TrafficRoutingConfiguration"], instances)
    termination = blue_green.get("TerminationWaitInSeconds", 0)
    limit = _limit(blue_green, [step.bake_seconds for step in steps], termination)
    return Policy(steps, termination, limit, alarms)


def refuse_excluded(policy: Policy, *fleets: FleetSpec) -> None:
    """Raise ValidationException for fleets that the policy cannot replace one by the other."""
    if policy.rolling and any(len(fleet.variants) > 1 for fleet in fleets):
        raise validation_error("RollingUpdatePolicy is not supported for endpoints with several production variants.")


def _rolling(asked: dict[str, Any], instances: int, alarms: tuple[str, ...]) -> Policy:
    batch = _batch("MaximumBatchSize", asked["MaximumBatchSize"], instances, least=5, most=50)
    size = asked.get("RollbackMaximumBatchSize", {"Type": "CAPACITY_PERCENT", "Value": 100})
    back = _batch("RollbackMaximumBatchSize", size, instances, least=0, most=100)
    wait = asked["WaitIntervalInSeconds"]
    limit = _limit(asked, [wait] * ceil(instances / batch), termination=0)
    return Policy(maximum_seconds=limit, alarms=alarms, rolling=Rolling(batch, back, wait))


def _batch(member: str, size: dict[str, Any], instances: int, least: int, most: int) -> int:
    """How many instances a batch has: rounded down, since it is a maximum, but one at least."""
    percent = _percent(size, instances)
    if not least <= percent <= most:
        raise validation_error(
            f"{member} must be from {least} to {most} percent of the variant's {instances} instance(s)."
        )
    # A third of three instances is one, though 3 x 33.3… is not 100.
    return max(1, int(instances * percent / 100 + 1e-9))


def _limit(policy: dict[str, Any], bakings: list[int], termination: int) -> int:
    """The policy's time limit, which must leave time for more than waiting."""
    limit: int = policy.get("MaximumExecutionTimeoutInSeconds", LONGEST_EXECUTION_SECONDS)
    waits = termination + sum(bakings)
    if limit <= waits:
        raise validation_error(
            f"MaximumExecutionTimeoutInSeconds ({limit}) must be larger than the total waiting time of "
            f"WaitIntervalInSeconds over {len(bakings)} step(s) and TerminationWaitInSeconds ({waits})."
        )
    return limit


def _alarms(rollback: dict[str, Any]) -> tuple[str, ...]:
    names = tuple(alarm["AlarmName"] for alarm in rollback.get("Alarms", ()) if "AlarmName" in alarm)
    if len(set(names)) < len(names):
        raise validation_error("AutoRollbackConfiguration names an alarm more than once.")
    return names


def _steps(routing: dict[str, Any], instances: int) -> tuple[Step, ...]:
    kind, wait = routing["Type"], routing["WaitIntervalInSeconds"]
    sizes = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}
    for other, member in sizes.items():
        if other != kind and member in routing:
            raise validation_error(f"{member} is only valid for traffic routing type {other}, not for {kind}.")
    if kind not in sizes:
        return (Step(100, wait),)
    if sizes[kind] not in routing:
        raise validation_error(f"{sizes[kind]} is required for traffic routing type {kind}.")
    percent = _percent(routing[sizes[kind]], instances)
    if percent > 50:
        raise validation_error(f"{sizes[kind]} must be at most 50 percent of the new fleet's capacity.")
    if kind == "CANARY":
        return Step(percent, wait), Step(100, wait)
    if percent < 10:
        raise validation_error("LinearStepSize must be from 10 to 50 percent of the new fleet's capacity.")
    shifts = ceil(100 / percent - 1e-9)  # nine instances in steps of one are nine steps, though 9 x 11.1… is not 100
    return *(Step(shift * percent, wait) for shift in range(1, shifts)), Step(100, wait)


def _percent(size: dict[str, Any], instances: int) -> float:
    value: int = size["Value"]
    return value if size["Type"] == "CAPACITY_PERCENT" else 100 * value / max(1, instances)
