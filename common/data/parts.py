"""Readings on their way to the bucket: gzipped CSV parts of whole customers, digested while they are written."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

from common.data.extract import Reading, ReadingsSource, Wanted
from common.errors import DataError

MANIFEST = "manifest.json"
HEADER = b"customer,timestamp,value\n"
PART_ROWS = 200_000
"""A part ends with the customer who brings it to so many rows, so that a job's instances can share parts among them."""
_PROGRESS_SECONDS = 5.0
_COMPRESSION = 4  # on readings, twice as fast as gzip's default for files that are a tenth larger


def write_parts(source: ReadingsSource, wanted: Wanted, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Write what the source has into the folder: parts, and last `manifest.json`, which is answered, too.

    Args:
        say: is told every few seconds how far it is.

    Raises:
        SourceError: the source cannot be read. The folder has no manifest then.
        DataError: its readings are not sorted by customer, or the folder cannot be written to.
    """
    spoken = time.monotonic()
    try:
        with Parts(folder) as parts:
            for readings in source.readings(wanted):
                parts.add(readings)
                if time.monotonic() - spoken > _PROGRESS_SECONDS:
                    say(f"  {parts.rows:,} readings of {parts.customers:,} customers so far")
                    spoken = time.monotonic()
            version, written = parts.finish()
    except OSError as error:  # sources tell of their own
        raise DataError(
            f"The parts cannot be written to {folder}: {error.strerror}.",
            "Make room there, or set TMPDIR to another disk.",
        ) from error
    manifest = {
        "version": version,
        "source": source.description,
        "columns": {"customer": wanted.customer, "timestamp": wanted.timestamp, "value": wanted.value},
        "floor": wanted.floor.isoformat(),
        "ceiling": wanted.ceiling.isoformat(),
        "gathered_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rows": parts.rows,
        "customers": parts.customers,
        "parts": written,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True))
    return manifest


class Parts:
    """Writes readings into a folder as `part-00000.csv.gz` and so on, each with a header and whole customers only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._closed: list[dict[str, Any]] = []
        self._closed_rows = 0
        self._open: _Part | None = None
        self._customer: str | None = None
        self._seen: set[str] = set()
        self._content = hashlib.sha256()

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *_: object) -> None:
        if self._open:
            self._open.release()

    @property
    def rows(self) -> int:
        """How many readings have been written."""
        return self._closed_rows + (self._open.rows if self._open else 0)

    @property
    def customers(self) -> int:
        """Of how many customers."""
        return len(self._seen)

    def add(self, readings: Iterable[Reading]) -> None:
        """Write the next readings, in the order that they come.

        Raises:
            DataError: a reading has no customer, or a customer comes back after another one.
        """
        for customer, own in groupby(readings, itemgetter(0)):
            part = self._open if self._open and customer == self._customer else self._begin(customer)
            self._content.update(part.write(list(own)))

    def finish(self) -> tuple[str, list[dict[str, Any]]]:
        """End the last part; (data version, what the manifest says of each part).

        The data version is 16 hexadecimal digits over the rows, whatever the parts and the compression.
        """
        if self._open:
            self._closed.append(self._open.close(str(self._customer)))
            self._closed_rows += self._open.rows
            self._open = None
        return self._content.hexdigest()[:16], self._closed

    def _begin(self, customer: str) -> _Part:
        """The part that the customer's readings go to."""
        if not customer:
            raise DataError(
                f"Reading {self.rows + 1:,} has no customer.", "Leave such readings out of the query or the file."
            )
        if customer in self._seen:
            raise DataError(
                f"The readings of customer '{customer}' are not together: others stand between them.",
                "Sort the readings by customer.",
            )
        if self._open and self._open.rows >= PART_ROWS:
            self.finish()
        if self._open is None:
            self._open = _Part.create(self._folder / f"part-{len(self._closed):05d}.csv.gz", customer)
        self._seen.add(customer)
        self._customer = customer
        self._open.customers += 1
        return self._open


@dataclass
class _Part:
    path: Path
    first: str
    file: BinaryIO
    packed: gzip.GzipFile
    rows: int = 0
    customers: int = 0

    @classmethod
    def create(cls, path: Path, first: str) -> _Part:
        file = path.open("wb")
        # Without name and time in gzip's header, the same rows make the same bytes.
        packed = gzip.GzipFile("", "wb", _COMPRESSION, file, mtime=0)
        packed.write(HEADER)
        return cls(path, first, file, packed)

    def write(self, readings: Sequence[Reading]) -> bytes:
        """Add the readings; the lines that they are now."""
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(readings)
        lines = text.getvalue().encode()
        self.packed.write(lines)
        self.rows += len(readings)
        return lines

    def release(self) -> None:
        """Close the file."""
        self.packed.close()
        self.file.close()  # which gzip leaves open, since it has not opened it

    def close(self, last: str) -> dict[str, Any]:
        """End the file; what the manifest says of it."""
        self.release()
        with self.path.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        return {
            "name": self.path.name, "sha256": digest, "bytes": self.path.stat().st_size,
            "rows": self.rows, "customers": self.customers, "first": self.first, "last": last,
        }  # fmt: skip
