"""Batch scoring: 5,000,000 raw records through SageMaker's jobs, killed in the middle, beside bare `xgboost` predict.

Run it with `python -m benchmarks.batch`, or for another number of records with `python -m benchmarks.batch 500000`. The records
are half a million made-up customers in as many files as it takes, and one in a thousand of them is spoilt. The step is killed
and its transform job stopped once a third of the pieces has been scored, which loses them: SageMaker stores no output of a job
that is stopped. The second run has to bring every record into the output or among the rejected, exactly once, and no process
may take more than `MOST_MB`, however many records there are. The yardstick predicts the same customers from features that are
ready in memory, with all cores.

It takes some gigabytes of disk in the folder for temporary files.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import xgboost

from benchmarks.kit import local_aws
from churn_model import MODEL
from churn_model.customers import draw, to_text
from churn_model.deploy import BATCH
from churn_model.gather_data import DATA
from common.batch import Batch
from common.batch.manifest import Manifest, scored
from common.data.dataset import from_csv
from common.deployment import AllAtOnce, Endpoint
from common.evaluation.golden import Golden
from common.serving.archive import pack
from common.serving.inference import Encoder, Predictor, features, parse
from common.steps.batch import score_batches
from common.steps.context import Context
from common.storage import Layout
from tests.accounts import Account
from tests.functional.deployment.deployment_kit import ERRORS, Project

RECORDS, RECORDS_OF_A_FILE = 5_000_000, 500_000
SPOILT_EVERY = 1000
PIECES = 24
"""At least; of 5,000,000 records each is about as large as is declared."""
MOST_MB = 400
"""What a process of a job may take, and the step itself; docs/batch.md promises it for pieces of the declared size."""
STEP, AWS = "(the step)", "(the local AWS)"
KINDS = {
    "prepare.py": "check the records",
    " serve": "transform",
    "join.py": "join",
    STEP: "the step itself",
}
"""What a process does, by what its command line holds."""
PARTITION = "dt=2026-11-20"
ACCOUNT = "123456789012"
_SAMPLE_SECONDS = 0.2
_CHUNK = 50_000


def main() -> None:
    records = int(sys.argv[1]) if __name__ == "__main__" and len(sys.argv) > 1 else RECORDS
    predictor, golden = trained()
    text = customers(min(records, RECORDS_OF_A_FILE))
    bare = bare_rate(predictor, text)
    with local_aws() as running, tempfile.TemporaryDirectory() as folder:
        account = Account(running.url, ACCOUNT)
        os.environ.update(account.env)
        account.client("s3").create_bucket(
            Bucket=account.bucket, CreateBucketConfiguration={"LocationConstraint": account.region}
        )
        project = Project(account, MODEL)
        endpoint = Endpoint("ml.m5.large", AllAtOnce(bake_seconds=0), (ERRORS,))
        project.deploy(project.package(1, artifact=pack(predictor), golden=golden), endpoint)
        context = Context(project.aws, say=lambda _: None)
        bytes_ = put(context, text, records, Path(folder))
        print(f"{records:,} records, {bytes_ / 1e6:,.0f} MB of CSV, {len(os.sched_getaffinity(0))} cores")
        with watched(running.pid) as memory:
            batch = replace(BATCH, piece_mb=max(1, bytes_ // PIECES // 1_000_000))
            killed_after = killed(context, account, batch)
            run_again(batch, memory)
        [manifest] = scored(context.bucket, MODEL, PARTITION)
        report(account, manifest, killed_after, bare, memory)
        require_once(context, manifest, records)
        memory.require(MOST_MB)


def trained() -> tuple[Predictor, bytes]:
    """Churn's model of 200 trees, and its golden predictions."""
    files = DATA.prepare(DATA.read()).files
    rows = from_csv(files["train/train.csv"])
    booster = xgboost.train(
        {"objective": "binary:logistic", "max_depth": 4, "eta": 0.1}, xgboost.DMatrix(rows[:, 1:], rows[:, 0]), 200
    )
    predictor = Predictor(booster, Encoder.from_state(json.loads(files["encoder.json"])), DATA.columns.classes)
    records = [dict(record) for record in parse(customers(10), "text/csv", predictor.encoder)]
    return predictor, Golden(records, predictor.answers(records)).to_json()


