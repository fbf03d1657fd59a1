"""How many instances a scaling policy wants. Pure functions, by the rules that Application Auto Scaling documents."""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, inf
from typing import Any

from common.local.store import Document

COOLDOWN_SECONDS = 300
"""What a policy has that sets no cooldown: the default for variants of endpoints."""


@dataclass(frozen=True)
class Bounds:
    """The least and the greatest instance count of a target."""

    low: int
    high: int

    def hold(self, count: int) -> int:
        """The count that is nearest to this one."""
        return max(self.low, min(self.high, count))


def target_tracking(count: int, value: float, target: float) -> int:
    """The count at which a metric that falls in proportion to the instances would be at its target.

    A metric that is given for each instance counts the endpoint's whole load where there is no instance yet.
    """
    return ceil(max(count, 1) * value / target - 1e-9)


def step_scaling(count: int, distance: float, config: dict[str, Any]) -> int:
    """The count after the step that is meant for a metric that is `distance` beyond its alarm's threshold.

    The same count where no step is meant for that distance.
    """
    for step in config["StepAdjustments"]:
        low, high = step.get("MetricIntervalLowerBound", -inf), step.get("MetricIntervalUpperBound", inf)
        # Below the threshold the upper bound belongs to the step, above it the lower one.
        if low < distance <= high if distance < 0 else low <= distance < high:
            return max(0, _adjusted(count, step["ScalingAdjustment"], config))
    return count


def _adjusted(count: int, adjustment: int, config: dict[str, Any]) -> int:
    kind = config["AdjustmentType"]
    least: int = config.get("MinAdjustmentMagnitude", 0)
    if kind == "ExactCapacity":
        return adjustment
    if kind == "ChangeInCapacity":
        return count + adjustment
    change = count * adjustment / 100
    # Towards zero, but by one instance at least.
    rounded = max(1, floor(change)) if change > 0 else min(-1, ceil(change)) if change < 0 else 0
    return count + (max(rounded, least) if adjustment > 0 else min(rounded, -least))


def is_cooling(last: Document | None, seconds: float, now: float) -> bool:
    """Whether the activity ended less than so many seconds ago, on the clock of `now`."""
    return last is not None and now - last["EndTime"] < seconds


def check_steps(steps: list[dict[str, Any]]) -> str | None:
    """What is wrong with a step policy's adjustments; None if nothing is."""
    if not steps:
        return "At least one StepAdjustment must be specified."
    ranges = sorted(
        (each.get("MetricIntervalLowerBound", -inf), each.get("MetricIntervalUpperBound", inf)) for each in steps
    )
    if any(low >= high for low, high in ranges):
        return "Step adjustment lower bound must be less than the upper bound."
    if any(before[1] > after[0] for before, after in pairwise(ranges)):
        return "StepAdjustment intervals can't overlap."
    if any(before[1] < after[0] for before, after in pairwise(ranges)):
        return "There is a gap between StepAdjustment intervals."
    return None
