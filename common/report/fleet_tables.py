"""The tables of a fleet's report, as text; the page and the Markdown summary show the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from common.evaluation.fleet import FleetEvaluation
from common.evaluation.fleet_duel import Duel
from common.evaluation.fleet_gate import percent
from common.forecasting.checks import ID
from common.report.cost import Cost
from common.report.fleet_wording import billed, dollars
from common.report.tables import Table, interval, number

_METRICS = {
    "mase": "MASE, median of the customers",
    "mae": "MAE",
    "coverage80": "coverage of the 80 % interval",
    "coverage95": "coverage of the 95 % interval",
}
_NAMES = 20
_LONGEST_NAME = 40
_REASONS = 25


def metrics_table(evaluation: FleetEvaluation) -> Table:
    """Every metric with its 95 % interval over resamples of the customers."""
    figures = evaluation.figures
    rows = tuple(
        (words, number(figures.metrics[name]), interval(figures.intervals[name].low, figures.intervals[name].high))
        for name, words in _METRICS.items()
    )
    return Table((f"{figures.scored:,} customers", "this fleet", "95 % interval"), rows)


def rivals_table(evaluation: FleetEvaluation) -> Table:
    """The fleet beside its champion and the seasonal naive forecast, each on the customers that both could be scored on."""
    figures = evaluation.figures
    duels = {f"champion ({evaluation.champion})": figures.champion, "seasonal naive forecast": figures.naive}
    rows = tuple(_rival(name, duel) for name, duel in duels.items() if duel is not None)
    header = ("against", "customers", "MAE of this fleet", "its MAE", "ratio of errors (95 %)", "lose", "win", "excess")
    return Table(header, rows)


def _rival(name: str, duel: Duel) -> tuple[str, ...]:
    ratio = f"{number(duel.ratio)} ({interval(duel.spread.low, duel.spread.high)})"
    return (
        name, f"{duel.customers:,}", number(duel.mae), number(duel.rival_mae), ratio,
        f"{duel.losers:,}", f"{duel.winners:,}", percent(duel.excess),
    )  # fmt: skip


def worst_table(evaluation: FleetEvaluation) -> Table:
    """The customers that lose most, greatest loss first."""
    scores = evaluation.scores
    place = {customer: i for i, customer in enumerate(scores.customers)}
    against = evaluation.figures.champion is not None
    rival, its = ("champion's MAE", scores.champion) if against else ("naive MAE", scores.naive)
    rows = []
    for customer in evaluation.worst:
        i = place[customer]
        ratio = scores.mae[i] / its[i] if its[i] else np.inf
        told = (number(scores.mae[i]), number(its[i]), number(ratio), number(scores.mase[i]))
        rows.append((customer, *told, percent(scores.coverage80[i])))
    return Table(("customer", "MAE", rival, "ratio", "MASE", "80 % interval covers"), tuple(rows))


def customers_table(evaluation: FleetEvaluation) -> Table:
    """How many customers have a model, and which ones come and go."""
    population = evaluation.figures.population
    groups: dict[str, tuple[int, Iterable[str]]] = {
        "new models": (len(population.fitted), ()),
        "too short a history to be scored": (len(population.short), population.short),
        "set aside": (len(population.set_aside), population.set_aside),
        "set aside, and keep the champion's model": (len(population.kept), population.kept),
    }
    if population.before is not None:
        groups["new since the champion"] = (len(population.new), population.new)
        groups["had a model, and have none any more"] = (len(population.dropped), population.dropped)
    rows = tuple((group, f"{count:,}", _some(names)) for group, (count, names) in groups.items())
    return Table(("customers", "number", "which"), rows)


def reasons_table(evaluation: FleetEvaluation) -> Table | None:
    """Why customers are set aside, the commonest reason first; none where none is."""
    population = evaluation.figures.population
    if not population.set_aside:
        return None
    rows = [(reason, f"{len(who):,}", _some(who)) for reason, who in population.reasons[:_REASONS]]
    if rest := population.reasons[_REASONS:]:
        rows.append((f"{len(rest):,} further kinds of reasons", f"{sum(len(who) for _, who in rest):,}", ""))
    return Table(("reason", "customers", "which"), tuple(rows))


def data_table(manifest: Mapping[str, Any], before: Mapping[str, Any] | None) -> Table:
    """What was gathered, and what the champion was fitted on."""
    facts = {"data version": "version", "rows": "rows", "customers": "customers", "from": "floor", "before": "ceiling"}
    columns = (manifest,) if before is None else (manifest, before)
    rows = [(words, *(_fact(column.get(name)) for column in columns)) for words, name in facts.items()]
    return Table(("", "this fleet", "champion")[: 1 + len(columns)], tuple(rows))


def cost_table(costs: Mapping[str, Cost]) -> Table:
    """What each job was billed for."""
    rows = [(name, dollars(cost.usd), billed(cost)) for name, cost in costs.items()]
    return Table(("job", "cost", "billed"), tuple(rows))


def _fact(value: object) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _NAMES:,} more" if len(listed) > _NAMES else ""
    return (", ".join(map(_name, listed[:_NAMES])) + more) or "–"


def _name(customer: str) -> str:
    """An id as the report shows it: those that are set aside may hold anything, and be as long as a page."""
    return customer if ID.fullmatch(customer) else repr(customer[:_LONGEST_NAME])
