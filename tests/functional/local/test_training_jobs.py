"""Training jobs through the API: from request to artifact, and everything that a job leaves behind."""

import io
import json
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.accounts import Account
from tests.functional.local.training_support import (
    channel,
    get,
    job_request,
    keys,
    log_lines,
    put,
    regression_csv,
    run_job,
    wait_until,
)


@pytest.fixture
def data(aws: Account) -> Account:
    """An account with a train and a validation set below `data/`."""
    put(aws, "data/train/part-0.csv", regression_csv())
    put(aws, "data/validation/part-0.csv", regression_csv(seed=1))
    return aws


def test_a_completed_job_tells_its_whole_story(data: Account) -> None:
    channels = [channel(data, name, f"data/{name}/") for name in ("train", "validation")]
    job = run_job(data, job_request(data, "story", InputDataConfig=channels))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    transitions = job["SecondaryStatusTransitions"]
    assert [step["Status"] for step in transitions] == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all(step["EndTime"] >= step["StartTime"] and step["StatusMessage"] for step in transitions)
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"] <= job["LastModifiedTime"]
    seconds = (job["TrainingEndTime"] - job["TrainingStartTime"]).total_seconds()
    assert job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] == max(1, round(seconds))
    assert job["TrainingJobArn"] == f"arn:aws:sagemaker:{data.region}:{data.account}:training-job/story"
    assert "FailureReason" not in job
    assert {metric["MetricName"] for metric in job["FinalMetricDataList"]} == {"train:rmse", "validation:rmse"}


def test_the_artifact_holds_the_model_and_the_same_job_gives_the_same_bytes(data: Account) -> None:
    artifacts = []
    for name in ("first", "second"):
        job = run_job(data, job_request(data, name, HyperParameters={"num_round": "5", "subsample": "0.5"}))
        uri = job["ModelArtifacts"]["S3ModelArtifacts"]
        assert uri == f"s3://{data.bucket}/out/{name}/output/model.tar.gz"
        artifacts.append(get(data, uri.split("/", 3)[3]))
    assert artifacts[0] == artifacts[1]
    with tarfile.open(fileobj=io.BytesIO(artifacts[0])) as archive:
        assert archive.getnames() == ["xgboost-model"]


@pytest.mark.parametrize("path", ["", "/", "/out", "/out/", "//out"])
def test_the_artifact_is_where_the_description_says(data: Account, path: str) -> None:
    job = run_job(data, job_request(data, "placed", OutputDataConfig={"S3OutputPath": f"s3://{data.bucket}{path}"}))
    bucket, _, key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").partition("/")
    assert bucket == data.bucket
    assert get(data, key)


@pytest.mark.long
def test_output_data_of_the_container_is_kept_beside_the_model(data: Account) -> None:
    run_job(
        data, job_request(data, "folds", HyperParameters={"num_round": "2", "objective": "reg:linear", "_kfold": "2"})
    )
    assert keys(data, "out/folds") == ["out/folds/output/model.tar.gz", "out/folds/output/output.tar.gz"]
    with tarfile.open(fileobj=io.BytesIO(get(data, "out/folds/output/output.tar.gz"))) as archive:
        assert archive.getnames() == ["predictions.csv"]


def test_the_log_is_in_cloudwatch_with_tabs_as_octal_codes(data: Account) -> None:
    run_job(data, job_request(data, "logged"))
    rounds = [line for line in log_lines(data, "logged") if line.startswith("[")]
    assert [line.partition("#011train-rmse:")[0] for line in rounds] == ["[0]", "[1]", "[2]"]


def test_metrics_are_in_cloudwatch(data: Account) -> None:
    definitions = [{"Name": "rows", "Regex": "Train matrix has ([0-9]+) rows"}]
    request = job_request(data, "measured")
    request["AlgorithmSpecification"]["MetricDefinitions"] = definitions
    job = run_job(data, request)
    final = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert final["rows"] == 200
    statistics = data.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="train:rmse",
        Dimensions=[{"Name": "TrainingJobName", "Value": "measured"}],
        StartTime=time.time() - 600,
        EndTime=time.time() + 600,
        Period=3600,
        Statistics=["SampleCount", "Minimum"],
    )["Datapoints"]
    assert sum(point["SampleCount"] for point in statistics) == 3
    assert min(point["Minimum"] for point in statistics) == pytest.approx(final["train:rmse"])


def test_everything_that_was_asked_for_is_described(data: Account) -> None:
    asked = {
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": True,
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        "OutputDataConfig": {"S3OutputPath": f"s3://{data.bucket}/out", "KmsKeyId": "alias/models"},
        "Environment": {"STAGE": "test"},
    }
    job = run_job(data, job_request(data, "kept", **asked))
    assert {member: job[member] for member in asked} == asked


