"""Processing jobs: a program out of a code archive, its folders from and to S3, run to its end by SageMaker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from common.aws import Aws
from common.denials import remedy_of
from common.environments import Network
from common.errors import TrainingError
from common.model import Model
from common.protection import protected_processing
from common.settings import Settings
from common.storage import Bucket
from common.training.code import digest_of, verified
from common.training.job import JobLog, Say, follow, start_or_join

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import (
        CreateProcessingJobRequestTypeDef,
        DescribeProcessingJobResponseTypeDef,
        ProcessingInputTypeDef,
        ProcessingOutputTypeDef,
    )

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
_CODE = "/opt/ml/processing/input/code"
# The container compares what it was given itself: S3 might have been written to since the job was started.
_START = """\
c={digest}; cd /opt/ml/processing && echo "$c  input/code/$c.tar.gz" | sha256sum -c --quiet && mkdir code \
&& tar -xzf input/code/$c.tar.gz -C code && exec python3 $PWD/code/$0 "$@\""""


@dataclass(frozen=True)
class Script:
    """A program out of a code archive.

    Attributes:
        code: S3 URI of the archive, a tar.gz that its SHA-256 is the name of.
        program: path of the Python program in the archive, e.g. `split.py`.
        arguments: its arguments, at most 100 of at most 256 characters each. Folders are named as they are in the container,
            `/opt/ml/processing/…`: the program knows none by heart.
    """

    code: str
    program: str
    arguments: Sequence[str] = ()


@dataclass(frozen=True)
class Input:
    """What lies below an S3 prefix, put into a folder of the container; sharded: each instance gets its part of the objects.

    With `manifest`, the URI is that of a JSON file that names them: `[{"prefix": "s3://bucket/folder/"}, "a.csv", …]`.
    """

    name: str
    uri: str
    path: str
    sharded: bool = False
    manifest: bool = False


@dataclass(frozen=True)
class Output:
    """A folder of the container whose files are put below an S3 prefix when the job has completed."""

    name: str
    path: str
    uri: str


@dataclass(frozen=True)
class Cluster:
    """The instances of a job; SageMaker stops it when it runs for longer than `max_run_seconds`."""

    instance_type: str
    instance_count: int = 1
    volume_gb: int = 30
    max_run_seconds: int = 3600


def processing_request(
    model: Model,
    settings: Settings,
    *,
    image: str,
    script: Script,
    inputs: Sequence[Input],
    outputs: Sequence[Output],
    cluster: Cluster,
    environment: Mapping[str, str] | None = None,
    network: Network | None = None,
) -> CreateProcessingJobRequestTypeDef:
    """The request of the processing job; `run_processing_job` gives it its name."""
    code = Input("code", script.code, _CODE)
    request: CreateProcessingJobRequestTypeDef = {
        "ProcessingJobName": "",
        "AppSpecification": {
            "ImageUri": image,
            "ContainerEntrypoint": ["/bin/bash", "-c", _START.format(digest=digest_of(script.code)), script.program],
        },
        "RoleArn": settings.role_of_jobs(model.name),
        "ProcessingInputs": [_input(given) for given in (code, *inputs)],
        "ProcessingOutputConfig": {"Outputs": [_output(given) for given in outputs]},
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": cast("Any", cluster.instance_type),  # AWS knows more types than the stubs do
                "InstanceCount": cluster.instance_count,
                "VolumeSizeInGB": cluster.volume_gb,
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": cluster.max_run_seconds},
        "Tags": [{"Key": "model", "Value": model.name}],
    }
    if script.arguments:
        request["AppSpecification"]["ContainerArguments"] = list(script.arguments)
    if environment:
        request["Environment"] = dict(environment)
    return protected_processing(request, settings, network)


def run_processing_job(
    aws: Aws,
    base_name: str,
    request: Callable[[], CreateProcessingJobRequestTypeDef],
    say: Say,
    *,
    left: Callable[[], bool] = lambda: True,
) -> DescribeProcessingJobResponseTypeDef:
    """Run the job, or join the one of that name that is under way or done, and answer it completed.

    A job that failed keeps its name for ever; the next attempt is called `<base_name>-2`, and so on.

    Args:
        base_name: at most 60 characters, since SageMaker allows 63.
        request: makes the request; called only where a job has to be started.
        left: whether what a completed job has left is still there; where it is not, another attempt is made.

    Raises:
        TrainingError: the job failed or was stopped, with what it left as its message and the end of its log, or its
            request was refused.
        ArtifactError: the code that it would run is not what its name says; nothing was started.
    """

    def describe(name: str) -> DescribeProcessingJobResponseTypeDef:
        return aws.sagemaker.describe_processing_job(ProcessingJobName=name)

    def create(name: str) -> object:
        named: CreateProcessingJobRequestTypeDef = {**request(), "ProcessingJobName": name}
        for given in named["ProcessingInputs"]:
            if given["InputName"] == "code":
                verified(Bucket(aws), given["S3Input"]["S3Uri"])
        return aws.sagemaker.create_processing_job(**named)

    def status(job: DescribeProcessingJobResponseTypeDef) -> str:
        return job["ProcessingJobStatus"]

    job, started = start_or_join(
        base_name,
        kind="processing",
        describe=describe,
        create=create,
        status=lambda job: "Failed" if status(job) == "Completed" and not left() else status(job),
    )
    name = job["ProcessingJobName"]
    say(f"Processing job {name}: {'started' if started else 'found, ' + status(job)}")
    log = JobLog(aws, name, LOG_GROUP)
    if status(job) != "Completed":
        job = follow(log, describe=lambda: describe(name), phase=status, status=status, say=say)
    if status(job) != "Completed":
        raise _failure(job, log.tail)
    return job


def _failure(job: DescribeProcessingJobResponseTypeDef, lines: Iterable[str]) -> TrainingError:
    name, status = job["ProcessingJobName"], job["ProcessingJobStatus"]
    reasons = [job[member] for member in ("ExitMessage", "FailureReason") if job.get(member)]
    told = "".join(f"\n  | {line}" for line in lines)
    log = f"Its log is in CloudWatch, {LOG_GROUP}, streams {name}/…; mend the cause and run the step again."
    return TrainingError(
        f"Processing job {name} is {status}: {reasons[0] if reasons else _stopped(job)}{told}",
        remedy_of(" ".join([*reasons, told]), log),
        told=status == "Failed",
    )


def _stopped(job: DescribeProcessingJobResponseTypeDef) -> str:
    """Why a job was stopped, of which SageMaker says nothing: its time was up, or somebody stopped it."""
    allowed = job["StoppingCondition"]["MaxRuntimeInSeconds"]
    if "ProcessingStartTime" in job:
        ran = (job["ProcessingEndTime"] - job["ProcessingStartTime"]).total_seconds()
        if ran >= allowed:
            return f"it ran for {ran:.0f} s, and MaxRuntimeInSeconds is {allowed}; declare a longer one"
    return "somebody stopped it"


def _input(given: Input) -> ProcessingInputTypeDef:
    return {
        "InputName": given.name,
        "S3Input": {
            "S3Uri": given.uri,
            "LocalPath": given.path,
            "S3DataType": "ManifestFile" if given.manifest else "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "ShardedByS3Key" if given.sharded else "FullyReplicated",
        },
    }


def _output(given: Output) -> ProcessingOutputTypeDef:
    s3: Any = {"S3Uri": given.uri, "LocalPath": given.path, "S3UploadMode": "EndOfJob"}
    return {"OutputName": given.name, "S3Output": s3}
