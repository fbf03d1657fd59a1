"""Whether a trained model is good enough to be offered for approval. Pure: figures in, verdict out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.errors import UsageError

if TYPE_CHECKING:
    from common.evaluation.intervals import Comparison
    from common.model import ProblemType

HIGHER_IS_BETTER = {
    "rmse": False,
    "mae": False,
    "r2": True,
    "roc_auc": True,
    "pr_auc": True,
    "log_loss": False,
    "brier": False,
    "f1": True,
}
"""Every metric that a gate may name, and its direction."""
FEWEST_FRESH_ROWS = 30
"""Fewer test rows say nothing about which of two models is better."""
_OF_REGRESSION = ("rmse", "mae", "r2")


@dataclass(frozen=True)
class Gate:
    """What a model must reach on the fixed test rows.

    Against the champion it is a one-sided test of the hypothesis that the model is worse by no more than
    `may_lose_to_champion_by`. The hypothesis is given up, and the model refused, when the `confidence` quantile of its
    gain over resamples of the test rows (`Comparison.at_best`) is still a greater loss. A model that loses exactly that
    much is therefore refused with a probability of about 1 - `confidence`; doubt is in favour of the model, and the fewer
    the test rows, the more of it there is.

    The resamples measure the chance that lies in the test rows, and not the one in training: the same recipe on other
    rows of the same process makes a slightly better or worse model. A margin of 0 refuses those that are worse, and
    rightly so; to let equal recipes pass, give the margin the size of that spread.

    Attributes:
        metric: the metric that decides, e.g. `rmse`.
        at_most: the absolute bound of a metric that is better when lower.
        at_least: the absolute bound of a metric that is better when higher.
        may_lose_to_champion_by: how much worse than the deployed package it may be on the same rows, in units of the metric.
        confidence: how sure a greater loss must be for the model to be refused, from 0.5 to 0.999.

    Raises:
        UsageError: an unknown metric, a bound that does not bind it, or a margin or confidence out of range.
    """

    metric: str
    at_most: float | None = None
    at_least: float | None = None
    may_lose_to_champion_by: float = 0.0
    confidence: float = 0.95

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
        if not 0.5 <= self.confidence <= 0.999:
            raise UsageError(
                f"A confidence of {self.confidence:g} is not from 0.5 to 0.999.",
                "Give e.g. 0.95: then one in twenty models that lose just what is allowed is refused.",
            )

    def require_metric_of(self, problem: ProblemType) -> None:
        """Refuse a metric that a model of this problem type does not have.

        Raises:
            UsageError: the metric belongs to the other problem type.
        """
        if (self.metric in _OF_REGRESSION) != (problem == "regression"):
            fitting = [name for name in HIGHER_IS_BETTER if (name in _OF_REGRESSION) == (problem == "regression")]
            raise UsageError(
                f"The gate names {self.metric}, which a {problem.replace('_', ' ')} does not have.",
                f"Name one of {', '.join(fitting)}.",
            )


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


def decide(gate: Gate, value: float, comparison: Comparison | None = None) -> Verdict:
    """Hold a model's value of the gate's metric against the bound and, where there is a champion, against the champion's.

    Anything that is not a number passes no check.

    Args:
        value: the metric on the test rows.
        comparison: that with the champion in the same metric, at the gate's confidence.
    """
    bound, within = _within_bound(gate, value)
    checks = [Check(f"{gate.metric} {bound}", within, f"{gate.metric} is {_told(value)}, {bound} is wanted")]
    if comparison is not None:
        checks.append(_against_champion(gate, value, comparison))
    return Verdict(tuple(checks))


def shown_better(gate: Gate, rows: int, comparison: Comparison | None) -> Check:
    """What a retraining has to show before anybody is asked: that it beats the champion on data that are new since then.

    The recipe is the champion's own, so that a model which is no better is no reason to change what serves. Better is what
    the paired bootstrap is sure of: the 95 % interval of the gain lies above 0.

    Args:
        rows: how many of the test rows are fresh.
        comparison: that with the champion on these rows, in the gate's metric; None where they are too few to tell.
    """
    name = f"{gate.metric} on fresh data against the champion"
    if comparison is None:
        return Check(
            name, False, f"of the test rows {rows} are fresh, too few to show that it is better than the champion"
        )
    passed, gain = comparison.low > 0, comparison.difference
    return Check(
        name,
        passed,
        f"on {rows:,} fresh test rows {gate.metric} is {'better' if gain >= 0 else 'worse'} by {_told(abs(gain))} than the "
        f"champion's (gain between {_told(comparison.low, '+')} and {_told(comparison.high, '+')}, 95 % interval): "
        + ("it is shown to be better" if passed else "it is not shown to be any better"),
    )


def _within_bound(gate: Gate, value: float) -> tuple[str, bool]:
    if gate.at_least is not None:
        return f"at least {gate.at_least:g}", value >= gate.at_least
    return f"at most {gate.at_most:g}", gate.at_most is not None and value <= gate.at_most


def _against_champion(gate: Gate, value: float, comparison: Comparison) -> Check:
    gain, margin = comparison.difference, gate.may_lose_to_champion_by
    rival = value - gain if HIGHER_IS_BETTER[gate.metric] else value + gain
    sure, passed = f"with {gate.confidence * 100:g} % confidence", comparison.at_best >= -margin
    conclusion = (
        f"no loss above {margin:g} is shown {sure}"
        if passed
        else f"{sure} the loss is at least {_told(-comparison.at_best)}, and {margin:g} is allowed"
    )
    detail = (
        f"{gate.metric} is {_told(value)} and the champion's {_told(rival)}: {'better' if gain >= 0 else 'worse'} by "
        f"{_told(abs(gain))} (gain between {_told(comparison.low, '+')} and {_told(comparison.high, '+')}, 95 % interval); "
        f"{conclusion}"
    )
    return Check(f"{gate.metric} against the champion", passed, detail)


def _told(value: float, sign: str = "") -> str:
    """Four decimals, or four digits where these would show little of a small figure."""
    return f"{value:{sign}.4g}" if 0 < abs(value) < 0.001 else f"{value:{sign}.4f}"
