"""Sharded training: thousands of small checkpoints below one prefix, a host that is killed, and the job after it."""

import os
import signal
from typing import Any

from tests.accounts import Account
from tests.functional.local.training_support import (
    SCIKIT_LEARN,
    channel,
    eventually,
    get,
    log_lines,
    put,
    run_job,
    script_request,
    wait_until,
)

MODELS = 260
"""Of a part: those of all parts are more than S3 lists on a page."""
PARTS = [f"part-{number}" for number in range(4)]

FIT = f"""
import os, sys, time
from pathlib import Path

checkpoints = Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints"
parts = sorted(os.listdir(os.environ["SM_CHANNEL_CUSTOMERS"]))
for folder in ("models", "parts"):
    (checkpoints / folder).mkdir(exist_ok=True)
found = [sum(1 for _ in (checkpoints / folder).iterdir()) for folder in ("models", "parts")]
print("FOUND", found, "OF", parts, "PID", os.getpid())
done = 0
for part in parts:
    if (checkpoints / "parts" / part).exists():
        continue
    while sys.argv[1:] == ["--parts", str(done)]:
        time.sleep(0.1)
    for number in range({MODELS}):
        (checkpoints / "models" / f"{{part}}-{{number}}.tar.gz").write_bytes(part.encode() * 100)
    (checkpoints / "parts" / part).write_text(os.environ["TRAINING_JOB_NAME"])
    done += 1
"""
"""Fits each part of its shard that has not been fitted; with `--parts n` it waits for ever after n of them."""


def fit_request(aws: Account, name: str, hosts: int, **changes: Any) -> dict[str, Any]:
    customers = channel(aws, "customers", "customers/", source={"S3DataDistributionType": "ShardedByS3Key"})
    return script_request(
        aws,
        name,
        FIT,
        AlgorithmSpecification={"TrainingImage": SCIKIT_LEARN, "TrainingInputMode": "File"},
        InputDataConfig=[customers],
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": hosts, "VolumeSizeInGB": 1},
        CheckpointConfig={"S3Uri": f"s3://{aws.bucket}/fleet"},
        **changes,
    )


def objects(aws: Account, prefix: str) -> set[str]:
    pages = aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=aws.bucket, Prefix=prefix)
    return {item["Key"].removeprefix(prefix) for page in pages for item in page.get("Contents", [])}


def models(*parts: str) -> set[str]:
    return {f"{part}-{number}.tar.gz" for part in parts for number in range(MODELS)}


def found(aws: Account, job: str, host: str) -> str:
    """What a host found at its start: (models, parts) in its checkpoints, and its shard."""
    [line] = [line for line in log_lines(aws, job, host) if line.startswith("FOUND")]
    return line.partition(" PID ")[0]


def process(aws: Account, job: str, host: str) -> int:
    [line] = [line for line in log_lines(aws, job, host) if line.startswith("FOUND")]
    return int(line.partition(" PID ")[2])


def test_after_a_killed_host_the_next_job_continues_from_the_checkpoints_of_all(aws: Account) -> None:
    for part in PARTS:
        put(aws, f"customers/{part}", part)
    sagemaker = aws.client("sagemaker")
    sagemaker.create_training_job(**fit_request(aws, "killed", 2, HyperParameters={"parts": "1"}))
    eventually(lambda: objects(aws, "fleet/parts/") == {"part-0", "part-1"})
    os.kill(process(aws, "killed", "algo-2"), signal.SIGKILL)
    job = wait_until(aws, "killed")
    assert (job["TrainingJobStatus"], "ExitCode -9" in job["FailureReason"]) == ("Failed", True)
    assert objects(aws, "fleet/parts/") == {"part-0", "part-1"}
    assert objects(aws, "fleet/models/") == models("part-0", "part-1")

    assert run_job(aws, fit_request(aws, "continued", 5))["TrainingJobStatus"] == "Completed"
    # read at once: the last copy is complete before the job is
    assert objects(aws, "fleet/models/") == models(*PARTS)
    assert [get(aws, f"fleet/parts/{part}").decode() for part in PARTS] == [
        "killed",
        "killed",
        "continued",
        "continued",
    ]
    shards = [[part] for part in PARTS] + [[]]  # the fifth finds its folder, empty
    for number, shard in enumerate(shards, start=1):
        assert found(aws, "continued", f"algo-{number}") == f"FOUND [{2 * MODELS}, 2] OF {shard}"
