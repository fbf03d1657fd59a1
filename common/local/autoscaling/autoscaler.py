"""Scales: looks at the alarms of scaling policies and changes the instance counts of their variants.

A policy acts while an alarm that names it as its action is in ALARM: those that target tracking has made for itself, or
those that somebody made for a step policy.
"""

import logging
import time
from typing import Any, NamedTuple
from uuid import uuid4

from common.local.api import ApiError, Call
from common.local.autoscaling.policies import STEPS, TRACKING
from common.local.autoscaling.scaling import COOLDOWN_SECONDS, Bounds, is_cooling, step_scaling, target_tracking
from common.local.autoscaling.targets import ACTIVITY, DIMENSION, NAMESPACE, TARGET, Variant, policies_of, variant_of
from common.local.context import LocalAws
from common.local.hosting.alarm_watch import PERIOD_FLOOR_SECONDS
from common.local.hosting.alarms import IN_ALARM, statistic_of
from common.local.hosting.host import Hosting
from common.local.hosting.lifecycle import KIND
from common.local.hosting.spec import FleetSpec
from common.local.hosting.telemetry import Origin
from common.local.sagemaker.endpoints import update_endpoint_weights_and_capacities
from common.local.services import Alarm
from common.local.store import Document

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.2
_JOIN_SECONDS = 5.0
_IDLE_SECONDS = 20.0
"""AWS time between two zeros of InvocationsPerInstance: a variant that nobody calls has the metric, too."""


class Wish(NamedTuple):
    """The instance count that something wants, and why."""

    instances: int
    cause: str
    policy: str = ""
    """Name of the policy; empty for the target's own bounds."""


