"""What the tests of tuning jobs share: requests, and waiting for their end."""

import json
import time
from collections.abc import Mapping
from typing import Any

from tests.accounts import Account
from tests.archives import archive
from tests.functional.local.training_support import SCIKIT_LEARN, XGBOOST, channel, put

RANGES: dict[str, Any] = {
    "ContinuousParameterRanges": [
        {"Name": "eta", "MinValue": "0.05", "MaxValue": "0.5", "ScalingType": "Logarithmic"},
    ],
    "IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "2", "MaxValue": "6"}],
}
_LOSS = [{"Name": "loss", "Regex": "loss=([0-9.]+)"}]
_READ_X = """
import argparse, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("-x", type=float)
x = parser.parse_args().x
"""


def tuning_request(aws: Account, name: str, *, jobs: int = 2, parallel: int = 2, **changes: Any) -> dict[str, Any]:
    """A request for a tuning job of the built-in XGBoost on `data/`, with members of config or definition replaced."""
    config = {
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "validation:rmse"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": parallel},
        "ParameterRanges": RANGES,
        "RandomSeed": 1,
    } | changes.pop("config", {})
    definition = {
        "StaticHyperParameters": {"num_round": "3", "objective": "reg:squarederror"},
        "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        "RoleArn": aws.role,
        "InputDataConfig": [channel(aws, "train", "data/train/"), channel(aws, "validation", "data/validation/")],
        "OutputDataConfig": {"S3OutputPath": f"s3://{aws.bucket}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    } | changes.pop("definition", {})
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": config,
        "TrainingJobDefinition": definition,
    } | changes


def grid_request(aws: Account, name: str, script: str, *xs: str, parallel: int = 1, **changes: Any) -> dict[str, Any]:
    """A request for one training job of a script, which finds `x` defined and logs `loss=…`, for each value of x."""
    source = f"code/{name}.tar.gz"
    put(aws, source, archive({"train.py": _READ_X + script}))
    config = {
        "Strategy": "Grid",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
        "ResourceLimits": {"MaxParallelTrainingJobs": parallel},
        "ParameterRanges": {"CategoricalParameterRanges": [{"Name": "x", "Values": list(xs)}]},
    } | changes.pop("config", {})
    definition = {
        "AlgorithmSpecification": {
            "TrainingImage": SCIKIT_LEARN,
            "TrainingInputMode": "File",
            "MetricDefinitions": _LOSS,
        },
        "StaticHyperParameters": {
            "sagemaker_program": json.dumps("train.py"),
            "sagemaker_submit_directory": json.dumps(f"s3://{aws.bucket}/{source}"),
        },
    } | changes.pop("definition", {})
    request = tuning_request(aws, name, config=config, definition=definition, **changes)
    del request["TrainingJobDefinition"]["InputDataConfig"]
    return request


def describe(aws: Account, name: str) -> dict[str, Any]:
    found: dict[str, Any] = aws.client("sagemaker").describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name
    )
    return found


def trials(aws: Account, name: str, **members: Any) -> list[dict[str, Any]]:
    """The summaries of a tuning job's training jobs."""
    found = aws.client("sagemaker").list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name, **members
    )
    summaries: list[dict[str, Any]] = found["TrainingJobSummaries"]
    return summaries


def wait_for_end(aws: Account, name: str, seconds: float = 30) -> dict[str, Any]:
    """The description of the tuning job once it has ended."""
    deadline = time.monotonic() + seconds
    while (tuning := describe(aws, name))["HyperParameterTuningJobStatus"] in ("InProgress", "Stopping"):
        assert time.monotonic() < deadline, f"{name} is still running: {tuning['TrainingJobStatusCounters']}"
        time.sleep(0.02)
    return tuning


def run_tuning(aws: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    aws.client("sagemaker").create_hyper_parameter_tuning_job(**request)
    return wait_for_end(aws, request["HyperParameterTuningJobName"])
