"""The documents of jobs as they go from status to status."""

import time
from dataclasses import dataclass
from typing import Any, ClassVar

from common.local.store import Document, Store

KIND = "training-job"
PROCESSING_KIND = "processing-job"
TRANSFORM_KIND = "transform-job"
MESSAGES = {
    "Starting": "Launching requested ML instances",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job exceeded MaxWaitTimeInSeconds provided",
}
"""`StatusMessage` of each secondary status."""


@dataclass(frozen=True)
class Ending:
    """How a job ended: its last secondary status, and the reason when it failed."""

    secondary: str
    failure: str | None = None

    @property
    def status(self) -> str:
        return self.secondary if self.secondary in ("Completed", "Failed") else "Stopped"


@dataclass(frozen=True)
class JobDocument:
    """One job's document in the store."""

    store: Store
    scope: str
    name: str

    kind: ClassVar[str]
    status: ClassVar[str]
    """The member that holds the job's status."""

    def read(self) -> Document:
        document = self.store.get(self.scope, self.kind, self.name)
        if document is None:
            raise KeyError(self.name)
        return document

    def is_stopping(self) -> bool:
        return bool(self.read()[self.status] == "Stopping")

    def settled(self, ending: Ending) -> Ending:
        """How the job has ended: one that was asked to stop while it ended otherwise is `Stopped`."""
        return Ending("Stopped") if self.is_stopping() and ending.status != "Stopped" else ending


class JobState(JobDocument):
    """A training job's document."""

    kind = KIND
    status = "TrainingJobStatus"

    def stop(self) -> str:
        """Ask a running job to stop; the status that it was in."""
        with self.store.transaction():
            status: str = self.read()["TrainingJobStatus"]
            if status == "InProgress":
                self.enter("Stopping", TrainingJobStatus="Stopping")
        return status

    def enter(self, secondary: str, **changes: Any) -> None:
        """Begin a secondary status. A job that is being stopped keeps its status `Stopping`."""
        now = time.time()
        with self.store.transaction():
            transitions = self.read()["SecondaryStatusTransitions"]
            if transitions:
                transitions[-1].setdefault("EndTime", now)
            transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": MESSAGES[secondary]})
            if secondary in ("Completed", "Failed", "Stopped", "MaxRuntimeExceeded", "MaxWaitTimeExceeded"):
                transitions[-1]["EndTime"] = now
            changes |= {
                "SecondaryStatus": secondary,
                "SecondaryStatusTransitions": transitions,
                "LastModifiedTime": now,
            }
            self.store.update(self.scope, KIND, self.name, **changes)

    def finish(self, ending: Ending, **changes: Any) -> None:
        now = time.time()
        with self.store.transaction():
            document = self.read()
            ending = self.settled(ending)
            if "TrainingStartTime" in document:
                # an hour of spot capacity costs nothing here, so nothing is saved either
                seconds = max(1, round(now - document["TrainingStartTime"]))
                changes |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
            changes |= {"TrainingJobStatus": ending.status, "FailureReason": ending.failure, "TrainingEndTime": now}
            self.enter(ending.secondary, **changes)


class PlainState(JobDocument):
    """The document of a job without secondary statuses."""

    ended: ClassVar[str]
    """The member that holds when the job ended."""

    def stop(self) -> str:
        """Ask a running job to stop; the status that it was in."""
        with self.store.transaction():
            status: str = self.read()[self.status]
            if status == "InProgress":
                self.change(**{self.status: "Stopping"})
        return status

    def finish(self, ending: Ending, **changes: Any) -> None:
        with self.store.transaction():
            ending = self.settled(ending)
            told = {self.status: ending.status, "FailureReason": ending.failure, self.ended: time.time()}
            self.change(**told, **changes)

    def change(self, **changes: Any) -> None:
        self.store.update(self.scope, self.kind, self.name, LastModifiedTime=time.time(), **changes)


class ProcessingState(PlainState):
    """A processing job's document."""

    kind = PROCESSING_KIND
    status = "ProcessingJobStatus"
    ended = "ProcessingEndTime"


class TransformState(PlainState):
    """A transform job's document."""

    kind = TRANSFORM_KIND
    status = "TransformJobStatus"
    ended = "TransformEndTime"
