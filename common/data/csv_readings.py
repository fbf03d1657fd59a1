"""Readings out of a CSV file with a header, streamed, so that its size does not matter."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice
from operator import itemgetter
from typing import Any

from common.data.extract import Reading, Wanted
from common.errors import DataError

_CHUNK_ROWS = 20_000


def csv_readings(pieces: Iterator[bytes], description: str, wanted: Wanted) -> Iterator[list[Reading]]:
    """The readings of a file, in chunks: all its rows, whatever their dates, and of its columns the three that are wanted.

    Args:
        pieces: the file's content, cut anywhere.

    Raises:
        DataError: the file is no CSV in UTF-8 with these columns, a row is not as long as the header, or there are none.
    """
    names = [wanted.customer, wanted.timestamp, wanted.value]
    lines = io.TextIOWrapper(io.BufferedReader(_Raw(pieces)), encoding="utf-8-sig", newline="")
    rows = csv.reader(lines, strict=True)
    try:
        header = next(rows, [])
        wrong = [name for name in names if header.count(name) != 1]
        if wrong:
            raise DataError(
                f"{description} has not one column each named {', '.join(wrong)}; its header is: {', '.join(header)[:200]}.",
                "Name the columns in gather_data.py as the header does: Readings(customer=…, timestamp=…, value=…).",
            )
        pick = itemgetter(*map(header.index, names))
        found = False
        while chunk := list(islice(rows, _CHUNK_ROWS)):
            filled = [row for row in chunk if row]
            _require_length(filled, len(header), description)
            readings: list[Reading] = list(map(pick, filled))
            if wanted.only is not None:
                readings = [reading for reading in readings if reading[0] == wanted.only]
            if readings:
                found = True
                yield readings
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(
            f"{description} is no CSV in UTF-8: {error}, after line {rows.line_num}.", "Export it again."
        ) from error
    if not found:
        of = f" of customer '{wanted.only}'" if wanted.only is not None else ""
        raise DataError(f"{description} has no readings{of}.", "Check what writes it.")


def _require_length(rows: list[list[str]], length: int, description: str) -> None:
    odd = next((row for row in rows if len(row) != length), None)
    if odd:
        raise DataError(
            f"{description} has a row of {len(odd)} fields under a header of {length}: {','.join(odd)[:200]}",
            "Quote the fields that hold commas.",
        )


class _Raw(io.RawIOBase):
    """The pieces as a file, which is what `io` decodes and cuts into lines."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        self._rest = self._rest or next(self._pieces, b"")
        taken, self._rest = self._rest[: len(view)], self._rest[len(view) :]
        view[: len(taken)] = taken
        return len(taken)
