"""What a tuning job tried and found, in the form that the report shows."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

WarmStart = Literal["TransferLearning", "IdenticalDataAndAlgorithm"]


@dataclass(frozen=True)
class Trial:
    """One training job of a tuning job."""

    name: str
    objective: float | None
    """The final value of the objective metric; none where the job ended without one."""
    status: str
    """SageMaker's `TrainingJobStatus`."""
    hyperparameters: Mapping[str, str]
    """The tuned ones, as SageMaker writes them."""
    seconds: float
    """Training time that is billed, per instance."""
    training_seconds: float
    """Training time, per instance; with managed spot more than what is billed."""

    @property
    def result(self) -> float | None:
        """The objective of a completed training job. One that was stopped has a value, too, but SageMaker takes no such model."""
        return self.objective if self.status == "Completed" else None


@dataclass(frozen=True)
class Parent:
    """An earlier tuning job that this one learnt from, and the best value of its objective metric."""

    name: str
    best: float


@dataclass(frozen=True)
class SkippedParent:
    """An earlier tuning job of the same model that could not be a parent, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class TuningSummary:
    """A finished tuning job.

    Attributes:
        metric: the objective metric, e.g. `validation:logloss`.
        maximize: whether a higher value is better.
        ranges: what each tuned hyperparameter could be, in words, e.g. `0.01 to 0.3, logarithmic`.
        trials: in the order in which they were started.
        warm_start: how the parents were used; none without parents.
    """

    job: str
    strategy: str
    metric: str
    maximize: bool
    ranges: Mapping[str, str]
    trials: tuple[Trial, ...]
    parents: tuple[Parent, ...] = ()
    skipped: tuple[SkippedParent, ...] = ()
    warm_start: WarmStart | None = None

    def __post_init__(self) -> None:
        if (self.warm_start is None) != (not self.parents):
            raise ValueError("a tuning job has parents if, and only if, it is warm-started")

    @property
    def best(self) -> Trial | None:
        """The first completed trial with the best objective; none where none has one."""
        scored = [(trial.result, trial) for trial in self.trials if trial.result is not None]
        return (max if self.maximize else min)(scored, key=lambda pair: pair[0])[1] if scored else None

    def running_best(self) -> list[tuple[int, float]]:
        """(trial's number from 1, best objective so far) of each completed trial that has one."""
        better = max if self.maximize else min
        scored = [(i, t.result) for i, t in enumerate(self.trials, start=1) if t.result is not None]
        best = itertools.accumulate((value for _, value in scored), better)
        return [(number, value) for (number, _), value in zip(scored, best, strict=True)]