def test_tags_of_the_request_are_the_jobs_and_more_can_be_added(data: Account) -> None:
    sagemaker = data.client("sagemaker")
    tag, other = {"Key": "source", "Value": "abc"}, {"Key": "model", "Value": "abalone"}
    arn = sagemaker.create_training_job(**job_request(data, "tagged", Tags=[tag]))["TrainingJobArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[other])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [tag, other]


def test_a_name_is_used_once_and_of_two_creates_at_once_one_wins(data: Account) -> None:
    sagemaker = data.client("sagemaker")

    def create(_: int) -> str:
        try:
            sagemaker.create_training_job(**job_request(data, "twice"))
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "created"

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(create, range(4)))
    assert answers == ["ResourceInUse"] * 3 + ["created"]
    wait_until(data, "twice")


@pytest.mark.parametrize("operation", ["describe_training_job", "stop_training_job"])
def test_a_missing_job_is_a_validation_error(aws: Account, operation: str) -> None:
    with pytest.raises(ClientError, match=r"\(ValidationException\).*Requested resource not found\."):
        getattr(aws.client("sagemaker"), operation)(TrainingJobName="nobody")


def test_jobs_are_listed_newest_first_with_filters_and_pages(data: Account) -> None:
    sagemaker = data.client("sagemaker")
    for number in range(4):
        sagemaker.create_training_job(**job_request(data, f"job-{number}", HyperParameters={"num_round": "1"}))
    sagemaker.create_training_job(**job_request(data, "broken", HyperParameters={}))
    for name in ("job-0", "job-1", "job-2", "job-3", "broken"):
        wait_until(data, name)

    def names(**question: object) -> list[str]:
        pages = sagemaker.get_paginator("list_training_jobs").paginate(**question)
        return [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]]

    assert names(MaxResults=2) == ["broken", "job-3", "job-2", "job-1", "job-0"]
    assert names(NameContains="job", SortOrder="Ascending", SortBy="Name") == ["job-0", "job-1", "job-2", "job-3"]
    assert names(StatusEquals="Failed") == ["broken"]
    assert names(StatusEquals="Completed", SortBy="Status", SortOrder="Ascending", MaxResults=3)[-1] == "job-3"
    assert names(CreationTimeAfter=time.time() + 60) == []


@pytest.mark.parametrize(
    ("hyperparameters", "reason"),
    [
        ({"num_round": "3", "depth": "4"}, "AlgorithmError: UserError: Extraneous hyperparameter found: depth"),
        ({}, "AlgorithmError: UserError: Missing required hyperparameter: num_round"),
    ],
)
def test_a_failed_job_says_what_the_container_said(data: Account, hyperparameters: dict[str, str], reason: str) -> None:
    job = run_job(data, job_request(data, "failed", HyperParameters=hyperparameters))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"] == reason
    assert [step["Status"] for step in job["SecondaryStatusTransitions"]][-2:] == ["Training", "Failed"]
    assert keys(data, "out/") == []


def test_a_channel_without_objects_fails_the_job_in_awss_words(data: Account) -> None:
    job = run_job(data, job_request(data, "empty", InputDataConfig=[channel(data, "train", "data/nothing/")]))
    assert job["FailureReason"].startswith(
        f'ClientError: Data download failed:No S3 objects found under S3 URL "s3://{data.bucket}/data/nothing/"'
    )


@pytest.mark.parametrize("which", ["input", "output"])
def test_a_missing_bucket_fails_the_job(data: Account, which: str) -> None:
    request = job_request(data, "lost")
    if which == "input":
        request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] = "s3://nobodys-bucket/train"
    else:
        request["OutputDataConfig"] = {"S3OutputPath": "s3://nobodys-bucket/out"}
    job = run_job(data, request)
    assert job["FailureReason"].startswith("ClientError: ")
    assert "nobodys-bucket" in job["FailureReason"]


def test_an_s3_prefix_is_a_prefix_of_keys_and_folder_markers_are_no_files(data: Account) -> None:
    put(data, "data/train/", "")
    put(data, "data/train/deep/part-1.csv", regression_csv(50))
    run_job(data, job_request(data, "prefix", InputDataConfig=[channel(data, "train", "data/tr")]))
    assert "Train matrix has 250 rows and 4 columns" in log_lines(data, "prefix")


def test_a_manifest_names_the_objects(data: Account) -> None:
    put(data, "data/other.csv", regression_csv(30))
    manifest = [{"prefix": f"s3://{data.bucket}/data/"}, "train/part-0.csv", "other.csv"]
    put(data, "lists/train.manifest", json.dumps(manifest))
    source = {"S3DataType": "ManifestFile"}
    request = job_request(
        data, "listed", InputDataConfig=[channel(data, "train", "lists/train.manifest", source=source)]
    )
    assert run_job(data, request)["TrainingJobStatus"] == "Completed"
    assert "Train matrix has 230 rows and 4 columns" in log_lines(data, "listed")


