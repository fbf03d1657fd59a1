"""How training jobs are stopped, limited, queued, restarted and spread over instances."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from botocore.exceptions import ClientError

from common.local import daemon
from tests.accounts import REGION, Account
from tests.functional.local.training_support import (
    channel,
    eventually,
    job_request,
    keys,
    log_lines,
    logged,
    processes_of,
    put,
    regression_csv,
    run_job,
    script_request,
    wait_until,
)

ENDLESS = {"num_round": "100000000"}
WAIT_FOR_SIGTERM = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: {on_sigterm})
print("ready", flush=True)
while True:
    time.sleep(0.01)
"""


@pytest.fixture
def data(aws: Account) -> Account:
    put(aws, "data/train/part-0.csv", regression_csv())
    return aws


def test_a_stopped_job_ends_at_once_and_leaves_no_process(data: Account) -> None:
    sagemaker = data.client("sagemaker")
    sagemaker.create_training_job(**job_request(data, "endless", HyperParameters=ENDLESS))
    eventually(lambda: logged(data, "endless", "[0]"))
    sagemaker.stop_training_job(TrainingJobName="endless")
    job = wait_until(data, "endless")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert [step["Status"] for step in job["SecondaryStatusTransitions"]][-3:] == ["Stopping", "Uploading", "Stopped"]
    assert "FailureReason" not in job
    assert processes_of("endless") == []
    assert keys(data, "out/") == []


def test_a_stopped_job_that_saves_on_termination_keeps_its_model(data: Account) -> None:
    sagemaker = data.client("sagemaker")
    hyperparameters = {**ENDLESS, "save_model_on_termination": "true"}
    sagemaker.create_training_job(**job_request(data, "saved", HyperParameters=hyperparameters))
    eventually(lambda: logged(data, "saved", "[0]"))
    sagemaker.stop_training_job(TrainingJobName="saved")
    assert wait_until(data, "saved")["TrainingJobStatus"] == "Stopped"
    assert keys(data, "out/") == ["out/saved/output/model.tar.gz"]


def test_an_ended_job_cannot_be_stopped(data: Account) -> None:
    run_job(data, job_request(data, "ended"))
    with pytest.raises(ClientError, match=r"\(ValidationException\).*is in status Completed"):
        data.client("sagemaker").stop_training_job(TrainingJobName="ended")


def test_a_script_that_ignores_sigterm_is_killed_after_two_scaled_minutes(aws: Account) -> None:
    sagemaker = aws.client("sagemaker")
    sagemaker.create_training_job(**script_request(aws, "deaf", WAIT_FOR_SIGTERM.format(on_sigterm="None")))
    eventually(lambda: logged(aws, "deaf", "ready"))
    begin = time.monotonic()
    sagemaker.stop_training_job(TrainingJobName="deaf")
    assert wait_until(aws, "deaf")["TrainingJobStatus"] == "Stopped"
    assert time.monotonic() - begin > 1.1
    assert processes_of("deaf") == []


def test_a_process_that_a_script_detaches_neither_holds_up_the_job_nor_outlives_it(aws: Account) -> None:
    script = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print("PID", child.pid)
