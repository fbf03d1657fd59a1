"""The requests for training and tuning jobs, checked against AWS's own service model."""

from typing import Any

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.evaluation.gate import Gate
from common.local.validation import validate
from common.model import Model
from common.settings import Settings
from common.training import Choice, Continuous, Integer, Spot, Tuning, XGBoost
from common.training.parents import Parents
from common.training.tuning import Objective, objective_of
from common.training.tuning_request import search_of, trial_run, tuning_job_name, tuning_request
from common.training.xgboost import training_request

SAGEMAKER = botocore.session.Session().get_service_model("sagemaker")
IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:3.2-0"
TUNING = Tuning(
    {"eta": Continuous(0.01, 0.3, scale="Logarithmic"), "max_depth": Integer(2, 8), "tree_method": Choice("exact", "hist")},
    jobs=10,
    parallel=2,
)  # fmt: skip
NONE = Parents()
LOGLOSS = objective_of("log_loss")


def single(tuning: Tuning | None = TUNING, **declared: Any) -> Any:
    """The request for one training job."""
    members: dict[str, Any] = {
        "instance_type": "ml.m5.large",
        "hyperparameters": {"objective": "binary:logistic", "num_round": 200},
        "gate": Gate("log_loss", at_most=0.3),
        "tuning": tuning,
    }
    return training_request(
        Model("churn", "", "leaves", "binary_classification"),
        XGBoost(**members | declared),
        Settings("eu-west-1", "models", "arn:aws:iam::123456789012:role/jobs"),
        image=IMAGE,
        channels={"train": "s3://models/train/", "validation": "s3://models/validation/"},
        output="s3://models/churn/training",
    )


def request(tuning: Tuning = TUNING, objective: Objective = LOGLOSS, parents: Parents = NONE, **declared: Any) -> Any:
    """The request for a tuning job, which AWS's service model admits."""
    one = single(tuning, **declared)
    tags = search_of("churn", tuning, objective, one, "data-1").tags(testing=False)
    made: dict[str, Any] = dict(tuning_request("churn-1", tuning, objective, one, parents, tags))
    assert_valid("CreateHyperParameterTuningJob", made)
    return made


def assert_valid(operation: str, made: dict[str, Any]) -> None:
    shape = SAGEMAKER.operation_model(operation).input_shape
    assert shape
    validate(made, shape)


