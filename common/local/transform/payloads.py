"""From an object's parts to the requests' bodies. Nothing here holds more than about two payloads."""

import zlib
from collections.abc import Iterable, Iterator

from common.local.transform.settings import Settings

_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_INFLATED_BYTES = 1 << 20


class BadInput(Exception):
    """An object cannot be sent as the job asks; the message is what the data log says of it."""


def payloads(parts: Iterable[bytes], settings: Settings) -> Iterator[bytes]:
    """The bodies of the requests that an object makes, in order.

    Raises:
        BadInput: a record, or the object that is not split, is larger than a payload may be; or it is no gzip.
    """
    if settings.gzip:
        parts = inflated(parts)
    if not settings.by_line:
        return _whole(parts, settings.payload_bytes)
    return _lines(parts, settings.payload_bytes) if settings.single else _batches(parts, settings.payload_bytes)


def inflated(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The content of gzip members, one after the other. Raises BadInput."""
    member = zlib.decompressobj(_GZIP_WINDOW)
    try:
        for part in parts:
            rest = part
            while rest:
                if member.eof:
                    member = zlib.decompressobj(_GZIP_WINDOW)
                yield member.decompress(rest, _INFLATED_BYTES)
                rest = member.unused_data if member.eof else member.unconsumed_tail
        while not member.eof and (tail := member.decompress(member.unconsumed_tail, _INFLATED_BYTES)):
            yield tail
    except zlib.error as error:
        raise BadInput(f"the object is no gzip: {error}") from error
    if not member.eof:
        raise BadInput("the object is no gzip, or ends within it")


def _whole(parts: Iterable[bytes], limit: int) -> Iterator[bytes]:
    held = bytearray()
    for part in parts:
        held += part
        if len(held) > limit:
            raise BadInput("Too much data for max payload size")
    yield bytes(held)


def _batches(parts: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """As many whole lines at a time as a payload holds, without the last one's end."""
    held = bytearray()
    for part in parts:
        held += part
        while len(held) > limit:
            # the end of the last line does not count, so that it may lie just behind
            end = held.rfind(b"\n", 0, limit + 1)
            if end < 0:
                raise BadInput("Too much data for max payload size")
            if body := bytes(held[:end]).strip(b"\r\n"):
                yield body
            del held[: end + 1]
    if body := bytes(held).strip(b"\r\n"):
        yield body


def _lines(parts: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Each line without its end; empty ones are no records."""
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            if record := _record(line, limit):
                yield record
        if len(rest) > limit:
            raise BadInput("Too much data for max payload size")
    if record := _record(rest, limit):
        yield record


def _record(line: bytes, limit: int) -> bytes:
    record = line.rstrip(b"\r")
    if len(record) > limit:
        raise BadInput("Too much data for max payload size")
    return record
