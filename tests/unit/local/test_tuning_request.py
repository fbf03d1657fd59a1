"""Which tuning jobs are refused, and how that is said."""

from typing import Any

import pytest

from common.local.api import ApiError
from common.local.tuning.request import check_tuning
from tests.unit.local.tuning_kit import X, tuning_document

SCRIPT = {"sagemaker_program": '"train.py"', "_tuning_objective_metric": "loss"}
COLOURS = {"CategoricalParameterRanges": [{"Name": "colour", "Values": ["red", "green", "blue"]}]}


def limits(jobs: int | None = 3) -> dict[str, Any]:
    return {"MaxParallelTrainingJobs": 1} | ({} if jobs is None else {"MaxNumberOfTrainingJobs": jobs})


def refused(**changes: Any) -> ApiError:
    with pytest.raises(ApiError) as error:
        check_tuning(tuning_document(**changes))
    return error.value


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"Strategy": "Random"},
        {"Strategy": "Grid", "ParameterRanges": COLOURS, "ResourceLimits": limits(None)},
        {"Strategy": "Grid", "ParameterRanges": COLOURS, "ResourceLimits": limits(3)},
        {"Strategy": "Hyperband", "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 2, "MaxResource": 9}}},
        {"ResourceLimits": limits(750)},
        {"TuningJobCompletionCriteria": {"ConvergenceDetected": {"CompleteOnConvergence": "Disabled"}}},
    ],
)
def test_every_strategy_within_its_limits_is_taken(config: dict[str, Any]) -> None:
    check_tuning(tuning_document(config=config))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"Strategy": "Grid"}, "Grid strategy supports only categorical"),
        ({"Strategy": "Grid", "ParameterRanges": COLOURS, "ResourceLimits": limits(2)},
         "MaxNumberOfTrainingJobs, [2], must be the number of combinations of the categorical values, [3]"),
        ({"ParameterRanges": COLOURS, "ResourceLimits": limits(10)},
         "The total number of hyperparameter combinations for the provided ranges [3.0] must be equal or greater than the value "
         "of MaxNumberOfJobs, [10]."),
        ({"ResourceLimits": limits(None)}, "Bayesian strategy needs ResourceLimits.MaxNumberOfTrainingJobs"),
        ({"Strategy": "Hyperband"}, "HyperbandStrategyConfig needs a MaxResource"),
        ({"Strategy": "Hyperband", "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 9, "MaxResource": 2}}},
         "MinResource that is greater than its MaxResource"),
        ({"Strategy": "Hyperband", "TrainingJobEarlyStoppingType": "Auto",
          "StrategyConfig": {"HyperbandStrategyConfig": {"MaxResource": 2}}},
         "TrainingJobEarlyStoppingType must be Off"),
        ({"StrategyConfig": {"HyperbandStrategyConfig": {"MaxResource": 2}}}, "only if the strategy is Hyperband"),
        ({"ParameterRanges": {}}, "at least one hyperparameter range"),
        ({"TuningJobCompletionCriteria": {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}},
         "does not support TuningJobCompletionCriteria.ConvergenceDetected"),
        ({"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "train:rmse"}},
         "[train:rmse], isn't valid for the [1.dkr.ecr"),
        ({"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "validation:loss"}},
         "Choose a valid objective metric: [validation:accuracy, validation:auc"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_searched_is_refused(config: dict[str, Any], message: str) -> None:
    error = refused(config=config)
    assert error.code == "ValidationException"
    assert message in error.message


def test_more_than_750_training_jobs_exceed_the_service_limit() -> None:
    error = refused(config={"ResourceLimits": limits(751)})
    assert error.code == "ResourceLimitExceeded"
    assert "is 750 Training Jobs, with a request delta of 751" in error.message


@pytest.mark.parametrize(
    "member", ["RetryStrategy", "TuningObjective", "HyperParameterRanges", "HyperParameterTuningResourceConfig"]
)
def test_what_is_not_supported_is_refused_by_name(member: str) -> None:
    assert f"does not support TrainingJobDefinition.{member}" in refused(definition={member: {}}).message


def test_a_hyperparameter_is_either_static_or_tunable() -> None:
    error = refused(definition={"StaticHyperParameters": {"x": "1", "num_round": "3"}}, config={"ParameterRanges": X})
    assert error.message == "The hyperparameters [x] are both static and tunable."


def test_the_built_in_algorithm_has_metrics_of_its_own() -> None:
    specification = tuning_document()["TrainingJobDefinition"]["AlgorithmSpecification"]
    metrics = [{"Name": "validation:rmse", "Regex": "rmse=(.*)"}]
    error = refused(definition={"AlgorithmSpecification": specification | {"MetricDefinitions": metrics}})
    assert error.message.startswith("You can't override the metric definitions for Amazon SageMaker algorithms.")


def test_the_objective_of_a_script_is_a_metric_that_it_defines() -> None:
    specification = tuning_document()["TrainingJobDefinition"]["AlgorithmSpecification"]
    objective = {"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"}}
    metrics = [{"Name": "loss", "Regex": "loss=(.*)"}]
    defined = {
        "StaticHyperParameters": SCRIPT,
        "AlgorithmSpecification": specification | {"MetricDefinitions": metrics},
    }
    check_tuning(tuning_document(config=objective, definition=defined))
    error = refused(config=objective, definition={"StaticHyperParameters": SCRIPT})
    assert error.message.startswith("A metric is required for this hyperparameter tuning job objective.")