class Autoscaler:
    """One for each LocalAws: `aws.part(Autoscaler)`, made when the first target is registered."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._idle_at = 0.0
        self._thread = aws.spawn("autoscaling", self._run)
        aws.on_close.append(lambda: self._thread.join(_JOIN_SECONDS))

    def _run(self) -> None:
        while not self._aws.closing.wait(_TICK_SECONDS):
            now = time.time()
            is_idle_turn = now >= self._idle_at
            if is_idle_turn:
                self._idle_at = now + _IDLE_SECONDS * self._aws.time_scale
            for scope, resource_id, target in self._aws.store.everywhere(TARGET):
                try:
                    self._follow(scope, variant_of(resource_id), target, is_idle_turn)
                except Exception:
                    if self._aws.closing.is_set():
                        return
                    log.exception("scaling of %s", resource_id)  # one target's trouble must not end the others' scaling

    def _follow(self, scope: str, variant: Variant, target: Document, is_idle_turn: bool) -> None:
        endpoint = self._aws.store.get(scope, KIND, variant.endpoint)
        if endpoint is None or endpoint["EndpointStatus"] != "InService":
            return
        spec = FleetSpec.from_json(endpoint["Fleet"])
        [count] = (each.instances for each in spec.variants if each.name == variant.name)
        account, _, region = scope.partition("/")
        origin = Origin(account, region, variant.endpoint)
        if is_idle_turn and not spec.async_config:
            self._aws.part(Hosting).telemetry.measure(origin, variant.name, "InvocationsPerInstance", 0.0)
        history = [each for each in self._aws.store.list(scope, ACTIVITY) if each["ResourceId"] == variant.resource_id]
        if history and history[-1]["StatusCode"] == "InProgress":
            self._settle(scope, history[-1], count, endpoint.get("FailureReason", ""))
            return
        wish = self._wish(origin, target, policies_of(self._aws, scope, variant.resource_id), history, count)
        if wish is not None:
            self._scale(origin, variant, count, wish)

    def _wish(
        self, origin: Origin, target: Document, policies: list[Document], history: list[Document], count: int
    ) -> Wish | None:
        """What is to happen now: the highest wish of all policies, and a lower count only if none wants to keep this one."""
        bounds = Bounds(target["MinCapacity"], target["MaxCapacity"])
        if not policies:
            return None
        if bounds.hold(count) != count:
            side = "minimum" if count < bounds.low else "maximum"
            return Wish(bounds.hold(count), f"{side} capacity was set to {bounds.hold(count)}")
        alarms = {
            arn: alarm
            for account, region, alarm in self._aws.services.every_alarm()
            if (account, region) == (origin.account, origin.region) and alarm.state == IN_ALARM
            for arn in alarm.actions
        }
        wishes = [
            self._of_policy(origin, policy, alarms.get(policy["PolicyARN"]), history, bounds, count)
            for policy in policies
        ]
        more = [wish for wish in wishes if wish and wish.instances > count]
        if more:
            is_suspended = target["SuspendedState"].get("DynamicScalingOutSuspended")
            return None if is_suspended else max(more, key=lambda wish: wish.instances)
        # Step policies that rest have no say; target tracking has, as long as its alarm does not ask for less.
        heard = [wish for wish, policy in zip(wishes, policies, strict=True) if wish or _may_scale_in(policy)]
        less = [wish for wish in heard if wish and wish.instances < count]
        if not less or len(less) < len(heard) or target["SuspendedState"].get("DynamicScalingInSuspended"):
            return None
        return max(less, key=lambda wish: wish.instances)

    def _of_policy(
        self, origin: Origin, policy: Document, alarm: Alarm | None, history: list[Document], bounds: Bounds, count: int
    ) -> Wish | None:
        value = None if alarm is None else self._value(origin, alarm)
        if alarm is None or value is None:
            return None
        config: dict[str, Any] = policy.get(TRACKING) or policy[STEPS]
        own = [
            each for each in history if each["Policy"] == policy["PolicyName"] and each["StatusCode"] == "Successful"
        ]
        out = next((each for each in reversed(own) if each["To"] > each["From"]), None)
        down = next((each for each in reversed(own) if each["To"] < each["From"]), None)
        scale, now = self._aws.time_scale, time.time()
        cooling_out = is_cooling(out, _cooldown(config, "ScaleOutCooldown") * scale, now)
        # Within the cooldown only a step that would have been larger from the start scales out further.
        base = out["From"] if out and cooling_out else count
        wanted = bounds.hold(
            target_tracking(base, value, config["TargetValue"])
            if TRACKING in policy
            else step_scaling(base, value - alarm.threshold, config)
        )
        is_out = alarm.comparison.startswith("Greater") if TRACKING in policy else wanted > base
        if wanted == count or is_out != (wanted > count):
            return None
        if not is_out and is_cooling(down, _cooldown(config, "ScaleInCooldown") * scale, now):
            return None
        return Wish(
            wanted,
            f"monitor alarm {alarm.name} in state ALARM triggered policy {policy['PolicyName']}",
            policy["PolicyName"],
        )

    def _value(self, origin: Origin, alarm: Alarm) -> float | None:
        """The alarm's metric over its last period; None when there is no sample in it."""
        now = time.time()
        since = now - max(alarm.period * self._aws.time_scale, PERIOD_FLOOR_SECONDS)
        samples = self._aws.services.metric_values(
            origin.account, origin.region, alarm.namespace, alarm.metric or "", alarm.dimensions, since, now
        )
        return statistic_of(alarm, [value for _, value in samples]) if samples else None

    def _scale(self, origin: Origin, variant: Variant, count: int, wish: Wish) -> None:
        activity = {
            "ActivityId": str(uuid4()),
            "ServiceNamespace": NAMESPACE,
            "ResourceId": variant.resource_id,
            "ScalableDimension": DIMENSION,
            "Description": f"Setting desired instance count to {wish.instances}.",
            "Cause": wish.cause,
            "StartTime": time.time(),
            "StatusCode": "InProgress",
            "StatusMessage": f"Successfully set desired instance count to {wish.instances}. Waiting for change to be fulfilled "
            f"by {NAMESPACE}.",
            "Policy": wish.policy,
            "From": count,
            "To": wish.instances,
        }
        desired = {"VariantName": variant.name, "DesiredInstanceCount": wish.instances}
        request = {"EndpointName": variant.endpoint, "DesiredWeightsAndCapacities": [desired]}
        try:
            with self._aws.store.transaction():
                self._aws.store.put(origin.scope, ACTIVITY, str(activity["ActivityId"]), activity)
                update_endpoint_weights_and_capacities(Call(self._aws, origin.account, origin.region, request))
        except ApiError as refusal:  # somebody else's update began a moment ago: the next look tries again
            log.info("%s is not scaled now: %s", variant.resource_id, refusal)

    def _settle(self, scope: str, activity: Document, count: int, failure: str) -> None:
        """The endpoint is in service again: say what became of the activity."""
        reached = count == activity["To"]
        message = f"Successfully set desired instance count to {activity['To']}. Change successfully fulfilled by {NAMESPACE}."
        self._aws.store.update(
            scope,
            ACTIVITY,
            activity["ActivityId"],
            EndTime=time.time(),
            StatusCode="Successful" if reached else "Failed",
            StatusMessage=message
            if reached
            else f"Failed to set desired instance count to {activity['To']}. {failure}",
        )


def _may_scale_in(policy: Document) -> bool:
    return TRACKING in policy and not policy[TRACKING].get("DisableScaleIn")


def _cooldown(config: dict[str, Any], member: str) -> float:
    """Seconds of AWS time. A step policy has one cooldown for both directions."""
    seconds: float = config.get(member, config.get("Cooldown", COOLDOWN_SECONDS))
    return seconds
