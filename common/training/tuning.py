"""Tuning, as a model folder declares it: which hyperparameters are searched, within which ranges, and how."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from common.errors import UsageError
from common.evaluation.gate import HIGHER_IS_BETTER

Scale = Literal["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]
Strategy = Literal["Bayesian", "Random", "Grid", "Hyperband"]

MOST_RANGES, MOST_JOBS = 30, 750
"""SageMaker's limits of one tuning job."""

_OBJECTIVES = {
    "rmse": "rmse",
    "mae": "mae",
    "r2": "r2",
    "log_loss": "logloss",
    "roc_auc": "auc",
    "pr_auc": "aucpr",
    "f1": "f1_binary",  # the image's `f1` is the mean over both classes, not that of the positive one
}
"""The gate's metrics, as the built-in XGBoost calls them. It computes no Brier score."""


@dataclass(frozen=True)
class Continuous:
    """A real number from `low` to `high`, searched on the scale.

    Raises:
        UsageError: the range is empty, or does not fit its scale.
    """

    low: float
    high: float
    scale: Scale = "Auto"

    def __post_init__(self) -> None:
        _check_interval(self)

    @property
    def size(self) -> float:
        """How many values it has."""
        return math.inf

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{_in_words(self.scale)}"


@dataclass(frozen=True)
class Integer:
    """A whole number from `low` to `high`, both included, searched on the scale.

    Raises:
        UsageError: the range is empty, has a fraction, or does not fit its scale.
    """

    low: int
    high: int
    scale: Scale = "Auto"

    def __post_init__(self) -> None:
        if not (float(self.low).is_integer() and float(self.high).is_integer()):
            raise UsageError(f"{self.low} to {self.high} is no range of integers.", "Declare it as Continuous.")
        _check_interval(self)

    @property
    def size(self) -> float:
        """How many values it has."""
        return self.high - self.low + 1

    def __str__(self) -> str:
        return f"{self.low} to {self.high}, whole{_in_words(self.scale)}"


@dataclass(frozen=True, init=False)
class Choice:
    """One of the values, none of which is nearer to one than to another.

    Raises:
        UsageError: fewer than 2 or more than 30 values, or one of them twice.
    """

    values: tuple[str, ...]

    def __init__(self, *values: str | int | float) -> None:
        object.__setattr__(self, "values", tuple(str(value) for value in values))
        if not 2 <= len(self.values) <= MOST_RANGES or len(set(self.values)) < len(self.values):
            raise UsageError(
                f"A choice of {', '.join(self.values) or 'nothing'} is none.",
                "Give 2 to 30 different values, or one static one.",
            )

    @property
    def size(self) -> float:
        """How many values it has."""
        return len(self.values)

    def __str__(self) -> str:
        return ", ".join(self.values)


Range = Continuous | Integer | Choice


@dataclass(frozen=True)
class Tuning:
    """A search for the best hyperparameters: a SageMaker tuning job, warm-started from earlier ones of the model.

    The validation rows decide which training job is the best, by the gate's metric.

    Attributes:
        ranges: what each tuned hyperparameter may be, by the built-in algorithm's names.
        jobs: how many training jobs are run.
        parallel: how many of them at once; a Bayesian search learns less from the jobs that run beside each other.
        strategy: how the values are chosen. Bayesian and Random learn from, or go on from, earlier tuning jobs; Grid tries
            every combination of choices once; Hyperband soon stops what does badly.
        early_stopping: stop a training job that does worse than the median of the earlier ones. Hyperband has its own way.

    Raises:
        UsageError: SageMaker would refuse it.
    """

    ranges: Mapping[str, Range]
    jobs: int
    parallel: int
    strategy: Strategy = "Bayesian"
    early_stopping: bool = True

    def __post_init__(self) -> None:
        if self.strategy not in get_args(Strategy):
            raise UsageError(
                f"There is no tuning strategy '{self.strategy}'.", f"Name one of {', '.join(get_args(Strategy))}."
            )
        if not 1 <= len(self.ranges) <= MOST_RANGES:
            raise UsageError(
                f"{len(self.ranges)} ranges cannot be tuned.", f"Declare 1 to {MOST_RANGES}, the most that matter."
            )
        if not 1 <= self.jobs <= MOST_JOBS:
            raise UsageError(
                f"A tuning job cannot run {self.jobs} training jobs.", f"Declare 1 to {MOST_JOBS} of them."
            )
        if not 1 <= self.parallel <= self.jobs:
            raise UsageError(
                f"{self.parallel} of {self.jobs} training jobs cannot run at once.", f"Declare 1 to {self.jobs}."
            )
        self._check_combinations()

    def _check_combinations(self) -> None:
        combinations = math.prod(allowed.size for allowed in self.ranges.values())
        if self.strategy == "Grid":
            if not all(isinstance(allowed, Choice) for allowed in self.ranges.values()):
                raise UsageError("A grid search takes choices only.", "Declare every range as a Choice of values.")
            if self.jobs != combinations:
                raise UsageError(
                    f"The grid has {combinations} combinations, and {self.jobs} jobs are declared.",
                    f"Declare jobs={combinations}: a grid search tries each once.",
                )
        if self.jobs > combinations:
            raise UsageError(
                f"The ranges have {combinations} combinations, too few for {self.jobs} training jobs.",
                f"Declare at most jobs={combinations}, or wider ranges.",
            )

    @property
    def learns(self) -> bool:
        """Whether the strategy can start from earlier tuning jobs; SageMaker's warm start knows two that can."""
        return self.strategy in ("Bayesian", "Random")