def customers(count: int) -> bytes:
    """Raw records as CSV with a header, one in `SPOILT_EVERY` without its calls to customer service."""
    drawn = {
        name: values.round(2) if values.dtype.kind == "f" else values for name, values in draw(count, 2026).items()
    }
    header, *lines = to_text(drawn).splitlines(keepends=True)
    for number in range(SPOILT_EVERY - 1, len(lines), SPOILT_EVERY):
        lines[number] = lines[number].rpartition(b",")[0] + b",many\n"
    return header + b"".join(lines)


def put(context: Context, text: bytes, records: int, folder: Path) -> int:
    """Upload the partition; how many bytes it has."""
    path, left, size = folder / "customers.csv", records, 0
    header, *lines = text.splitlines(keepends=True)
    while left > 0:
        taken = lines[:left]
        path.write_bytes(header + b"".join(taken))
        key = f"{Layout(MODEL.name).batch_input()}{PARTITION}/customers-{left:09}.csv"
        context.bucket.upload(key, path)
        left, size = left - len(taken), size + path.stat().st_size
    return size


def bare_rate(predictor: Predictor, text: bytes) -> float:
    """Rows that the booster alone predicts in a second, from features that are ready; the best of three turns."""
    lines = [line for line in text.splitlines() if not line.endswith(b",many")]
    predictor.booster.set_param({"nthread": len(os.sched_getaffinity(0))})
    seconds = [0.0] * 3
    for start in range(1, len(lines), _CHUNK):
        body = b"\n".join([lines[0], *lines[start : start + _CHUNK]])
        rows = features(body, "text/csv", predictor.encoder)
        for turn in range(len(seconds)):
            started = time.perf_counter()
            predictor.booster.inplace_predict(rows)
            seconds[turn] += time.perf_counter() - started
    predictor.booster.set_param({"nthread": 1})
    return (len(lines) - 1) / min(seconds)


