"""What the figures of a fleet's report mean, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.evaluation.fleet import FleetEvaluation
from common.evaluation.fleet_gate import percent
from common.report.cost import Cost
from common.report.tables import interval, number
from common.report.wording import Fact


def consequence(evaluation: FleetEvaluation) -> str:
    """What a click would change, in a sentence or two."""
    if not evaluation.verdict.passed:
        return f"Nothing to approve: the gate refused this fleet ({evaluation.verdict.reason})."
    figures, population = evaluation.figures, evaluation.figures.population
    models = f"{population.served:,} models"
    kept = f" Of these, {len(population.kept):,} stay as they are." if population.kept else ""
    gone = f" {len(population.dropped):,} customers lose their model." if population.dropped else ""
    mase = f"a median MASE of {number(figures.metrics['mase'])}"
    if not evaluation.champion:
        return f"Approving lets {models} be deployed, with {mase}.{kept}"
    if figures.champion is None:
        return (
            f"Approving lets {models}, with {mase}, replace {evaluation.champion}, with which they could not be compared: "
            f"{evaluation.no_champion}.{kept}{gone}"
        )
    ratio, spread = figures.champion.ratio, figures.champion.spread
    change = f"{percent(abs(1 - ratio))} {'smaller' if ratio < 1 else 'greater'}"
    doubt = ", which chance explains" if spread.low < 1 < spread.high else ""
    errors = "errors are the same" if ratio == 1 else f"a customer's error is {change} on average{doubt}"
    return f"Approving lets {models} replace {evaluation.champion}: {errors}.{kept}{gone}"


def facts(evaluation: FleetEvaluation, costs: Mapping[str, Cost]) -> list[Fact]:
    """The figures to see first."""
    figures, population = evaluation.figures, evaluation.figures.population
    mase = figures.intervals["mase"]
    told: list[Fact] = [
        ("median MASE", number(figures.metrics["mase"]), f"95 %: {interval(mase.low, mase.high)}"),
    ]
    if (duel := figures.champion) is not None:
        words = f"95 %: {interval(duel.spread.low, duel.spread.high)}; below 1 is better"
        told.append((f"errors over {evaluation.champion}'s", number(duel.ratio), words))
    told.append(
        (
            "customers served",
            f"{population.served:,}",
            f"of {population.seen:,}; {len(population.set_aside):,} set aside",
        )
    )
    spent = sum(cost.usd or 0 for cost in costs.values())
    known = all(cost.usd is not None for cost in costs.values())
    words = "; ".join(f"{name} {cost.seconds:,.0f} s × {cost.instances}" for name, cost in costs.items())
    told.append(("cost of the jobs", dollars(spent if known else None), words))
    return told


def metrics_note(evaluation: FleetEvaluation, unit: str) -> str:
    """How to read the tables of metrics."""
    rival = ""
    if evaluation.figures.champion is None:
        named = f"Not compared with {evaluation.champion}" if evaluation.champion else "No champion"
        rival = f" {named}: {evaluation.no_champion}."
    return (
        f"MAE is in {unit}. MASE is the error over that of the naive forecast of the customer's history, the same weekday of "
        f"the week before. All on each customer's last weeks, which neither fleet was fitted on. A customer loses or wins "
        f"where the error differs by more than {percent(evaluation.gate.margin)}; the ratio is the geometric mean of the "
        f"customers' ratios, below 1 where this fleet is better.{rival}"
    )


def worst_note(evaluation: FleetEvaluation) -> str:
    """Who the worst are, and how their plots are drawn."""
    rival = "their champion" if evaluation.figures.champion is not None else "the seasonal naive forecast"
    return (
        f"By the ratio of the error to that of {rival}. Dots are readings; the line is the forecast of the holdout, "
        f"by parameters fitted without it, and the shade its 80 % interval."
    )


def data_source(manifest: Mapping[str, Any]) -> str:
    """Where the readings come from."""
    return f"{manifest.get('source', 'unknown')}, gathered {manifest.get('gathered_at', 'at an unknown time')}."


def cost_note(costs: Mapping[str, Cost]) -> str:
    """At which prices."""
    prices = {cost.instance_type: cost.price for cost in costs.values()}
    told = [
        f"{name}: no price listed"
        if price is None
        else f"{name}: {price.usd_per_hour:g} USD an hour on demand for training (as of {price.as_of}, {price.source})"
        for name, price in prices.items()
    ]
    return f"{'; '.join(told)}."


def dollars(usd: float | None) -> str:
    if usd is None:
        return "unknown"
    return f"{usd:.2f} USD" if usd >= 1 else f"{usd:.4f} USD"


def billed(cost: Cost) -> str:
    saved = f"; spot saved {100 * cost.saved:.0f} %" if cost.saved else ""
    return f"{cost.seconds:,.0f} s × {cost.instances} {cost.instance_type}{saved}"
