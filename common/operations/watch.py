"""A rollout as it goes: which fleet has the traffic, which alarms fire, how long answers take, and who began it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from common.aws import Aws
from common.deployment.live import describe_endpoint, observe
from common.deployment.plan import CHANGING
from common.errors import DeploymentError
from common.model import Model
from common.steps.context import Context
from common.tables import text_table

_POLL_SECONDS = 2.0
_WINDOW = timedelta(minutes=5)
_COUNTS = {"requests": "Invocations", "4XX": "Invocation4XXErrors", "5XX": "Invocation5XXErrors"}
_LATENCIES = ("p50", "p99")
_CLEAR = "\x1b[H\x1b[J"


@dataclass(frozen=True)
class Variant:
    """A variant of the fleet that serves, or of the one that comes.

    Attributes:
        fleet: the endpoint configuration that it is of.
        phase: what SageMaker does with it, e.g. `Baking`; empty where it does nothing.
        weight: its part of the fleet's traffic, relative to the others'; None for asynchronous and serverless ones of no weight.
    """

    fleet: str
    name: str
    instances: int
    weight: float | None
    phase: str = ""


@dataclass(frozen=True)
class View:
    """An endpoint at one moment.

    Attributes:
        alarms: state of each alarm on the endpoint's metrics.
        figures: by variant, sums and latencies (ms) of the last five minutes; absent where CloudWatch has no data.
    """

    status: str
    changed: str
    variants: tuple[Variant, ...]
    alarms: Mapping[str, str]
    figures: Mapping[str, Mapping[str, float]]
    failure: str = ""

    @property
    def news(self) -> tuple[object, ...]:
        """What a log gets a new line for; figures move all the time."""
        return self.status, self.changed, self.variants, tuple(self.alarms.items())

    @property
    def settled(self) -> bool:
        return self.status not in CHANGING


def watch(context: Context, endpoint: Model) -> None:
    """Show the endpoint until nothing is under way any more: a table on a terminal, a line for each change in a log.

    Raises:
        DeploymentError: there is no endpoint, or it was deleted.
    """
    live_table, last = sys.stdout.isatty(), None
    for view in _views(context.aws, endpoint):
        if live_table:
            context.say(_CLEAR + table(endpoint.name, view))
        elif view.news != last:
            context.say(line(view))
            last = view.news
    context.say("" if live_table else table(endpoint.name, view))


def _views(aws: Aws, endpoint: Model) -> Iterator[View]:
    while True:
        view = look(aws, endpoint)
        yield view
        if view.settled:
            return
        time.sleep(_POLL_SECONDS)


def look(aws: Aws, endpoint: Model) -> View:
    """The endpoint now."""
    description = describe_endpoint(aws, endpoint.name)
    if description is None:
        raise DeploymentError(
            f"There is no endpoint {endpoint.name} to watch.", "A deploy of a model that it serves creates it."
        )
    variants = tuple(_variants(description))
    return View(
        status=description["EndpointStatus"],
        changed=observe(aws, endpoint).changed,
        variants=variants,
        alarms=_alarms(aws, endpoint.name),
        figures={name: _figures(aws, endpoint.name, name) for name in dict.fromkeys(v.name for v in variants)},
        failure=description.get("FailureReason", ""),
    )


def _variants(description: Mapping[str, Any]) -> Iterator[Variant]:
    """Those of the fleet that serves, then those of the fleet that comes; shadows last of each."""
    for fleet in (description, description.get("PendingDeploymentSummary", {})):
        for each in [*fleet.get("ProductionVariants", []), *fleet.get("ShadowProductionVariants", [])]:
            yield Variant(
                fleet["EndpointConfigName"],
                each["VariantName"],
                each.get("CurrentInstanceCount", 0),
                each.get("CurrentWeight"),
                ", ".join(status["Status"] for status in each.get("VariantStatus", [])),
            )


def _alarms(aws: Aws, endpoint: str) -> dict[str, str]:
    """State of the alarms that watch this endpoint's metrics, whoever made them; a prefix only says where to look."""
    pages = aws.cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=f"{endpoint}-", AlarmTypes=["MetricAlarm"]
    )
    dimension = {"Name": "EndpointName", "Value": endpoint}
    return {
        alarm["AlarmName"]: alarm["StateValue"]
        for page in pages
        for alarm in page["MetricAlarms"]
        if dimension in alarm.get("Dimensions", [])
    }


