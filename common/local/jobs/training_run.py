"""One training job, from its instances to its artifacts."""

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from common.local.container_process import Container
from common.local.containers import Program, program
from common.local.context import LocalAws
from common.local.jobs import contract
from common.local.jobs.artifacts import Mirror, pack, put
from common.local.jobs.inputs import download, find_objects, parse_s3_uri, share
from common.local.jobs.job_run import JobRun
from common.local.jobs.metrics import NAMESPACE, MetricReader
from common.local.jobs.runner import Runner
from common.local.jobs.state import Ending, JobState

_FAILURE_CHARACTERS = 1024


@dataclass(frozen=True)
class Host:
    """One instance of the job."""

    name: str
    base: Path
    checkpoints: Mirror | None


@dataclass(frozen=True)
class Follower:
    """Who hears of a job while it runs, in the job's own threads."""

    metrics: Callable[[dict[str, list[float]]], None] = lambda _values: None
    """Called with the new values of each metric as they are logged."""
    ended: Callable[[], None] = lambda: None
    """Called once, when the job's document says how it ended."""


class TrainingRun(JobRun[JobState]):
    """Runs a training job."""

    kind = "training"
    log_group = "/aws/sagemaker/TrainingJobs"

    def __init__(self, aws: LocalAws, account: str, region: str, name: str, follower: Follower) -> None:
        super().__init__(aws, account, region, JobState(aws.store, f"{account}/{region}", name))
        self._follower = follower
        specification = self._job["AlgorithmSpecification"]
        self._program: Program = program(specification["TrainingImage"])
        self._metrics = MetricReader(specification.get("MetricDefinitions", ()), contract.is_built_in(self._job))
        self._metrics_lock = threading.Lock()

    def _finish(self, ending: Ending) -> None:
        self._state.finish(ending, FinalMetricDataList=self._metrics.final or None)
        self._follower.ended()

    def _attempt(self) -> Ending:
        conditions = self._job["StoppingCondition"]
        longest_wait = conditions.get("MaxWaitTimeInSeconds", float("inf"))

        def given_up() -> bool:
            waited = time.monotonic() - self._created
            return self._aws.closing.is_set() or self._state.is_stopping() or waited > longest_wait

        with self._aws.part(Runner).slot(given_up) as taken:
            if not taken:
                return Ending("Stopped" if self._state.is_stopping() else "MaxWaitTimeExceeded")
            # waiting for the instances counts against MaxWaitTimeInSeconds, but not against MaxRuntimeInSeconds
            waited = time.monotonic() - self._created
            limits = {
                "MaxRuntimeExceeded": conditions["MaxRuntimeInSeconds"],
                "MaxWaitTimeExceeded": longest_wait - waited,
            }
            kind, seconds = min(limits.items(), key=lambda item: item[1])
            return self._run_hosts(Ending(kind), time.monotonic() + seconds)

    def _run_hosts(self, timed_out: Ending, deadline: float) -> Ending:
        self._state.enter("Downloading", TrainingStartTime=time.time())
        hosts = self._prepare()
        self._state.enter("Training")
        containers = self._start(hosts)
        try:
            ending = self._watch(containers, _checkpoints(hosts), timed_out, deadline)
        finally:
            for container in containers:
                container.finish()
        if self._aws.closing.is_set():
            return ending
        if ending.secondary == "Failed":
            ending = self._explain(hosts, [container.poll() for container in containers])
        else:
            self._state.enter("Uploading")
            self._upload(hosts)
        for mirror in _checkpoints(hosts):
            mirror.copy()
        return ending

    def _prepare(self) -> list[Host]:
        """The hosts with their files.

        Raises:
            InputError: a channel has no data, or a bucket of the outputs does not exist.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        names = contract.host_names(self._job["ResourceConfig"]["InstanceCount"])
        hosts = [Host(name, self._folder / name, self._mirror(self._folder / name)) for name in names]
        self._require_bucket(self._job["OutputDataConfig"]["S3OutputPath"])
        if "CheckpointConfig" in self._job:
            self._require_bucket(self._job["CheckpointConfig"]["S3Uri"])
        for host in hosts:
            contract.write_config(self._job, host.name, host.base)
        with ThreadPoolExecutor(len(hosts)) as pool:
            list(pool.map(Mirror.restore, _checkpoints(hosts)))
        for channel in contract.channels(self._job):
            s3 = channel["DataSource"]["S3DataSource"]
            objects = find_objects(self._s3, s3)
            for number, host in enumerate(hosts):
                part = share(objects, s3.get("S3DataDistributionType", "FullyReplicated"), number, len(hosts))
                download(self._s3, part, host.base / "input" / "data" / channel["ChannelName"])
        return hosts

    def _start(self, hosts: Sequence[Host]) -> list[Container]:
        meeting = contract.meeting_place() if len(hosts) > 1 else {}
        started = int(time.time())
        return [
            Container(
                self._program.train_command,
                contract.environment(self._aws, self._job, self._job["TrainingJobArn"], host.base) | meeting,
                host.base,
                partial(self._log, f"{self._job['TrainingJobName']}/{host.name}-{started}"),
            )
            for host in hosts
        ]

    def _read(self, lines: list[str]) -> None:
        """Put the metrics of logged lines into CloudWatch."""
        with self._metrics_lock:
            found = self._metrics.read(lines)
        dimensions = {"TrainingJobName": self._job["TrainingJobName"]}
        for name, values in found.items():
            self._aws.services.put_metric(self._account, self._region, NAMESPACE, name, dimensions, values)
        self._follower.metrics(found)

    def _upload(self, hosts: Sequence[Host]) -> None:
        bucket, key = parse_s3_uri(self._job["ModelArtifacts"]["S3ModelArtifacts"])
        folder, kms_key = key.removesuffix("/model.tar.gz"), self._job["OutputDataConfig"].get("KmsKeyId") or None
        for name, parts in (("model", ["model"]), ("output", ["output", "data"])):
            archive = pack([host.base.joinpath(*parts) for host in hosts])
            if archive is not None:
                put(self._s3, bucket, f"{folder}/{name}.tar.gz", archive, kms_key)

    def _explain(self, hosts: Sequence[Host], codes: Sequence[int | None]) -> Ending:
        """The reason that a container left in `output/failure`: of the first host that failed by itself."""
        failed = [(host, code) for host, code in zip(hosts, codes, strict=True) if code]
        host, code = min(failed, key=lambda item: (item[1] == -9, item[0].name))
        path = host.base / "output" / "failure"
        if path.is_file():
            return Ending("Failed", f"AlgorithmError: {path.read_text(errors='replace')[:_FAILURE_CHARACTERS]}")
        return Ending("Failed", f"AlgorithmError: , exit code: {code if code > 0 else 128 - code}")

    def _mirror(self, base: Path) -> Mirror | None:
        config: dict[str, Any] | None = self._job.get("CheckpointConfig")
        if config is None:
            return None
        bucket, prefix = parse_s3_uri(config["S3Uri"])
        return Mirror(self._s3, bucket, prefix, contract.checkpoint_folder(self._job, base))


def _checkpoints(hosts: Sequence[Host]) -> list[Mirror]:
    return [host.checkpoints for host in hosts if host.checkpoints]
