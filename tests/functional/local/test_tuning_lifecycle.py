"""How tuning jobs run, end, are stopped, and start from earlier ones."""

from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from common.local import daemon
from tests.accounts import REGION, Account
from tests.functional.local.training_support import eventually, keys, log_lines, processes_of, put, regression_csv
from tests.functional.local.tuning_support import (
    describe,
    grid_request,
    run_tuning,
    trials,
    tuning_request,
    wait_for_end,
)

ENDLESS = """
print("loss=1", flush=True)
while True:
    time.sleep(0.01)
"""


def training_runs(aws: Account, name: str) -> list[str]:
    """Names of the tuning job's training jobs whose containers run."""
    return [
        item["TrainingJobName"]
        for item in trials(aws, name, StatusEquals="InProgress")
        if processes_of(item["TrainingJobName"])
    ]


def test_every_value_of_a_grid_is_trained_by_the_script(aws: Account) -> None:
    tuning = run_tuning(
        aws, grid_request(aws, "grid", "print(f'loss={(x - 2) ** 2}', sys.argv)", "1", "2", "4", parallel=2)
    )
    assert tuning["HyperParameterTuningJobStatus"] == "Completed"
    assert tuning["BestTrainingJob"]["TunedHyperParameters"] == {"x": "2"}
    tried = {item["TunedHyperParameters"]["x"] for item in trials(aws, "grid")}
    assert tried == {"1", "2", "4"}
    [line] = [line for line in log_lines(aws, tuning["BestTrainingJob"]["TrainingJobName"]) if line.startswith("loss=")]
    assert line == "loss=0.0 ['train.py', '-x', '2']"


def test_a_failed_training_job_is_counted_and_the_tuning_goes_on(aws: Account) -> None:
    script = "sys.exit('no luck') if x == 2 else print(f'loss={x}')"
    tuning = run_tuning(aws, grid_request(aws, "unlucky", script, "1", "2", "3"))
    assert tuning["HyperParameterTuningJobStatus"] == "Completed"
    assert tuning["TrainingJobStatusCounters"]["NonRetryableError"] == 1
    assert tuning["TrainingJobStatusCounters"]["Completed"] == 2
    assert tuning["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 0, "Failed": 1}
    [failed] = trials(aws, "unlucky", StatusEquals="Failed")
    assert failed["ObjectiveStatus"] == "Failed"
    assert "no luck" in failed["FailureReason"]
    assert "FinalHyperParameterTuningJobObjectiveMetric" not in failed
    ranked = trials(aws, "unlucky", SortBy="FinalObjectiveMetricValue")
    assert [item["TunedHyperParameters"]["x"] for item in ranked] == ["1", "3"]


def test_a_tuning_job_fails_with_all_of_its_training_jobs(aws: Account) -> None:
    tuning = run_tuning(aws, tuning_request(aws, "no-data"))
    assert tuning["HyperParameterTuningJobStatus"] == "Failed"
    assert tuning["FailureReason"].startswith("No training job succeeded after 2 attempts.")
    assert "BestTrainingJob" not in tuning
    assert "No S3 objects found" in trials(aws, "no-data")[0]["FailureReason"]


def test_a_training_job_worse_than_the_median_is_stopped_early(aws: Account) -> None:
    script = """
for epoch in range(4 if x < 4 else 100_000):
    print(f"loss={x}", flush=True)
    time.sleep(0.005)
"""
    early = {"TrainingJobEarlyStoppingType": "Auto"}
    request = grid_request(aws, "early", script, "1", "2", "3", "4")
    request["HyperParameterTuningJobConfig"] |= early
    tuning = run_tuning(aws, request)
    assert tuning["TrainingJobStatusCounters"]["Completed"] == 3
    [stopped] = trials(aws, "early", StatusEquals="Stopped")
    assert stopped["TunedHyperParameters"] == {"x": "4"}
    assert stopped["ObjectiveStatus"] == "Succeeded"
    assert stopped["FinalHyperParameterTuningJobObjectiveMetric"] == {"MetricName": "loss", "Value": 4.0}


def test_a_stopped_tuning_job_stops_its_training_jobs_and_starts_no_more(aws: Account) -> None:
    sagemaker = aws.client("sagemaker")
    sagemaker.create_hyper_parameter_tuning_job(**grid_request(aws, "stopped", ENDLESS, "1", "2", "3", parallel=2))
    eventually(lambda: len(training_runs(aws, "stopped")) == 2)
    names = training_runs(aws, "stopped")
    with pytest.raises(ClientError, match="is in status InProgress"):
        sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")
    sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")
    assert describe(aws, "stopped")["HyperParameterTuningJobStatus"] in ("Stopping", "Stopped")
    tuning = wait_for_end(aws, "stopped")
    assert tuning["HyperParameterTuningJobStatus"] == "Stopped"
    assert tuning["TrainingJobStatusCounters"] == {
        "Completed": 0,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 2,
    }
    assert "FailureReason" not in tuning
    assert [processes_of(name) for name in names] == [[], []]
    with pytest.raises(ClientError, match=r"\(ValidationException\).*is in status Stopped"):
        sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")


def test_a_training_job_that_is_stopped_by_hand_does_not_end_the_tuning(aws: Account) -> None:
    script = ENDLESS.replace("True", "x == 1")
    aws.client("sagemaker").create_hyper_parameter_tuning_job(**grid_request(aws, "by-hand", script, "1", "2"))
    [name] = eventually(lambda: training_runs(aws, "by-hand"))
    aws.client("sagemaker").stop_training_job(TrainingJobName=name)
    tuning = wait_for_end(aws, "by-hand")
    assert tuning["HyperParameterTuningJobStatus"] == "Completed"
    assert tuning["TrainingJobStatusCounters"]["Stopped"] == 1
    assert tuning["BestTrainingJob"]["TunedHyperParameters"] == {"x": "2"}


def test_spot_training_and_its_checkpoints_are_taken_over(aws: Account) -> None:
    put(aws, "data/train/part-0.csv", regression_csv())
    put(aws, "data/validation/part-0.csv", regression_csv(seed=1))
    spot = {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90},
        "CheckpointConfig": {"S3Uri": f"s3://{aws.bucket}/checkpoints"},
    }
    run_tuning(aws, tuning_request(aws, "spot", definition=spot))
    names = [item["TrainingJobName"] for item in trials(aws, "spot")]
    for name in names:
        job = aws.client("sagemaker").describe_training_job(TrainingJobName=name)
        assert job["EnableManagedSpotTraining"]
        assert job["StoppingCondition"] == spot["StoppingCondition"]
        assert job["CheckpointConfig"] == {"S3Uri": f"s3://{aws.bucket}/checkpoints/{name}"}
        assert job["BillableTimeInSeconds"] >= 1
        assert f"checkpoints/{name}/xgboost-checkpoint.2" in keys(aws, "checkpoints/")


