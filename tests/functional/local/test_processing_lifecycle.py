"""Processing jobs beyond a single request: turns, and a server that is killed."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from common.local import daemon
from tests.accounts import REGION, Account
from tests.functional.local.processing_support import job_request, log_lines, logged, wait_until
from tests.functional.local.training_support import eventually

ENDLESS = "import os, time\nprint(os.getpid(), flush=True)\nprint('up', flush=True)\ntime.sleep(600)"


def test_jobs_beyond_the_machines_processors_wait_for_their_turn(aws: Account) -> None:
    sagemaker = aws.client("sagemaker")
    running = [f"busy-{number}" for number in range(os.cpu_count() or 1)]
    for name in running:
        sagemaker.create_processing_job(**job_request(aws, name, ENDLESS))
    eventually(lambda: all(logged(aws, name, "up") for name in running))
    for name in ("never", "next"):
        sagemaker.create_processing_job(**job_request(aws, name, ""))
    sagemaker.stop_processing_job(ProcessingJobName="never")
    never = wait_until(aws, "never")
    assert (never["ProcessingJobStatus"], "ProcessingStartTime" in never) == ("Stopped", False)
    assert "ProcessingStartTime" not in sagemaker.describe_processing_job(ProcessingJobName="next")
    for name in running:
        sagemaker.stop_processing_job(ProcessingJobName=name)
    assert wait_until(aws, "next")["ProcessingJobStatus"] == "Completed"


@pytest.mark.long
def test_a_job_dies_with_its_server_and_is_failed_after_the_restart(
    own_server: tuple[Path, Callable[[], Account]],
) -> None:
    root, start = own_server
    aws = start()
    aws.client("s3").create_bucket(Bucket=aws.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    aws.client("sagemaker").create_processing_job(**job_request(aws, "orphan", ENDLESS))
    eventually(lambda: logged(aws, "orphan", "up"))
    program = Path("/proc") / log_lines(aws, "orphan")[0]
    assert program.exists()
    server = daemon.status(root)
    assert server
    os.kill(server.pid, signal.SIGKILL)
    eventually(lambda: not program.exists())
    job = wait_until(start(), "orphan")
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"] == "InternalServerError: The local AWS was stopped while the job was running."
    assert job["ProcessingEndTime"]
