"""The findings of a shadow test."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from common.experiments.losses import Loss
from common.experiments.paired import Comparison, Pairs, course
from common.experiments.report import Report, Section, Tone
from common.experiments.run import Running
from common.experiments.traffic import Traffic
from common.experiments.wording import (
    STAYS_VALID,
    course_figure,
    effect_words,
    share,
    still_needed,
    traffic_table,
)
from common.model import Model
from common.report.plots.chart import Figure, LineChart, Series
from common.report.tables import Table, number

_BINS = 40


def shadow_report(
    model: Model, experiment: Running, pairs: Pairs, found: Comparison, traffic: Mapping[str, Traffic], loss: Loss
) -> Report:
    """The findings: against the truth where it is known, of the predictions themselves, and of each variant's calls.

    Args:
        traffic: by what a reader calls the variant.
    """
    challenger, champion = f"version {experiment.challenger}", f"version {_champion(experiment)}"
    headline, tone, consequence = _verdict(model, found, challenger)
    quality = found.quality
    return Report(
        title=f"{model.name}, {challenger} as the shadow of {champion}",
        headline=headline,
        tone=tone,
        consequence=consequence,
        facts=(
            ("requests", f"{found.requests:,}", f"answered by both; {found.records:,} records"),
            ("callers", f"{found.units:,}", "or requests, where no key is known"),
            ("with truth", f"{quality.records if quality else 0:,}", "records"),
            ("equal predictions", share(found.same), "of the records"),
        ),
        description=f"A shadow test since {experiment.since:%Y-%m-%d %H:%M %Z}, of {experiment.percent:g} % of the requests.",
        sections=(
            *([_quality_section(pairs, found, loss, challenger, champion)] if quality else []),
            _prediction_section(model, pairs, found, challenger, champion),
            Section(
                "Latency and errors",
                (traffic_table(traffic),),
                "From CloudWatch. The p99 is that of the worst day.",
            ),
        ),
    )  # fmt: skip


def _champion(experiment: Running) -> int:
    return next(version for version in experiment.versions.values() if version != experiment.challenger)


def _verdict(model: Model, found: Comparison, challenger: str) -> tuple[str, Tone, str]:
    promote = f"`./models shadow {model.name} --promote` deploys it; `--stop` ends the test."
    quality = found.quality
    if quality and quality.change.sign:
        size = f"{quality.loss} {number(quality.shadow)} instead of {number(quality.production)}"
        if quality.change.sign > 0:
            return f"{challenger} is worse", "bad", f"{size}. `./models shadow {model.name} --stop` ends the test."
        return f"{challenger} is better", "good", f"{size}. {promote}"
    shifted = (
        f"its predictions are distributed differently (distance {number(found.shift.distance)})"
        if found.shift.is_certain
        else "its predictions are distributed alike, as far as can be told"
    )
    if quality:
        told = f"Against the truth they are not told apart, and {shifted}. {still_needed(quality.change)}"
        return "not told apart yet", "soft", told.strip()
    return (
        "no truth is known yet",
        "soft",
        f"Which model is better cannot be said without ground truth; {shifted}. docs/experiments.md says where to put it.",
    )


def _quality_section(pairs: Pairs, found: Comparison, loss: Loss, challenger: str, champion: str) -> Section:
    quality = found.quality
    assert quality is not None  # noqa: S101 – the caller asks where there is one
    table = Table(
        (f"{quality.records:,} records with truth", champion, challenger, "difference"),
        ((quality.loss, number(quality.production), number(quality.shadow), effect_words(quality.change)),),
    )
    figure = course_figure("Against the truth", loss.name, course(pairs, loss))
    note = f"Lower is better; above 0 the shadow is worse. {STAYS_VALID} {still_needed(quality.change)}".strip()
    return Section("Against the truth", (table,), note, (figure,) if figure else ())


def _prediction_section(model: Model, pairs: Pairs, found: Comparison, challenger: str, champion: str) -> Section:
    rows = [
        ("mean difference", effect_words(found.change)),
        ("absolute difference: median, 95th percentile, largest",
         f"{number(found.typical)}, {number(found.large)}, {number(found.largest)}"),
        ("distance of the distributions", f"{number(found.shift.distance)} near {number(found.shift.at)}"),
        ("what chance explains of it", number(found.shift.bound)),
    ]  # fmt: skip
    if found.same_label is not None:
        agreed = found.same_label
        around = f" ({share(max(agreed.low, 0))} to {share(min(agreed.high, 1))})" if agreed.is_known else ""
        rows.insert(0, ("same label", share(agreed.value) + around))
    table = Table(("shadow beside production", "value"), tuple(rows))
    note = (
        "Differences are shadow minus production. The distance of the distributions is that of Kolmogorov and Smirnov; "
        "beyond what chance explains, however often one looks, they differ."
    )
    return Section("Predictions", (table,), note, _prediction_figures(model, pairs, challenger, champion))


def _prediction_figures(model: Model, pairs: Pairs, challenger: str, champion: str) -> tuple[Figure, ...]:
    unit = model.target if model.problem == "regression" else f"probability of {model.target}"
    low = float(min(pairs.production.min(), pairs.shadow.min()))
    high = float(max(pairs.production.max(), pairs.shadow.max()))
    ends = (low, high) if high > low else (low - 0.5, low + 0.5)
    cloud = Series("", pairs.production, pairs.shadow, "model", "density")
    equal = Series("equal", ends, ends, "reference")
    both = LineChart("Shadow against production", [cloud, equal], champion, challenger, ends, ends, height=300)
    edges = np.linspace(*ends, _BINS + 1)
    ours, theirs = (np.append(np.histogram(v, edges)[0] / len(v), 0) for v in (pairs.production, pairs.shadow))
    series = [Series(champion, edges, ours, "champion", "area"), Series(challenger, edges, theirs, "model", "area")]
    return (
        Figure(both, "The stronger the colour, the more records. On the line, both answer alike."),
        Figure(LineChart("Predictions", series, unit, "share of records"), "Where the areas part, the models differ."),
    )
