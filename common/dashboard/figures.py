"""The dashboard's plots: the metric of what was deployed, drift, and the quality of live predictions, over time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from common.dashboard.facts import ModelFacts, Window
from common.dashboard.wording import measured, metric_name, time_of
from common.evaluation.gate import HIGHER_IS_BETTER
from common.monitoring.findings import PREDICTION, Findings
from common.registry import Package
from common.report.plots.chart import Figure, LineChart, Range, Series
from common.steps.history import became
from common.steps.history_plot import MOST_NOTES, STYLES, date_ticks

_MARGIN = 0.08
Point = tuple[float, float]


def champion_figure(model: ModelFacts, now: datetime) -> Figure | None:
    """The decisive metric of what was deployed, and of what was refused or waits; None where no package has one."""
    drawn = [(package, (_when(package), value)) for package in reversed(model.packages)
             if (value := measured(package, model.metric)) is not None]  # fmt: skip
    if not drawn:
        return None
    champions = sorted(point for package, point in drawn if package.deployed_at)
    if champions and model.serving:
        champions.append((now.timestamp(), champions[-1][1]))
    series = [Series("what was deployed", *_columns(champions), "champion", "steps")] if champions else []
    for kind, style in STYLES.items():
        own = [(package, point) for package, point in drawn if became(package) == kind]
        told = [f"{package.version}{kind[-1]}" for package, _ in own] if len(drawn) <= MOST_NOTES else ()
        series += [Series(kind, *_columns([point for _, point in own]), style, "points", notes=told)] if own else []
    name = metric_name(model.metric)
    better = ""
    if model.metric in HIGHER_IS_BETTER:
        better = ", better when higher" if HIGHER_IS_BETTER[model.metric] else ", better when lower"
    return Figure(
        _over_time(f"{model.model.name}: {name} by version", series, f"{name}{better}"),
        f"Each mark is a version, at its {name} on the test rows of its own data{better}. The dashed line is what callers "
        "got. A version that was deployed more than once stands where it was deployed last. Source: the model registry, "
        f"package group {model.model.name}.",
    )


def drift_figure(model: ModelFacts) -> Figure | None:
    """How far the window's columns and predictions are from the training set's; None where nothing was compared."""
    windows = tuple(reversed(model.windows))
    columns = [(window, shift) for window in windows if (shift := _largest_shift(window.findings)) is not None]
    predictions = [(window, shift) for window in windows if (shift := _shift(window.findings, PREDICTION)) is not None]
    if not columns and not predictions:
        return None
    alarming = [(window, shift) for window, shift in columns if window.findings.drifted or window.findings.broken]
    least = model.monitor.checks.least_distance if model.monitor else None
    series = [
        Series("the column that moved most", *_of(columns)),
        Series("the predictions", *_of(predictions), "champion"),
        Series("what matters", *_of([(window, least) for window, _ in columns] if least else []), "reference"),
        Series("drift was found ✗", *_of(alarming), "bad", "points"),
    ]
    return Figure(
        _over_time(
            f"{model.model.name}: drift",
            [each for each in series if len(each.xs)],
            "how far it moved",
            (0.0, 1.0),
        ),
        "The share of the rows that are elsewhere now: 0 is as in the data that the version was trained on, 1 is nothing "
        "in common. A window is red where a difference is both too certain for chance and large enough to matter. Source: "
        f"findings.json of each window below {model.model.name}/monitoring/ in the bucket.",
    )


def quality_figure(model: ModelFacts) -> Figure | None:
    """The decisive metric where the truth has become known, beside what was promised; None where no truth is."""
    measured_in = [
        (window, window.findings.quality.metrics[window.findings.quality.metric])
        for window in reversed(model.windows)
        if window.findings.quality is not None
    ]
    if not measured_in:
        return None
    [name, *_] = [window.findings.quality.metric for window in model.windows if window.findings.quality is not None]
    now = [(window, each.now.value) for window, each in measured_in]
    promised = [(window, each.before.value) for window, each in measured_in]
    spread = [(each.now.low, each.now.high) for _, each in measured_in]
    degraded = [(window, each.now.value) for window, each in measured_in if window.findings.degraded]
    series = [
        Series("in production", *_of(now), shape="band", spread=spread),
        Series("when it was evaluated", *_of(promised), "reference"),
        Series("got worse ✗", *_of(degraded), "bad", "points"),
    ]
    return Figure(
        _over_time(
            f"{model.model.name}: {metric_name(name)} in production",
            [each for each in series if len(each.xs)],
            metric_name(name),
        ),
        "Of the predictions whose truth is known by now; the shade holds the true value in 95 of 100 windows. "
        f"Source: findings.json of each window below {model.model.name}/monitoring/ in the bucket.",
    )


def _over_time(title: str, series: Sequence[Series], y_label: str, y_range: Range | None = None) -> LineChart:
    times = [float(at) for each in series for at in each.xs]
    first, last = min(times), max(times)
    margin = _MARGIN * (last - first) or 1
    return LineChart(
        title, series, "time (UTC)", y_label,
        x_range=(first - margin, last + margin), y_range=y_range, x_ticks=date_ticks(first, last),
    )  # fmt: skip


def _largest_shift(findings: Findings) -> float | None:
    """Of all columns, the largest distance of the values."""
    shifts = [abs(test.effect) for test in findings.tests if test.kind == "values" and test.feature != PREDICTION]
    return max(shifts, default=None)


def _shift(findings: Findings, feature: str) -> float | None:
    return next((abs(test.effect) for test in findings.of(feature) if test.kind == "values"), None)


def _when(package: Package) -> float:
    """When it was deployed last, or registered."""
    return (time_of(package.deployed_at) or package.created).timestamp()


def _of(points: Sequence[tuple[Window, float]]) -> tuple[list[float], list[float]]:
    return _columns([(window.end.timestamp(), value) for window, value in points])


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