def test_a_key_that_leads_out_of_the_folder_fails_the_job(data: Account) -> None:
    manifest = [{"prefix": f"s3://{data.bucket}/data/"}, "../escape.csv"]
    put(data, "data/../escape.csv", "1,2\n")
    put(data, "lists/bad.manifest", json.dumps(manifest))
    source = {"S3DataType": "ManifestFile"}
    request = job_request(data, "escape", InputDataConfig=[channel(data, "train", "lists/bad.manifest", source=source)])
    assert "leads out of the folder train" in run_job(data, request)["FailureReason"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"AlgorithmSpecification": {"TrainingImage": "x/pytorch:1", "TrainingInputMode": "File"}},
            "Requested image not",
        ),
        ({"AlgorithmSpecification": {"AlgorithmName": "mine", "TrainingInputMode": "File"}}, "AlgorithmName"),
        ({"RoleArn": "arn:aws:iam::111122223333:role/Other"}, "Cross-account pass role is not allowed."),
        ({"EnableManagedSpotTraining": True}, "Invalid MaxWaitTimeInSeconds. It must be present"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90}}, "EnableManagedSpotTraining"),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}}, "InstanceCount"),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 0, "VolumeSizeInGB": 1}}, "at least 1"),
        ({"TrainingJobName": "under_score"}, "failed to satisfy constraint"),
        ({"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "/opt/ml/../../../etc"}}, "LocalPath /opt/ml/../"),
        ({"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "/opt/ml"}}, "LocalPath /opt/ml is no folder"),
    ],
)
def test_a_request_that_cannot_work_is_refused_before_anything_runs(
    data: Account, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ClientError, match=r"\(ValidationException\)") as error:
        data.client("sagemaker").create_training_job(**job_request(data, "refused", **changes))
    assert message in str(error.value)
    assert data.client("sagemaker").list_training_jobs()["TrainingJobSummaries"] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"InputMode": "Pipe"}, "does not support Pipe mode"),
        ({"ChannelName": ".."}, r"channel name \.\. stands for"),
        ({"CompressionType": "Gzip"}, "needs Pipe mode"),
        ({"source": {"S3DataType": "AugmentedManifestFile"}}, "does not support S3DataType"),
    ],
)
def test_a_channel_that_cannot_be_read_here_is_refused(data: Account, change: dict[str, object], message: str) -> None:
    request = job_request(data, "refused", InputDataConfig=[channel(data, "train", "data/train/", **change)])
    with pytest.raises(ClientError, match=message):
        data.client("sagemaker").create_training_job(**request)


def test_boto3s_waiter_sees_the_end(data: Account) -> None:
    sagemaker = data.client("sagemaker")
    sagemaker.create_training_job(**job_request(data, "awaited"))
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName="awaited", WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})
    assert sagemaker.describe_training_job(TrainingJobName="awaited")["TrainingJobStatus"] == "Completed"


SDK_SCRIPT = """
import logging
import sys
from sagemaker.core.resources import TrainingJob
from sagemaker.core.shapes import (
    AlgorithmSpecification, Channel, DataSource, OutputDataConfig, ResourceConfig, S3DataSource, StoppingCondition,
)
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
image, role, bucket = sys.argv[1:]
source = S3DataSource(s3_data_type="S3Prefix", s3_uri=f"s3://{bucket}/data/train/")
job = TrainingJob.create(
    training_job_name="by-the-sdk",
    algorithm_specification=AlgorithmSpecification(training_image=image, training_input_mode="File"),
    role_arn=role,
    hyper_parameters={"num_round": "3"},
    input_data_config=[Channel(channel_name="train", content_type="csv", data_source=DataSource(s3_data_source=source))],
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/out"),
    resource_config=ResourceConfig(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=1),
    stopping_condition=StoppingCondition(max_runtime_in_seconds=60),
)
job.wait(poll=1, logs=True, timeout=60)
job.refresh()
print("STATUS", job.training_job_status, job.model_artifacts.s3_model_artifacts)
"""


def test_the_sdk_creates_a_job_and_streams_its_log(data: Account, tmp_path: Path) -> None:
    image = job_request(data, "")["AlgorithmSpecification"]["TrainingImage"]
    done = subprocess.run(
        [sys.executable, "-c", SDK_SCRIPT, image, data.role, data.bucket],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "COLUMNS": "300", **data.env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"STATUS Completed s3://{data.bucket}/out/by-the-sdk/output/model.tar.gz" in done.stdout
    assert "Train matrix has 200 rows" in done.stdout + done.stderr
