"""The evaluation of a fleet that travels with its package: `evaluation.json`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from common.errors import TrainingError
from common.evaluation.fleet_duel import Duel, compare, log_ratios
from common.evaluation.fleet_gate import FleetGate, decide_fleet
from common.evaluation.fleet_parts import Parts, Scores, scores_of
from common.evaluation.gate import Verdict
from common.evaluation.intervals import Interval, around, resamples
from common.evaluation.metrics import Values

_OF_ONE_CUSTOMER = re.compile(r"""'[^']*'|"[^"]*"|-?\d(?:[\d,.:TZe+-]*\d)?Z?""")
WORST = 20
"""How many of the worst customers are shown."""


@dataclass(frozen=True)
class FleetChampion:
    """The fleet that is deployed, as the new one's rival.

    Attributes:
        package: e.g. `version 6`; empty where there is none.
        customers: those that it has a model of; None where that is not known.
        kept: those of them that go on with their model, because they are set aside and the new code can serve it.
        reason: why the fit job did not score it; empty where it did.
    """

    package: str = ""
    customers: Collection[str] | None = ()
    kept: Collection[str] = ()
    reason: str = ""


@dataclass(frozen=True)
class Population:
    """Which customers have a model now, and which had one before.

    Attributes:
        fitted: those with a new model.
        set_aside: why each of the others in the data has none.
        kept: those set aside that keep the champion's model.
        new: those fitted that the champion has no model of; empty where its customers are not known.
        dropped: those of the champion that have no model any more: they are gone from the data, or were set aside and their
            model cannot be kept.
        before: how many the champion has; None where there is none, or they are not known.
        short: those fitted whose history is too short for a holdout: they have no scores.
    """

    fitted: tuple[str, ...]
    set_aside: Mapping[str, str]
    kept: tuple[str, ...]
    new: tuple[str, ...]
    dropped: tuple[str, ...]
    before: int | None
    short: tuple[str, ...]

    @property
    def seen(self) -> int:
        """The customers in the data."""
        return len(self.fitted) + len(self.set_aside)

    @property
    def served(self) -> int:
        """The customers with a model, new or kept."""
        return len(self.fitted) + len(self.kept)

    @cached_property
    def reasons(self) -> list[tuple[str, tuple[str, ...]]]:
        """Every kind of reason with the customers that are set aside for it, the commonest first.

        Reasons are of one kind that differ in numbers and quoted texts only, which `…` then stands for.
        """
        kinds: dict[str, list[str]] = {}
        for customer, reason in self.set_aside.items():
            kinds.setdefault(_OF_ONE_CUSTOMER.sub("…", reason), []).append(customer)
        told = [
            (kind if len({self.set_aside[customer] for customer in who}) > 1 else self.set_aside[who[0]], tuple(who))
            for kind, who in kinds.items()
        ]
        return sorted(told, key=lambda item: (-len(item[1]), item[0]))


@dataclass(frozen=True)
class FleetFigures:
    """A fleet in figures.

    Attributes:
        scored: customers with a holdout.
        metrics: `mase`, the median of the customers; `mae`, `coverage80` and `coverage95` over all readings of the holdouts.
        intervals: where each lies in 95 % of the resamples of the customers.
        coverage_error: the standard error of `coverage80`, where each customer is a cluster of readings.
        naive: against the seasonal naive forecast.
        champion: against the champion; None where no customer could be compared.
    """

    scored: int
    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval]
    deviations: Mapping[str, float]
    coverage_error: float
    naive: Duel
    champion: Duel | None
    population: Population


@dataclass(frozen=True)
class FleetEvaluation:
    """A fleet's scores beside its rivals', and what the gate says of them."""

    gate: FleetGate
    scores: Scores
    figures: FleetFigures
    champion: str
    """The champion's package; empty where there is none."""
    no_champion: str
    """Why the fleet was not compared with a champion; empty where it was."""
    verdict: Verdict

    @cached_property
    def worst(self) -> tuple[str, ...]:
        """The customers that lose most, by the ratio of the errors, to the champion, or else to the naive forecast."""
        rival = self.scores.naive if self.figures.champion is None else self.scores.champion
        ratios = np.nan_to_num(log_ratios(self.scores.mae, rival), nan=-np.inf)
        order = np.argsort(-ratios, kind="stable")[:WORST]
        return tuple(self.scores.customers[i] for i in order.tolist() if np.isfinite(ratios[i]))

    def document(self) -> dict[str, Any]:
        """The JSON values of `evaluation.json`; SageMaker finds its statistics at the top level."""
        figures, population = self.figures, self.figures.population
        return {
            "problem": "forecasting",
            "metrics": dict(figures.metrics),
            "intervals": {name: asdict(value) for name, value in figures.intervals.items()},
            "customers": {
                "fitted": len(population.fitted),
                "scored": figures.scored,
                "set_aside": dict(population.set_aside),
                "kept": list(population.kept),
                "new": list(population.new),
                "dropped": list(population.dropped),
                "too_short_to_score": list(population.short),
            },
            "rivals": {
                "naive": _duel(figures.naive),
                "champion": None if figures.champion is None else _duel(figures.champion),
            },
            "champion": {"package": self.champion, "not_scored": self.no_champion},
            "worst": list(self.worst),
            "gate": {
                "metric": self.gate.metric,
                "passed": self.verdict.passed,
                "checks": [asdict(check) for check in self.verdict.checks],
            },
            "regression_metrics": {
                name: {"value": figures.metrics[name], "standard_deviation": figures.deviations[name]}
                for name in ("mae", "mase")
            },
        }


