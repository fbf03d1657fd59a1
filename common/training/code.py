"""The code that travels into a fleet's containers: an archive that depends on nothing but the code and the forecaster."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from typing import Any, Protocol

from common.model import ROOT
from common.storage import Bucket

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
    """A tar.gz of the files; the same files make the same bytes."""
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return target.getvalue()


def stored(bucket: Bucket, key: str, archive: bytes) -> bytes:
    """The archive as it lies at that key; it is put there unless the same files are there already.

    Packages name its digest, and another build of zlib packs the same files into other bytes: what was first stays.
    """
    present = bucket.read(key)
    if present is not None and _unzipped(present) == _unzipped(archive):
        return present
    bucket.write(key, archive)
    return archive


def _unzipped(archive: bytes) -> bytes | None:
    try:
        return gzip.decompress(archive)
    except (OSError, EOFError, zlib.error):
        return None
