"""Tuning jobs as callers of the API see them: what is described, listed, tagged, deleted and refused."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from common.local.sagemaker import training  # noqa: F401 - declares CreateTrainingJob
from tests.accounts import REGION, Account
from tests.functional.local.hosting_kit import Local
from tests.functional.local.training_support import XGBOOST, keys, log_lines, put, regression_csv
from tests.functional.local.tuning_support import (
    describe,
    grid_request,
    run_tuning,
    trials,
    tuning_request,
)

TAGS = [{"Key": "model", "Value": "churn"}]


def new_account(aws_url: str) -> Account:
    """An account that the tests of this module share and only read."""
    aws = Account(aws_url, f"{uuid.uuid4().int % 10**12:012d}")
    aws.client("s3").create_bucket(Bucket=aws.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    return aws


@pytest.fixture(scope="module")
def tuned(aws_url: str) -> Account:
    """An account with the tuning job `tuned` of the built-in XGBoost: three training jobs, at its end."""
    aws = new_account(aws_url)
    put(aws, "data/train/part-0.csv", regression_csv())
    put(aws, "data/validation/part-0.csv", regression_csv(seed=1))
    run_tuning(aws, tuning_request(aws, "tuned", jobs=3, Tags=TAGS))
    return aws


@pytest.fixture(scope="module")
def three(aws_url: str) -> Account:
    """An account with the tuning jobs c, a and b, created in this order; a has failed."""
    aws = new_account(aws_url)
    for name, script in (("c-tuning", "print('loss=1')"), ("a-tuning", "sys.exit(1)"), ("b-tuning", "print('loss=1')")):
        run_tuning(aws, grid_request(aws, name, script, "1"))
    return aws


def names(aws: Account, **members: Any) -> list[str]:
    found = aws.client("sagemaker").list_hyper_parameter_tuning_jobs(**members)
    return [summary["HyperParameterTuningJobName"] for summary in found["HyperParameterTuningJobSummaries"]]


def test_a_tuning_job_describes_itself_wholly(tuned: Account) -> None:
    job = describe(tuned, "tuned")
    request = tuning_request(tuned, "tuned", jobs=3)
    arn = f"arn:aws:sagemaker:{REGION}:{tuned.account}:hyper-parameter-tuning-job/tuned"
    assert (job["HyperParameterTuningJobName"], job["HyperParameterTuningJobArn"]) == ("tuned", arn)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    config = {"TrainingJobEarlyStoppingType": "Off"} | request["HyperParameterTuningJobConfig"]
    assert job["HyperParameterTuningJobConfig"] == config
    definition = request["TrainingJobDefinition"]
    static = definition["StaticHyperParameters"] | {"_tuning_objective_metric": "validation:rmse"}
    assert job["TrainingJobDefinition"] == definition | {
        "StaticHyperParameters": static,
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
    }
    assert job["TrainingJobStatusCounters"] == {
        "Completed": 3,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 0,
    }
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 0}
    assert job["CreationTime"] < job["HyperParameterTuningEndTime"] == job["LastModifiedTime"]
    elapsed = job["HyperParameterTuningEndTime"] - job["CreationTime"]
    assert job["ConsumedResources"] == {"RuntimeInSeconds": round(elapsed.total_seconds())}
    assert job["TuningJobCompletionDetails"]["NumberOfTrainingJobsObjectiveNotImproving"] in (0, 1, 2)
    assert not {"FailureReason", "WarmStartConfig", "OverallBestTrainingJob", "Tags"} & set(job)


def test_the_best_training_job_is_the_one_with_the_best_objective(tuned: Account) -> None:
    best = describe(tuned, "tuned")["BestTrainingJob"]
    summaries = trials(tuned, "tuned")
    values = [item["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for item in summaries]
    assert best == summaries[values.index(min(values))]
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["MetricName"] == "validation:rmse"
    assert best["TrainingJobStatus"] == "Completed"
    assert best["ObjectiveStatus"] == "Succeeded"
    assert best["CreationTime"] <= best["TrainingStartTime"] < best["TrainingEndTime"]
    eta, depth = best["TunedHyperParameters"]["eta"], best["TunedHyperParameters"]["max_depth"]
    assert 0.05 <= float(eta) <= 0.5
    assert depth in ("2", "3", "4", "5", "6")


def test_the_training_jobs_of_a_tuning_job_are_ordinary_ones(tuned: Account) -> None:
    sagemaker = tuned.client("sagemaker")
    [first, *_] = trials(tuned, "tuned")
    name = first["TrainingJobName"]
    job = sagemaker.describe_training_job(TrainingJobName=name)
    assert job["TuningJobArn"] == describe(tuned, "tuned")["HyperParameterTuningJobArn"]
    assert job["HyperParameters"] == {
        "num_round": "3",
        "objective": "reg:squarederror",
        "_tuning_objective_metric": "validation:rmse",
        **first["TunedHyperParameters"],
    }
    assert job["SecondaryStatusTransitions"][-1]["Status"] == "Completed"
    final = {item["MetricName"]: item["Value"] for item in job["FinalMetricDataList"]}
    assert final["validation:rmse"] == first["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    assert f"validation-rmse:{final['validation:rmse']:.5f}" in log_lines(tuned, name)[-1]
    assert keys(tuned, f"out/{name}/") == [f"out/{name}/output/model.tar.gz"]
    listed = sagemaker.list_training_jobs(NameContains="tuned")["TrainingJobSummaries"]
    assert {item["TrainingJobName"] for item in listed} == {item["TrainingJobName"] for item in trials(tuned, "tuned")}


def test_training_jobs_are_listed_by_name_and_sorted_by_objective(tuned: Account) -> None:
    by_name = [item["TrainingJobName"] for item in trials(tuned, "tuned")]
    assert by_name == sorted(by_name)
    assert [item["TrainingJobName"] for item in trials(tuned, "tuned", SortOrder="Descending")] == by_name[::-1]
    for order, reverse in (("Ascending", False), ("Descending", True)):
        found = trials(tuned, "tuned", SortBy="FinalObjectiveMetricValue", SortOrder=order)
        values = [item["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for item in found]
        assert len(values) == 3
        assert values == sorted(values, reverse=reverse)
    created = [item["CreationTime"] for item in trials(tuned, "tuned", SortBy="CreationTime")]
    assert created == sorted(created)


def test_training_jobs_are_listed_in_pages(tuned: Account) -> None:
    sagemaker = tuned.client("sagemaker")
    pages = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName="tuned", SortBy="FinalObjectiveMetricValue", PaginationConfig={"PageSize": 2}
    )
    found = [[item["TrainingJobName"] for item in page["TrainingJobSummaries"]] for page in pages]
    assert [len(page) for page in found] == [2, 1]
    whole = trials(tuned, "tuned", SortBy="FinalObjectiveMetricValue")
    assert found[0] + found[1] == [item["TrainingJobName"] for item in whole]


def test_a_tuning_job_and_its_training_jobs_have_its_tags(tuned: Account) -> None:
    sagemaker = tuned.client("sagemaker")
    arns = [describe(tuned, "tuned")["HyperParameterTuningJobArn"], trials(tuned, "tuned")[0]["TrainingJobArn"]]
    assert [sagemaker.list_tags(ResourceArn=arn)["Tags"] for arn in arns] == [TAGS, TAGS]


def test_tags_of_a_tuning_job_are_added_and_removed(three: Account) -> None:
    sagemaker = three.client("sagemaker")
    arn = describe(three, "b-tuning")["HyperParameterTuningJobArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[*TAGS, {"Key": "other", "Value": "1"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["other"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == TAGS


def test_tuning_jobs_are_listed_by_name_status_and_time(three: Account) -> None:
    a, b, c = "a-tuning", "b-tuning", "c-tuning"
    assert names(three) == [a, b, c]
    assert names(three, SortOrder="Descending") == [c, b, a]
    assert names(three, SortBy="CreationTime") == [c, a, b]
    assert names(three, SortBy="Status") == [b, c, a]
    assert names(three, NameContains="b-") == [b]
    assert names(three, StatusEquals="Failed") == [a]
    moment: datetime = describe(three, a)["CreationTime"]
    assert names(three, CreationTimeAfter=moment) == [a, b]
    assert names(three, CreationTimeBefore=moment - timedelta(milliseconds=1)) == [c]
    ended: datetime = describe(three, a)["LastModifiedTime"]
    assert names(three, LastModifiedTimeBefore=ended) == [a, c]


def test_tuning_jobs_are_listed_in_pages_of_their_filters(three: Account) -> None:
    sagemaker = three.client("sagemaker")
    first = sagemaker.list_hyper_parameter_tuning_jobs(MaxResults=2)
    second = sagemaker.list_hyper_parameter_tuning_jobs(MaxResults=2, NextToken=first["NextToken"])
    assert [len(page["HyperParameterTuningJobSummaries"]) for page in (first, second)] == [2, 1]
    assert "NextToken" not in second
    with pytest.raises(ClientError, match="Invalid NextToken"):
        sagemaker.list_hyper_parameter_tuning_jobs(SortBy="Status", NextToken=first["NextToken"])


def test_a_listed_tuning_job_tells_its_strategy_limits_and_counters(three: Account) -> None:
    [summary] = three.client("sagemaker").list_hyper_parameter_tuning_jobs(NameContains="a-")[
        "HyperParameterTuningJobSummaries"
    ]
    whole = describe(three, "a-tuning")
    same = ("HyperParameterTuningJobArn", "HyperParameterTuningJobStatus", "CreationTime", "LastModifiedTime")
    counted = ("HyperParameterTuningEndTime", "TrainingJobStatusCounters", "ObjectiveStatusCounters")
    assert {member: summary[member] for member in same + counted} == {
        member: whole[member] for member in same + counted
    }
    assert summary["Strategy"] == "Grid"
    assert summary["ResourceLimits"] == {"MaxParallelTrainingJobs": 1}
    assert summary["TrainingJobStatusCounters"]["NonRetryableError"] == 1


def test_a_deleted_tuning_job_leaves_its_training_jobs(aws: Account) -> None:
    sagemaker = aws.client("sagemaker")
    arn = run_tuning(aws, grid_request(aws, "gone", "print('loss=1')", "1"))["HyperParameterTuningJobArn"]
    [job] = trials(aws, "gone")
    sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="gone")
    assert names(aws) == []
    with pytest.raises(ClientError, match="Could not find resource"):
        sagemaker.list_tags(ResourceArn=arn)
    assert sagemaker.describe_training_job(TrainingJobName=job["TrainingJobName"])["TuningJobArn"] == arn


def test_names_of_tuning_jobs_are_unique(tuned: Account) -> None:
    with pytest.raises(ClientError, match=r"\(ResourceInUse\).*already exists"):
        tuned.client("sagemaker").create_hyper_parameter_tuning_job(**tuning_request(tuned, "tuned"))


@pytest.mark.parametrize(
    "operation",
    [
        "describe_hyper_parameter_tuning_job",
        "stop_hyper_parameter_tuning_job",
        "delete_hyper_parameter_tuning_job",
        "list_training_jobs_for_hyper_parameter_tuning_job",
    ],
)
def test_a_missing_tuning_job_is_not_found(aws: Account, operation: str) -> None:
    with pytest.raises(ClientError, match=r"\(ResourceNotFound\).*\[missing\]"):
        getattr(aws.client("sagemaker"), operation)(HyperParameterTuningJobName="missing")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"HyperParameterTuningJobName": "n" * 33}, "length less than or equal to 32"),
        ({"config": {"Strategy": "Annealing"}}, r"enum value set: \[Bayesian, Random, Hyperband, Grid\]"),
        ({"WarmStartConfig": {"WarmStartType": "TransferLearning", "ParentHyperParameterTuningJobs":
                              [{"HyperParameterTuningJobName": f"p{n}"} for n in range(6)]}},
         "length less than or equal to 5"),
        ({"WarmStartConfig": {"WarmStartType": "TransferLearning", "ParentHyperParameterTuningJobs":
                              [{"HyperParameterTuningJobName": "missing"}]}}, r"\[missing\] could not be found"),
        ({"config": {"ParameterRanges": {}}}, "at least one hyperparameter range"),
        ({"definition": {"RetryStrategy": {"MaximumRetryAttempts": 1}}}, "does not support .*RetryStrategy"),
        ({"definition": {"AlgorithmSpecification": {"TrainingImage": "nobody/knows:1", "TrainingInputMode": "File"}}},
         "Requested image not found"),
        ({"definition": {"RoleArn": "arn:aws:iam::000000000001:role/other"}}, "Cross-account pass role"),
        ({"Autotune": {"Mode": "Enabled"}}, "does not support Autotune"),
    ],
)  # fmt: skip
def test_a_request_that_aws_or_this_machine_cannot_take_is_refused(
    aws: Account, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=rf"\(ValidationException\).*{message}"):
        aws.client("sagemaker").create_hyper_parameter_tuning_job(**tuning_request(aws, "refused", **changes))
    assert names(aws) == []


@pytest.mark.parametrize("member", ["TrainingJobDefinition", "HyperParameterTuningJobObjective"])
def test_definition_and_objective_are_needed(aws: Account, member: str) -> None:
    request = tuning_request(aws, "refused")
    (request if member in request else request["HyperParameterTuningJobConfig"]).pop(member)
    with pytest.raises(ClientError, match=f"needs a {member}"):
        aws.client("sagemaker").create_hyper_parameter_tuning_job(**request)


def test_several_definitions_are_refused_by_name(aws: Account) -> None:
    request = tuning_request(aws, "refused")
    request["TrainingJobDefinitions"] = [request.pop("TrainingJobDefinition")]
    with pytest.raises(ClientError, match="does not support TrainingJobDefinitions"):
        aws.client("sagemaker").create_hyper_parameter_tuning_job(**request)


def test_nobody_makes_a_training_job_of_a_tuning_job_by_hand(local: Local) -> None:
    local.do(
        "CreateTrainingJob",
        TrainingJobName="forged",
        AlgorithmSpecification={"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        RoleArn=f"arn:aws:iam::{local.account}:role/any",
        OutputDataConfig={"S3OutputPath": "s3://no-bucket/"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        TuningJobArn=f"arn:aws:sagemaker:{REGION}:{local.account}:hyper-parameter-tuning-job/any",
    )
    assert local.do("DescribeTrainingJob", TrainingJobName="forged").get("TuningJobArn") is None
