"""The services that moto provides, used in process: no HTTP between the local SageMaker and its S3 or CloudWatch."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from moto.backends import get_backend

log = logging.getLogger(__name__)

MAX_METRIC_VALUES = 200_000
"""How many metric values an account keeps: about 100 MB, which moto would let grow for ever."""

_PART_BYTES = 1 << 20

NEW_ALARM_REASON = "Unchecked: Initial alarm creation"
"""CloudWatch's `StateReason` of an alarm that it has not evaluated yet."""


@dataclass(frozen=True)
class Alarm:
    """A CloudWatch alarm: what it watches and the state it is in. Members are named as in `DescribeAlarms`."""

    name: str
    state: str
    """`OK`, `ALARM` or `INSUFFICIENT_DATA`."""
    namespace: str
    metric: str | None
    """None for composite alarms and for alarms on metric math."""
    dimensions: dict[str, str]
    statistic: str | None
    """`Average`, `Sum`, `Minimum`, `Maximum`, `SampleCount`, or None when `extended_statistic` (`p99`) is given."""
    extended_statistic: str | None
    period: int
    """Seconds."""
    evaluation_periods: int
    datapoints_to_alarm: int
    comparison: str
    threshold: float
    missing_data: str
    """`breaching`, `notBreaching`, `ignore` or `missing`."""
    evaluated: bool = True
    """False for a new alarm until its state has been set."""
    actions: tuple[str, ...] = ()
    """ARNs of what is told when the alarm fires: topics, scaling policies."""


