"""What the tests of transform jobs share: a model, requests, and waiting for a job."""

import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from tests.accounts import Account
from tests.archives import archive
from tests.functional.local.training_support import ENDED, SCIKIT_LEARN, get, keys, put

HANDLERS = """
import json, os, time

def model_fn(folder):
    return None

def transform_fn(_model, body, content_type, accept):
    text = body if isinstance(body, str) else body.decode()
    if "environment" in text:
        return json.dumps({name: os.environ.get(name) for name in os.environ if name.startswith("SAGEMAKER_")}), accept
    if "crash" in text:
        os._exit(1)
    if "slow" in text:
        time.sleep(60)
    if content_type == "application/jsonlines":
        return "".join(json.dumps({"sum": sum(json.loads(line)["x"])}) + "\\n" for line in text.splitlines()), accept
    print(f"{len(text.splitlines())} lines", flush=True)
    return "".join(f"{sum(map(float, line.split(',')))}\\n" for line in text.splitlines()), accept
"""
"""Answers the sum of each row."""


def make_model(aws: Account, name: str, handlers: str = HANDLERS, **environment: str) -> None:
    """A model of the scikit-learn image with these handlers."""
    put(aws, f"{name}.tar.gz", archive({"inference.py": handlers}))
    container = {"Image": SCIKIT_LEARN, "ModelDataUrl": f"s3://{aws.bucket}/{name}.tar.gz", "Environment": environment}
    sagemaker = aws.client("sagemaker")
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=aws.role)


def job_request(aws: Account, name: str, prefix: str = "in/", **changes: Any) -> dict[str, Any]:
    """A request for a job of the model `sums` on what lies below the prefix, split by line."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{aws.bucket}/{prefix}"} | changes.pop("source", {})
    given = {"DataSource": {"S3DataSource": source}, "ContentType": "text/csv", "SplitType": "Line"}
    output = {"S3OutputPath": f"s3://{aws.bucket}/{name}", "Accept": "text/csv"}
    return {
        "TransformJobName": name,
        "ModelName": "sums",
        "TransformInput": given | changes.pop("given", {}),
        "TransformOutput": output | changes.pop("output", {}),
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": changes.pop("instances", 1)},
    } | changes


def wait_until(aws: Account, name: str, *statuses: str, seconds: float = 30) -> dict[str, Any]:
    """The description of the job once it is in one of these statuses; ended ones by default."""
    deadline = time.monotonic() + seconds
    while True:
        job: dict[str, Any] = aws.client("sagemaker").describe_transform_job(TransformJobName=name)
        if job["TransformJobStatus"] in (statuses or ENDED):
            return job
        assert job["TransformJobStatus"] not in ENDED, job.get("FailureReason")
        assert time.monotonic() < deadline, f"{name} is still {job['TransformJobStatus']}"
        time.sleep(0.02)


def run_job(aws: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    aws.client("sagemaker").create_transform_job(**request)
    return wait_until(aws, request["TransformJobName"])


def outputs(aws: Account, name: str) -> dict[str, str]:
    """What a job has written, by the rest of the key."""
    return {key.removeprefix(f"{name}/"): get(aws, key).decode() for key in keys(aws, f"{name}/")}


def log_lines(aws: Account, job: str) -> list[str]:
    """The lines of all log streams of a job."""
    logs, where = aws.client("logs"), {"logGroupName": "/aws/sagemaker/TransformJobs"}
    try:
        streams = logs.describe_log_streams(**where, logStreamNamePrefix=f"{job}/")["logStreams"]
    except ClientError:
        return []
    found = [logs.get_log_events(**where, logStreamName=s["logStreamName"], startFromHead=True) for s in streams]
    return [event["message"] for events in found for event in events["events"]]
