"""How fast and how soundly each variant of an endpoint answers, from its own metrics in CloudWatch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from common.aws import Aws

_DAY_SECONDS = 86400


@dataclass(frozen=True)
class Traffic:
    """The calls of a variant.

    Attributes:
        client_errors, server_errors: calls that it answered with a status from 400 and from 500.
        mean_ms, p99_ms: how long the model took, in milliseconds; the p99 is that of the worst day. None without calls.
    """

    calls: int
    client_errors: int
    server_errors: int
    mean_ms: float | None
    p99_ms: float | None


def variant_traffic(aws: Aws, endpoint: str, variant: str, since: datetime) -> Traffic:
    """What CloudWatch counted for the variant since that moment."""
    now = datetime.now(UTC)
    age = max((now - since).total_seconds(), 1)
    period = min(_DAY_SECONDS, 60 * math.ceil(age / 60))

    def points(metric: str, **statistic: Any) -> list[Mapping[str, Any]]:
        answer = aws.cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}],
            StartTime=since,
            EndTime=now,
            Period=period,
            **statistic,
        )
        return list(answer["Datapoints"])

    def total(metric: str) -> int:
        return int(sum(point["Sum"] for point in points(metric, Statistics=["Sum"])))

    latency = points("ModelLatency", Statistics=["Sum", "SampleCount"])
    count = sum(point["SampleCount"] for point in latency)
    worst = [point["ExtendedStatistics"]["p99"] for point in points("ModelLatency", ExtendedStatistics=["p99"])]
    return Traffic(
        calls=total("Invocations"),
        client_errors=total("Invocation4XXErrors"),
        server_errors=total("Invocation5XXErrors"),
        mean_ms=sum(point["Sum"] for point in latency) / count / 1000 if count else None,
        p99_ms=max(worst) / 1000 if worst else None,
    )
