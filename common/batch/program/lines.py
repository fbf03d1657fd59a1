"""Files cut into pieces of whole lines, so that each can be read by a process of its own, in bounded memory.

A record is a line: that is how SageMaker's batch transform splits them, and why one that is broken, a quote that is never
closed for instance, spoils no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

LONGEST_LINE = 100_000
"""In bytes; the code that reads a payload takes no longer field."""
_BUFFER = 1 << 20


class Piece(NamedTuple):
    """Whole lines of a file: where they lie, in bytes, and the number of the first one, counted from 1."""

    offset: int
    length: int
    first_line: int


def pieces(path: Path, size: int) -> Iterator[Piece]:
    """The file in pieces of `size` bytes and what is left of the line then; an empty file has none."""
    total, offset, line = path.stat().st_size, 0, 1
    with path.open("rb") as file:
        while offset < total:
            file.seek(offset + size - 1)
            end = min(offset + size - 1 + _rest_of_line(file), total)
            yield Piece(offset, end - offset, line)
            line += _newlines(file, offset, end)
            offset = end


def lines(path: Path, piece: Piece) -> Iterator[tuple[int, bytes]]:
    """(number, content without the line break) of each line; of one that is too long its first `LONGEST_LINE` + 1 bytes."""
    number, left = piece.first_line, piece.length
    with path.open("rb") as file:
        file.seek(piece.offset)
        while left > 0:
            line = file.readline(LONGEST_LINE + 1)
            left -= len(line)
            if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
                left -= _rest_of_line(file)
            yield number, line.removesuffix(b"\n").removesuffix(b"\r")
            number += 1


def first_line(path: Path) -> bytes:
    """The first line of a file; empty where it has none."""
    return next((line for _, line in lines(path, Piece(0, path.stat().st_size, 1))), b"")


def _rest_of_line(file: BinaryIO) -> int:
    """How many bytes lie between here and the end of the line, its line break included."""
    count = 0
    while part := file.readline(_BUFFER):
        count += len(part)
        if part.endswith(b"\n"):
            break
    return count


def _newlines(file: BinaryIO, begin: int, end: int) -> int:
    file.seek(begin)
    count, left = 0, end - begin
    while left > 0 and (part := file.read(min(left, _BUFFER))):
        count += part.count(b"\n")
        left -= len(part)
    return count
