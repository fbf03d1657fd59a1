"""Where moto's CloudWatch differs from AWS's so that a guarded deployment would notice, and what it does instead here.

An alarm that is put again keeps its state and its tags, and a new one has none until it is evaluated: otherwise putting
an alarm that fires would silence it. One that changes its state tells the topics of its actions. GetMetricStatistics knows
percentiles, over exactly the dimensions that are asked for.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterCombination
from moto.cloudwatch.models import Alarm, CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from common.local.hosting.alarms import NO_DATA, Sample, statistic
from common.local.services import Services

log = logging.getLogger(__name__)

_MOST_POINTS = 1440
_put_metric_alarm = CloudWatchBackend.put_metric_alarm
_set_alarm_state = CloudWatchBackend.set_alarm_state


def mend_cloudwatch(services: Services) -> None:
    """Replace what differs, in this process."""

    def get_metric_statistics(self: CloudWatchResponse) -> ActionResult:
        asked = self._get_params()
        points = _points(services, self.current_account, self.region, asked)
        return ActionResult({"Label": asked["MetricName"], "Datapoints": points})

    def set_alarm_state(
        self: CloudWatchBackend, alarm_name: str, reason: str, reason_data: str, state_value: str
    ) -> None:
        before = self.alarms[alarm_name].state_value if alarm_name in self.alarms else ""
        _set_alarm_state(self, alarm_name, reason, reason_data, state_value)
        if state_value != before:
            _act(services, self.account_id, self.alarms[alarm_name], before)

    backend: Any = CloudWatchBackend
    response: Any = CloudWatchResponse
    backend.put_metric_alarm = _put_alarm
    backend.set_alarm_state = set_alarm_state
    response.get_metric_statistics = get_metric_statistics


def _put_alarm(self: CloudWatchBackend, name: str, **definition: Any) -> Alarm:
    before = self.alarms.get(name)
    if before is not None:
        definition["tags"] = None
    alarm = _put_metric_alarm(self, name=name, **definition)
    if before is None:
        alarm.state_value = NO_DATA
    else:
        alarm.history = before.history
        alarm.state_value, alarm.state_updated_timestamp = before.state_value, before.state_updated_timestamp
        alarm.state_reason, alarm.state_reason_data = before.state_reason, before.state_reason_data
    return alarm


def _act(services: Services, account: str, alarm: Alarm, before: str) -> None:
    """Tell the topics that the alarm names for the state that it has now; scaling policies look at alarms by themselves."""
    named = {"OK": alarm.ok_actions, "ALARM": alarm.alarm_actions, NO_DATA: alarm.insufficient_data_actions}
    topics = (
        [arn for arn in named[alarm.state_value] or () if arn.split(":")[2] == "sns"] if alarm.actions_enabled else []
    )
    for topic in topics:
        subject = f'{alarm.state_value}: "{alarm.name}" in {alarm.region_name}'
        try:
            services.publish(topic, json.dumps(_told(account, alarm, before)), subject[:100])
        except KeyError:
            log.warning("%s cannot tell %s: there is no such topic", alarm.name, topic)


def _told(account: str, alarm: Alarm, before: str) -> dict[str, Any]:
    """What CloudWatch tells a topic."""
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": account,
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": alarm.state_updated_timestamp.strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
        "Region": alarm.region_name,
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": before,
        "OKActions": alarm.ok_actions,
        "AlarmActions": alarm.alarm_actions,
        "InsufficientDataActions": alarm.insufficient_data_actions,
        "Trigger": {
            "MetricName": alarm.metric_name,
            "Namespace": alarm.namespace,
            "StatisticType": "ExtendedStatistic" if alarm.extended_statistic else "Statistic",
            "Statistic": alarm.extended_statistic or (alarm.statistic or "").upper(),
            "Unit": alarm.unit,
            "Dimensions": [{"value": each.value, "name": each.name} for each in alarm.dimensions],
            "Period": alarm.period,
            "EvaluationPeriods": alarm.evaluation_periods,
            "ComparisonOperator": alarm.comparison_operator,
            "Threshold": alarm.threshold,
            "TreatMissingData": alarm.treat_missing_data or "missing",
        },
    }


def _points(services: Services, account: str, region: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer of GetMetricStatistics to a request."""
    plain, percentiles = asked.get("Statistics", []), asked.get("ExtendedStatistics", [])
    if bool(plain) == bool(percentiles):
        raise InvalidParameterCombination("Specify either Statistics or ExtendedStatistics.")
    start, end, period = _epoch(asked["StartTime"]), _epoch(asked["EndTime"]), int(asked["Period"])
    if (end - start) / period > _MOST_POINTS:
        raise InvalidParameterCombination(
            f"You have requested up to {(end - start) / period:.0f} datapoints, which exceeds the limit of {_MOST_POINTS}."
        )
    dimensions = {each["Name"]: each["Value"] for each in asked.get("Dimensions", [])}
    samples = services.metric_values(account, region, asked["Namespace"], asked["MetricName"], dimensions, start, end)
    return [_point(moment, values, plain, percentiles) for moment, values in _periods(samples, period).items()]


def _epoch(moment: datetime) -> float:
    """moto reads a request's times as naive ones in UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _periods(samples: list[Sample], period: int) -> dict[float, list[float]]:
    """The samples by the beginning of their period, which CloudWatch aligns to the clock."""
    found: dict[float, list[float]] = {}
    for moment, value in samples:
        found.setdefault(moment // period * period, []).append(value)
    return found


def _point(moment: float, values: list[float], plain: list[str], percentiles: list[str]) -> dict[str, Any]:
    extended = {each: statistic(each, values) for each in percentiles}
    return {
        "Timestamp": datetime.fromtimestamp(moment, UTC),
        **{each: statistic(each, values) for each in plain},
        **({"ExtendedStatistics": extended} if extended else {}),
    }
