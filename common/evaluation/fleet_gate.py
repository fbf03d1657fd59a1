"""Whether a fleet of models is good enough to be offered for approval. Pure: figures in, verdict out.

A holdout of four weeks says little about one customer: of two equally good fleets, each beats the other by more than a
tenth for many customers, by chance alone. So nothing is decided from how many customers lose. What counts is how many
*more* lose than win by more than the margin: chance gives as many of these as of those, and whatever makes a fleet worse
moves customers from one side to the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, ClassVar

from common.errors import UsageError
from common.evaluation.gate import Check, Verdict

if TYPE_CHECKING:
    from common.evaluation.fleet import FleetFigures
    from common.evaluation.fleet_duel import Duel


@dataclass(frozen=True)
class FleetGate:
    """What a fleet must reach on the last weeks of its customers, which its models had not seen.

    A customer loses to a rival whose mean absolute error is smaller by more than the margin, and wins where its own is.
    Against the champion, the fleet is refused when it is shown with `confidence` that the share of losers exceeds that of
    winners by more than `may_lose_share`. A fleet for which it exceeds it by just as much is refused with a probability
    of about 1 - `confidence`; doubt is in favour of the fleet, and the fewer the customers, the more of it there is. The
    seasonal naive forecast has to be beaten, not only equalled: against it the losers alone count.

    The confidence measures the chance that lies in the customers. What hits them all at once, such as a heat wave in the
    holdout that the one fleet foresaw by luck, is not in it: leave room for that in `may_lose_share`.

    Attributes:
        at_most_mase: the bound of the median MASE of the customers; below 1 the fleet is better than the naive forecast.
        margin: by which share of the rival's error a customer must be worse to lose.
        may_lose_share: by how much the share of customers that lose to their champion may exceed that of those that win.
        naive_lose_share: the share of customers that may lose to the seasonal naive forecast.
        coverage: between which bounds the 80 % prediction interval has to cover.
        may_drop_share: the share of the champion's customers that may have no model any more.
        confidence: how sure a failure must be for the fleet to be refused, from 0.5 to 0.999.

    Raises:
        UsageError: an attribute is out of its range.
    """

    metric: ClassVar[str] = "mase"
    """By which histories compare fleets."""

    at_most_mase: float
    margin: float = 0.1
    may_lose_share: float = 0.02
    naive_lose_share: float = 0.1
    coverage: tuple[float, float] = (0.75, 0.85)
    may_drop_share: float = 0.01
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not self.at_most_mase > 0:
            raise UsageError("at_most_mase is not above 0.", "Give a bound below 1, the error of the naive forecast.")
        if not self.margin >= 0:
            raise UsageError("margin is below 0.", "Give 0, or e.g. 0.1 to overlook errors that are a tenth greater.")
        for name in ("may_lose_share", "naive_lose_share", "may_drop_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is not from 0 to 1.", "Give a share of the customers, e.g. 0.02.")
        low, high = self.coverage
        if not 0 <= low < 0.8 < high <= 1:
            raise UsageError(
                f"A coverage from {low:g} to {high:g} does not hold 0.8, which the interval aims at.",
                "Give a bound on either side of it, e.g. (0.75, 0.85).",
            )
        if not 0.5 <= self.confidence <= 0.999:
            raise UsageError(
                f"A confidence of {self.confidence:g} is not from 0.5 to 0.999.",
                "Give e.g. 0.95: then one in twenty fleets that lose just what is allowed is refused.",
            )

    @property
    def deviations(self) -> float:
        """How many standard errors away a figure has to be to be sure, on one side."""
        return NormalDist().inv_cdf(self.confidence)


def decide_fleet(gate: FleetGate, tolerance: float, figures: FleetFigures) -> Verdict:
    """Hold a fleet's figures against the gate; anything that is not a number passes no check.

    Args:
        tolerance: the share of the data's customers that may be set aside.
    """
    checks = [_mase(gate, figures), _coverage(gate, figures), _naive(gate, figures.naive)]
    if figures.champion is not None:
        checks.append(_champion(gate, figures.champion))
    checks.append(_set_aside(tolerance, figures))
    if figures.population.before is not None:
        checks.append(_dropped(gate, figures))
    return Verdict(tuple(checks))


def _mase(gate: FleetGate, figures: FleetFigures) -> Check:
    value = figures.metrics["mase"]
    detail = f"the median MASE of {figures.scored:,} customers is {value:.3f}, at most {gate.at_most_mase:g} is wanted"
    return Check(f"mase at most {gate.at_most_mase:g}", value <= gate.at_most_mase, detail)


def _coverage(gate: FleetGate, figures: FleetFigures) -> Check:
    (low, high), value = gate.coverage, figures.metrics["coverage80"]
    doubt = gate.deviations * figures.coverage_error
    wanted = f"between {100 * low:g} and {100 * high:g} % is wanted"
    detail = f"the 80 % interval covers {percent(value)} of the holdout's readings (± {percent(doubt)}), {wanted}"
    return Check("coverage of the 80 % interval", value + doubt >= low and value - doubt <= high, detail)


def _naive(gate: FleetGate, duel: Duel) -> Check:
    at_least = duel.losers_at_least(gate.deviations)
    detail = (
        f"{duel.losers:,} of {duel.customers:,} customers ({percent(duel.losers_share)}) have an error greater than the "
        f"seasonal naive forecast's by more than {percent(gate.margin)}, {percent(gate.naive_lose_share)} may"
    )
    return Check("customers against the naive forecast", at_least <= gate.naive_lose_share, detail)


def _champion(gate: FleetGate, duel: Duel) -> Check:
    at_least = duel.excess_at_least(gate.deviations)
    passed = at_least <= gate.may_lose_share
    sure = f"with {gate.confidence * 100:g} % confidence"
    conclusion = (
        f"no excess of losers above {percent(gate.may_lose_share)} is shown {sure}"
        if passed
        else f"{sure} the excess is at least {percent(at_least)}, and {percent(gate.may_lose_share)} is allowed"
    )
    detail = (
        f"by more than {percent(gate.margin)} of the error, {duel.losers:,} of {duel.customers:,} customers lose to their "
        f"champion and {duel.winners:,} win: an excess of losers of {percent(duel.excess)}; {conclusion}"
    )
    return Check("customers against the champion", passed, detail)


def _set_aside(tolerance: float, figures: FleetFigures) -> Check:
    population = figures.population
    share = len(population.set_aside) / max(1, population.seen)
    reasons = "; ".join(f"{len(who):,}: {reason}" for reason, who in population.reasons[:3])
    commonest = f"; the commonest reasons: {reasons}" if reasons else ""
    detail = (
        f"{len(population.set_aside):,} of {population.seen:,} customers are set aside ({percent(share)}), "
        f"{percent(tolerance)} may be{commonest}"
    )
    return Check("customers set aside", share <= tolerance, detail)


def _dropped(gate: FleetGate, figures: FleetFigures) -> Check:
    population = figures.population
    dropped, before = len(population.dropped), population.before or 0
    share = dropped / max(1, before)
    detail = (
        f"{dropped:,} of the champion's {before:,} customers would have no model any more ({percent(share)}), "
        f"{percent(gate.may_drop_share)} may be"
    )
    return Check("customers without a model", share <= gate.may_drop_share, detail)


def percent(share: float) -> str:
    """`12.3 %`, and two decimals below one per cent."""
    return f"{100 * share:.3g} %" if abs(share) < 0.01 else f"{100 * share:.1f} %"