@pytest.mark.parametrize("kind", ["IdenticalDataAndAlgorithm", "TransferLearning"])
def test_the_overall_best_job_may_be_a_parents_when_data_and_algorithm_are_identical(aws: Account, kind: str) -> None:
    script = "print(f'loss={x}')"
    parent = run_tuning(aws, grid_request(aws, "parent", script, "1", "5"))
    warm = {"WarmStartType": kind, "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "parent"}]}
    request = grid_request(aws, "child", script, "2", WarmStartConfig=warm)
    request["TrainingJobDefinition"]["StaticHyperParameters"] = {
        name: value
        for name, value in parent["TrainingJobDefinition"]["StaticHyperParameters"].items()
        if name != "_tuning_objective_metric"
    }
    child = run_tuning(aws, request)
    assert child["WarmStartConfig"] == warm
    assert child["BestTrainingJob"]["TunedHyperParameters"] == {"x": "2"}
    if kind == "TransferLearning":
        assert "OverallBestTrainingJob" not in child
    else:
        assert child["OverallBestTrainingJob"] == parent["BestTrainingJob"] | {"TuningJobName": "parent"}


def test_a_running_tuning_job_is_no_parent(aws: Account) -> None:
    sagemaker = aws.client("sagemaker")
    sagemaker.create_hyper_parameter_tuning_job(**grid_request(aws, "running", ENDLESS, "1"))
    warm = {
        "WarmStartType": "TransferLearning",
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "running"}],
    }
    with pytest.raises(
        ClientError, match=r"\[running\] is in status InProgress. All parents must be in a terminal state"
    ):
        sagemaker.create_hyper_parameter_tuning_job(**grid_request(aws, "eager", ENDLESS, "1", WarmStartConfig=warm))
    sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="running")
    wait_for_end(aws, "running")


@pytest.mark.long
def test_a_tuning_job_dies_with_its_server_and_is_failed_after_the_restart(
    own_server: tuple[Path, Callable[[], Account]],
) -> None:
    root, start = own_server
    aws = start()
    aws.client("s3").create_bucket(Bucket=aws.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    aws.client("sagemaker").create_hyper_parameter_tuning_job(**grid_request(aws, "orphan", ENDLESS, "1", "2"))
    [name] = eventually(lambda: training_runs(aws, "orphan"))
    daemon.down(root)
    assert processes_of(name) == []
    aws = start()
    tuning = describe(aws, "orphan")
    assert tuning["HyperParameterTuningJobStatus"] == "Failed"
    reason = "InternalServerError: The local AWS was stopped while the tuning job was running."
    assert tuning["FailureReason"] == reason
    assert tuning["TrainingJobStatusCounters"]["RetryableError"] == 1