def assess_fleet(gate: FleetGate, tolerance: float, parts: Parts, champion: FleetChampion) -> FleetEvaluation:
    """Unite what the fit job says of every customer, and ask the gate.

    Args:
        tolerance: the share of the customers that may be set aside.

    Raises:
        TrainingError: no customer has a model, or none a score.
    """
    compared = bool(champion.package) and not champion.reason
    scores, population = scores_of(parts, compared=compared), _population(parts, champion)
    if not len(scores):
        reasons = "; ".join(f"{len(who):,}: {reason}" for reason, who in population.reasons[:3])
        raise TrainingError(
            f"No customer can be scored: {len(population.fitted):,} were fitted, all with too short a history for a "
            f"holdout, and {len(population.set_aside):,} set aside ({reasons or 'none'}).",
            "Gather a longer history, or declare fewer holdout_days in train_register.py.",
        )
    figures = _figures(gate, scores, population)
    reason = champion.reason or "no package of the registry is deployed"
    if compared:
        reason = "" if figures.champion else "none of its customers could be scored on readings that it had not seen"
    return FleetEvaluation(
        gate, scores, figures, champion.package, reason, verdict=decide_fleet(gate, tolerance, figures)
    )


def _population(parts: Parts, champion: FleetChampion) -> Population:
    before, fitted = set(champion.customers or ()), parts.customers.keys()
    known = bool(champion.package) and champion.customers is not None
    return Population(
        fitted=tuple(sorted(fitted)),
        set_aside=dict(sorted(parts.set_aside.items())),
        kept=tuple(sorted(champion.kept)),
        new=tuple(sorted(fitted - before)) if known else (),
        dropped=tuple(sorted(before - fitted - set(champion.kept))),
        before=len(before) if known else None,
        short=tuple(sorted(name for name, entry in parts.customers.items() if not entry["holdout"])),
    )


def _figures(gate: FleetGate, scores: Scores, population: Population) -> FleetFigures:
    mean = {name: getattr(scores, name) for name in ("mae", "coverage80", "coverage95")}
    metrics = {"mase": float(np.nanmedian(scores.mase)) if np.isfinite(scores.mase).any() else float("nan")}
    metrics |= {name: float(np.average(values, weights=scores.rows)) for name, values in mean.items()}
    samples = _samples(scores, mean)
    off = scores.rows * (scores.coverage80 - metrics["coverage80"])
    naive = compare(scores.mae, scores.naive, scores.rows, gate.margin)
    return FleetFigures(
        scored=len(scores),
        metrics=metrics,
        intervals={name: Interval(*around(values)) for name, values in samples.items()},
        deviations={name: float(values.std()) for name, values in samples.items()},
        coverage_error=float(np.sqrt((off**2).sum()) / scores.rows.sum()),
        naive=naive or Duel(0, 0, 0, float("nan"), float("nan"), float("nan"), Interval(float("nan"), float("nan"))),
        champion=compare(scores.mae, scores.champion, scores.rows, gate.margin),
        population=population,
    )


def _samples(scores: Scores, mean: Mapping[str, Values]) -> dict[str, Values]:
    """Each metric on every resample of the customers."""
    order = np.argsort(scores.mase)  # NaN last
    ranked, known = scores.mase[order], int(np.isfinite(scores.mase).sum())
    weighted = np.column_stack([scores.rows, *(scores.rows * values for values in mean.values())])
    sums, medians = [], []
    for counts in resamples(len(scores)):
        sums.append(counts @ weighted)
        below = counts[:, order[:known]].cumsum(axis=1)
        # The middle one of those drawn: the first whose count reaches half of all.
        medians.append(ranked[(below < below[:, -1:] / 2).sum(axis=1)] if known else np.full(len(counts), np.nan))
    rows, *totals = np.concatenate(sums).T
    means = {name: total / rows for name, total in zip(mean, totals, strict=True)}
    return {"mase": np.concatenate(medians), **means}


def _duel(duel: Duel) -> dict[str, Any]:
    return {**asdict(duel), "excess": duel.excess}
