"""Running SageMaker's jobs: start one or find it, follow its log, and end with what it made or its reason."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing, says
from common.denials import remedy_of
from common.errors import TrainingError

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import GetLogEventsRequestTypeDef
    from mypy_boto3_sagemaker.type_defs import CreateTrainingJobRequestTypeDef, DescribeTrainingJobResponseTypeDef

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.1, 5.0
HEARTBEAT_SECONDS = 60.0
_TAIL_LINES = 10

Say = Callable[[str], None]
Job = TypeVar("Job")


def run_training_job(
    aws: Aws,
    base_name: str,
    request: Callable[[], CreateTrainingJobRequestTypeDef],
    say: Say,
    *,
    resumes: bool = False,
) -> DescribeTrainingJobResponseTypeDef:
    """Train, or join the training that is already under way or done, and answer the completed job.

    The name follows from what is trained, so that two runs of the same end in one job. A job that failed keeps its name
    for ever; the next attempt is called `<base_name>-2`, and so on.

    Args:
        request: makes the request; called only where a job has to be started.
        resumes: whether an attempt goes on from the checkpoints of the one before. Otherwise each has its own, below those
            of the request.

    Raises:
        TrainingError: the job failed or was stopped, with SageMaker's reason, or its request was refused.
    """
    job, started = start_or_join(
        base_name,
        kind="training",
        describe=lambda name: aws.sagemaker.describe_training_job(TrainingJobName=name),
        create=lambda name: aws.sagemaker.create_training_job(**_named(request(), name, resumes)),
        status=lambda job: job["TrainingJobStatus"],
    )
    name = job["TrainingJobName"]
    say(f"Training job {name}: {'started' if started else 'found, ' + job['TrainingJobStatus']}")
    if job["TrainingJobStatus"] != "Completed":
        job = follow(
            JobLog(aws, name, LOG_GROUP),
            describe=lambda: aws.sagemaker.describe_training_job(TrainingJobName=name),
            phase=lambda job: job["SecondaryStatus"],
            status=lambda job: job["TrainingJobStatus"],
            say=say,
        )
    if job["TrainingJobStatus"] != "Completed":
        reason = job.get("FailureReason") or job["SecondaryStatus"]
        log = f"Its log is in CloudWatch, {LOG_GROUP}, streams {name}/…; mend the cause and run the step again."
        raise TrainingError(
            f"Training job {name} is {job['TrainingJobStatus']}: {reason}",
            remedy_of(reason, log),
            told=job["TrainingJobStatus"] == "Failed" or job["SecondaryStatus"].startswith("Max"),  # its time was up
        )
    return job


def start_or_join(
    base_name: str,
    *,
    kind: str,
    describe: Callable[[str], Job],
    create: Callable[[str], object],
    status: Callable[[Job], str],
) -> tuple[Job, bool]:
    """(the job of that name, or of its newest attempt, as described; whether this call has started it).

    Args:
        kind: `training`, `tuning` or `processing`, for people.

    Raises:
        TrainingError: SageMaker refused the request.
    """
    for attempt in count(1):
        name = base_name if attempt == 1 else f"{base_name}-{attempt}"
        started = False
        job = _found(describe, name)
        if job is None:
            started = _created(kind, create, name)
            job = describe(name)
        if started or status(job) not in ("Failed", "Stopped"):
            return job, started
    raise AssertionError("unreachable")


def _found(describe: Callable[[str], Job], name: str) -> Job | None:
    try:
        return describe(name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise


def _created(kind: str, create: Callable[[str], object], name: str) -> bool:
    """Start the job; False when somebody else has just started it."""
    try:
        create(name)
    except ClientError as error:
        if says(error, "ResourceInUse"):
            return False
        if says(error, "ValidationException"):
            message = error.response["Error"]["Message"]
            raise TrainingError(
                f"SageMaker refused the {kind} job {name}: {message}",
                remedy_of(message, "Correct what the model folder declares, or the settings that the message names."),
            ) from error
        raise
    return True


def _named(request: CreateTrainingJobRequestTypeDef, name: str, resumes: bool) -> CreateTrainingJobRequestTypeDef:
    """The request under its name; with checkpoints of its own, unless it goes on from those of an earlier attempt."""
    named: CreateTrainingJobRequestTypeDef = {**request, "TrainingJobName": name}
    if "CheckpointConfig" in request and not resumes:
        named["CheckpointConfig"] = {"S3Uri": f"{request['CheckpointConfig']['S3Uri']}/{name}"}
    return named


def follow(
    log: JobLog,
    *,
    describe: Callable[[], Job],
    phase: Callable[[Job], str],
    status: Callable[[Job], str],
    say: Say,
) -> Job:
    """Print the phases and the log of a job as they come, until the job has ended; its last description."""
    current, spoken = "", time.monotonic()
    for pause in pauses():
        job = describe()
        lines = [line.replace("#011", "\t") for line in log.new_lines()]
        if phase(job) != current:
            current = phase(job)
            lines.append(f"  {current}")
        elif not lines and time.monotonic() - spoken > HEARTBEAT_SECONDS:
            lines.append(f"  still {current}")
        for line in lines:
            say(line)
            spoken = time.monotonic()
        if status(job) in ("Completed", "Failed", "Stopped"):
            return job
        time.sleep(pause)
    raise AssertionError("unreachable")


def pauses() -> Iterator[float]:
    """Short at first, since a job may be over at once; then as long as a job of minutes deserves."""
    pause = _FIRST_POLL_SECONDS
    while True:
        yield pause
        pause = min(pause * 1.15, _LONGEST_POLL_SECONDS)


@dataclass
class JobLog:
    """The log of a job, read on from where the last reading stopped.

    Attributes:
        tail: the last lines that were read.
    """

    aws: Aws
    job: str
    group: str
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))
    _tokens: dict[str, str] = field(default_factory=dict)

    def new_lines(self) -> list[str]:
        """What all instances have printed since the last call; nothing while the log does not exist yet."""
        pages = self.aws.logs.get_paginator("describe_log_streams").paginate(
            logGroupName=self.group, logStreamNamePrefix=f"{self.job}/"
        )
        try:
            streams = [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
        except ClientError as error:
            if is_missing(error):
                return []
            raise
        lines = [line for stream in streams for line in self._read(stream)]
        self.tail.extend(lines)
        return lines

    def _read(self, stream: str) -> Iterator[str]:
        request: GetLogEventsRequestTypeDef = {
            "logGroupName": self.group,
            "logStreamName": stream,
            "startFromHead": True,
        }
        while True:
            if stream in self._tokens:
                request["nextToken"] = self._tokens[stream]
            answer = self.aws.logs.get_log_events(**request)
            self._tokens[stream] = answer["nextForwardToken"]
            yield from (event["message"] for event in answer["events"])
            if answer["nextForwardToken"] == request.get("nextToken"):  # an empty page is not the end yet
                return