@dataclass(frozen=True)
class Spot:
    """Training on spare capacity, at a fraction of the price, which AWS may take away again.

    A job that is interrupted goes on when there is capacity again, and then begins with its first round: image 3.2 writes
    checkpoints as `xgboost-checkpoint_0.ubj` and looks for `xgboost-checkpoint.0`, so that it finds none. That costs time,
    and never gives another model. Checkpoints lie below the job's own name, so that no job can resume another's.

    Attributes:
        max_wait_seconds: how long a job may take with all its waiting; SageMaker stops it then.
    """

    max_wait_seconds: int


@dataclass(frozen=True)
class Objective:
    """What a tuning job optimises: a metric of the training job's log, e.g. `validation:logloss`."""

    metric: str
    maximize: bool


def objective_of(gate_metric: str) -> Objective:
    """The gate's metric on the validation rows.

    Raises:
        UsageError: the built-in algorithm does not compute it.
    """
    if gate_metric not in _OBJECTIVES:
        raise UsageError(
            f"The built-in XGBoost cannot be tuned for {gate_metric}, which it does not compute.",
            f"Let the gate decide by one of {', '.join(_OBJECTIVES)}, or declare no tuning.",
        )
    return Objective(f"validation:{_OBJECTIVES[gate_metric]}", HIGHER_IS_BETTER[gate_metric])


def check_static(tuning: Tuning, static: Collection[str]) -> None:
    """Refuse a hyperparameter that is both tuned and given, and one that is needed and neither.

    Raises:
        UsageError: names them.
    """
    both = sorted(tuning.ranges.keys() & static)
    if both:
        raise UsageError(
            f"{', '.join(both)} cannot be tuned, since a fixed value is declared, too.",
            "Leave it out of the ranges or of the hyperparameters.",
        )
    if "objective" not in static:
        raise UsageError(
            "A tuning needs its objective among the hyperparameters, which all its training jobs share.",
            "Declare e.g. objective: binary:logistic.",
        )
    if "num_round" not in {*static, *tuning.ranges}:
        raise UsageError("The built-in XGBoost needs num_round.", "Declare a number of rounds, or a range for it.")


def _check_interval(interval: Continuous | Integer) -> None:
    low, high, scale = interval.low, interval.high, interval.scale
    if scale not in get_args(Scale):
        raise UsageError(f"There is no scale '{scale}'.", f"Name one of {', '.join(get_args(Scale))}.")
    if not -math.inf < low < high < math.inf:
        raise UsageError(
            f"The range from {low} to {high} is empty or endless.", "Declare a low end below the high one."
        )
    if scale == "Logarithmic" and low <= 0:
        raise UsageError(f"A logarithmic scale cannot begin at {low}.", "Begin above 0, or use the linear scale.")
    if scale == "ReverseLogarithmic" and not (low >= 0 and high < 1):
        raise UsageError(
            f"A reverse logarithmic scale cannot go from {low} to {high}.",
            "Stay within 0 <= x < 1, or use another scale.",
        )


def _in_words(scale: Scale) -> str:
    return {"Auto": "", "Linear": ", linear", "Logarithmic": ", logarithmic", "ReverseLogarithmic": ", near 1"}[scale]
