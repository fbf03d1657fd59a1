"""One transform job, from its instances to its outputs."""

import shutil
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from common.local.context import LocalAws
from common.local.hosting.artifact import FleetFailure
from common.local.hosting.spec import VariantSpec
from common.local.jobs.inputs import InputError, find_objects, parse_s3_uri
from common.local.jobs.job_run import JobRun
from common.local.jobs.runner import Runner
from common.local.jobs.state import Ending, TransformState
from common.local.roles.s3 import S3Refused
from common.local.transform.association import Mismatch, association
from common.local.transform.instance import TransformInstance, Unanswered
from common.local.transform.objects import Item, in_order, target_key
from common.local.transform.payloads import BadInput, payloads
from common.local.transform.settings import Settings, as_the_container_asks, environment, settings

_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Lane:
    """An instance and what it works with."""

    instance: TransformInstance
    settings: Settings
    folder: Path
    """For outputs that are not whole yet."""
    stream: str
    """Of the data log."""


class TransformRun(JobRun[TransformState]):
    """Runs a transform job."""

    kind = "transform"
    log_group = "/aws/sagemaker/TransformJobs"

    def __init__(self, aws: LocalAws, account: str, region: str, name: str, spec: VariantSpec) -> None:
        """`spec` is the model as it was when the job was created."""
        super().__init__(aws, account, region, TransformState(aws.store, f"{account}/{region}", name))
        self._spec = spec
        self._association = association(self._job)
        self._halted = threading.Event()
        self._failures: list[bool] = []
        """Of each object that failed, whether its content is to blame."""
        self._written: list[str] = []
        """The keys of the outputs."""

    def _finish(self, ending: Ending) -> None:
        """As SageMaker's reference says of StopTransformJob: of a job that is stopped before its end no output is stored."""
        if self._state.settled(ending).status == "Stopped":
            bucket, _ = parse_s3_uri(self._job["TransformOutput"]["S3OutputPath"])
            with suppress(KeyError):  # the bucket is gone, and all that was in it
                for key in self._written:  # not as the role: on AWS nothing has been stored yet
                    self._aws.services.delete_object(self._account, bucket, key)
        self._state.finish(ending)

    def _attempt(self) -> Ending:
        with self._aws.part(Runner).slot(self._is_over) as taken:
            if not taken:
                return Ending("Stopped")
            self._state.change(TransformStartTime=time.time())
            try:
                self._transform()
            except FleetFailure as failure:
                raise InputError(f"ClientError: {failure}") from failure
        if self._halted.is_set():
            return Ending("Stopped")
        if not self._failures:
            return Ending("Completed")
        kind = "ClientError" if any(self._failures) else "AlgorithmError"
        return Ending("Failed", f"{kind}: See job logs for more information")

    def _is_over(self) -> bool:
        return self._aws.closing.is_set() or self._state.is_stopping()

    def _transform(self) -> None:
        """Take all objects through the instances; each takes the next one when it is free.

        Raises:
            InputError, FleetFailure: the inputs cannot be had, the outputs not be written, or the containers not be started.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        items = deque(self._items())
        with ExitStack() as ends:
            lanes = [self._lane(ends) for _ in range(self._spec.instances)]
            for lane in lanes:
                lane.instance.wait_until_healthy(self._is_over)
            if self._is_over():
                self._halted.set()
                return
            lanes = [self._tuned(lane) for lane in lanes]
            drivers = [lane for lane in lanes for _ in range(1 if lane.settings.by_line else lane.settings.concurrency)]
            with ThreadPoolExecutor(len(drivers), f"transform job {self._state.name}") as pool:
                working = {pool.submit(self._drive, lane, items) for lane in drivers}
                while wait(working, _POLL_SECONDS).not_done:
                    if self._is_over() and not self._halted.is_set():
                        self._halted.set()
                        for lane in lanes:
                            lane.instance.terminate()
            for driver in working:
                driver.result()

    def _items(self) -> Iterator[Item]:
        output = self._job["TransformOutput"]["S3OutputPath"]
        self._require_bucket(output)
        source = self._job["TransformInput"]["DataSource"]["S3DataSource"]
        is_prefix = source["S3DataType"] == "S3Prefix"
        for found in find_objects(self._s3, source):
            yield Item(found, target_key(parse_s3_uri(output)[1], source["S3Uri"], is_prefix, found))

    def _lane(self, ends: ExitStack) -> Lane:
        """Start an instance, which `ends` stops."""
        identifier = f"i-{uuid4().hex[:17]}"
        stream = f"{self._state.name}/{identifier}-{int(time.time())}"
        is_pipeline = len(self._spec.containers) > 1

        def log(container: str, line: str) -> None:
            self._log(stream.replace("/", f"/{container}-", 1) if is_pipeline else stream, [line])

        place = self._account, self._region
        folder = self._folder / identifier
        instance = TransformInstance(self._aws, place, self._spec, folder, environment(self._job), log)
        ends.callback(instance.stop)
        return Lane(instance, settings(self._job), folder, f"{stream}/data-log")

    def _tuned(self, lane: Lane) -> Lane:
        """The lane with the settings that its containers ask for, which the data log says first."""
        try:
            asked = lane.instance.execution_parameters()
            tuned = lane.settings if asked is None else as_the_container_asks(asked, lane.settings, self._job)
        except (ValueError, TypeError) as error:
            raise InputError(f"AlgorithmError: the container's execution parameters cannot be read: {error}") from error
        self._tell(lane, tuned.described)
        return replace(lane, settings=tuned)

    def _drive(self, lane: Lane, items: deque[Item]) -> None:
        """Take one object after the other; what is wrong with one fails that one alone."""
        while items and not self._halted.is_set():
            try:
                item = items.popleft()
            except IndexError:  # another has taken the last one
                return
            try:
                self._transform_object(lane, item)
            except KeyError:
                gone = "The object was deleted or replaced, or the bucket of the output does not exist."
                self._fail(lane, item, gone, blames_content=True)
            except (BadInput, Mismatch, S3Refused) as fault:
                self._fail(lane, item, str(fault), blames_content=True)
            except Unanswered as fault:
                self._fail(lane, item, str(fault), fault.is_client)

    def _transform_object(self, lane: Lane, item: Item) -> None:
        """Write the object's output, or nothing."""
        whole = lane.folder / f"{uuid4().hex}.out"
        parts = self._s3.parts(item.source.bucket, item.source.key)
        bodies = payloads(parts, lane.settings)
        at_once = lane.settings.concurrency if lane.settings.by_line else 1
        try:
            with ThreadPoolExecutor(at_once) as pool, whole.open("wb") as output:
                for answer in in_order(pool, partial(self._answer, lane), bodies, at_once):
                    output.write(answer + lane.settings.assembled)
            wanted = self._job["TransformOutput"]
            bucket, _ = parse_s3_uri(wanted["S3OutputPath"])
            self._s3.upload(bucket, item.target, whole, wanted.get("KmsKeyId") or None)
            self._written.append(item.target)
        finally:
            whole.unlink(missing_ok=True)

    def _answer(self, lane: Lane, payload: bytes) -> bytes:
        if self._association is None:
            return lane.instance.ask(payload, lane.settings)
        answer = lane.instance.ask(self._association.sent(payload), lane.settings)
        return self._association.associated(payload, answer)

    def _fail(self, lane: Lane, item: Item, message: str, blames_content: bool) -> None:
        if self._halted.is_set():  # it was not answered since nothing is any more
            return
        self._failures.append(blames_content)
        for line in message.splitlines():
            self._tell(lane, f"{item.name}: {line}")

    def _tell(self, lane: Lane, message: str) -> None:
        """Write a line of the data log."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        self._log(lane.stream, [f"{now}:[sagemaker logs]: {message}"])
