"""Scoring one partition: three jobs of SageMaker, each started only where what it leaves is not there yet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from common.aws import Aws
from common.batch.code import code_archive
from common.batch.jobs import Place, join_request, prepare_request, transform_request
from common.batch.manifest import MANIFEST, Manifest, unaccounted
from common.batch.partitions import Task
from common.batch.progress import JOINED, PREPARED, Progress, progress, scorable, todo
from common.batch.transform import run_transform_job
from common.errors import BatchError, DataError
from common.model import Model
from common.registry import now
from common.storage import Bucket, Layout
from common.training.code import stored
from common.training.job import Say
from common.training.processing import run_processing_job

_DELETED_AT_ONCE = 1000


class _ScoredMeanwhile(Exception):
    """Another run, which has shared the jobs, was the first to say that the partition is complete."""

    def __init__(self, manifest: Manifest) -> None:
        super().__init__(manifest.partition)
        self.manifest = manifest


@dataclass(frozen=True)
class Scoring:
    """A partition on its way to rows with predictions. Whatever was done stays done, whoever did it.

    Attributes:
        input: S3 URI of the partition's folder.
        model_name: the SageMaker model that the transform runs.
    """

    aws: Aws
    model: Model
    task: Task
    input: str
    model_name: str
    say: Say

    def run(self) -> Manifest:
        """Score the partition. One of which no record can be scored comes out without rows, all of it set aside.

        Raises:
            DataError: the partition has files that cannot be read, or that lie in no folder.
            BatchError: the transform failed or was stopped, or the files have changed while they were read.
            TrainingError: a processing job failed, or the request of a job was refused.
        """
        if strange := self.task.partition.strange:
            raise DataError(
                f"{self.task.partition} has files that are neither CSV nor JSON lines: {', '.join(strange[:5])}."
                if self._name
                else f"Files lie beside the partitions, in no folder: {', '.join(strange[:5])}.",
                "Name files *.csv or *.jsonl, in folders; what begins with _ or . is passed over.",
            )
        try:
            manifest = self._scored()
        except _ScoredMeanwhile as other:
            manifest = other.manifest
        self._delete(self._work_key, self._bucket.listing(self._work_key))
        return manifest

    def _scored(self) -> Manifest:
        prepared = self._prepare()
        self._transform(prepared)
        return self._publish(prepared, self._join(prepared))

    def _prepare(self) -> Mapping[str, Any]:
        """What was prepared of the files, by this run or an earlier one."""
        if self._progress().prepared is None:
            stored(self._bucket, Layout(self.model.name).batch_code, self._code)
            run_processing_job(
                self.aws,
                self._job("prepare"),
                lambda: prepare_request(self.model, self.aws.settings, self.task, self._place),
                self.say,
                left=lambda: self._progress().prepared is not None,
            )
        prepared = self._progress().prepared
        if prepared is None:
            raise BatchError(
                f"The files of {self._name} have changed while they were read.",
                "Run the step again, once whoever writes them has finished.",
            )
        if lost := unaccounted(prepared["files"]):
            raise BatchError(f"{lost:,} lines of {self._name} are unaccounted for.", "This is a defect: report it.")
        return prepared

    def _transform(self, prepared: Mapping[str, Any]) -> None:
        if self._progress().pending:
            run_transform_job(
                self.aws,
                self._job("score"),
                lambda: self._transform_request(prepared),
                self.say,
                left=lambda: not self._progress().pending,
            )
        if pending := self._progress().pending:
            raise BatchError(
                f"The transform of {self._name} has completed, and {len(pending)} of its pieces have no answers.",
                "Run the step again: it scores what is left to do.",
            )

    def _transform_request(self, prepared: Mapping[str, Any]) -> Any:
        """The request of what is left to do; what an earlier attempt has answered is taken out of its way."""
        pending = self._progress().pending
        self._delete(self._work_key, [todo(name) for name in scorable(prepared) if name not in pending])
        return transform_request(self.model, self.task, self._place, prepared, self.model_name)

    def _join(self, prepared: Mapping[str, Any]) -> Mapping[str, Any]:
        """What was joined; nothing of it is published yet."""
        if self._progress().joined is None:
            self._delete(self._output_key, [MANIFEST])  # of other files, whose rows are about to be replaced
            run_processing_job(
                self.aws,
                self._job("join"),
                lambda: join_request(self.model, self.aws.settings, self.task, self._place, prepared),
                self.say,
                left=lambda: self._progress().joined is not None,
            )
        joined = self._progress().joined
        rows = sum(part["rows"] for part in joined["parts"]) if joined else 0
        if joined is None or rows != prepared["records"]:
            raise BatchError(
                f"Of {prepared['records']:,} records of {self._name}, {rows:,} are in its output.",
                "Somebody changes it at the same time; run the step again.",
            )
        return joined

    def _publish(self, prepared: Mapping[str, Any], joined: Mapping[str, Any]) -> Manifest:
        """Take away what earlier files of the partition have left in its output, and say that it is complete."""
        self._delete(self._output_key, set(self._bucket.listing(self._output_key)) - set(joined["files"]))
        manifest = Manifest(
            partition=self._name,
            package_version=self.task.package.version,
            package_arn=self.task.package.arn,
            inputs=self.task.partition.inputs,
            declared=self.task.batch.of_output(),
            digest=self.task.digest,
            records=prepared["records"],
            rejected=prepared["rejected"],
            reasons=prepared["reasons"],
            files=tuple(prepared["files"]),
            parts=tuple(joined["parts"]),
            jobs={part: self._job(part) for part in ("prepare", "score", "join")},
            scored_at=now(),
        )
        self._bucket.write_json(f"{self._output_key}{MANIFEST}", manifest.to_json())
        return manifest

    def _progress(self) -> Progress:
        """How far it has come. Raises _ScoredMeanwhile where somebody has just come to the end."""
        work = self._bucket.listing(self._work_key)
        documents = {name: self._bucket.read_json(self._work_key + name) for name in (PREPARED, JOINED) if name in work}
        # Read after the work, which goes last.
        output = self._bucket.listing(self._output_key)
        published = self._bucket.read_json(self._output_key + MANIFEST) if MANIFEST in output else None
        if published and published["digest"] == self.task.digest:
            raise _ScoredMeanwhile(Manifest.from_json(published))
        return progress(
            self.task.partition.files,
            {name: size for name, (_, size) in work.items()},
            documents.get(PREPARED),
            {name: size for name, (_, size) in output.items()},
            documents.get(JOINED),
        )

    def _delete(self, prefix: str, names: Iterable[str]) -> None:
        keys = [prefix + name for name in sorted(names)]
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            objects: Any = [{"Key": key} for key in keys[start : start + _DELETED_AT_ONCE]]
            self.aws.s3.delete_objects(Bucket=self._bucket.name, Delete={"Objects": objects, "Quiet": True})

    @property
    def _name(self) -> str:
        return self.task.partition.name

    @property
    def _bucket(self) -> Bucket:
        return Bucket(self.aws)

    @cached_property
    def _code(self) -> bytes:
        return code_archive()

    @cached_property
    def _code_digest(self) -> str:
        return hashlib.sha256(self._code).hexdigest()

    @cached_property
    def _digest(self) -> str:
        """Names the jobs: what is left of another partition, by another release of the code, or in other pieces, is not gone
        on with."""
        given = f"{self._name} {self.task.digest} {self.task.batch.piece_mb} {self._code_digest}"
        return hashlib.sha256(given.encode()).hexdigest()[:16]

    @property
    def _work_key(self) -> str:
        return Layout(self.model.name).batch_work(self._digest)

    @property
    def _output_key(self) -> str:
        return Layout(self.model.name).batch_output(self._name, self.task.package.version)

    @property
    def _place(self) -> Place:
        uri = self._bucket.uri
        code = Layout(self.model.name).batch_code(self._code_digest)
        return Place(uri(code), self.input, uri(self._work_key), uri(self._output_key))

    def _job(self, part: str) -> str:
        return f"{self.model.name}-{part}-{self._digest[:12]}"
