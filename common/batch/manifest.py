"""What a scored partition is: its manifest, which is written last. Where there is one, the rows are all there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from common.errors import DataError
from common.model import Model
from common.storage import Bucket, Layout

MANIFEST = "_manifest.json"
_READERS = 8


@dataclass(frozen=True)
class Manifest:
    """A partition that was scored, as `_manifest.json` tells it.

    Attributes:
        package_version, package_arn: the package that scored it.
        inputs: the digest of its files.
        declared: what the declaration said of the output.
        digest: over the three of them.
        records: how many were scored; each is a row of one of the parts.
        rejected: how many could not be; each is a line below `_rejected/`, with its reason.
        reasons: the most frequent ones, and how often.
        files: of each input file its size and what its lines were: headers, blank, records, rejected.
        parts: the files of rows, and how many each holds.
        jobs: the names of SageMaker's jobs that did it.
        scored_at: when it was complete, ISO 8601 in UTC.
    """

    partition: str
    package_version: int
    package_arn: str
    inputs: str
    declared: Mapping[str, Any]
    digest: str
    records: int
    rejected: int
    reasons: Mapping[str, int]
    files: tuple[Mapping[str, Any], ...]
    parts: tuple[Mapping[str, Any], ...]
    jobs: Mapping[str, Any]
    scored_at: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Manifest:
        """The manifest that `to_json` gave.

        Raises:
            KeyError, TypeError: it is none.
        """
        return cls(**{**document, "files": tuple(document["files"]), "parts": tuple(document["parts"])})


def scored(bucket: Bucket, model: Model, partition: str = "") -> list[Manifest]:
    """Every partition that was scored, by every package that did, the last one last; of one partition only, if named.

    Raises:
        DataError: a manifest is damaged.
    """
    prefix = Layout(model.name).batch_output(partition)
    keys = [prefix + name for name in bucket.listing(prefix) if name.rpartition("/")[2] == MANIFEST]
    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(lambda key: _read(bucket, key), sorted(keys))
        return sorted(filter(None, found), key=lambda manifest: manifest.scored_at)


def _read(bucket: Bucket, key: str) -> Manifest | None:
    document = bucket.read_json(key)
    if document is None:  # scored anew since it was listed
        return None
    try:
        return Manifest.from_json(document)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{bucket.uri(key)} is no manifest of a batch: {error}.", "Delete it: the partition is scored again then."
        ) from error


def unaccounted(files: Iterable[Mapping[str, Any]]) -> int:
    """How many lines of the input files are neither a header, nor blank, nor scored, nor rejected; 0 as it must be."""
    return sum(
        abs(file["lines"] - file["headers"] - file["blank"] - file["records"] - file["rejected"]) for file in files
    )
