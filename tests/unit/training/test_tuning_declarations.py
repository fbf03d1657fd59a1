"""What a model folder may declare of its tuning, and what is refused there instead of by SageMaker an hour later."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from common.errors import UsageError
from common.evaluation.gate import HIGHER_IS_BETTER, Gate
from common.local.containers.hyperparameters import MAXIMIZED_METRICS, METRICS
from common.training import Choice, Continuous, Integer, Spot, Tuning, XGBoost
from common.training.tuning import Range, objective_of

ETA = Continuous(0.01, 0.3, scale="Logarithmic")
STATIC = {"objective": "binary:logistic", "num_round": 200}


def tuning(ranges: Mapping[str, Range] | None = None, **changes: Any) -> Tuning:
    members: dict[str, Any] = {"ranges": ranges or {"eta": ETA}, "jobs": 10, "parallel": 2}
    return Tuning(**members | changes)


def xgboost(**changes: Any) -> XGBoost:
    members: dict[str, Any] = {
        "instance_type": "ml.m5.large",
        "hyperparameters": STATIC,
        "gate": Gate("log_loss", at_most=0.3),
        "tuning": tuning(),
    }
    return XGBoost(**members | changes)


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "an empty range": (lambda: Continuous(0.3, 0.3), "is empty"),
    "an upside-down range": (lambda: Integer(5, 2), "is empty"),
    "an endless range": (lambda: Continuous(0, float("inf")), "empty or endless"),
    "a range that is no number": (lambda: Continuous(float("nan"), 1), "empty or endless"),
    "integers with fractions": (lambda: Integer(1, 2.5), "no range of integers"),  # type: ignore[arg-type]
    "an unknown scale": (lambda: Continuous(1, 2, scale="Log"), "no scale 'Log'"),  # type: ignore[arg-type]
    "a logarithm of 0": (lambda: Continuous(0, 1, scale="Logarithmic"), "cannot begin at 0"),
    "an integer logarithm of 0": (lambda: Integer(0, 8, scale="Logarithmic"), "cannot begin at 0"),
    "a reverse logarithm of 1": (lambda: Continuous(0, 1, scale="ReverseLogarithmic"), "cannot go from 0 to 1"),
    "a reverse logarithm below 0": (lambda: Continuous(-0.1, 0.9, scale="ReverseLogarithmic"), "cannot go from -0.1"),
    "a reverse logarithm of integers": (lambda: Integer(0, 1, scale="ReverseLogarithmic"), "cannot go from 0 to 1"),
    "a choice of one": (lambda: Choice("hist"), "is none"),
    "the same choice twice": (lambda: Choice(1, "1"), "is none"),
    "too many choices": (lambda: Choice(*range(31)), "is none"),
    "an unknown strategy": (lambda: tuning(strategy="Genetic"), "no tuning strategy 'Genetic'"),
    "no ranges": (lambda: Tuning({}, jobs=1, parallel=1), "0 ranges cannot be tuned"),
    "too many ranges": (lambda: tuning({f"x{i}": ETA for i in range(31)}), "31 ranges cannot be tuned"),
    "no jobs": (lambda: tuning(jobs=0), "cannot run 0"),
    "too many jobs": (lambda: tuning(jobs=751), "cannot run 751"),
    "none at once": (lambda: tuning(parallel=0), "0 of 10 training jobs cannot run at once"),
    "more at once than there are": (lambda: tuning(parallel=11), "11 of 10 training jobs cannot run at once"),
    "a grid of numbers": (lambda: tuning(strategy="Grid"), "takes choices only"),
    "a part of a grid": (lambda: tuning({"max_depth": Choice(2, 4)}, strategy="Grid"), "has 2 combinations"),
    "more jobs than values": (lambda: tuning({"max_depth": Integer(2, 5)}), "have 4 combinations, too few for 10"),
    "tuned and given": (lambda: xgboost(hyperparameters={**STATIC, "eta": 0.1}), "eta cannot be tuned"),
    "no objective": (lambda: xgboost(hyperparameters={"num_round": 9}), "needs its objective"),
    "no rounds": (lambda: xgboost(hyperparameters={"objective": "binary:logistic"}), "needs num_round"),
    "a metric that is not computed": (lambda: xgboost(gate=Gate("brier", at_most=0.1)), "cannot be tuned for brier"),
    "less waiting than training": (lambda: xgboost(spot=Spot(3599)), "cannot train for 3600 s"),
    "a threshold of 0": (lambda: xgboost(threshold=0), "0 is no threshold"),
    "a threshold of 1": (lambda: xgboost(threshold=1.0), "1.0 is no threshold"),
    "a threshold that is no number": (lambda: xgboost(threshold=float("nan")), "nan is no threshold"),
    "an unknown threshold": (lambda: xgboost(threshold="f2"), "f2 is no threshold"),
    "a threshold of a regression": (
        lambda: xgboost(hyperparameters={**STATIC, "objective": "reg:squarederror"}, threshold="f1"),
        "Only a classification has a threshold",
    ),
}


@pytest.mark.parametrize(("declare", "message"), REFUSED.values(), ids=REFUSED)
def test_what_sagemaker_would_refuse_is_refused_where_it_is_declared(
    declare: Callable[[], object], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        declare()
    assert message in caught.value.what
    assert caught.value.remedy


def test_what_sagemaker_takes_is_taken() -> None:
    Continuous(0, 0.99, scale="ReverseLogarithmic")
    Integer(1, 2, scale="Logarithmic")
    tuning({f"x{i}": ETA for i in range(30)}, jobs=750, parallel=750)
    tuning({"max_depth": Choice(2, 4), "booster": Choice("gbtree", "dart")}, strategy="Grid", jobs=4)
    tuning({"max_depth": Integer(2, 5)}, jobs=4)
    xgboost(tuning=tuning({"num_round": Integer(50, 500)}), hyperparameters={"objective": "binary:logistic"})
    xgboost(spot=Spot(3600), threshold="f1")
    xgboost(tuning=None, gate=Gate("brier", at_most=0.1), threshold=0.3)


@pytest.mark.parametrize("metric", [metric for metric in HIGHER_IS_BETTER if metric != "brier"])
def test_the_gate_s_metric_is_optimised_by_the_image_s_name_and_in_its_direction(metric: str) -> None:
    objective = objective_of(metric)
    channel, _, name = objective.metric.partition(":")
    assert channel == "validation"
    assert name in METRICS
    assert objective.maximize == (name in MAXIMIZED_METRICS)


def test_ranges_are_told_in_words() -> None:
    assert str(ETA) == "0.01 to 0.3, logarithmic"
    assert str(Continuous(0, 0.9, scale="ReverseLogarithmic")) == "0 to 0.9, near 1"
    assert str(Integer(2, 8, scale="Linear")) == "2 to 8, whole, linear"
    assert str(Choice("hist", 1)) == "hist, 1"
