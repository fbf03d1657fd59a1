"""The document of a tuning job as it goes from status to status."""

import time
from dataclasses import dataclass

from common.local.store import Document, Store

KIND = "hyper-parameter-tuning-job"


@dataclass(frozen=True)
class TuningState:
    """One tuning job's document in the store."""

    store: Store
    scope: str
    name: str

    def read(self) -> Document:
        document = self.store.get(self.scope, KIND, self.name)
        if document is None:
            raise KeyError(self.name)
        return document

    def is_stopping(self) -> bool:
        return bool(self.read()["HyperParameterTuningJobStatus"] == "Stopping")

    def stop(self) -> str:
        """Ask a running job to stop; the status that it was in."""
        with self.store.transaction():
            status: str = self.read()["HyperParameterTuningJobStatus"]
            if status == "InProgress":
                changes = {"HyperParameterTuningJobStatus": "Stopping", "LastModifiedTime": time.time()}
                self.store.update(self.scope, KIND, self.name, **changes)
        return status

    def finish(self, status: str, failure: str | None = None) -> None:
        """End the job. One that was asked to stop while it ended otherwise is `Stopped`."""
        now = time.time()
        with self.store.transaction():
            document = self.read()
            if document["HyperParameterTuningJobStatus"] == "Stopping":
                status, failure = "Stopped", None
            self.store.update(
                self.scope,
                KIND,
                self.name,
                HyperParameterTuningJobStatus=status,
                FailureReason=failure,
                HyperParameterTuningEndTime=now,
                LastModifiedTime=now,
            )
