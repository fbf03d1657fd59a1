"""The alarms that guard a deploy, in the account: created, adjusted, looked at before traffic shifts, and removed.

The project owns an alarm that carries the model's tag and the name that a declaration gives it; no other is touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from common.aws import Aws
from common.deployment.alarms import Alarm, Learned, Threshold, alarm_name, threshold_of
from common.deployment.declare import VARIANT
from common.deployment.modes import ServerlessEndpoint
from common.deployment.plan import Wanted
from common.deployment.rollout import baking_seconds
from common.errors import DeploymentError

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricAlarmTypeDef

_NAMESPACE = "AWS/SageMaker"
_MOST_POINTS = 1440
"""Data points that one GetMetricStatistics answers."""
_RECENT_SECONDS = 900
"""How far back data of the serving variant count as present: longer than CloudWatch may take to show them."""
_PATIENCE_SECONDS = 120.0
"""CloudWatch evaluates an alarm about once a minute, so that the state of one just changed is that of before."""
_LONGEST_POLL_SECONDS = 5.0


@dataclass(frozen=True)
class Guard:
    """An alarm as it would guard a rollout that began now.

    Attributes:
        has_data: whether the variant that serves has reported the metric recently.
        state: CloudWatch's, with its `reason`; empty where the alarm does not exist yet.
        may_clear: whether an ALARM may be over once CloudWatch looks again: the alarm was adjusted, or fired just now.
    """

    name: str
    alarm: Alarm
    threshold: Threshold
    has_data: bool = True
    state: str = ""
    reason: str = ""
    may_clear: bool = False

    @property
    def in_words(self) -> str:
        """What it watches, for the plan of a deploy."""
        alarm, origin = self.alarm, f" ({self.threshold.origin})" if self.threshold.origin else ""
        side = "above" if alarm.below is None else "below"
        return (
            f"alarm {self.name}: {alarm.statistic} of {alarm.metric} {side} {self.threshold.value:.6g} for "
            f"{alarm.span_seconds} s{origin}"
        )


def guards_of(aws: Aws, wanted: Wanted) -> list[Guard]:
    """The declared alarms with their thresholds, and what CloudWatch knows of them and of the variant that serves."""
    found = _described(aws, wanted.alarm_names)
    return [_guard(aws, wanted.model.name, alarm, found) for alarm in wanted.endpoint.alarms]


def _guard(aws: Aws, model: str, alarm: Alarm, found: dict[str, MetricAlarmTypeDef]) -> Guard:
    name, declared = alarm.name(model), alarm.declared
    learned_from = _points(aws, model, alarm, declared.hours * 3600) if isinstance(declared, Learned) else []
    threshold, known = threshold_of(alarm, learned_from), found.get(name)
    return Guard(
        name,
        alarm,
        threshold,
        has_data=bool(_points(aws, model, alarm, max(_RECENT_SECONDS, 3 * alarm.span_seconds))),
        state=known["StateValue"] if known else "",
        reason=known.get("StateReason", "") if known else "",
        may_clear=known is not None
        and may_clear(known, wanted_definition(model, alarm, threshold.value), datetime.now(UTC)),
    )


def may_clear(known: Mapping[str, Any], wanted: Mapping[str, Any], now: datetime) -> bool:
    """Whether an alarm that CloudWatch described may leave ALARM by itself, after it is made what is wanted."""
    recently = now - timedelta(seconds=known["Period"] * known["EvaluationPeriods"] + _PATIENCE_SECONDS)
    adjusted = any(known.get(name) != value for name, value in wanted.items())
    return known["StateValue"] == "ALARM" and (adjusted or known["StateUpdatedTimestamp"] > recently)


def describe_guards(aws: Aws, wanted: Wanted) -> list[str]:
    """The alarms that would guard a rollout now, and what they could not, for `--plan`; nothing is changed."""
    guards = guards_of(aws, wanted)
    said = [guard.in_words for guard in guards]
    said += [f"warning: {each}" for each in shortcomings(guards, _baking(wanted))]
    return said + [f"refused while alarm {guard.name} is in ALARM: {guard.reason}" for guard in firing(guards)]


def put_alarms(aws: Aws, wanted: Wanted, guards: Iterable[Guard]) -> None:
    """Create or adjust the alarms that guard the endpoint.

    Raises:
        DeploymentError: somebody else's alarm has the name of one.
    """
    for known in _described(aws, wanted.alarm_names).values():
        _require_own(aws, wanted.model.name, known)
    for guard in guards:
        aws.cloudwatch.put_metric_alarm(
            AlarmName=guard.name,
            AlarmDescription=f"Guards deployments of {wanted.model.name}.",
            Tags=wanted.tags,
            **wanted_definition(wanted.model.name, guard.alarm, guard.threshold.value),
        )


def wanted_definition(model: str, alarm: Alarm, threshold: float) -> dict[str, Any]:
    """What decides when the alarm fires, as PutMetricAlarm takes it and DescribeAlarms tells it."""
    below = alarm.below is not None
    percentile = alarm.statistic.startswith("p")
    return {
        "Namespace": _NAMESPACE,
        "MetricName": alarm.metric,
        "Dimensions": _dimensions(model),
        "ExtendedStatistic" if percentile else "Statistic": alarm.statistic,
        "ComparisonOperator": "LessThanThreshold" if below else "GreaterThanThreshold",
        "Threshold": threshold,
        "Period": alarm.period_seconds,
        "EvaluationPeriods": alarm.periods,
        "TreatMissingData": "breaching" if below else "notBreaching",
    }


def _dimensions(model: str) -> list[dict[str, str]]:
    return [{"Name": "EndpointName", "Value": model}, {"Name": "VariantName", "Value": VARIANT}]


def stand_guard(aws: Aws, wanted: Wanted, say: Callable[[str], None], *, despite_alarms: bool = False) -> list[str]:
    """Put the alarms, see that they can guard the rollout that is about to begin, and say what they cannot.

    Args:
        despite_alarms: leave out those that are in ALARM already, instead of refusing to deploy.

    Returns:
        The names of the alarms that guard it.

    Raises:
        DeploymentError: as `require_guarding` and `put_alarms` say.
    """
    guards = guards_of(aws, wanted)
    put_alarms(aws, wanted, guards)
    for guard in guards:
        if guard.threshold.origin:
            say(f"  {guard.in_words}")
    guards = _settled(aws, guards, say, despite_alarms)
    loud = firing(guards) if despite_alarms else []
    for guard in loud:
        say(f"  warning: alarm {guard.name} is left out, since it is in ALARM already ({guard.reason})")
    guards = [guard for guard in guards if guard not in loud]
    require_guarding(wanted.model.name, guards)
    for shortcoming in shortcomings(guards, _baking(wanted)):
        say(f"  warning: {shortcoming}")
    return [guard.name for guard in guards]


def _settled(aws: Aws, guards: Sequence[Guard], say: Callable[[str], None], despite_alarms: bool) -> list[Guard]:
    """The guards with their states, once CloudWatch has evaluated those anew of which it may say something else then."""
    deadline, pause = time.monotonic() + _PATIENCE_SECONDS, 0.1
    old = [guard.name for guard in guards if guard.may_clear and not despite_alarms]
    new = [guard.name for guard in guards if not guard.state]
    if old or new:
        told = [f"{name} ({'in ALARM' if name in old else 'new'})" for name in [*old, *new]]
        say(f"  {', '.join(told)}: waiting {_PATIENCE_SECONDS:g} s at most for CloudWatch to look at what it does now")
    while True:
        found = _described(aws, [guard.name for guard in guards])
        now = [_with_state(guard, found.get(guard.name)) for guard in guards]
        lasting = [guard for guard in firing(now) if guard.name not in old]
        unclear = [guard for guard in now if guard.state == "INSUFFICIENT_DATA" or guard in firing(now)]
        if not unclear or lasting or time.monotonic() > deadline:
            return now
        time.sleep(pause)
        pause = min(1.3 * pause, _LONGEST_POLL_SECONDS)


def _with_state(guard: Guard, known: MetricAlarmTypeDef | None) -> Guard:
    state, reason = (known["StateValue"], known.get("StateReason", "")) if known else ("", "")
    return replace(guard, state=state, reason=reason)


def shortcomings(guards: Sequence[Guard], baking: int) -> list[str]:
    """What the alarms cannot guard, in words: nothing brings the old package back where they should have fired.

    Args:
        baking: how many seconds they look at the new package.
    """
    said = [
        f"alarm {guard.name} cannot guard this rollout: no {guard.alarm.metric} of what serves in the last minutes, and it "
        "fires on data only"
        for guard in guards
        if not guard.has_data and guard.alarm.below is None
    ]
    said += [
        f"alarm {guard.name} cannot fire in time: it looks at {guard.alarm.span_seconds} s, and the rollout bakes {baking} s"
        for guard in guards
        if guard.alarm.span_seconds > baking
    ]
    said += [
        f"alarm {guard.name} has not been evaluated by CloudWatch yet"
        for guard in guards
        if guard.state == "INSUFFICIENT_DATA"
    ]
    return said


def _baking(wanted: Wanted) -> int:
    endpoint = wanted.endpoint
    return 0 if isinstance(endpoint, ServerlessEndpoint) else baking_seconds(endpoint.rollout, endpoint.instance_count)


def firing(guards: Sequence[Guard]) -> list[Guard]:
    """Those in whose presence SageMaker would roll back at once, whatever the new package does."""
    return [guard for guard in guards if guard.state == "ALARM"]


def require_guarding(model: str, guards: Sequence[Guard]) -> None:
    """Refuse a rollout that the alarms would end at once, or that one of them cannot guard although it has to.

    Raises:
        DeploymentError: with the alarms and CloudWatch's reasons. Nothing that serves was changed.
    """
    if loud := firing(guards):
        alarms = "; ".join(f"{guard.name} ({guard.reason})" for guard in loud)
        raise DeploymentError(
            f"{model} is not deployed: in ALARM already, before any traffic shifts: {alarms}. SageMaker would roll back at once.",
            "Mend what serves, or the threshold, and deploy again. Where the new package is the remedy, deploy with "
            "`--despite-alarms`, which leaves out the alarms that fire, and keeps the others.",
        )
    mute = [guard.name for guard in guards if guard.alarm.require_data and not guard.has_data]
    if mute:
        raise DeploymentError(
            f"{model} is not deployed: {', '.join(mute)} must guard the rollout (require_data), and what serves has reported "
            "no data of theirs in the last minutes.",
            "Send requests to the endpoint, deploy when it has some, or declare the alarm without require_data.",
        )


def remove_undeclared(aws: Aws, wanted: Wanted) -> list[str]:
    """Delete the alarms that an earlier declaration of this model made and this one does not; their names."""
    gone = owned_alarms(aws, wanted.model.name, but=wanted.alarm_names)
    if gone:
        aws.cloudwatch.delete_alarms(AlarmNames=gone)
    return gone


def owned_alarms(aws: Aws, model: str, but: Sequence[str] = ()) -> list[str]:
    """The names of all alarms that deploys of this model have made, but those named."""
    pages = aws.cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=f"{model}-", AlarmTypes=["MetricAlarm"]
    )
    alarms = [alarm for page in pages for alarm in page["MetricAlarms"] if alarm["AlarmName"] not in but]
    return [alarm["AlarmName"] for alarm in alarms if _is_ours(aws, model, alarm)]


def _require_own(aws: Aws, model: str, alarm: MetricAlarmTypeDef) -> None:
    if not _is_ours(aws, model, alarm):
        raise DeploymentError(
            f"The alarm {alarm['AlarmName']} exists, and no deploy of {model} made it: it lacks the tag model={model}, or "
            "watches another metric.",
            "No alarm and nothing that serves was changed. Rename or delete that alarm, then deploy again.",
        )


def _is_ours(aws: Aws, model: str, alarm: MetricAlarmTypeDef) -> bool:
    statistic = alarm.get("Statistic") or alarm.get("ExtendedStatistic", "")
    if alarm["AlarmName"] != alarm_name(model, alarm.get("MetricName", ""), statistic):
        return False
    tags = aws.cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
    return {"Key": "model", "Value": model} in tags


def _described(aws: Aws, names: list[str]) -> dict[str, MetricAlarmTypeDef]:
    """By name, those of the alarms that exist. Asked for no names, CloudWatch answers with every alarm of the account."""
    alarms = aws.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"] if names else []
    return {alarm["AlarmName"]: alarm for alarm in alarms}


def _points(aws: Aws, model: str, alarm: Alarm, seconds: int) -> list[float]:
    """The alarm's statistic in each period of the last seconds that holds data."""
    percentile = alarm.statistic.startswith("p")
    request: dict[str, Any] = {
        "Namespace": _NAMESPACE,
        "MetricName": alarm.metric,
        "Dimensions": _dimensions(model),
        "Period": alarm.period_seconds,
        "ExtendedStatistics" if percentile else "Statistics": [alarm.statistic],
    }
    end = datetime.now(UTC)
    begin, step = end - timedelta(seconds=seconds), timedelta(seconds=_MOST_POINTS * alarm.period_seconds)
    points: list[float] = []
    while begin < end:
        until = min(begin + step, end)
        found = aws.cloudwatch.get_metric_statistics(StartTime=begin, EndTime=until, **request)["Datapoints"]
        points += [
            point["ExtendedStatistics"][alarm.statistic] if percentile else point[alarm.statistic]  # type: ignore[literal-required]
            for point in found
        ]
        begin = until
    return points
