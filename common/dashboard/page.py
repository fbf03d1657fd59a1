"""The dashboard as one self-contained HTML page. Pure: facts in, text out."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from common.dashboard.facts import Facts, Firing, ModelFacts, Scored, Window
from common.dashboard.figures import champion_figure, drift_figure, quality_figure
from common.dashboard.wording import (
    Note,
    decided,
    deployed,
    dollars,
    drift,
    figure_of,
    headline,
    in_step,
    link,
    metric_name,
    moment,
    notes,
    percent,
)
from common.notifications.links import endpoint_page, object_page
from common.operations.cost import HEADER, Running, cost_row, total_cost
from common.registry import Package
from common.report.page import render
from common.report.plots.chart import Figure
from common.report.tables import Table, number
from common.report.wording import Fact
from common.storage import split_uri

_OPEN = 10
"""Rows of a table that are seen at once; the others are a click away."""


@dataclass(frozen=True)
class Listing:
    """A table of which the newest rows are seen at once.

    Attributes:
        older: None where there are no more.
        note: where the figures come from, and what is not listed.
    """

    title: str
    newest: Table
    older: Table | None
    note: str


@dataclass(frozen=True)
class Section:
    """What the page tells of one model."""

    facts: ModelFacts
    notes: tuple[Note, ...]
    figures: tuple[Figure, ...]
    listings: tuple[Listing, ...]


def dashboard_page(facts: Facts) -> str:
    """The page."""
    running = _running(facts)
    costs = tuple(tuple(cost_row(each, facts.region)) for each in running)
    return render(
        "dashboard.html.jinja",
        headline=headline(facts),
        at=moment(facts.at),
        bucket=facts.bucket,
        region=facts.region,
        commit=facts.commit[:8],
        figures=_first_figures(facts),
        overview=_overview(facts),
        sections=[_section(facts, model) for model in facts.models],
        other_alarms=[_alarm(alarm) for alarm in facts.other_alarms],
        costs=Table(HEADER, costs),
        total=total_cost(running, facts.region) if running else "Nothing runs that costs money by the hour.",
    )


def _first_figures(facts: Facts) -> list[Fact]:
    alarms = sum(len(model.alarms) for model in facts.models) + len(facts.other_alarms)
    steady = sum(in_step(model).tone != "bad" for model in facts.models)
    return [
        ("in step with main", f"{steady} of {len(facts.models)}", "models; held ones are counted"),
        ("waiting for a click", str(sum(len(model.waiting) for model in facts.models)), "versions newer than what serves"),
        ("alarms firing", str(alarms), "in CloudWatch"),
        ("cost", dollars(_running(facts), facts.region), "US$ an hour, by the listed prices"),
    ]  # fmt: skip


def _overview(facts: Facts) -> Table:
    header = ("model", "serves", "in step", "waits for a click", "drift", "alarms", "last batch", "US$ an hour")
    return Table(header, tuple(_overview_row(facts, model) for model in facts.models))


def _overview_row(facts: Facts, model: ModelFacts) -> tuple[str, ...]:
    name = model.model.name
    step = in_step(model)
    window = model.windows[0] if model.windows else None
    batch = model.batches[0] if model.batches else None
    return (
        Markup('<a href="#{0}">{0}</a>').format(name),
        _serves(facts, model),
        Markup('<span class="{}">{} {}</span>').format(step.tone, step.sign, step.words),
        ", ".join(str(package.version) for package in model.waiting) or "–",
        drift(window.findings) if window else "–",
        str(len(model.alarms) or "–"),
        f"{batch.partition}: {batch.rows:,} rows" if batch else "–",
        dollars(model.running, facts.region) if model.running else "–",
    )


def _serves(facts: Facts, model: ModelFacts) -> str:
    if model.live is None:
        return "unknown"
    if not model.live.exists:
        return "nothing"
    version = f"version {model.serving.version}" if model.serving else "no version of the registry"
    return link(endpoint_page(facts.region, model.endpoint), version)


def _section(facts: Facts, model: ModelFacts) -> Section:
    figures = (champion_figure(model, facts.at), drift_figure(model), quality_figure(model))
    listings = [_versions(model)]
    listings += [_windows(facts, model)] if model.windows else []
    listings += [_batches(facts, model)] if model.batches else []
    return Section(model, notes(model), tuple(figure for figure in figures if figure), tuple(listings))


def _versions(model: ModelFacts) -> Listing:
    header = ("version", "registered", "trained", metric_name(model.metric), "gate", "decision", "deployed")
    rows = tuple(_version(model, package) for package in model.packages)
    older = (
        f" {model.older:,} older ones are not listed: `models history {model.model.name}` has all."
        if model.older
        else ""
    )
    return _listing("Versions", header, rows, f"Source: the model registry, package group {model.model.name}.{older}")


def _version(model: ModelFacts, package: Package) -> tuple[str, ...]:
    known = package.metadata
    serves = model.serving is not None and model.serving.arn == package.arn
    trained = f"{known.get('branch') or 'unknown branch'} at {known.get('commit', '')[:8] or 'unknown commit'}"
    return (
        f"{package.version} serves" if serves else str(package.version),
        moment(package.created),
        link(known.get("build_url", ""), trained),
        figure_of(package, model.metric),
        known.get("gate", "–"),
        decided(package),
        deployed(package),
    )


def _windows(facts: Facts, model: ModelFacts) -> Listing:
    header = ("window", "version", "ended", "rows", "moved", "violations", "quality", "report")
    rows = tuple(_window(facts, window) for window in model.windows)
    return _listing(
        "What came in",
        header,
        rows,
        (f"Not due to be trained again: {model.due.words}. " if model.due and not model.due.because else "")
        + f"Source: s3://{facts.bucket}/{model.model.name}/monitoring/, a findings.json for each window."
        + _not_listed(model.earlier_windows, "windows"),
    )


def _window(facts: Facts, window: Window) -> tuple[str, ...]:
    findings, quality = window.findings, window.findings.quality
    bucket, key = split_uri(window.uri)
    report = object_page(facts.region, bucket, key.rpartition("/")[0] + "/report.html")
    return (
        window.name,
        str(window.looked.version),
        moment(window.end),
        f"{window.looked.rows:,}",
        drift(findings),
        str(len(findings.violations) or "–"),
        f"{metric_name(quality.metric)} {number(quality.metrics[quality.metric].now.value)}" if quality else "–",
        link(report, "report"),
    )


def _batches(facts: Facts, model: ModelFacts) -> Listing:
    rows = tuple(_batch(batch) for batch in model.batches)
    return _listing(
        "Batches",
        ("partition", "version", "scored", "rows", "set aside", "mostly because"),
        rows,
        f"Source: s3://{facts.bucket}/{model.model.name}/batch/output/, a _manifest.json for each partition."
        + _not_listed(model.earlier_batches, "partitions"),
    )


def _batch(batch: Scored) -> tuple[str, ...]:
    aside = f"{batch.rejected:,} ({percent(batch.rejected / (batch.rows + batch.rejected))})" if batch.rejected else "–"
    return batch.partition, str(batch.version), moment(batch.ended), f"{batch.rows:,}", aside, batch.reason


def _listing(title: str, header: tuple[str, ...], rows: tuple[tuple[str, ...], ...], note: str) -> Listing:
    older = Table(header, rows[_OPEN:]) if len(rows) > _OPEN else None
    return Listing(title, Table(header, rows[:_OPEN]), older, note)


def _not_listed(count: int, what: str) -> str:
    return f" {count:,} earlier {what} are not listed." if count else ""


def _alarm(alarm: Firing) -> str:
    return f"{alarm.name}, since {moment(alarm.since)}: {alarm.reason}"


def _running(facts: Facts) -> tuple[Running, ...]:
    return (*(each for model in facts.models for each in model.running), *facts.others)
