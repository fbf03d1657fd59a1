"""A model artifact from S3: trusted by digest only, unpacked with care, and loaded without executing anything in it."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing
from common.errors import ArtifactError
from common.storage import read_uri

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

_MODEL_FILE = "xgboost-model"
_LARGEST_BYTES = 2 * 1024**3
_REMEDY = (
    "Restore the object from the bucket's versions. Train again only after a change: the same source and data are the "
    "same job and package."
)


def fetch_artifact(aws: Aws, uri: str, folder: Path) -> Path:
    """Download an artifact into a folder.

    Raises:
        ArtifactError: nothing lies there.
    """
    path = folder / "model.tar.gz"
    try:
        read_uri(aws, uri, path)
    except ClientError as error:
        if not is_missing(error):
            raise
        raise ArtifactError(f"There is no artifact at {uri}.", _REMEDY) from error
    return path


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_booster(archive: Path) -> Any:
    """The `xgboost.Booster` in an artifact of the built-in algorithm.

    Only `xgboost-model` is taken out of the archive, and only in XGBoost's own formats (UBJSON, JSON), which hold no code.

    Raises:
        ArtifactError: the archive is truncated or unsafe, has no model, or the model is not XGBoost's.
    """
    import xgboost

    with tempfile.TemporaryDirectory() as folder:
        model = _extract_model(archive, Path(folder))
        head = model.read_bytes()[:1]
        if head != b"{":
            raise ArtifactError(
                f"{_MODEL_FILE} in {archive.name} is neither UBJSON nor JSON; a pickle is never loaded.",
                "Train with the built-in image 3.x, or save the model with Booster.save_model.",
            )
        booster = xgboost.Booster()
        try:
            booster.load_model(bytearray(model.read_bytes()))
        except xgboost.core.XGBoostError as error:
            first = str(error).strip().splitlines()[0]
            raise ArtifactError(f"{_MODEL_FILE} in {archive.name} is not a model: {first}", _REMEDY) from error
    return booster


def predict(booster: Any, rows: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    """What the endpoint would answer for the rows of features: shape (rows,) or (rows, classes).

    Raises:
        ArtifactError: the model takes another number of features.
    """
    import numpy
    import xgboost

    booster.set_param({"nthread": 1})
    best = booster.attributes().get("best_iteration")
    limit = (0, int(best) + 1) if best is not None else (0, 0)
    if booster.num_features() != rows.shape[1]:
        raise ArtifactError(
            f"The model takes {booster.num_features()} features, and the rows have {rows.shape[1]}.",
            f"It was trained on other data. {_REMEDY}",
        )
    return numpy.asarray(
        booster.predict(xgboost.DMatrix(rows), iteration_range=limit, validate_features=False), dtype=float
    )


def _extract_model(archive: Path, folder: Path) -> Path:
    try:
        with tarfile.open(archive, "r:gz") as tar:
            members = tar.getmembers()
            for member in members:
                tarfile.data_filter(member, str(folder))  # refuses paths and links that lead outside
            names = [member.name.removeprefix("./") for member in members if member.isfile()]
            if _MODEL_FILE not in names:
                raise ArtifactError(
                    f"{archive.name} holds no {_MODEL_FILE}, but: {', '.join(names[:5]) or 'nothing'}.",
                    f"It was not written by the built-in XGBoost. {_REMEDY}",
                )
            member = next(m for m in members if m.isfile() and m.name.removeprefix("./") == _MODEL_FILE)
            if member.size > _LARGEST_BYTES:
                raise ArtifactError(f"{_MODEL_FILE} in {archive.name} claims {member.size:,} bytes.", _REMEDY)
            tar.extract(member, folder, filter="data")
            return folder / member.name
    except tarfile.FilterError as error:
        raise ArtifactError(
            f"{archive.name} is unsafe to unpack: {error}", "Do not use it; find out who wrote it."
        ) from error
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ArtifactError(f"{archive.name} is damaged: {error}", _REMEDY) from error