def _figures(aws: Aws, endpoint: str, variant: str) -> dict[str, float]:
    figures = {
        name: point["Sum"]
        for name, metric in _COUNTS.items()
        if (point := _point(aws, endpoint, variant, metric, "Sum"))
    }
    latencies = _point(aws, endpoint, variant, "ModelLatency")
    return figures | {name: micros / 1000 for name, micros in latencies.get("ExtendedStatistics", {}).items()}


def _point(aws: Aws, endpoint: str, variant: str, metric: str, statistic: str = "") -> dict[str, Any]:
    """The one data point over the last minutes: that statistic, or the latencies' percentiles; empty where there are no data."""
    # Rounded up to the minute, at which CloudWatch begins its periods, so that it does not cut the window in two.
    end = datetime.fromtimestamp(time.time() // 60 * 60 + 60, UTC)
    asked: dict[str, Any] = {"Statistics": [statistic]} if statistic else {"ExtendedStatistics": [*_LATENCIES]}
    points: list[Any] = aws.cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}],
        StartTime=end - _WINDOW,
        EndTime=end,
        Period=int(_WINDOW.total_seconds()),
        **asked,
    )["Datapoints"]
    return dict(points[-1]) if points else {}


def line(view: View) -> str:
    """The endpoint in one line of a log."""
    parts = [f"{datetime.now(UTC):%H:%M:%S}", view.status]
    parts += [view.changed] if view.changed and not view.settled else []
    parts += [f"{v.fleet}/{v.name} ×{v.instances}" + (f" {v.phase}" if v.phase else "") for v in view.variants]
    parts += [f"alarm {name}" for name, state in view.alarms.items() if state == "ALARM"]
    parts += [f"{name}: {_in_words(figures)}" for name, figures in view.figures.items() if figures]
    return "  ".join(parts)


def table(endpoint: str, view: View) -> str:
    """The endpoint as tables."""
    title = f"{endpoint} is {view.status}" + (f", changed {view.changed}" if view.changed else "")
    header = ("configuration", "variant", "instances", "weight", "phase", *_COUNTS, *_LATENCIES)
    rows = [
        [
            v.fleet,
            v.name,
            str(v.instances),
            "–" if v.weight is None else f"{v.weight:g}",
            v.phase,
            *_cells(view, v.name),
        ]
        for v in view.variants
    ]
    alarms = [[name, state] for name, state in view.alarms.items()]
    parts = [title, *([view.failure] if view.failure else []), text_table(header, rows)]
    parts += [text_table(("alarm", "state"), alarms)] if alarms else []
    return "\n".join(
        [*parts, "Requests, errors and latencies (ms) are of the last five minutes, of both fleets of a variant."]
    )


def _cells(view: View, variant: str) -> Sequence[str]:
    figures = view.figures.get(variant, {})
    return [f"{figures[name]:,.4g}" if name in figures else "–" for name in (*_COUNTS, *_LATENCIES)]


def _in_words(figures: Mapping[str, float]) -> str:
    errors = figures.get("4XX", 0) + figures.get("5XX", 0)
    said = f"{figures.get('requests', 0):,.0f} requests, {errors:,.0f} errors"
    return said + (
        f", p50 {figures['p50']:.3g} ms, p99 {figures['p99']:.3g} ms" if {"p50", "p99"} <= figures.keys() else ""
    )
