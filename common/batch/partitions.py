"""From what lies in the input and what was scored before to what has to be scored now. Pure functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from common.batch.declare import Batch
from common.batch.manifest import Manifest
from common.errors import UsageError
from common.registry import Package

READABLE = (".csv", ".jsonl")


@dataclass(frozen=True)
class File:
    """An object of the input."""

    name: str
    etag: str
    size: int


@dataclass(frozen=True)
class Partition:
    """The files of one folder of the input.

    Attributes:
        name: the folder below the input's prefix, e.g. `dt=2026-11-20`; empty of files that lie in none, which are strange.
        strange: files that are neither CSV nor JSON lines, by their names, nor marked as of no concern (`_SUCCESS`).
    """

    name: str
    files: tuple[File, ...]
    strange: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name or "files in no folder"

    @property
    def inputs(self) -> str:
        """Sixteen hexadecimal digits over the files: other content is another input."""
        return _digest([[file.name, file.etag, file.size] for file in self.files])

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(file.size for file in self.files)


def partitions(listing: Mapping[str, tuple[str, int]]) -> list[Partition]:
    """The partitions of an input, by name.

    Args:
        listing: (ETag, bytes) of each object by what its key has after the input's prefix.
    """
    files: dict[str, list[File]] = {}
    strange: dict[str, list[str]] = {}
    for path, (etag, size) in sorted(listing.items()):
        name, _, file = path.rpartition("/")
        if not file or file.startswith(("_", ".")):  # what tools leave to mark a folder
            continue
        files.setdefault(name, [])
        if name and file.endswith(READABLE):
            files[name].append(File(file, etag, size))
        else:
            strange.setdefault(name, []).append(file)
    return [Partition(name, tuple(found), tuple(strange.get(name, ()))) for name, found in files.items()]


@dataclass(frozen=True)
class Task:
    """A partition, the package that scores it, and whether that has been done.

    Attributes:
        done: what was scored already, where nothing is left to do.
    """

    partition: Partition
    package: Package
    batch: Batch
    done: Manifest | None = None

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits over everything that decides what comes out: inputs, package and declaration."""
        return _digest([self.partition.inputs, self.package.arn, self.batch.of_output()])

    def __str__(self) -> str:
        if self.done:
            done = self.done
            counts = f"{done.records:,} of {done.records + done.rejected:,} records"
            return f"{self.partition}: {counts} scored by version {done.package_version} at {done.scored_at}"
        files = f"{len(self.partition.files)} file{'s' if len(self.partition.files) != 1 else ''}"
        return f"{self.partition}: version {self.package.version} scores {files}, {self.partition.size / 1e6:,.1f} MB"


def tasks(
    found: Iterable[Partition], manifests: Iterable[Manifest], package: Package, batch: Batch, only: str = ""
) -> list[Task]:
    """What is to be done with each partition.

    One that was scored stays so when another package is deployed, unless it is asked for by its name: a deploy must not
    score years of batches again. It is scored anew when its files change, or what the declaration says of the output.

    Args:
        only: the name of a partition to score with this package; empty: every partition that needs to be scored.

    Raises:
        UsageError: there is no such partition.
    """
    found = list(found)
    chosen = [partition for partition in found if partition.name == only] if only else found
    if only and not chosen:
        known = ", ".join(partition.name for partition in found[-5:]) or "none"
        raise UsageError(f"The input has no partition '{only}'.", f"Those that come last are: {known}.")
    by_partition: dict[str, list[Manifest]] = {}
    for manifest in sorted(manifests, key=lambda manifest: manifest.scored_at):
        by_partition.setdefault(manifest.partition, []).append(manifest)
    planned = []
    for partition in chosen:
        same = [
            manifest
            for manifest in by_partition.get(partition.name, ())
            if manifest.inputs == partition.inputs
            and manifest.declared == batch.of_output()
            and (not only or manifest.package_arn == package.arn)
        ]
        planned.append(Task(partition, package, batch, same[-1] if same else None))
    return planned


def _digest(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
