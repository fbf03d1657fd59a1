"""Transform jobs beyond a single request: a server that is killed, and what it says of them when it starts again."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from common.local import daemon
from common.local.context import LocalAws
from common.local.sagemaker import transform
from common.local.services import Services
from common.local.store import Store
from tests.accounts import REGION, Account
from tests.functional.local.training_support import eventually, put
from tests.functional.local.transform_support import job_request, log_lines, make_model, outputs, wait_until

REASON = "InternalServerError: The local AWS was stopped while the job was running."


def test_what_ran_when_the_server_ended_has_failed(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    for name, status in {"cut": "InProgress", "asked": "Stopping", "done": "Completed"}.items():
        store.put("1/r", "transform-job", name, {"TransformJobName": name, "TransformJobStatus": status})
    transform.resume(LocalAws(tmp_path, store, Services(lambda _: None), "http://127.0.0.1:1"))
    found = {
        job["TransformJobName"]: (job["TransformJobStatus"], job.get("FailureReason"))
        for job in store.list("1/r", "transform-job")
    }
    assert found == {"cut": ("Failed", REASON), "asked": ("Stopped", None), "done": ("Completed", None)}


@pytest.mark.long
def test_a_job_dies_with_its_server_and_its_whole_outputs_stay(own_server: tuple[Path, Callable[[], Account]]) -> None:
    root, start = own_server
    aws = start()
    aws.client("s3").create_bucket(Bucket=aws.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    make_model(aws, "sums")
    put(aws, "in/1.csv", "1,2\n")
    put(aws, "in/2.csv", "slow\n")
    aws.client("sagemaker").create_transform_job(**job_request(aws, "cut"))
    eventually(lambda: outputs(aws, "cut"))
    eventually(lambda: "1 lines" in log_lines(aws, "cut"))
    server = daemon.status(root)
    assert server
    processes = containers_below(root)
    assert processes
    os.kill(server.pid, signal.SIGKILL)
    eventually(lambda: not any(process.exists() for process in processes))
    aws = start()
    job = wait_until(aws, "cut")
    assert (job["TransformJobStatus"], job["FailureReason"]) == ("Failed", REASON)
    assert job["TransformEndTime"]


def containers_below(folder: Path) -> list[Path]:
    """Processes, as folders of /proc, whose container's base lies below the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if f"SAGEMAKER_BASE_DIR={folder}".encode() in (path / "environ").read_bytes():
                found.append(path)
        except OSError:  # another user's, or it has just ended
            continue
    return found
