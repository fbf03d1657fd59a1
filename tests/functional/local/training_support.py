"""What the tests of containers and training jobs share: small data, job folders, requests."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from botocore.exceptions import ClientError

from common.local.containers.base import Folders
from tests.accounts import Account
from tests.archives import archive

XGBOOST = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:3.2-0"
SCIKIT_LEARN = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
ENDED = ("Completed", "Failed", "Stopped")


def regression_csv(rows: int = 200, seed: int = 0) -> str:
    """Label first, four features, no header; the label is nearly linear in the features.

    Values are sixteenths, which every parser reads exactly.
    """
    random = np.random.default_rng(seed)
    features = random.normal(size=(rows, 4))
    labels = 3 * features[:, 0] - features[:, 1] + 0.1 * random.normal(size=rows)
    table = np.round(np.column_stack([labels, features]) * 16) / 16
    return "".join(",".join(f"{value:.4f}" for value in row) + "\n" for row in table)


def binary_csv(rows: int = 200, seed: int = 0) -> str:
    """As `regression_csv`, with labels 0 and 1."""
    lines = [line.split(",", 1) for line in regression_csv(rows, seed).splitlines()]
    return "".join(f"{int(float(label) > 0)},{rest}\n" for label, rest in lines)


def job_folder(
    base: Path, hyperparameters: Mapping[str, str], files: Mapping[str, str], content_type: str | None = "text/csv"
) -> Folders:
    """A container's base directory with one file for each `<channel>/<name>`."""
    folders = Folders(base)
    folders.config.mkdir(parents=True)
    channel = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    if content_type:
        channel["ContentType"] = content_type
    names = {name.partition("/")[0] for name in files}
    configuration: dict[str, Any] = {
        "hyperparameters": dict(hyperparameters),
        "inputdataconfig": dict.fromkeys(names, channel),
        "resourceconfig": {
            "current_host": "algo-1",
            "hosts": ["algo-1"],
            "network_interface_name": "lo",
            "current_instance_type": "ml.m5.large",
        },
    }
    for name, content in configuration.items():
        (folders.config / f"{name}.json").write_text(json.dumps(content))
    for name in names:
        folders.channel(name).mkdir(parents=True)
    for name, text in files.items():
        path = base / "input" / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text(text)
    return folders


def put(aws: Account, key: str, body: str | bytes) -> None:
    aws.client("s3").put_object(Bucket=aws.bucket, Key=key, Body=body)


def get(aws: Account, key: str) -> bytes:
    body: bytes = aws.client("s3").get_object(Bucket=aws.bucket, Key=key)["Body"].read()
    return body


def keys(aws: Account, prefix: str) -> list[str]:
    found = aws.client("s3").list_objects_v2(Bucket=aws.bucket, Prefix=prefix)
    return [item["Key"] for item in found.get("Contents", [])]


def channel(aws: Account, name: str, prefix: str, **changes: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{aws.bucket}/{prefix}"} | changes.pop("source", {})
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}, **changes}


def job_request(aws: Account, name: str, **changes: Any) -> dict[str, Any]:
    """A request for a training job on `data/train`, with members added or replaced."""
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        "RoleArn": aws.role,
        "HyperParameters": {"num_round": "3", "objective": "reg:squarederror"},
        "InputDataConfig": [channel(aws, "train", "data/train/")],
        "OutputDataConfig": {"S3OutputPath": f"s3://{aws.bucket}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    } | changes


def script_request(
    aws: Account, name: str, script: str, files: Mapping[str, str] | None = None, **changes: Any
) -> dict[str, Any]:
    """A request for a job in script mode, whose source archive is in S3."""
    put(aws, f"code/{name}.tar.gz", archive({"train.py": script, **(files or {})}))
    hyperparameters = changes.pop("HyperParameters", {})
    request = job_request(
        aws,
        name,
        AlgorithmSpecification=changes.pop(
            "AlgorithmSpecification", {"TrainingImage": XGBOOST, "TrainingInputMode": "File"}
        ),
        HyperParameters={
            "sagemaker_program": json.dumps("train.py"),
            "sagemaker_submit_directory": json.dumps(f"s3://{aws.bucket}/code/{name}.tar.gz"),
            **hyperparameters,
        },
        **changes,
    )
    if "InputDataConfig" not in changes:
        del request["InputDataConfig"]
    return request


def wait_until(aws: Account, name: str, *statuses: str, seconds: float = 20) -> dict[str, Any]:
    """The description of the job once it is in one of these statuses or secondary statuses; ended ones by default."""
    deadline = time.monotonic() + seconds
    wanted = statuses or ENDED
    while True:
        job: dict[str, Any] = aws.client("sagemaker").describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] in wanted or job["SecondaryStatus"] in wanted:
            return job
        assert job["TrainingJobStatus"] not in ENDED, job.get("FailureReason")
        assert time.monotonic() < deadline, f"{name} is still {job['SecondaryStatus']}"
        time.sleep(0.02)


def run_job(aws: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    aws.client("sagemaker").create_training_job(**request)
    return wait_until(aws, request["TrainingJobName"])


def log_lines(aws: Account, job: str, host: str = "algo-1") -> list[str]:
    logs = aws.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/{host}-")["logStreams"]
    events = logs.get_log_events(logGroupName=group, logStreamName=streams[0]["logStreamName"], startFromHead=True)
    return [event["message"] for event in events["events"]]


def eventually(found: Callable[[], Any], seconds: float = 20) -> Any:
    """What the function finds, once that is anything."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "never found"
        time.sleep(0.02)
    return value


def logged(aws: Account, job: str, text: str) -> bool:
    try:
        return any(text in line for line in log_lines(aws, job))
    except (ClientError, IndexError):
        return False


def processes_of(folder_or_job: str) -> list[int]:
    """Processes whose environment names this job."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"TRAINING_JOB_NAME={folder_or_job}".encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:  # the process ended meanwhile
            continue
    return found