def test_ranges_are_written_as_texts_by_their_kinds() -> None:
    config = request()["HyperParameterTuningJobConfig"]
    assert config["ParameterRanges"] == {
        "ContinuousParameterRanges": [
            {"Name": "eta", "MinValue": "0.01", "MaxValue": "0.3", "ScalingType": "Logarithmic"}
        ],
        "IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "2", "MaxValue": "8", "ScalingType": "Auto"}],
        "CategoricalParameterRanges": [{"Name": "tree_method", "Values": ["exact", "hist"]}],
    }
    assert config["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 10, "MaxParallelTrainingJobs": 2}


def test_the_training_jobs_are_as_a_single_one_would_be() -> None:
    definition, one = request()["TrainingJobDefinition"], single()
    assert definition.pop("StaticHyperParameters") == one["HyperParameters"]
    assert definition == {
        member: value for member, value in one.items() if member not in ("TrainingJobName", "HyperParameters", "Tags")
    }


def test_the_objective_is_the_gate_s_metric_in_its_direction() -> None:
    def objective(metric: str) -> dict[str, str]:
        found: dict[str, str] = request(objective=objective_of(metric))["HyperParameterTuningJobConfig"][
            "HyperParameterTuningJobObjective"
        ]
        return found

    assert objective("log_loss") == {"Type": "Minimize", "MetricName": "validation:logloss"}
    assert objective("roc_auc") == {"Type": "Maximize", "MetricName": "validation:auc"}


def test_the_tags_say_what_later_tuning_jobs_choose_their_parents_by() -> None:
    assert {tag["Key"]: tag["Value"] for tag in request()["Tags"]} == {
        "model": "churn",
        "objective": "binary:logistic",
        "metric": "validation:logloss",
        "data_version": "data-1",
        "image": IMAGE,
        "testing": "false",
    }


def test_parents_are_named_with_the_kind_of_warm_start() -> None:
    parents = Parents(("churn-a", "churn-b"), "TransferLearning")
    assert request(parents=parents)["WarmStartConfig"] == {
        "WarmStartType": "TransferLearning",
        "ParentHyperParameterTuningJobs": [
            {"HyperParameterTuningJobName": "churn-a"},
            {"HyperParameterTuningJobName": "churn-b"},
        ],
    }
    assert "WarmStartConfig" not in request()


@pytest.mark.parametrize(
    ("strategy", "early_stopping", "expected"),
    [("Bayesian", True, "Auto"), ("Random", False, "Off"), ("Hyperband", True, "Off")],
)
def test_hyperband_stops_jobs_in_its_own_way(strategy: Any, early_stopping: bool, expected: str) -> None:
    tuning = Tuning({"eta": Continuous(0.1, 0.3)}, 4, 2, strategy, early_stopping)
    assert request(tuning)["HyperParameterTuningJobConfig"]["TrainingJobEarlyStoppingType"] == expected


@pytest.mark.parametrize(("rounds", "most"), [(200, 200), (Integer(50, 400), 400), (Choice(30, 100, 20), 100)], ids=str)
def test_hyperband_knows_how_long_its_longest_jobs_are(rounds: Any, most: int) -> None:
    static: dict[str, Any] = {"objective": "binary:logistic"}
    ranges: dict[str, Any] = {"eta": Continuous(0.1, 0.3)}
    (static if isinstance(rounds, int) else ranges)["num_round"] = rounds
    config = request(Tuning(ranges, 4, 2, "Hyperband"), hyperparameters=static)["HyperParameterTuningJobConfig"]
    assert config["StrategyConfig"] == {"HyperbandStrategyConfig": {"MaxResource": most}}
    assert "StrategyConfig" not in request()["HyperParameterTuningJobConfig"]


def test_spot_has_a_limit_and_checkpoints_of_its_own() -> None:
    spot: dict[str, Any] = {"spot": Spot(7200), "max_run_seconds": 600}
    one = single(**spot)
    assert_valid("CreateTrainingJob", one | {"TrainingJobName": "one"})
    tuned = request(**spot)["TrainingJobDefinition"]
    for definition in (one, tuned):
        assert definition["EnableManagedSpotTraining"] is True
        assert definition["StoppingCondition"] == {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 7200}
    assert one["CheckpointConfig"] == {"S3Uri": "s3://models/churn/training/checkpoints"}
    assert tuned["CheckpointConfig"] == {"S3Uri": "s3://models/churn/training/checkpoints/churn-1"}
    assert not {"EnableManagedSpotTraining", "CheckpointConfig"} & single().keys()


def test_a_trial_run_is_one_job_within_the_same_ranges() -> None:
    tried = trial_run(TUNING)
    assert (tried.jobs, tried.parallel, tried.strategy, tried.ranges) == (1, 1, "Bayesian", TUNING.ranges)
    grid = Tuning({"tree_method": Choice("exact", "hist")}, jobs=2, parallel=1, strategy="Grid")
    assert trial_run(grid).strategy == "Random"


@given(model=st.from_regex(r"[a-z][a-z0-9]{0,23}", fullmatch=True), source=st.text(), data=st.text())
def test_names_follow_from_what_is_tuned_and_leave_room_for_further_attempts(
    model: str, source: str, data: str
) -> None:
    name = tuning_job_name(model, source, data, testing=False)
    assert name == tuning_job_name(model, source, data, testing=False)
    assert len(f"{name}-99") <= 32
    others = {
        tuning_job_name(model, source, data, testing=True),
        tuning_job_name(model, f"{source}x", data, testing=False),
        tuning_job_name(model, source, f"{data}x", testing=False),
        tuning_job_name("x" if model == "y" else "y", source, data, testing=False),
    }
    assert len({name, *others}) == 5
