"""A data version as it lies in the bucket: read back, and believed only where its digests agree."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from common.errors import DataError
from common.serving.inference import Encoder
from common.storage import Bucket, Layout

if TYPE_CHECKING:
    import numpy
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Stored:
    """A data version in the bucket.

    Attributes:
        manifest: see `Prepared.manifest`; trusted, since the data version is a digest of its content.
    """

    bucket: Bucket
    model: str
    version: str
    manifest: dict[str, Any]

    @classmethod
    def open(cls, bucket: Bucket, model: str, version: str) -> Stored | None:
        """The data version; None where the bucket does not have it."""
        manifest = bucket.read_json(Layout(model).data(version, "manifest.json"))
        return None if manifest is None else cls(bucket, model, version, manifest)

    @cached_property
    def encoder(self) -> Encoder:
        """What turns records into features, as fitted on the training rows."""
        return Encoder.from_state(json.loads(self._read("encoder.json")))

    def rows(self, name: str) -> NDArray[numpy.float64]:
        """The rows of `train`, `validation` or `test`: rows × (label, features…).

        Raises:
            DataError: the file is not what was gathered, or could not be trained from.
        """
        # The file is checked again, since anybody may have gathered or uploaded it, and a header would train nonsense.
        from common.data.dataset import check_training_csv, from_csv

        content = self._read(f"{name}/{name}.csv")
        check_training_csv(content, name)
        return from_csv(content)

    def records(self, name: str) -> pd.DataFrame:
        """The same rows, in the same order, as they came, the label among them; see `Checked.frame`.

        Raises:
            DataError: the file is not what was gathered.
        """
        from common.data.dataset import read_records

        numbers = {column["name"] for column in self.manifest["columns"] if column["kind"] == "number"}
        return read_records(self._read(f"records/{name}.csv"), numbers)

    def uri(self, name: str) -> str:
        return self.bucket.uri(Layout(self.model).data(self.version, name))

    def _read(self, name: str) -> bytes:
        content = self.bucket.read(Layout(self.model).data(self.version, name)) or b""
        if hashlib.sha256(content).hexdigest() != self.manifest.get("sha256", {}).get(name):
            raise DataError(
                f"{self.uri(name)} is not what was gathered as data version {self.version}.",
                "Find out who wrote to the bucket, delete that data version's folder, and gather again with --refresh.",
            )
        return content
