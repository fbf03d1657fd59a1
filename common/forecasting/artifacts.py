"""What a fit leaves: a model of its own for each customer, and the results of each part.

A model is `<customer>.tar.gz`, a kilobyte or less, which holds `model.json` and no code:

    {"customer": "8", "forecaster": "5f0c9a31", "parameters": {…}, "until": 20453.0}

The same model makes the same bytes, whoever fits it and whenever.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .series import Parameters

MODEL_FILE = "model.json"
_BLOCK_BYTES = 512
_LARGEST_BYTES = 1_000_000
_LARGEST_RESULTS_BYTES = 1_000_000_000


class DamagedModel(ValueError):
    """What should be a customer's model is none; the message says why."""


@dataclass(frozen=True)
class CustomerModel:
    """One customer's model.

    Attributes:
        until: the time of the customer's last reading, in days since 1970-01-01T00:00Z: forecasts begin after it.
        forecaster: `forecaster_digest` of the forecaster that fitted the parameters, and alone can read them.
    """

    customer: str
    until: float
    forecaster: str
    parameters: Parameters


def forecaster_digest(document: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits over a forecaster's JSON document: models of another one are told apart by it."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:8]


def pack_model(model: CustomerModel) -> bytes:
    """The archive that serves the customer."""
    content = _json(vars(model))
    info = tarfile.TarInfo(MODEL_FILE)
    info.size = len(content)
    padding = bytes(-len(content) % _BLOCK_BYTES + 2 * _BLOCK_BYTES)  # a tar ends with two empty blocks
    return gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + content + padding, compresslevel=9, mtime=0)


def unpack_model(archive: bytes) -> CustomerModel:
    """The model in an archive.

    Raises:
        DamagedModel: the archive is damaged, or holds no model.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(_decompressed(archive, _LARGEST_BYTES)), mode="r:") as tar:
            member = tar.extractfile(MODEL_FILE)
            content = member.read() if member else b""
    except (tarfile.TarError, zlib.error, EOFError, OSError, KeyError, ValueError, RecursionError) as error:
        raise DamagedModel(f"the archive of the model is damaged: {error}") from error
    return _parsed(content)


def load_model(folder: Path) -> CustomerModel:
    """The model in an unpacked archive, as an endpoint's container finds it.

    Raises:
        DamagedModel: there is none.
    """
    try:
        content = (folder / MODEL_FILE).read_bytes()
    except OSError as error:
        raise DamagedModel(f"there is no {MODEL_FILE} in the model's archive: {error.strerror}") from error
    return _parsed(content)


def pack_results(results: Mapping[str, Any]) -> bytes:
    """The results of a part as gzipped JSON, which ends with a checksum: what was cut off is told from what is whole."""
    return gzip.compress(_json(results), compresslevel=6, mtime=0)


def read_results(content: bytes) -> dict[str, Any]:
    """The results of a part, as `pack_results` made them.

    Raises:
        DamagedModel: they are damaged.
    """
    try:
        return dict(json.loads(_decompressed(content, _LARGEST_RESULTS_BYTES)))
    except (ValueError, TypeError, EOFError, zlib.error, RecursionError) as error:
        raise DamagedModel(f"the results of a part are damaged: {error}") from error


def _decompressed(archive: bytes, largest: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    content = unpacker.decompress(archive, largest)
    if not unpacker.eof:
        raise EOFError(f"it is truncated, or has more than {largest:,} bytes")
    return content


def _parsed(content: bytes) -> CustomerModel:
    try:
        model = CustomerModel(**json.loads(content))
        return CustomerModel(str(model.customer), float(model.until), str(model.forecaster), dict(model.parameters))
    except (ValueError, TypeError, RecursionError) as error:
        raise DamagedModel(f"{MODEL_FILE} of the archive is no model: {error}") from error


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