@dataclass(frozen=True)
class Services:
    """moto's backends of this process, by account and region."""

    changed: Callable[[str], None]
    """Told the name of the service after every change, so that its state gets written."""

    def read_object(self, account: str, bucket: str, key: str) -> bytes:
        """The object's content. Raises KeyError when bucket or object are missing."""
        content: bytes = self._object(account, bucket, key).value
        return content

    def download(self, account: str, bucket: str, key: str, to: Path) -> None:
        """Write the object to a file. Raises KeyError as `parts` does."""
        parts = self.parts(account, bucket, key)
        first = next(parts, b"")  # before the file is made
        with to.open("wb") as file:
            file.write(first)
            file.writelines(parts)

    def parts(self, account: str, bucket: str, key: str) -> Iterator[bytes]:
        """The object's content, piece by piece. Raises KeyError when it is missing, also when it goes while it is read."""
        found = self._object(account, bucket, key)
        start = 0
        try:
            while part := _part(found, start):
                yield part
                start += len(part)
        except ValueError:  # moto closes the content of an object that is deleted or replaced
            raise KeyError(f"{bucket}/{key}") from None

    def object_size(self, account: str, bucket: str, key: str) -> int:
        """The object's size in bytes. Raises KeyError when bucket or object are missing."""
        size: int = self._object(account, bucket, key).size
        return size

    def require_bucket(self, account: str, bucket: str) -> None:
        """Raises KeyError when the bucket is missing."""
        self._bucket(account, bucket)

    def write_object(self, account: str, bucket: str, key: str, body: bytes, kms_key: str | None = None) -> None:
        """Create or replace the object, encrypted with the key of KMS where one is named, else as the bucket says.

        Raises KeyError when the bucket is missing.
        """
        self._bucket(account, bucket)
        _s3(account).put_object(bucket, key, body, encryption=kms_key and "aws:kms", kms_key_id=kms_key)
        self.changed("s3")

    def upload(self, account: str, bucket: str, key: str, file: Path, kms_key: str | None = None) -> None:
        """As `write_object`, with a file's content."""
        with file.open("rb") as opened:
            # moto copies what it is given: mapped, it is not in memory twice
            size = file.stat().st_size
            body: Any = mmap(opened.fileno(), size, access=ACCESS_READ) if size else b""
            self.write_object(account, bucket, key, body, kms_key)

    def delete_object(self, account: str, bucket: str, key: str) -> None:
        """Delete the object if it is there. Raises KeyError when the bucket is missing."""
        self._bucket(account, bucket)
        _s3(account).delete_object(bucket, key)
        self.changed("s3")

    def list_objects(self, account: str, bucket: str, prefix: str) -> list[tuple[str, int]]:
        """(key, size) of every object below the prefix, sorted by key. Raises KeyError when the bucket is missing."""
        keys, _, _, _ = _s3(account).list_objects(self._bucket(account, bucket), prefix, None, None, None)
        return [(key.name, key.size) for key in keys]

    def put_log_events(self, account: str, region: str, group: str, stream: str, lines: Iterable[str]) -> None:
        """Append lines to a stream, creating group and stream where they are missing."""
        logs: Any = get_backend("logs")[account][region]
        logs.ensure_log_group(group)
        logs.ensure_log_stream(group, stream)
        now = int(time.time() * 1000)
        logs.put_log_events(group, stream, [{"timestamp": now, "message": line} for line in lines])

    def put_metric(
        self,
        account: str,
        region: str,
        namespace: str,
        name: str,
        dimensions: dict[str, str],
        values: Iterable[float],
        unit: str = "None",
    ) -> None:
        """Record values of a metric at the present moment; the account's oldest go when there are too many."""
        described = [{"Name": key, "Value": value} for key, value in dimensions.items()]
        datum = {"MetricName": name, "Dimensions": described, "Values": list(values), "Unit": unit}
        if datum["Values"]:
            backend = _cloudwatch(account, region)
            backend.put_metric_data(namespace, [datum])
            if len(backend.metric_data) > MAX_METRIC_VALUES:
                del backend.metric_data[: MAX_METRIC_VALUES // 2]

    def metric_values(
        self,
        account: str,
        region: str,
        namespace: str,
        name: str,
        dimensions: dict[str, str],
        since: float,
        until: float,
    ) -> list[tuple[float, float]]:
        """(epoch seconds, value) of a metric with exactly these dimensions in [since, until), oldest first.

        A datum that was put as a statistic set appears as values with its minimum, maximum, sum and count.
        """
        found: list[tuple[float, float]] = []
        for datum in list(_cloudwatch(account, region).metric_data):
            if datum.name != name or datum.namespace != namespace:
                continue
            moment = _epoch(datum.timestamp)
            if since <= moment < until and {d.name: d.value for d in datum.dimensions} == dimensions:
                found.extend((moment, value) for value in _values(datum))
        return sorted(found)

    def alarms(self, account: str, region: str, names: Iterable[str]) -> list[Alarm]:
        """The alarms of these names that exist, in the order in which they were created."""
        return [_alarm(alarm) for alarm in _cloudwatch(account, region).get_alarms_by_alarm_names(list(names))]

    def every_alarm(self) -> list[tuple[str, str, Alarm]]:
        """(account, region, alarm) of all accounts and regions."""
        return [
            (account, region, _alarm(alarm))
            for account, regions in list(get_backend("cloudwatch").items())
            for region, cloudwatch in list(regions.items())
            for alarm in list(cloudwatch.alarms.values())
        ]

    def put_alarm(self, account: str, region: str, alarm: Alarm) -> str:
        """Create or replace an alarm on one metric. Returns its ARN."""
        put: Any = _cloudwatch(account, region).put_metric_alarm(
            name=alarm.name,
            namespace=alarm.namespace,
            metric_name=alarm.metric,
            comparison_operator=alarm.comparison,
            evaluation_periods=alarm.evaluation_periods,
            datapoints_to_alarm=alarm.datapoints_to_alarm,
            period=alarm.period,
            threshold=alarm.threshold,
            statistic=alarm.statistic,
            extended_statistic=alarm.extended_statistic,
            description="DO NOT EDIT OR DELETE. For a scaling policy.",
            dimensions=[{"Name": key, "Value": value} for key, value in alarm.dimensions.items()],
            alarm_actions=list(alarm.actions),
            treat_missing_data=alarm.missing_data,
        )
        self.changed("cloudwatch")
        arn: str = put.alarm_arn
        return arn

    def delete_alarms(self, account: str, region: str, names: Iterable[str]) -> None:
        """Delete the alarms of these names that exist."""
        _cloudwatch(account, region).delete_alarms(list(names))
        self.changed("cloudwatch")

    def publish(self, topic_arn: str, message: str, subject: str | None = None) -> None:
        """Publish a message to an SNS topic, whose subscriptions get it. Raises KeyError when there is no such topic."""
        _, _, _, region, account, _ = topic_arn.split(":")
        topic: Any = get_backend("sns")[account][region].topics[topic_arn]
        try:
            topic.publish(message, subject=subject)
        except Exception:
            # A publisher does not learn that a subscription's queue or URL is gone.
            log.warning("a subscription to %s did not get a message", topic_arn, exc_info=True)
        self.changed("sns")

    def set_alarm_state(self, account: str, region: str, name: str, state: str, reason: str) -> None:
        """Move an alarm to `OK`, `ALARM` or `INSUFFICIENT_DATA`. Raises KeyError when there is no such alarm."""
        cloudwatch = _cloudwatch(account, region)
        if name not in cloudwatch.alarms:
            raise KeyError(name)
        cloudwatch.set_alarm_state(name, reason, "{}", state)

    def _bucket(self, account: str, bucket: str) -> Any:
        from moto.s3.exceptions import MissingBucket

        try:
            return _s3(account).get_bucket(bucket)
        except MissingBucket:
            raise KeyError(bucket) from None

    def _object(self, account: str, bucket: str, key: str) -> Any:
        self._bucket(account, bucket)
        found = _s3(account).get_object(bucket, key)
        if found is None:
            raise KeyError(f"{bucket}/{key}")
        return found


def _part(key: Any, start: int) -> bytes:
    with key.lock:
        key.etag  # noqa: B018 - moto computes it once, from the same file and without the lock
        key._value_buffer.seek(start)
        part: bytes = key._value_buffer.read(_PART_BYTES)
    return part


def _s3(account: str) -> Any:
    return get_backend("s3")[account]["aws"]


def _cloudwatch(account: str, region: str) -> Any:
    return get_backend("cloudwatch")[account][region]


def _epoch(moment: datetime) -> float:
    """moto keeps its own times naive, in UTC, and those of requests as they were sent."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _values(datum: Any) -> Iterator[float]:
    if hasattr(datum, "value"):
        yield datum.value
    elif datum.sample_count < 2:
        yield datum.sum
    else:
        others = int(datum.sample_count) - 2
        yield datum.min
        yield datum.max
        yield from repeat((datum.sum - datum.min - datum.max) / max(others, 1), others)


def _alarm(alarm: Any) -> Alarm:
    return Alarm(
        name=alarm.name,
        state=alarm.state_value,
        namespace=alarm.namespace,
        metric=alarm.metric_name,
        dimensions={dimension.name: dimension.value for dimension in alarm.dimensions},
        statistic=alarm.statistic,
        extended_statistic=alarm.extended_statistic,
        period=int(alarm.period or 0),
        evaluation_periods=int(alarm.evaluation_periods or 0),
        datapoints_to_alarm=int(alarm.datapoints_to_alarm or alarm.evaluation_periods or 0),
        comparison=alarm.comparison_operator,
        threshold=float(alarm.threshold or 0),
        missing_data=alarm.treat_missing_data or "missing",
        evaluated=alarm.state_reason != NEW_ALARM_REASON,
        actions=tuple(alarm.alarm_actions or ()) if alarm.actions_enabled else (),
    )