def killed(context: Context, account: Account, batch: Batch) -> int:
    """Run the step until a third of the pieces has been scored, then kill it and stop its job; how many had been."""
    step = multiprocessing.get_context("spawn").Process(target=_step, args=(batch,))
    step.start()
    work = Layout(MODEL.name).batch_work("")[:-1]
    while step.is_alive():
        names = context.bucket.listing(work)
        pieces = sum(name.endswith(".parquet") for name in names)
        answered = sum(name.endswith(".out") for name in names)
        if pieces and answered >= max(1, pieces // 3):
            step.kill()
            step.join()
            sagemaker = account.client("sagemaker")
            [job] = sagemaker.list_transform_jobs(StatusEquals="InProgress")["TransformJobSummaries"] or [None]
            if job:
                sagemaker.stop_transform_job(TransformJobName=job["TransformJobName"])
                while sagemaker.describe_transform_job(TransformJobName=job["TransformJobName"])[
                    "TransformJobStatus"
                ] not in ("Stopped", "Completed", "Failed"):
                    time.sleep(0.1)
            return answered
        time.sleep(0.05)
    raise AssertionError("the step ended before it could be killed: take more records")


def run_again(batch: Batch, memory: Memory) -> None:
    """Run the step to its end, and watch its memory, too."""
    step = multiprocessing.get_context("spawn").Process(target=_step, args=(batch,))
    step.start()
    memory.known[step.pid or 0] = STEP
    step.join()
    assert step.exitcode == 0, f"the second run ended with {step.exitcode}"


def _step(batch: Batch) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        score_batches(Context.from_environment(), MODEL, batch)


@dataclass
class Memory:
    """The most resident memory, in MB, that a process of each kind has taken.

    Attributes:
        known: of processes that no command line tells, the kind.
    """

    known: dict[int, str]
    most: dict[str, float] = field(default_factory=dict)

    def sample(self, root: int) -> None:
        for process in {*_below(root), *(Path("/proc", str(pid)) for pid in self.known)}:
            with contextlib.suppress(OSError, ValueError):  # it has ended
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                kind = self.known.get(int(process.name)) or next((name for name in KINDS if name in words), "")
                if kind:
                    self.most[kind] = max(self.most.get(kind, 0), _peak(process))

    def require(self, most: float) -> None:
        """Require that each kind was seen, and that none took more."""
        of_batch = {kind: self.most.get(kind, 0) for kind in KINDS}
        assert all(of_batch.values()), f"not each of {of_batch} MB was seen"
        assert max(of_batch.values()) <= most, f"{of_batch} MB: more than the {most} MB that are promised"


def _peak(process: Path) -> float:
    """The most that a process ever had in memory, in MB; Linux keeps it, so that no moment is missed."""
    found = re.search(r"VmHWM:\s+(\d+) kB", (process / "status").read_text())
    if found is None:
        raise ValueError("a process that has ended has no memory")
    return int(found[1]) * 1024 / 1e6


def _below(root: int) -> list[Path]:
    """The folders in /proc of the processes that a process has started, and of those that they have."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return [Path("/proc", str(pid)) for pid in found - {root}]


@contextmanager
def watched(pid: int) -> Iterator[Memory]:
    """Look at the processes of the jobs all the time."""
    memory, ended = Memory({pid: AWS}), threading.Event()

    def look() -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            memory.sample(pid)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield memory
    finally:
        ended.set()
        watcher.join()


def report(account: Account, manifest: Manifest, killed_after: int, bare: float, memory: Memory) -> None:
    """Print how long each job took, and what it needed."""
    sagemaker = account.client("sagemaker")
    lost, transform = _transforms(sagemaker, manifest.jobs["score"])
    records = manifest.records + manifest.rejected
    stages = {
        "prepare.py": _processing(sagemaker, manifest.jobs["prepare"]),
        " serve": transform,
        "join.py": _processing(sagemaker, manifest.jobs["join"]),
    }
    total = sum(stages.values())
    for kind, seconds in stages.items():
        told = f"{memory.most.get(kind, 0):5.0f} MB in the largest process"
        print(f"  {KINDS[kind]:<20} {seconds:7.1f} s   {records / seconds:9,.0f} rows/s   {told}")
    ratio = records / total / bare
    print(f"  {'all three jobs':<20} {total:7.1f} s   {records / total:9,.0f} rows/s   {ratio:.3f} × xgboost alone")
    print(f"  {'xgboost alone':<20} {'':7}     {bare:9,.0f} rows/s   yardstick: all cores, features in memory")
    print(f"  {KINDS[STEP]:<20} {memory.most.get(STEP, 0):38.0f} MB; {MOST_MB} MB are promised for each of these")
    print(f"  {'the local AWS':<20} {memory.most.get(AWS, 0):38.0f} MB, most of them objects of S3")
    print(
        f"  killed after {killed_after} of {len(manifest.parts)} pieces and {lost:.1f} s of the transform, which were lost"
    )


def _processing(sagemaker: Any, name: str) -> float:
    job = sagemaker.describe_processing_job(ProcessingJobName=name)
    return float((job["ProcessingEndTime"] - job["ProcessingStartTime"]).total_seconds())


def _transforms(sagemaker: Any, name: str) -> tuple[float, float]:
    """Seconds of the attempt that was stopped, and of the one that completed."""
    names = [
        job["TransformJobName"] for job in sagemaker.list_transform_jobs(NameContains=name)["TransformJobSummaries"]
    ]
    jobs = {
        job["TransformJobStatus"]: (job["TransformEndTime"] - job["TransformStartTime"]).total_seconds()
        for job in (sagemaker.describe_transform_job(TransformJobName=each) for each in names)
    }
    assert set(jobs) == {"Stopped", "Completed"}, "the transform was not stopped in time: take more records"
    return jobs["Stopped"], jobs["Completed"]


def require_once(context: Context, manifest: Manifest, records: int) -> None:
    """Read the whole output, and compare it with the input line by line."""
    prefix = Layout(MODEL.name).batch_output(PARTITION, manifest.package_version)
    found: dict[str, list[Any]] = {}
    for name in context.bucket.listing(prefix):
        body = context.bucket.read(prefix + name) or b""
        if name.endswith(".parquet"):
            rows = pq.read_table(io.BytesIO(body), columns=["input_file", "input_line"])
            found.setdefault(rows["input_file"][0].as_py(), []).append(rows["input_line"].to_numpy())
        elif name.endswith(".jsonl"):
            told = [json.loads(line) for line in body.splitlines()]
            for file in {record["file"] for record in told}:
                found.setdefault(file, []).append(np.array([each["line"] for each in told if each["file"] == file]))
    count = 0
    for file in manifest.files:
        lines = np.sort(np.concatenate(found.pop(file["name"])))
        assert np.array_equal(lines, np.arange(2, file["lines"] + 1)), f"{file['name']} is not there once"
        count += len(lines)
    assert not found
    assert count == records == manifest.records + manifest.rejected
    print(
        f"  every one of {count:,} records is there once: {manifest.records:,} scored, {manifest.rejected:,} rejected"
    )


if __name__ == "__main__":
    main()
