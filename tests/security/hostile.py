"""Archives that somebody has made to do harm, or that something has damaged."""

import gzip
import tarfile
from collections.abc import Callable
from typing import Any


def member(name: str, content: bytes = b"", **told: Any) -> bytes:
    """A file, or whatever else is told, as a tar has it."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in told.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % 512)


def packed(*members: bytes) -> bytes:
    return gzip.compress(b"".join(members) + bytes(1024), compresslevel=6, mtime=0)


def _header(kind: bytes, size: int) -> bytes:
    return member("header", type=kind, size=size)


def _attribute(keyword: str, value: str) -> bytes:
    """A file with an attribute of the PAX format, as it is written there."""
    record = f" {keyword}={value}\n".encode("utf-8", "surrogateescape")
    length = len(record) + len(str(len(record) + len(str(len(record)))))
    content = str(length).encode() + record
    return _header(b"x", len(content)) + content + bytes(-len(content) % 512) + member("model.json", b"{}")


def _zeros(count: int) -> bytes:
    return gzip.compress(bytes(count), compresslevel=6, mtime=0)


OUTSIDE: dict[str, bytes] = {
    "parent": packed(member("../evil", b"x")),
    "parent below a folder": packed(member("a/../../evil", b"x")),
    "absolute": packed(member("/tmp/evil-of-an-archive", b"x")),  # noqa: S108
    "link to a file": packed(member("model.json", type=tarfile.SYMTYPE, linkname="/etc/passwd")),
    "link to a folder, and a file through it": packed(
        member("a", type=tarfile.SYMTYPE, linkname=".."), member("a/evil", b"x")
    ),
    "link to itself": packed(member("model.json", type=tarfile.SYMTYPE, linkname="model.json")),
    "hard link": packed(member("model.json", type=tarfile.LNKTYPE, linkname="/etc/passwd")),
    "hard link inside": packed(member("a", b"x"), member("model.json", type=tarfile.LNKTYPE, linkname="a")),
    "device": packed(member("model.json", type=tarfile.CHRTYPE, devmajor=1, devminor=5)),
    "FIFO": packed(member("model.json", type=tarfile.FIFOTYPE)),
    "name that is no UTF-8": packed(member("model\udcff.json", b"{}")),
    "name that moves the cursor": packed(member("model\x1b[2K.json", b"{}")),
    "name with a NUL": packed(_attribute("path", "model\0.json")),
    "path of an attribute": packed(_attribute("path", "../../evil")),
    "longest name": packed(_attribute("path", "d/" * 2000 + "x")),
    "twice": packed(member("model.json", b"{}"), member("./model.json", b'{"other": 1}')),
    "sparse": packed(member("model.json", type=tarfile.GNUTYPE_SPARSE)),
    "leads back": packed(_attribute("size", "-2048")),
}
"""What no careful program writes as it is named, or at all."""

DAMAGED: dict[str, bytes] = {
    "nothing": b"",
    "no gzip": b"hello",
    "no tar": gzip.compress(b"hello" * 1000),
    "truncated": packed(member("model.json", b"{}" * 10_000))[:-12],
    "truncated inside": gzip.compress(member("model.json", size=10**6)),
    "another checksum": packed(member("model.json", b"{}"))[:-8] + bytes(8),
    "headers of headers": packed(*[_header(b"x", 0)] * 5000, member("model.json", b"{}")),
    "file where a folder is": packed(member("a", b"x"), member("a/model.json", b"{}")),
}

BOMBS: dict[str, Callable[[int], bytes]] = {
    "zeros": lambda size: gzip.compress(member("zeros", size=size) + bytes(size) + bytes(1024), 6, mtime=0),
    "zeros of several gzips": lambda size: (
        gzip.compress(member("zeros", size=size)) + _zeros(size // 2) + _zeros(size // 2)
    ),
    "zeros behind the end": lambda size: gzip.compress(member("model.json", b"{}") + bytes(1024)) + _zeros(size),
    "one long header": lambda size: gzip.compress(_header(b"x", size) + bytes(size), 6, mtime=0),
    "one long name": lambda size: gzip.compress(_header(b"L", size) + bytes(size), 6, mtime=0),
    "header of the whole archive": lambda size: gzip.compress(_header(b"g", size) + bytes(size), 6, mtime=0),
    "many members": lambda size: packed(*(member(str(number)) for number in range(size // 4000))),
    "many attributes": lambda size: packed(
        *(_attribute(f"{number}", "a" * 60_000) for number in range(size // 60_000))
    ),
}
"""By the bytes that come out, from a thousandth of that."""
