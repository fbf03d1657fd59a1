"""Whether a trained model is good enough to be offered for approval. Pure: metrics in, verdict out."""

from collections.abc import Mapping
from dataclasses import dataclass

from common.errors import UsageError

HIGHER_IS_BETTER = {"rmse": False, "mae": False, "r2": True}
"""Every metric that a gate may name, and its direction."""


@dataclass(frozen=True)
class Gate:
    """What a model must reach on the fixed test rows.

    Attributes:
        metric: the metric that decides, e.g. `rmse`.
        at_most: the absolute bound of a metric that is better when lower.
        at_least: the absolute bound of a metric that is better when higher.
        may_lose_to_champion_by: how much worse than the deployed package it may be on the same rows, in units of the metric.

    Raises:
        UsageError: an unknown metric, or a bound that does not bind it.
    """

    metric: str
    at_most: float | None = None
    at_least: float | None = None
    may_lose_to_champion_by: float = 0.0

    def __post_init__(self) -> None:
        if self.metric not in HIGHER_IS_BETTER:
            raise UsageError(f"There is no metric '{self.metric}'.", f"Name one of {', '.join(HIGHER_IS_BETTER)}.")
        wanted, other = ("at_least", "at_most") if HIGHER_IS_BETTER[self.metric] else ("at_most", "at_least")
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            raise UsageError(
                f"A gate on {self.metric} needs {wanted}, and no {other}.", "Correct the gate's declaration."
            )
        if not self.may_lose_to_champion_by >= 0:
            raise UsageError("may_lose_to_champion_by is below 0.", "Give 0 or the greatest loss that is acceptable.")


@dataclass(frozen=True)
class Check:
    """One condition of the gate."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Verdict:
    """The gate's decision, with a check for each of its conditions."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def reason(self) -> str:
        """The details of the checks that failed, or of all when none did; fits SageMaker's `ApprovalDescription`."""
        return "; ".join(check.detail for check in self.checks if check.passed == self.passed)[:1024]


def decide(gate: Gate, candidate: Mapping[str, float], champion: Mapping[str, float] | None) -> Verdict:
    """Hold a candidate's metrics against the bounds and, where one serves, against the champion's on the same rows.

    A metric that is not a number passes no check.
    """
    name, value = gate.metric, candidate[gate.metric]
    if gate.at_least is not None:
        bound, within = f"at least {gate.at_least:g}", value >= gate.at_least
    else:
        bound, within = f"at most {gate.at_most:g}", gate.at_most is not None and value <= gate.at_most
    checks = [Check(f"{name} {bound}", within, f"{name} is {value:.4f}, {bound} is wanted")]
    if champion is not None:
        rival = champion[name]
        gain = value - rival if HIGHER_IS_BETTER[name] else rival - value
        detail = (
            f"{name} is {value:.4f} and the champion's {rival:.4f}: {'better' if gain >= 0 else 'worse'} by {abs(gain):.4f}, "
            f"worse by {gate.may_lose_to_champion_by:g} is allowed"
        )
        checks.append(Check(f"{name} against the champion", -gain <= gate.may_lose_to_champion_by, detail))
    return Verdict(tuple(checks))
