"""What the tests of processing jobs share: requests, and waiting for a job."""

import json
import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from tests.accounts import Account
from tests.functional.local.training_support import ENDED, SCIKIT_LEARN, keys, put

CODE = "/opt/ml/processing/input/code"


def given(aws: Account, name: str, prefix: str, path: str, **changes: str) -> dict[str, Any]:
    """A ProcessingInput."""
    source = {"S3Uri": f"s3://{aws.bucket}/{prefix}", "LocalPath": path, "S3DataType": "S3Prefix"}
    return {"InputName": name, "S3Input": source | changes}


def result(aws: Account, name: str, prefix: str, path: str, mode: str = "EndOfJob") -> dict[str, Any]:
    """A ProcessingOutput."""
    return {
        "OutputName": name,
        "S3Output": {"S3Uri": f"s3://{aws.bucket}/{prefix}", "LocalPath": path, "S3UploadMode": mode},
    }


def job_request(
    aws: Account, name: str, script: str, *arguments: str, instances: int = 1, **changes: Any
) -> dict[str, Any]:
    """A request for a job that runs a Python script; `Inputs` and `Outputs` are added to it."""
    put(aws, f"code/{name}/program.py", script)
    code = given(aws, "code", f"code/{name}/", CODE)
    application = {"ImageUri": SCIKIT_LEARN, "ContainerEntrypoint": ["python3", f"{CODE}/program.py"]}
    return {
        "ProcessingJobName": name,
        "AppSpecification": application | ({"ContainerArguments": list(arguments)} if arguments else {}),
        "RoleArn": aws.role,
        "ProcessingInputs": [code, *changes.pop("Inputs", [])],
        "ProcessingOutputConfig": {"Outputs": changes.pop("Outputs", [])},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": instances, "VolumeSizeInGB": 1}
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    } | changes


def wait_until(aws: Account, name: str, *statuses: str, seconds: float = 20) -> dict[str, Any]:
    """The description of the job once it is in one of these statuses; ended ones by default."""
    deadline = time.monotonic() + seconds
    while True:
        job: dict[str, Any] = aws.client("sagemaker").describe_processing_job(ProcessingJobName=name)
        if job["ProcessingJobStatus"] in (statuses or ENDED):
            return job
        assert job["ProcessingJobStatus"] not in ENDED, job.get("FailureReason")
        assert time.monotonic() < deadline, f"{name} is still {job['ProcessingJobStatus']}"
        time.sleep(0.02)


def run_job(aws: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    aws.client("sagemaker").create_processing_job(**request)
    return wait_until(aws, request["ProcessingJobName"])


def log_lines(aws: Account, job: str, host: str = "algo-1") -> list[str]:
    logs = aws.client("logs")
    where = {"logGroupName": "/aws/sagemaker/ProcessingJobs"}
    [stream] = logs.describe_log_streams(**where, logStreamNamePrefix=f"{job}/{host}-")["logStreams"]
    events = logs.get_log_events(**where, logStreamName=stream["logStreamName"], startFromHead=True)["events"]
    return [event["message"] for event in events]


def logged(aws: Account, job: str, text: str) -> bool:
    try:
        return text in log_lines(aws, job)
    except (ClientError, ValueError):  # no log yet, or no stream in it
        return False


def printed(aws: Account, job: str, host: str = "algo-1") -> Any:
    """The one line of JSON that a host has printed."""
    [line] = log_lines(aws, job, host)
    return json.loads(line)


def objects(aws: Account, prefix: str) -> dict[str, bytes]:
    """The content of each object below a prefix, by the rest of its key."""
    s3 = aws.client("s3")
    found = {key: s3.get_object(Bucket=aws.bucket, Key=key)["Body"].read() for key in keys(aws, prefix)}
    return {key.removeprefix(prefix): content for key, content in found.items()}
