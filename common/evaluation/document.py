"""The evaluation that travels with a package: `evaluation.json`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from common.evaluation.baselines import baselines
from common.evaluation.gate import Gate, Verdict, decide
from common.evaluation.metrics import Values, evaluate, model_quality
from common.model import ProblemType


@dataclass(frozen=True)
class Champion:
    """The package that is deployed, as the challenger's rival.

    `predictions` are its own for the challenger's test rows; where there are none, `reason` says why.
    """

    package: str = ""
    predictions: Values | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.predictions is None) != bool(self.reason):
            raise ValueError("a champion has either predictions, or a reason for having none")


@dataclass(frozen=True)
class Evaluation:
    """A model's metrics on the fixed test rows beside its rivals', and what the gate says of them."""

    problem: ProblemType
    rows: Mapping[str, int]
    metrics: Mapping[str, Mapping[str, float]]
    """By predictor: `model`, `champion` where it could be scored, `linear`, `mean`."""
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
            "champion": {"package": self.champion, "not_scored": self.no_champion},
            "gate": {
                "metric": self.metric,
                "passed": self.verdict.passed,
                "checks": [asdict(check) for check in self.verdict.checks],
            },
            **self.statistics,
        }


def assess(
    problem: ProblemType, gate: Gate, train: Values, test: Values, predictions: Values, champion: Champion
) -> Evaluation:
    """Score a trained model, the baselines and the champion on the same test rows, and ask the gate.

    Args:
        train: rows × (label, features…), which the baselines are fitted on.
        test: the fixed test rows, in the same columns.
        predictions: the model's, one for each test row.

    Raises:
        ArtifactError: the model or the champion gave other than one finite prediction for each row.
    """
    truth = test[:, 0]
    rivals = {"champion": champion.predictions} if champion.predictions is not None else {}
    predicted = {"model": predictions} | rivals | baselines(train, test)
    metrics = {name: evaluate(problem, truth, values) for name, values in predicted.items()}
    return Evaluation(
        problem=problem,
        rows={"train": len(train), "test": len(test)},
        metrics=metrics,
        champion=champion.package,
        no_champion=champion.reason,
        metric=gate.metric,
        verdict=decide(gate, metrics["model"], metrics.get("champion")),
        statistics=model_quality(truth, predictions),
    )
