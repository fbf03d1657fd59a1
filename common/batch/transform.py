"""Running batch transform jobs: start one or find it, follow its log, and end with what it did or its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from common.aws import Aws
from common.errors import BatchError
from common.training.job import JobLog, Say, follow, start_or_join

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import CreateTransformJobRequestTypeDef, DescribeTransformJobResponseTypeDef

LOG_GROUP = "/aws/sagemaker/TransformJobs"


def run_transform_job(
    aws: Aws,
    base_name: str,
    request: Callable[[], CreateTransformJobRequestTypeDef],
    say: Say,
    *,
    left: Callable[[], bool],
) -> DescribeTransformJobResponseTypeDef:
    """Run the job, or join the one of that name that is under way or done, and answer it completed.

    A job that failed keeps its name for ever; the next attempt is called `<base_name>-2`, and so on.

    Args:
        request: makes the request; called only where a job has to be started.
        left: whether all that a completed job has left is still there; where it is not, another attempt is made.

    Raises:
        BatchError: the job failed or was stopped, with SageMaker's reason and the end of its log.
        TrainingError: SageMaker refused the request.
    """

    def describe(name: str) -> DescribeTransformJobResponseTypeDef:
        return aws.sagemaker.describe_transform_job(TransformJobName=name)

    def create(name: str) -> object:
        named: CreateTransformJobRequestTypeDef = {**request(), "TransformJobName": name}
        return aws.sagemaker.create_transform_job(**named)

    def status(job: DescribeTransformJobResponseTypeDef) -> str:
        return job["TransformJobStatus"]

    job, started = start_or_join(
        base_name,
        kind="transform",
        describe=describe,
        create=create,
        status=lambda job: "Failed" if status(job) == "Completed" and not left() else status(job),
    )
    name = job["TransformJobName"]
    say(f"Transform job {name}: {'started' if started else 'found, ' + status(job)}")
    log = JobLog(aws, name, LOG_GROUP)
    if status(job) != "Completed":
        job = follow(log, describe=lambda: describe(name), phase=status, status=status, say=say)
    if status(job) != "Completed":
        raise _failure(job, log.tail)
    return job


def _failure(job: DescribeTransformJobResponseTypeDef, lines: Iterable[str]) -> BatchError:
    name = job["TransformJobName"]
    told = "".join(f"\n  | {line}" for line in lines)
    return BatchError(
        f"Transform job {name} is {job['TransformJobStatus']}: {job.get('FailureReason') or 'somebody stopped it'}{told}",
        f"Its log is in CloudWatch, {LOG_GROUP}, streams {name}/…; mend the cause and run the step again: it scores what is "
        "left to do.",
        told=job["TransformJobStatus"] == "Failed",
    )
