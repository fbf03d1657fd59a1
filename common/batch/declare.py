"""How a model scores batches, as its `deploy.py` declares it: `BATCH = Batch(...)`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from common.errors import UsageError
from common.model import Model
from common.training.processing import Cluster

_MOST_PAYLOAD_MB = 100


@dataclass(frozen=True)
class Batch:
    """What is scored, by what, and in which form it comes out.

    Attributes:
        instance_type, instance_count: what the transform runs on; instances share the pieces of a partition.
        keys: columns that say whose a record is; they go beside its prediction. One may be an input of the model, too.
        input: S3 prefix of the partitions, with a slash at the end; by default `<model>/batch/input/` in the bucket.
        format: of the rows that come out.
        requests_at_once: how many an instance is asked at a time; as many as it has processors is a good start.
        piece_mb: of how much input a piece is made. A transform has scored a piece or has not: after an interruption no more
            than those under way are scored again.
        processing: the instance that checks the records before, and joins the predictions after.
    """

    instance_type: str
    instance_count: int = 1
    keys: tuple[str, ...] = ()
    input: str = ""
    format: Literal["parquet", "csv"] = "parquet"
    requests_at_once: int = 2
    piece_mb: int = 16
    processing: Cluster = Cluster("ml.m5.large")  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        if self.input and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/(.+/)?", self.input):
            raise UsageError(f"'{self.input}' is no prefix in S3.", "Declare e.g. input='s3://bucket/churn/input/'.")
        keys: object = self.keys
        if isinstance(keys, str):  # what ("Phone") is
            raise UsageError(f"'{keys}' is a text where columns are listed.", f"Declare keys=('{keys}',).")
        if self.format not in ("parquet", "csv"):
            raise UsageError(f"Rows cannot be written as '{self.format}'.", "Declare format='parquet' or 'csv'.")
        if self.instance_count < 1 or self.piece_mb < 1:
            raise UsageError("A batch needs instances, and pieces of at least 1 MB.", "Declare numbers of 1 or more.")
        if not 1 <= self.requests_at_once <= _MOST_PAYLOAD_MB:
            raise UsageError(
                f"An instance that is asked {self.requests_at_once} requests at a time is not possible.",
                f"Declare requests_at_once of 1 to {_MOST_PAYLOAD_MB}: SageMaker takes that many megabytes at a time.",
            )
        if self.processing.instance_count != 1:
            raise UsageError(
                f"{self.processing.instance_count} instances cannot share the checks of a partition.",
                "Declare a larger instance type: its processors share them.",
            )

    def of_output(self) -> dict[str, Any]:
        """What of the declaration decides what comes out, as JSON values."""
        return {"keys": list(self.keys), "format": self.format}


def declared_batch(model: Model) -> Batch:
    """What the model's `deploy.py` declares as `BATCH`.

    Raises:
        UsageError: nothing, or the model is a fleet.
    """
    if model.is_fleet:
        raise UsageError(
            f"{model.name} is a fleet: batches are scored with models of rows.",
            "What each customer will use is asked of its endpoint; see docs/fleet.md.",
        )
    try:
        found: Batch = model.declaration("deploy", "BATCH")
    except AttributeError as error:
        raise UsageError(
            f"{model.name} scores no batches.",
            f'Declare BATCH = Batch("ml.m5.large") in {model.folder}/deploy.py; see docs/batch.md.',
        ) from error
    return found
