"""The evaluation that travels with a package: `evaluation.json`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.evaluation.baselines import baselines
from common.evaluation.gate import FEWEST_FRESH_ROWS, Check, Gate, Verdict, decide, shown_better
from common.evaluation.intervals import Comparison, Interval, score
from common.evaluation.metrics import Values, evaluate
from common.evaluation.statistics import model_quality
from common.model import ProblemType


@dataclass(frozen=True)
class Champion:
    """The package that is deployed, as the challenger's rival.

    `predictions` are its own for the challenger's test rows; where there are none, `reason` says why. `threshold` is its
    own probability from which a label is positive.
    """

    package: str = ""
    predictions: Values | None = None
    reason: str = ""
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if (self.predictions is None) != bool(self.reason):
            raise ValueError("a champion has either predictions, or a reason for having none")


@dataclass(frozen=True)
class Evaluation:
    """A model's metrics on the fixed test rows beside its rivals', and what the gate says of them."""

    problem: ProblemType
    rows: Mapping[str, int]
    metrics: Mapping[str, Mapping[str, float]]
    """By predictor: `model`, `champion` where it could be scored, and the baselines of the problem."""
    intervals: Mapping[str, Interval]
    """The model's, by metric."""
    comparisons: Mapping[str, Comparison]
    """With the champion, by metric; empty where it was not scored."""
    threshold: float | None
    """The probability from which the model calls a label positive; None in a regression."""
    champion: str
    """The champion's package; empty where there is none."""
    no_champion: str
    """Why the champion was not scored; empty where it was."""
    metric: str
    """The one that the gate decides by."""
    verdict: Verdict
    statistics: Mapping[str, Any]
    """The same in SageMaker's own form."""

    def document(self) -> dict[str, Any]:
        """The JSON values of `evaluation.json`; SageMaker finds its statistics at the top level."""
        return {
            "problem": self.problem,
            "rows": dict(self.rows),
            "metrics": {name: dict(values) for name, values in self.metrics.items()},
            "intervals": {name: asdict(value) for name, value in self.intervals.items()},
            "comparisons": {name: asdict(value) for name, value in self.comparisons.items()},
            "threshold": self.threshold,
            "champion": {"package": self.champion, "not_scored": self.no_champion},
            "gate": {
                "metric": self.metric,
                "passed": self.verdict.passed,
                "checks": [asdict(check) for check in self.verdict.checks],
            },
            **self.statistics,
        }


def assess(
    problem: ProblemType,
    gate: Gate,
    train: Values,
    test: Values,
    predictions: Values,
    champion: Champion,
    threshold: float = 0.5,
    fresh: NDArray[np.bool_] | None = None,
) -> Evaluation:
    """Score a trained model, the baselines and the champion on the same test rows, and ask the gate.

    Args:
        train: rows × (label, features…), which the baselines are fitted on.
        test: the fixed test rows, in the same columns.
        predictions: the model's, one for each test row; probabilities in a classification.
        threshold: the probability from which the model calls a label positive, also applied to the baselines.
        fresh: of a retraining, which test rows are new since the champion was trained: the model has to be better there.

    Raises:
        ArtifactError: the model or the champion gave other than one finite prediction for each row.
        DataError: the test rows have one and the same label.
        UsageError: the gate names a metric of the other problem type.
    """
    gate.require_metric_of(problem)
    truth = test[:, 0]
    model = score(problem, truth, predictions, threshold)
    metrics = {"model": model.metrics}
    comparisons: dict[str, Comparison] = {}
    if champion.predictions is not None:
        rival = score(problem, truth, champion.predictions, champion.threshold)
        metrics["champion"] = rival.metrics
        comparisons = model.against(rival, gate.confidence)
    verdict = decide(gate, model.metrics[gate.metric], comparisons.get(gate.metric))
    if fresh is not None and champion.predictions is not None:
        verdict = Verdict((*verdict.checks, _on_fresh(problem, gate, truth, predictions, champion, threshold, fresh)))
    for name, values in baselines(problem, train, test).items():
        metrics[name] = evaluate(problem, truth, values, threshold)
    return Evaluation(
        problem=problem,
        rows={"train": len(train), "test": len(test)},
        metrics=metrics,
        intervals=model.intervals(),
        comparisons=comparisons,
        threshold=None if problem == "regression" else threshold,
        champion=champion.package,
        no_champion=champion.reason,
        metric=gate.metric,
        verdict=verdict,
        statistics=model_quality(problem, truth, predictions, threshold, model),
    )


def _on_fresh(
    problem: ProblemType,
    gate: Gate,
    truth: Values,
    predictions: Values,
    champion: Champion,
    threshold: float,
    fresh: NDArray[np.bool_],
) -> Check:
    """Whether the model is better than the champion on the fresh rows."""
    rows, comparison = int(fresh.sum()), None
    if champion.predictions is not None and rows >= FEWEST_FRESH_ROWS and np.ptp(truth[fresh]) > 0:
        ours = score(problem, truth[fresh], predictions[fresh], threshold)
        theirs = score(problem, truth[fresh], champion.predictions[fresh], champion.threshold)
        comparison = ours.against(theirs, gate.confidence)[gate.metric]
    return shown_better(gate, rows, comparison)
