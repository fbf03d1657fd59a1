"""How many instances follow the load, as `deploy.py` declares it, and in the form of Application Auto Scaling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import UsageError


@dataclass(frozen=True)
class Autoscaling:
    """What Application Auto Scaling does, or shall do, with the instances of an endpoint.

    Attributes:
        policies: by name, what PutScalingPolicy takes beside the names.
    """

    at_least: int
    at_most: int
    policies: Mapping[str, Mapping[str, Any]]

    def fulfils(self, wanted: Autoscaling) -> bool:
        """Whether this is what is wanted; AWS adds what a policy leaves out, so that more may be there than was put."""
        return (self.at_least, self.at_most) == (wanted.at_least, wanted.at_most) and all(
            _within(policy, self.policies.get(name, {})) for name, policy in wanted.policies.items()
        )


def _within(part: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    return all(
        _within(value, whole.get(key, {})) if isinstance(value, Mapping) else whole.get(key) == value
        for key, value in part.items()
    )


def difference(wanted: Autoscaling | None, found: Autoscaling | None) -> str:
    """What a deploy does about the autoscaling that it finds, in words; empty where that is what is wanted."""
    if wanted is None:
        return "end the scaling, which is declared no more" if found else ""
    if found and found.fulfils(wanted):
        return ""
    return f"scale between {wanted.at_least} and {wanted.at_most} instances"


def policy_name(endpoint: str) -> str:
    """The target tracking policy that a deploy puts; a scalable target without it is somebody else's."""
    return f"{endpoint}-scaling"


def wake_name(endpoint: str) -> str:
    """The policy, and the alarm that sets it off, which bring an endpoint back from no instances."""
    return f"{endpoint}-wake"


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

    def autoscaling(self, endpoint: str) -> Autoscaling:
        """The form of Application Auto Scaling."""
        tracking = {
            "TargetValue": float(self.invocations_per_instance),
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
            "ScaleInCooldown": self.scale_in_cooldown_seconds,
            "ScaleOutCooldown": self.scale_out_cooldown_seconds,
        }
        return Autoscaling(self.at_least, self.at_most, {policy_name(endpoint): _tracking(tracking)})


@dataclass(frozen=True)
class BacklogScaling:
    """Instances of an asynchronous endpoint follow the requests that wait for it; none are left where `at_least` is 0.

    Attributes:
        backlog_per_instance: waiting requests per instance that scaling aims at.
        scale_in_cooldown_seconds: how long after a change instances are not taken away.
        scale_out_cooldown_seconds: how long after a change no more instances are added for the same backlog.
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

    def autoscaling(self, endpoint: str) -> Autoscaling:
        """The form of Application Auto Scaling.

        Without instances the backlog alone brings one back only when it is above the target: fewer requests would wait for
        ever. Hence a second policy, which adds an instance as soon as anything waits and none is there.
        """
        tracking = {
            "TargetValue": float(self.backlog_per_instance),
            "CustomizedMetricSpecification": {
                "Namespace": "AWS/SageMaker",
                "MetricName": "ApproximateBacklogSizePerInstance",
                "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
                "Statistic": "Average",
            },
            "ScaleInCooldown": self.scale_in_cooldown_seconds,
            "ScaleOutCooldown": self.scale_out_cooldown_seconds,
        }
        wake = {wake_name(endpoint): _one_more(self.scale_out_cooldown_seconds)} if self.at_least == 0 else {}
        return Autoscaling(self.at_least, self.at_most, {policy_name(endpoint): _tracking(tracking)} | wake)


def _tracking(configuration: Mapping[str, Any]) -> dict[str, Any]:
    return {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": configuration}


def _one_more(cooldown_seconds: int) -> dict[str, Any]:
    steps = {
        "AdjustmentType": "ChangeInCapacity",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        "MetricAggregationType": "Average",
        "Cooldown": cooldown_seconds,
    }
    return {"PolicyType": "StepScaling", "StepScalingPolicyConfiguration": steps}


def require_scalable(scaling: Scaling | BacklogScaling, instance_type: str, instance_count: int) -> None:
    """Refuse an endpoint that begins outside of what it scales within, and instances that SageMaker does not scale.

    Raises:
        UsageError: says which.
    """
    first = max(1, scaling.at_least)
    if not first <= instance_count <= scaling.at_most:
        raise UsageError(
            f"The endpoint begins with instance_count={instance_count} and scales between {scaling.at_least} and "
            f"{scaling.at_most} instances.",
            f"Declare an instance_count from {first} to {scaling.at_most}.",
        )
    if instance_type.startswith("ml.t"):
        raise UsageError(
            f"Instances of type {instance_type} cannot be scaled: they are burstable.",
            "SageMaker scales all types but ml.t…: declare another one, e.g. ml.m5.large.",
        )


def _require_range(at_least: int, at_most: int, lowest: int) -> None:
    if lowest and at_least < lowest:
        raise UsageError(
            f"Scaling down to {at_least} instances is not possible.",
            "An endpoint in real time keeps one at least; SageMaker scales only asynchronous endpoints to zero.",
        )
    if at_least < lowest or at_most < max(1, at_least):
        raise UsageError(
            f"Scaling between {at_least} and {at_most} instances is not possible.",
            f"Declare at_least={lowest} or more, and an at_most that is neither less than that nor 0.",
        )


def _require_target(name: str, target: float) -> None:
    if not target > 0:
        raise UsageError(f"Scaling with {name}={target:g} is not possible.", "Declare a number above 0.")


def _require_cooldowns(*seconds: int) -> None:
    if min(seconds) < 0:
        raise UsageError(f"A cooldown of {min(seconds)} s is not possible.", "Declare 0 seconds or more.")
