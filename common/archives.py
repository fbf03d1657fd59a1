"""Archives and compressed files that others wrote: unpacked within limits of size and memory, to where they belong, or not.

Of a tar only plain files and folders are taken. Python's own filters let links through that lead nowhere outside, and were
fooled by some more than once; no artifact of ours has any.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import IO

LARGEST_BYTES = 2 * 1024**3
"""What an archive may hold, unpacked. A kilobyte of gzip can announce a megabyte, and a megabyte a gigabyte."""
_MOST_MEMBERS = 10_000
_HEADER_BYTES = 64 * 1024
"""Of one member: tar keeps long names and other attributes in blocks that it reads as a whole."""
_HEADERS_BYTES = 32 * 1024**2
"""Of all members together: what is kept in memory is of their size."""
_NAME_LENGTH = 1000
_CHUNK_BYTES = 256 * 1024
_DAMAGE = (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, OverflowError, RecursionError)
"""ValueError: a name with a NUL; RecursionError: headers that only announce further headers."""


class ArchiveError(Exception):
    """It is not unpacked; the message says why, of `it`."""


class DamagedArchive(ArchiveError):
    """It cannot be read: it is truncated, or none."""


class UnsafeArchive(ArchiveError):
    """It can be read, and holds what nobody packs by accident: paths that lead outside, links, devices, or far too much."""


def unpack(
    archive: IO[bytes], to: Path, only: Collection[str] | None = None, largest: int = LARGEST_BYTES
) -> list[str]:
    """Write the files of a tar.gz below a folder, and answer the names of all that it holds.

    The archive is read to its end, where gzip's checksum is, whatever is wanted of it. Memory: less than a megabyte beside the
    names.

    Args:
        to: a folder in which nobody else writes meanwhile; it is made. Files of before are replaced.
        only: the names of the files to write; all, if None.
        largest: bytes that may come out, tar's own among them.

    Raises:
        DamagedArchive: it is no tar.gz, or not a whole one; the folder may hold a part of it then.
        UnsafeArchive: a member is no plain file or folder, lies outside, or is there twice; or there is too much.
    """
    names: dict[str, None] = {}
    to.mkdir(parents=True, exist_ok=True)
    try:
        with gzip.GzipFile(fileobj=archive) as packed:
            stream = _Forward(packed, largest)
            with tarfile.open(fileobj=stream, mode="r:") as tar:  # type: ignore[call-overload]
                while member := tar.next():
                    tar.members.clear()  # all that it has met are kept there
                    name = _checked(member, names)
                    names[name] = None
                    _write(member, name, to, stream, only is None or name in only)
            stream.skip()
    except _DAMAGE as error:
        raise DamagedArchive(str(error)) from error
    return list(names)


def gunzip(content: bytes, largest: int = LARGEST_BYTES) -> bytes:
    """What one gzip member holds.

    Raises:
        DamagedArchive: it is none, or not a whole one.
        UnsafeArchive: it holds more than `largest` bytes.
    """
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(content, largest)
        if unpacker.eof and not unpacker.unused_data:
            return unpacked
        more = unpacker.decompress(unpacker.unconsumed_tail, 1)
    except zlib.error as error:
        raise DamagedArchive(str(error)) from error
    if more:
        raise UnsafeArchive(f"it holds more than {largest:,} bytes")
    if unpacker.eof and not unpacker.unused_data:
        return unpacked
    raise DamagedArchive("it is truncated, or something lies behind it")


class _Forward:
    """A stream that tarfile reads from its begin to its end: no more than a header at once, and no more than a limit in all."""

    def __init__(self, packed: gzip.GzipFile, largest: int) -> None:
        self._packed = packed
        self._largest = largest
        self._position = self._headers = 0

    def read(self, size: int) -> bytes:
        self._headers += size
        if not 0 <= size <= _HEADER_BYTES or self._headers > _HEADERS_BYTES:
            raise UnsafeArchive(
                f"its headers have more than {_HEADER_BYTES:,} bytes each, or {_HEADERS_BYTES:,} in all"
            )
        return self._next(size)

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        if position < self._position:
            raise tarfile.ReadError("it leads back into itself")
        self.skip(position - self._position)

    def skip(self, count: int | None = None) -> None:
        """Pass over so many bytes; over all that are left, if None."""
        while count is None or count > 0:
            read = len(self._next(_CHUNK_BYTES if count is None else min(count, _CHUNK_BYTES)))
            if not read:
                return
            count = None if count is None else count - read

    def copy(self, size: int, to: IO[bytes]) -> None:
        """Write the next so many bytes to a file."""
        while size:
            chunk = self._next(min(size, _CHUNK_BYTES))
            if not chunk:
                raise EOFError("it ends within a file")
            to.write(chunk)
            size -= len(chunk)

    def _next(self, size: int) -> bytes:
        chunk = self._packed.read(size)
        self._position += len(chunk)
        if self._position > self._largest:
            raise UnsafeArchive(f"it holds more than {self._largest:,} bytes")
        return chunk


def _checked(member: tarfile.TarInfo, before: Collection[str]) -> str:
    """The member's name below the archive's folder."""
    told = ascii(member.name[:200])
    if len(before) == _MOST_MEMBERS:
        raise UnsafeArchive(f"it holds more than {_MOST_MEMBERS:,} files")
    if not (member.isdir() or (member.isreg() and not member.issparse())):
        raise UnsafeArchive(f"{told} is neither a file nor a folder")
    if member.size < 0:
        raise UnsafeArchive(f"{told} has {member.size} bytes")
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise UnsafeArchive(f"{told} leads outside")
    if len(member.name) > _NAME_LENGTH or not member.name.isprintable():
        raise UnsafeArchive(f"{told} is no name that can be printed in a line")
    if path.as_posix() in before and not member.isdir():
        raise UnsafeArchive(f"{told} is there twice")
    return path.as_posix()


def _write(member: tarfile.TarInfo, name: str, to: Path, stream: _Forward, is_wanted: bool) -> None:
    if not is_wanted:
        return
    path = to / name
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755 if member.mode & 0o100 else 0o644)
    with os.fdopen(opened, "wb") as file:
        stream.copy(member.size, file)
