"""One processing job, from its instances to its outputs."""

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from common.local.container_process import Container
from common.local.context import LocalAws
from common.local.jobs import processing_contract as contract
from common.local.jobs.artifacts import Mirror
from common.local.jobs.contract import host_environment, host_names
from common.local.jobs.inputs import InputError, download, find_objects, parse_s3_uri, share
from common.local.jobs.job_run import JobRun
from common.local.jobs.runner import Runner
from common.local.jobs.state import Ending, ProcessingState

_COMMAND = (sys.executable, "-P", "-m", "common.local.containers.processing")
_MESSAGE_BYTES = 1024


@dataclass(frozen=True)
class Host:
    """One instance of the job, with its outputs by when they are uploaded."""

    name: str
    base: Path
    continuous: list[Mirror]
    at_the_end: list[Mirror]


class ProcessingRun(JobRun[ProcessingState]):
    """Runs a processing job."""

    kind = "processing"
    log_group = "/aws/sagemaker/ProcessingJobs"

    def __init__(self, aws: LocalAws, account: str, region: str, name: str) -> None:
        super().__init__(aws, account, region, ProcessingState(aws.store, f"{account}/{region}", name))
        self._message: str | None = None

    def _finish(self, ending: Ending) -> None:
        self._state.finish(ending, ExitMessage=self._message)

    def _attempt(self) -> Ending:
        def given_up() -> bool:
            return self._aws.closing.is_set() or self._state.is_stopping()

        with self._aws.part(Runner).slot(given_up) as taken:
            return self._run_hosts() if taken else Ending("Stopped")

    def _run_hosts(self) -> Ending:
        self._state.change(ProcessingStartTime=time.time())
        deadline = time.monotonic() + self._job["StoppingCondition"]["MaxRuntimeInSeconds"]
        hosts = self._prepare()
        containers = [self._start(host, len(hosts)) for host in hosts]
        continuous = [mirror for host in hosts for mirror in host.continuous]
        try:
            ending = self._watch(containers, continuous, Ending("Stopped"), deadline)
        finally:
            for container in containers:
                container.finish()
        if self._aws.closing.is_set():
            return ending
        self._message = self._read_messages(hosts)
        completed = ending.secondary == "Completed"
        for mirror in [*continuous, *(mirror for host in hosts if completed for mirror in host.at_the_end)]:
            mirror.copy()
        if ending.secondary == "Failed":
            return Ending("Failed", "AlgorithmError: See job logs for more information")
        return ending

    def _prepare(self) -> list[Host]:
        """The hosts with their files.

        Raises:
            InputError: an input has no data, or the bucket of an output does not exist.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        names = host_names(self._job["ProcessingResources"]["ClusterConfig"]["InstanceCount"])
        for output in contract.outputs(self._job):
            self._require_bucket(output["S3Uri"])
        for name in names:
            contract.write_config(self._job, name, self._folder / name)
        for given in contract.inputs(self._job):
            objects = find_objects(self._s3, given)
            for number, name in enumerate(names):
                part = share(objects, given.get("S3DataDistributionType", "FullyReplicated"), number, len(names))
                download(self._s3, part, Path(contract.placed(given["LocalPath"], self._folder / name)))
        return [self._host(name) for name in names]

    def _host(self, name: str) -> Host:
        base = self._folder / name
        mirrors: dict[str, list[Mirror]] = {"Continuous": [], "EndOfJob": []}
        for output in contract.outputs(self._job):
            bucket, prefix = parse_s3_uri(output["S3Uri"])
            folder = Path(contract.placed(output["LocalPath"], base))
            key = self._job["ProcessingOutputConfig"].get("KmsKeyId") or None
            mirrors[output["S3UploadMode"]].append(Mirror(self._s3, bucket, prefix, folder, key))
        return Host(name, base, mirrors["Continuous"], mirrors["EndOfJob"])

    def _start(self, host: Host, hosts: int) -> Container:
        given = contract.placed(self._job.get("Environment", {}), host.base)
        isolated = self._job.get("NetworkConfig", {}).get("EnableNetworkIsolation", False)
        name, arn, role = (self._job[member] for member in ("ProcessingJobName", "ProcessingJobArn", "RoleArn"))
        return Container(
            (*_COMMAND, *contract.command(self._job, host.base)),
            host_environment(self._aws, arn, role, host.base, hosts, given, isolated=isolated),
            host.base,
            partial(self._log, f"{name}/{host.name}-{int(time.time())}"),
        )

    def _read_messages(self, hosts: Sequence[Host]) -> str | None:
        """The ExitMessage: what the hosts have left in `/opt/ml/output/message`, one after the other.

        Raises:
            InputError: it is no UTF-8.
        """
        files = [contract.message_file(host.base) for host in hosts]
        content = b"".join(file.read_bytes()[:_MESSAGE_BYTES] for file in files if file.is_file())
        try:
            content.decode()
        except UnicodeDecodeError:
            raise InputError("ClientError: The exit message in /opt/ml/output/message is not UTF-8 encoded.") from None
        return content[:_MESSAGE_BYTES].decode(errors="ignore") or None
