"""Where moto's CloudWatch differs from AWS's so that a guarded deployment would notice, and what it does instead here.

An alarm that is put again keeps its state and its tags, and a new one has none until it is evaluated: otherwise putting
an alarm that fires would silence it. GetMetricStatistics knows percentiles, over exactly the dimensions that are asked for.
"""

from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterCombination
from moto.cloudwatch.models import Alarm, CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from common.local.hosting.alarms import NO_DATA, Sample, statistic
from common.local.services import Services

_MOST_POINTS = 1440
_put_metric_alarm = CloudWatchBackend.put_metric_alarm


def mend_cloudwatch(services: Services) -> None:
    """Replace what differs, in this process."""

    def get_metric_statistics(self: CloudWatchResponse) -> ActionResult:
        asked = self._get_params()
        points = _points(services, self.current_account, self.region, asked)
        return ActionResult({"Label": asked["MetricName"], "Datapoints": points})

    backend: Any = CloudWatchBackend
    response: Any = CloudWatchResponse
    backend.put_metric_alarm = _put_alarm
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
