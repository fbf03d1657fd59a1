"""The findings of an A/B test."""

from __future__ import annotations

from collections.abc import Mapping

from common.experiments.arms import Standing, course
from common.experiments.report import Report, Section, Tone
from common.experiments.run import Running
from common.experiments.sequential import ALPHA
from common.experiments.traffic import Traffic
from common.experiments.wording import STAYS_VALID, course_figure, effect_words, share, still_needed, traffic_table
from common.model import Model
from common.report.tables import Table, number


def ab_report(model: Model, experiment: Running, standing: Standing, traffic: Mapping[str, Traffic]) -> Report:
    """The findings: each variant's loss, every two against each other, and each variant's calls."""
    headline, tone, consequence = _verdict(model, standing)
    arms = standing.arms
    return Report(
        title=f"{model.name}, {' against '.join(arms)}",
        headline=headline,
        tone=tone,
        consequence=consequence,
        facts=(
            ("requests", f"{sum(arm.answered for arm in arms.values()):,}", "captured"),
            ("callers", f"{sum(arm.callers for arm in arms.values()):,}", "or requests, where no key is known"),
            ("with truth", f"{sum(arm.records for arm in arms.values()):,}", "records"),
        ),
        description=f"An A/B test since {experiment.since:%Y-%m-%d %H:%M %Z}.",
        sections=(
            Section("Variants", (_arms_table(experiment, standing),), "Lower is better."),
            _duels_section(standing),
            Section(
                "Latency and errors", (traffic_table(traffic),), "From CloudWatch. The p99 is that of the worst day."
            ),
        ),
    )


def _verdict(model: Model, standing: Standing) -> tuple[str, Tone, str]:
    if standing.mismatched:
        return (
            "the callers are not dealt as declared",
            "bad",
            f"{', '.join(standing.mismatched)} got another share of the callers than the weights say, which no chance explains. "
            "The variants' callers differ, so their outcomes say nothing: see how callers choose their variant "
            "(docs/experiments.md, «Who is asked which model»).",
        )
    if winner := standing.winner:
        return (
            f"{winner} is better",
            "good",
            f"{standing.loss} {number(standing.means[winner])}, the lowest. `./models ab {model.name} --conclude winner` "
            "lets it alone answer.",
        )
    needed = dict.fromkeys(still_needed(duel.effect) for duel in standing.duels if not duel.better)
    choices = (
        f"`./models ab {model.name} --conclude N` keeps version N all the same; `--stop` returns to what served before."
    )
    return "not told apart yet", "soft", " ".join(filter(None, (*needed, choices)))


def _arms_table(experiment: Running, standing: Standing) -> Table:
    total, weight = sum(arm.callers for arm in standing.arms.values()), sum(experiment.weights.values())
    rows = tuple(
        (
            name, share(experiment.weights[name] / weight), share(arm.callers / total), f"{arm.callers:,}",
            f"{arm.answered:,}", f"{arm.records:,}", number(standing.means[name]),
        )
        for name, arm in standing.arms.items()
    )  # fmt: skip
    header = ("variant", "weight", "of the callers", "callers", "requests", "records with truth", standing.loss)
    return Table(header, rows)


def _duels_section(standing: Standing) -> Section:
    rows, figures = [], []
    alpha = ALPHA / len(standing.duels)
    for duel in standing.duels:
        base = standing.means[duel.first]
        relative = f"{100 * duel.effect.value / base:+.1f} %" if base else "–"
        rows.append((f"{duel.second} - {duel.first}", effect_words(duel.effect), relative, duel.better or "open"))
        way = course(standing.arms[duel.first], standing.arms[duel.second], alpha)
        figures.append(course_figure(f"{duel.second} against {duel.first}", standing.loss, way))
    several = " All of them hold together." if len(standing.duels) > 1 else ""
    return Section(
        "Differences",
        (Table(("variants", f"difference in {standing.loss}", "relative", "better"), tuple(rows)),),
        f"Below 0 the first named is better. {STAYS_VALID}{several}",
        tuple(figure for figure in figures if figure),
    )
