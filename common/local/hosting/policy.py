"""What a `DeploymentConfig` asks for: checked against SageMaker's limits, and as the steps that traffic takes."""

from dataclasses import dataclass
from math import ceil
from typing import Any

from common.local.api import validation_error

LONGEST_EXECUTION_SECONDS = 28800
"""How long a deployment may take when it sets no `MaximumExecutionTimeoutInSeconds`: the API's own maximum."""


@dataclass(frozen=True)
class Step:
    """One shift of traffic and the baking period after it."""

    percent: float
    """Share of all requests that the new fleet answers during this step."""
    bake_seconds: int


@dataclass(frozen=True)
class Policy:
    """A blue/green update: how traffic shifts, what guards it, and how long it may take. Seconds are AWS time."""

    steps: tuple[Step, ...]
    termination_wait_seconds: int = 0
    maximum_seconds: int = LONGEST_EXECUTION_SECONDS
    alarms: tuple[str, ...] = ()


ALL_AT_ONCE = Policy(steps=(Step(100, 0),))
"""What an update without a `DeploymentConfig` does."""


def deployment_policy(config: dict[str, Any] | None, instances: int) -> Policy:
    """The policy that a `DeploymentConfig` describes, for a new fleet of that many instances.

    Raises:
        ApiError: ValidationException; the configuration breaks a limit of SageMaker's, or asks for a rolling update,
            which this AWS does not support.
    """
    if config is None:
        return ALL_AT_ONCE
    if "RollingUpdatePolicy" in config:
        if "BlueGreenUpdatePolicy" in config:
            raise validation_error(
                "DeploymentConfig takes either BlueGreenUpdatePolicy or RollingUpdatePolicy, not both."
            )
        raise validation_error("This local AWS does not support RollingUpdatePolicy yet; use BlueGreenUpdatePolicy.")
    alarms = _alarms(config.get("AutoRollbackConfiguration", {}))
    if "BlueGreenUpdatePolicy" not in config:
        return Policy(steps=ALL_AT_ONCE.steps, alarms=alarms)
    blue_green = config["BlueGreenUpdatePolicy"]
    policy = Policy(
        steps=_steps(blue_green["TrafficRoutingConfiguration"], instances),
        termination_wait_seconds=blue_green.get("TerminationWaitInSeconds", 0),
        maximum_seconds=blue_green.get("MaximumExecutionTimeoutInSeconds", LONGEST_EXECUTION_SECONDS),
        alarms=alarms,
    )
    waits = policy.termination_wait_seconds + sum(step.bake_seconds for step in policy.steps)
    if policy.maximum_seconds <= waits:
        raise validation_error(
            f"MaximumExecutionTimeoutInSeconds ({policy.maximum_seconds}) must be larger than the total waiting time of "
            f"WaitIntervalInSeconds over {len(policy.steps)} step(s) and TerminationWaitInSeconds ({waits})."
        )
    return policy


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
    return value if size["Type"] == "CAPACITY_PERCENT" else 100 * value / instances
