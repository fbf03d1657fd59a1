"""What serving leaves in CloudWatch: metrics of every call and the containers' logs, collected and written in batches.

A call only appends to a list; a background flush writes several times a second. Whoever needs the present state, such
as an alarm's evaluation, flushes first.
"""

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from common.local.services import Services

NAMESPACE = "AWS/SageMaker"
LOG_GROUP_PREFIX = "/aws/sagemaker/Endpoints/"

_OTHER_UNITS = {
    **dict.fromkeys(("ModelCacheHit", "LoadedModelCount", "InvocationsPerInstance"), "None"),
    **dict.fromkeys(("InvocationsProcessed", "InvocationFailures", "ExpiredRequests", "NotificationFailures"), "Count"),
}
"""Of the metrics that are measured apart from the calls; the others are durations in µs."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose telemetry it is."""

    account: str
    region: str
    endpoint: str

    @property
    def scope(self) -> str:
        """The partition of the store that the endpoint lives in."""
        return f"{self.account}/{self.region}"

    @property
    def log_group(self) -> str:
        return LOG_GROUP_PREFIX + self.endpoint


@dataclass(frozen=True, slots=True)
class Publishing:
    """What a variant's metrics depend on."""

    instances: int = 1
    unpublished: frozenset[str] = frozenset()
    """Metrics that SageMaker has for other kinds of endpoints only."""


UNPUBLISHED_ASYNC = frozenset({"Invocations", "InvocationsPerInstance", "OverheadLatency"})
UNPUBLISHED_SERVERLESS = frozenset({"InvocationsPerInstance"})


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call that reached a container: the status it answered (504 for none in time) and the latencies in µs."""

    status: int
    model_latency: float
    overhead_latency: float


class Telemetry:
    """Collects from all threads, writes when flushed."""

    def __init__(self, services: Services, publishing: Callable[[Origin, str], Publishing]) -> None:
        """`publishing` is asked about a variant whenever its metrics are written."""
        self._services = services
        self._publishing = publishing
        self._collecting = threading.Lock()
        self._writing = threading.Lock()
        self._invocations: defaultdict[tuple[Origin, str], list[Invocation]] = defaultdict(list)
        self._lines: defaultdict[tuple[Origin, str], list[str]] = defaultdict(list)
        self._measured: defaultdict[tuple[Origin, str, str], list[float]] = defaultdict(list)

    def record(self, origin: Origin, variant: str, invocation: Invocation) -> None:
        """Count a call to a variant."""
        with self._collecting:
            self._invocations[origin, variant].append(invocation)

    def measure(self, origin: Origin, variant: str, metric: str, value: float) -> None:
        """Record a value of a metric that belongs to no single call."""
        with self._collecting:
            self._measured[origin, variant, metric].append(value)

    def log(self, origin: Origin, stream: str, line: str) -> None:
        """Append a line to one of the endpoint's log streams."""
        with self._collecting:
            self._lines[origin, stream].append(line)

    def flush(self) -> None:
        """Write everything collected so far. When it returns, all that was recorded before the call is written."""
        with self._writing:
            with self._collecting:
                invocations, self._invocations = self._invocations, defaultdict(list)
                lines, self._lines = self._lines, defaultdict(list)
                measured, self._measured = self._measured, defaultdict(list)
            for (origin, stream), texts in lines.items():
                self._services.put_log_events(origin.account, origin.region, origin.log_group, stream, texts)
            for (origin, variant), calls in invocations.items():
                self._put_calls(origin, variant, calls)
            for (origin, variant, metric), values in measured.items():
                self._put(origin, variant, metric, values, _OTHER_UNITS.get(metric, "Microseconds"))

    def _put_calls(self, origin: Origin, variant: str, calls: list[Invocation]) -> None:
        publishing = self._publishing(origin, variant)
        metrics = {
            ("Invocations", "None"): [1.0] * len(calls),
            ("InvocationsPerInstance", "None"): [1.0 / publishing.instances] * len(calls),
            ("Invocation4XXErrors", "None"): [float(400 <= call.status < 500) for call in calls],
            ("Invocation5XXErrors", "None"): [float(call.status >= 500) for call in calls],
            ("ModelLatency", "Microseconds"): [call.model_latency for call in calls],
            ("OverheadLatency", "Microseconds"): [call.overhead_latency for call in calls],
        }
        for (name, unit), values in metrics.items():
            if name in publishing.unpublished:
                continue
            self._put(origin, variant, name, values, unit)

    def _put(self, origin: Origin, variant: str, metric: str, values: list[float], unit: str) -> None:
        dimensions = {"EndpointName": origin.endpoint, "VariantName": variant}
        self._services.put_metric(origin.account, origin.region, NAMESPACE, metric, dimensions, values, unit)
