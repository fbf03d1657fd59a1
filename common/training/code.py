"""The code that travels into a fleet's containers: an archive that depends on nothing but the code and the forecaster."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, Protocol

from common.errors import ArtifactError
from common.model import ROOT
from common.storage import Bucket, split_uri

PACKAGE = ROOT / "common" / "forecasting"
SPLIT, FIT, INFERENCE = "split.py", "fit.py", "inference.py"
_ONE_THREAD = """\
import os

# Before NumPy is imported: each process has a processor of its own, and the order of sums never changes.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
"""
_PROGRAMS = {
    SPLIT: f"{_ONE_THREAD}\nfrom forecasting.split import main\n\nmain()\n",
    FIT: f"{_ONE_THREAD}\nfrom forecasting.fit import main\n\nmain()\n",
    INFERENCE: f"{_ONE_THREAD}\nfrom forecasting.handlers import input_fn, model_fn, output_fn, predict_fn\n",
}
SERVING_ENVIRONMENT = {
    "SAGEMAKER_PROGRAM": INFERENCE,
    "PIP_NO_BUILD_ISOLATION": "0",  # pip's way to say no; see common/serving/archive.py
}
"""By which the image serves with the archive, beside `SAGEMAKER_SUBMIT_DIRECTORY`, its URI."""


class Declared(Protocol):
    """A forecaster as a model folder declares it."""

    def to_json(self) -> dict[str, Any]:
        """What `forecaster_from` makes the same forecaster of."""
        ...


def code_archive(forecaster: Declared) -> bytes:
    """The programs of a fleet's jobs and of its endpoint, as SageMaker's script mode takes them; deterministic.

    The forecaster travels in it, as `forecasting/forecaster.json`: hyperparameters are too short for a calendar of holidays.
    """
    files = {name: program.encode() for name, program in _PROGRAMS.items()}
    for path in PACKAGE.rglob("*.py"):
        files[f"forecasting/{path.relative_to(PACKAGE).as_posix()}"] = path.read_bytes()
    document = forecaster.to_json()
    files["forecasting/forecaster.json"] = json.dumps(document, sort_keys=True, indent=1).encode()
    requirements = ROOT / f"requirements-{document['name']}.txt"
    if requirements.is_file():  # what the forecaster needs beyond the image; the image installs it
        files["requirements.txt"] = requirements.read_bytes()
    return pack(files)


def pack(files: dict[str, bytes]) -> bytes:
    """A tar.gz of the files; the same files make the same bytes, on every machine."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return _gzipped(target.getvalue())


def _gzipped(content: bytes) -> bytes:
    """gzip (RFC 1952) in stored blocks (RFC 1951, 3.2.4): what zlib compresses to differs from build to build."""
    blocks = [content[start : start + 0xFFFF] for start in range(0, len(content), 0xFFFF)]
    packed = [b"\x1f\x8b\x08" + bytes(6) + b"\xff"]
    for number, block in enumerate(blocks, 1):
        packed += [struct.pack("<BHH", number == len(blocks), len(block), len(block) ^ 0xFFFF), block]
    return b"".join([*packed, struct.pack("<II", zlib.crc32(content), len(content))])


def stored(bucket: Bucket, key: Callable[[str], str], archive: bytes) -> str:
    """The URI of the archive in S3, where its SHA-256 is its name; written once, and never over anything.

    Args:
        key: makes the key of the digest, such as `Layout.code`.

    Raises:
        ArtifactError: something else lies there.
    """
    place = key(hashlib.sha256(archive).hexdigest())
    if bucket.read(place) is None:
        bucket.write_once(place, archive)
    verified(bucket, bucket.uri(place))
    return bucket.uri(place)


def verified(bucket: Bucket, uri: str) -> bytes:
    """The code archive at a URI that names its SHA-256; nothing that runs on SageMaker starts without this.

    Raises:
        ArtifactError: it is missing, or has been exchanged.
    """
    content = bucket.read(split_uri(uri)[1])
    found = "" if content is None else hashlib.sha256(content).hexdigest()
    if content is None or found != digest_of(uri):
        raise ArtifactError(
            f"{uri} {'has been exchanged: its SHA-256 is ' + found if found else 'is missing'}. It is code that would run on "
            "SageMaker.",
            "Nothing was started with it. Find out who writes to the bucket, then restore the object from the bucket's "
            "versions; of an object that is deleted, the same commit puts the same one there.",
        )
    return content


def digest_of(uri: str) -> str:
    """The SHA-256 that the URI of a code archive names."""
    return PurePosixPath(uri).name.removesuffix(".tar.gz")
