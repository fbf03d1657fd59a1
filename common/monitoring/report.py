"""What was found in a window, for a person: in the terminal, and as a page of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from common.experiments.report import Report, Section, Tone
from common.model import Model
from common.monitoring.findings import PREDICTION, Estimate, Findings, Joint, Measured, Quality, Test
from common.monitoring.looked import Looked
from common.monitoring.rules import Decision
from common.report.plots.chart import Bar, BarChart, Figure, LineChart, Series
from common.report.tables import METRICS, Table, interval, number, some

_FIGURES = 6
_CATEGORIES = 8
_WINDOWS = 14
_KINDS = {"values": "values", "missing": "missing", "faulty": "faulty", "unseen": "new categories"}
Statistics = Mapping[str, Any]
"""The content of a `statistics.json`."""


def monitoring_report(
    model: Model,
    looked: Looked,
    history: Sequence[Looked],
    decision: Decision,
    baseline: Statistics,
    window: Statistics,
) -> Report:
    """The page about one window.

    Args:
        history: all windows of the package, the oldest first, this one among them.
        decision: what they add up to.
        baseline, window: the statistics of the training set, and of the window.
    """
    findings = looked.findings
    headline, tone = verdict(findings)
    sections = [
        _found_section(findings),
        _columns_section(findings, baseline, window),
        *([_joint_section(findings.joint)] if findings.joint else []),
        *([_quality_section(findings.quality)] if findings.quality else []),
        _history_section(history, decision),
    ]
    return Report(
        title=f"{model.name}, {words(looked)}",
        headline=headline,
        tone=tone,
        consequence=consequence(model, findings, decision),
        facts=_facts(looked),
        description=(
            f"{looked.rows:,} records that version {looked.version} was asked about, beside the {findings.rows[0]:,} records "
            "that it was trained on."
        ),
        sections=tuple(sections),
    )


def words(looked: Looked) -> str:
    """`calls from 2026-11-20 00:00 to 2026-11-21 00:00`, or `batch dt=2026-11-20`."""
    if looked.kind == "batch":
        return f"batch {looked.window['partition']}"
    since, until = (looked.window[end][:16].replace("T", " ") for end in ("since", "until"))
    return f"calls from {since} to {until} UTC"


def verdict(findings: Findings) -> tuple[str, Tone]:
    """The finding in a few words, and its tone."""
    found = [
        "the records are not what the model was made for" if findings.broken else "",
        "the data have drifted" if findings.drifted and not findings.broken else "",
        "the predictions have become worse" if findings.degraded else "",
    ]
    told = ", and ".join(filter(None, found))
    if told:
        return told, "bad"
    return ("something is odd", "soft") if findings.violations else ("nothing has changed", "good")


def consequence(model: Model, findings: Findings, decision: Decision) -> str:
    """What follows from it."""
    if decision.retrain:
        return (
            f"A reason to retrain: {decision.words}. `./models due {model.name}` says whether the next pipeline does."
        )
    if findings.broken:
        return (
            "Somebody has to mend where the records come from; a model that is retrained on such would be no better. "
            f"No reason to retrain: {decision.words}."
        )
    return f"No reason to retrain: {decision.words}."


def _facts(looked: Looked) -> tuple[tuple[str, str, str], ...]:
    findings = looked.findings
    columns = {test.feature for test in findings.tests} - {PREDICTION}
    different = drifted_columns(findings)
    facts = [
        ("records", f"{looked.rows:,}", "in this window"),
        ("columns that differ", f"{len(different)} of {len(columns)}", some(different) or "none"),
    ]
    if (smallest := smallest_q(findings)) is not None:
        facts.append(("smallest q", f"{smallest:.2g}", "the smaller, the less chance explains it"))
    if quality := findings.quality:
        measured = quality.metrics[quality.metric]
        facts.append((METRICS[quality.metric], number(measured.now.value), _before(measured)))
    return tuple(facts)


def drifted_columns(findings: Findings) -> list[str]:
    """The columns in which anything was found, the most certain first."""
    return [feature for feature in findings.features if feature != PREDICTION]


def smallest_q(findings: Findings) -> float | None:
    """Of all tests; None where there was none."""
    return min((test.q for test in findings.tests), default=None)


def _before(measured: Measured) -> str:
    return f"{number(measured.before.value)} when it was evaluated"


def _found_section(findings: Findings) -> Section:
    rows = tuple((each.feature_name, each.constraint_check_type, each.description) for each in findings.violations)
    tables = (Table(("column", "check", "what is different"), rows),) if rows else ()
    note = "The checks are called as in SageMaker's constraint_violations.json." if rows else "Nothing."
    return Section("What is different", tables, " ".join((note, *findings.notes)), prose=True)


def _columns_section(findings: Findings, baseline: Statistics, window: Statistics) -> Section:
    rows = tuple(
        (
            "predictions" if test.feature == PREDICTION else test.feature, _KINDS[test.kind], test.method,
            number(test.effect, sign=True), f"{test.p:.2g}", f"{test.q:.2g}", "yes" if test.found else "no",
        )
        for test in _told(findings)
    )  # fmt: skip
    table = Table(("column", "compared", "test", "difference", "p", "q", "differs"), rows)
    note = (
        "The difference of values is the share of records that are elsewhere now; of the others, by how much their share rose. "
        "A column differs where that is large enough to matter and q is below the declared rate of false discoveries."
    )
    sides = ({f["name"]: f for f in side["features"]} for side in (baseline, window))
    moved = [test.feature for test in findings.tests if test.found and test.kind in ("values", "unseen")]
    figures = _figures(list(dict.fromkeys(moved)), *sides)
    return Section("Column by column", (table,) if rows else (), note, figures)


def _told(findings: Findings) -> list[Test]:
    """The tests that a reader wants to see: those that found something, and of all columns that of their values."""
    return [test for test in findings.tests if test.found or test.kind == "values"]


def _figures(names: Sequence[str], before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Figure, ...]:
    shown = [name for name in names if name in before and name in now][:_FIGURES]
    figures = [distribution(name, before[name], now[name]) for name in shown]
    return tuple(figure for figure in figures if figure)


def distribution(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Figure | None:
    """How a column was distributed in the training set and is now; None where one side has no values.

    Args:
        before, now: the column's entries in the two `statistics.json`.
    """
    if "numerical_statistics" in before and "numerical_statistics" in now:
        sides = [_cumulated(side["numerical_statistics"]) for side in (before, now)]
        if not all(xs for xs, _ in sides):
            return None
        labelled = zip(("training set", "this window"), ("champion", "model"), sides, strict=True)
        series = [Series(label, xs, ys, style) for label, style, (xs, ys) in labelled]  # type: ignore[arg-type]
        return Figure(
            LineChart(name, series, name, "share of the records up to it", y_range=(0, 1)),
            "Where the lines part, the values are others.",
        )
    if "string_statistics" in before and "string_statistics" in now:
        return _bars(name, *(_shares(side["string_statistics"]) for side in (before, now)))
    return None


def _cumulated(statistics: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """The bounds of the buckets, and the share of the values up to each."""
    buckets = statistics["distribution"]["kll"]["buckets"]
    total = sum(bucket["count"] for bucket in buckets)
    if not total:
        return [], []
    xs, ys, reached = [float(buckets[0]["lower_bound"])], [0.0], 0.0
    for bucket in buckets:
        reached += bucket["count"]
        xs.append(float(bucket["upper_bound"]))
        ys.append(reached / total)
    return xs, ys


def _shares(statistics: Mapping[str, Any]) -> dict[str, float]:
    buckets = statistics["distribution"]["categorical"]["buckets"]
    total = sum(bucket["count"] for bucket in buckets)
    return {bucket["value"]: bucket["count"] / total for bucket in buckets} if total else {}


def _bars(name: str, before: Mapping[str, float], now: Mapping[str, float]) -> Figure | None:
    if not before or not now:
        return None
    moved = sorted({*before, *now}, key=lambda value: -abs(before.get(value, 0) - now.get(value, 0)))[:_CATEGORIES]
    bars = [
        bar
        for value in moved
        for bar in (
            Bar(
                f"{value}, training", before.get(value, 0), f"{before.get(value, 0):.1%}".replace("%", " %"), "champion"
            ),
            Bar(f"{value}, now", now.get(value, 0), f"{now.get(value, 0):.1%}".replace("%", " %"), "model"),
        )
    ]
    return Figure(BarChart(name, bars), "The share of the records, of those categories that moved most.")


def _joint_section(joint: Joint) -> Section:
    rows = tuple((" and ".join(part.columns), f"{100 * part.share:.0f} %", part.words) for part in joint.parts)
    table = Table(("it goes by", "share", "how they differ"), rows)
    note = (
        f"A classifier that never saw these records tells {joint.rows[1]:,} of the window from {joint.rows[0]:,} of the "
        f"training set with an AUC of {joint.auc:.3f} (p {joint.p:.2g}): 0.5 is not at all, 1 always. It also sees columns that "
        "are as before each by itself, and no longer go together."
    )
    return Section("All columns together", (table,) if rows else (), note, prose=True)


def _quality_section(quality: Quality) -> Section:
    rows = tuple(
        (METRICS.get(name, name), *_estimated(measured.before), *_estimated(measured.now))
        for name, measured in quality.metrics.items()
    )
    header = (f"{quality.outcomes:,} outcomes", "when evaluated", "95 % interval", "now", "95 % interval")
    return Section("Against the truth", (Table(header, rows),), quality.words)


def _estimated(estimate: Estimate) -> tuple[str, str]:
    return number(estimate.value), interval(estimate.low, estimate.high)


def _history_section(history: Sequence[Looked], decision: Decision) -> Section:
    rows = tuple(
        (words(each), f"{each.rows:,}", verdict(each.findings)[0], some(drifted_columns(each.findings)) or "–")
        for each in reversed(history[-_WINDOWS:])
    )
    table = Table(("window", "records", "found", "columns"), rows)
    return Section("The last windows of this version", (table,), f"{decision.words}.", prose=True)
