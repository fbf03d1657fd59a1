"""How many instances follow the load, as `deploy.py` declares it, and in the form of Application Auto Scaling."""

from __future__ import annotations

from dataclasses import dataclass

from common.errors import UsageError


@dataclass(frozen=True)
class Scaling:
    """Instances of an endpoint that answers in real time follow its requests.

    Attributes:
        invocations_per_instance: requests per minute and instance that scaling aims at.
        scale_in_cooldown_seconds: how long after a change instances are not taken away.
        scale_out_cooldown_seconds: how long after a change no more instances are added for the same load.
    """

    at_least: int
    at_most: int
    invocations_per_instance: float
    scale_in_cooldown_seconds: int = 300
    scale_out_cooldown_seconds: int = 300

    def __post_init__(self) -> None:
        _require_range(self.at_least, self.at_most, lowest=1)
        _require_target("invocations_per_instance", self.invocations_per_instance)
        _require_cooldowns(self.scale_in_cooldown_seconds, self.scale_out_cooldown_seconds)

    def require_within(self, instance_count: int) -> None:
        """Refuse an endpoint that begins outside of what it scales within."""
        _require_within(instance_count, self.at_least, self.at_most)


@dataclass(frozen=True)
class BacklogScaling:
    """Instances of an asynchronous endpoint follow the requests that wait for it; none are left where `at_least` is 0.

    Attributes:
        backlog_per_instance: waiting requests per instance that scaling aims at.
    """

    at_least: int
    at_most: int
    backlog_per_instance: float
    scale_in_cooldown_seconds: int = 300
    scale_out_cooldown_seconds: int = 300

    def __post_init__(self) -> None:
        _require_range(self.at_least, self.at_most, lowest=0)
        _require_target("backlog_per_instance", self.backlog_per_instance)
        _require_cooldowns(self.scale_in_cooldown_seconds, self.scale_out_cooldown_seconds)

    def require_within(self, instance_count: int) -> None:
        """Refuse an endpoint that begins outside of what it scales within."""
        _require_within(instance_count, self.at_least, self.at_most)


def _require_range(at_least: int, at_most: int, lowest: int) -> None:
    if not lowest <= at_least <= at_most:
        why = "An endpoint in real time keeps one instance at least: SageMaker scales only asynchronous ones to zero."
        raise UsageError(
            f"Scaling between {at_least} and {at_most} instances is not possible.",
            why
            if lowest and at_least < lowest
            else f"Declare at_least={lowest} or more, and at_most no less than that.",
        )


def _require_target(name: str, target: float) -> None:
    if not target > 0:
        raise UsageError(f"Scaling with {name}={target:g} is not possible.", "Declare a number above 0.")


def _require_cooldowns(*seconds: int) -> None:
    if min(seconds) < 0:
        raise UsageError(f"A cooldown of {min(seconds)} s is not possible.", "Declare 0 seconds or more.")


def _require_within(instance_count: int, at_least: int, at_most: int) -> None:
    if not max(1, at_least) <= instance_count <= at_most:
        raise UsageError(
            f"The endpoint begins with {instance_count} instances and scales between {at_least} and {at_most}.",
            f"Declare an instance_count from {max(1, at_least)} to {at_most}.",
        )