"""
    assert run_job(aws, script_request(aws, "detaches", script))["TrainingJobStatus"] == "Completed"
    [line] = [line for line in log_lines(aws, "detaches") if line.startswith("PID ")]
    command = Path("/proc", line.removeprefix("PID "), "cmdline")
    assert eventually(lambda: not command.exists() or not command.read_bytes())  # a zombie has none


def test_a_job_over_its_time_limit_is_stopped(data: Account) -> None:
    limit = {"MaxRuntimeInSeconds": 1}
    job = run_job(data, job_request(data, "long", HyperParameters=ENDLESS, StoppingCondition=limit))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert 1 <= job["TrainingTimeInSeconds"] <= 5
    assert processes_of("long") == []


def test_a_spot_job_is_billed_for_the_time_it_trained(data: Account) -> None:
    limits = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120}
    job = run_job(data, job_request(data, "spot", EnableManagedSpotTraining=True, StoppingCondition=limits))
    assert job["EnableManagedSpotTraining"] is True
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"] >= 1


def test_jobs_beyond_the_machines_processors_wait_for_their_turn(data: Account) -> None:
    sagemaker = data.client("sagemaker")
    running = [f"busy-{number}" for number in range(os.cpu_count() or 1)]
    for name in running:
        sagemaker.create_training_job(**job_request(data, name, HyperParameters=ENDLESS))
    for name in running:
        wait_until(data, name, "Training")
    spot = {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1}
    late = job_request(data, "too-late", EnableManagedSpotTraining=True, StoppingCondition=spot)
    sagemaker.create_training_job(**late)
    sagemaker.create_training_job(**job_request(data, "never"))
    sagemaker.create_training_job(**job_request(data, "next"))
    sagemaker.stop_training_job(TrainingJobName="never")
    job = wait_until(data, "never")
    assert job["SecondaryStatus"] == "Stopped"
    assert "TrainingStartTime" not in job
    assert wait_until(data, "too-late")["SecondaryStatus"] == "MaxWaitTimeExceeded"
    assert wait_until(data, "next", "Starting", "Pending")["TrainingJobStatus"] == "InProgress"
    for name in running:
        sagemaker.stop_training_job(TrainingJobName=name)
    assert wait_until(data, "next")["TrainingJobStatus"] == "Completed"


def test_checkpoints_are_copied_while_the_job_runs_and_restored_by_the_next(data: Account) -> None:
    sagemaker = data.client("sagemaker")
    config = {"S3Uri": f"s3://{data.bucket}/checkpoints/abalone"}
    first = job_request(data, "first", HyperParameters=ENDLESS, CheckpointConfig=config)
    sagemaker.create_training_job(**first)
    eventually(lambda: keys(data, "checkpoints/abalone/xgboost-checkpoint."))
    assert sagemaker.describe_training_job(TrainingJobName="first")["SecondaryStatus"] == "Training"
    sagemaker.stop_training_job(TrainingJobName="first")
    wait_until(data, "first")
    newest = max(int(key.rpartition(".")[2]) for key in keys(data, "checkpoints/abalone/"))
    rounds = {"num_round": str(newest + 3)}
    run_job(data, job_request(data, "second", HyperParameters=rounds, CheckpointConfig=config))
    lines = [line for line in log_lines(data, "second") if line.startswith("[")]
    assert [line.partition("#011")[0] for line in lines] == [f"[{newest + 1}]", f"[{newest + 2}]"]


@pytest.mark.parametrize("distribution", ["FullyReplicated", "ShardedByS3Key"])
def test_each_instance_gets_its_share_of_the_objects(aws: Account, distribution: str) -> None:
    for number in range(5):
        put(aws, f"data/train/part-{number}.csv", "1,2\n")
    script = 'import os; print("FILES", sorted(os.listdir(os.environ["SM_CHANNEL_TRAIN"])), os.environ["SM_HOSTS"])'
    request = script_request(
        aws,
        "shared",
        script,
        InputDataConfig=[channel(aws, "train", "data/train/", source={"S3DataDistributionType": distribution})],
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1},
    )
    assert run_job(aws, request)["TrainingJobStatus"] == "Completed"
    files = [f"part-{number}.csv" for number in range(5)]
    parts = [files, files] if distribution == "FullyReplicated" else [files[0::2], files[1::2]]
    for number, part in enumerate(parts, start=1):
        assert f'FILES {part} ["algo-1", "algo-2"]' in log_lines(aws, "shared", f"algo-{number}")


def test_two_instances_train_one_model_on_all_rows(aws: Account) -> None:
    text = regression_csv(400).splitlines(keepends=True)
    put(aws, "data/train/part-0.csv", "".join(text[:200]))
    put(aws, "data/train/part-1.csv", "".join(text[200:]))
    sharded = channel(aws, "train", "data/train/", source={"S3DataDistributionType": "ShardedByS3Key"})
    request = job_request(
        aws,
        "distributed",
        InputDataConfig=[sharded],
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1},
        HyperParameters={"num_round": "20", "tree_method": "hist", "objective": "reg:squarederror"},
    )
    job = run_job(aws, request)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    (final,) = job["FinalMetricDataList"]
    rows = np.array([[float(value) for value in line.split(",")] for line in text])
    everything = xgboost.DMatrix(rows[:, 1:], label=rows[:, 0])
    history: dict[str, Any] = {}
    parameters = {"tree_method": "hist", "objective": "reg:squarederror"}
    xgboost.train(parameters, everything, 20, evals=[(everything, "train")], evals_result=history, verbose_eval=False)
    assert final["Value"] == pytest.approx(history["train"]["rmse"][-1], rel=0.25)
    assert sum("#011train-rmse:" in line for line in log_lines(aws, "distributed")) == 20
    assert not any("#011train-rmse:" in line for line in log_lines(aws, "distributed", "algo-2"))


@pytest.mark.long
def test_an_instance_without_objects_takes_no_part_in_distributed_training(aws: Account) -> None:
    put(aws, "data/train/part-0.csv", regression_csv())
    sharded = channel(aws, "train", "data/train/", source={"S3DataDistributionType": "ShardedByS3Key"})
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    job = run_job(aws, job_request(aws, "idle", InputDataConfig=[sharded], ResourceConfig=resources))
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert any("is not used in distributed training" in line for line in log_lines(aws, "idle", "algo-2"))
    assert keys(aws, "out/") == ["out/idle/output/model.tar.gz"]


def test_a_failing_instance_fails_the_job_and_ends_the_others(aws: Account) -> None:
    script = """
import os, sys, time
if os.environ["SM_CURRENT_HOST"] == "algo-2":
    sys.exit("no luck")
time.sleep(600)
"""
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    job = run_job(aws, script_request(aws, "half", script, ResourceConfig=resources))
    assert job["TrainingJobStatus"] == "Failed"
    assert "no luck" in job["FailureReason"]
    assert processes_of("half") == []


def test_a_job_dies_with_its_server_and_is_failed_after_the_restart(
    own_server: tuple[Path, Callable[[], Account]],
) -> None:
    root, start = own_server
    aws = start()
    aws.client("s3").create_bucket(Bucket=aws.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    put(aws, "data/train/a.csv", regression_csv())
    aws.client("sagemaker").create_training_job(**job_request(aws, "orphan", HyperParameters=ENDLESS))
    eventually(lambda: logged(aws, "orphan", "[0]"))
    daemon.down(root)
    assert processes_of("orphan") == []
    job = wait_until(start(), "orphan")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "InternalServerError: The local AWS was stopped while the job was running."
    assert not (root / "jobs").exists()
