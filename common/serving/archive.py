"""A model's archive: made from what the training job left, trusted by digest only, and unpacked with care.

What a package serves is the job's booster, what turns records into features, and the code that answers requests:

    xgboost-model   serving.json   code/inference.py
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import tempfile
from pathlib import Path

from botocore.exceptions import ClientError

from common.archives import DamagedArchive, UnsafeArchive
from common.archives import unpack as unpack_files
from common.aws import Aws, is_missing
from common.errors import ArtifactError
from common.serving.inference import MODEL_FILE, STATE_FILE, Encoder, Predictor
from common.storage import read_uri

CODE = Path(__file__).with_name("inference.py")
ENVIRONMENT = {
    "SAGEMAKER_PROGRAM": CODE.name,
    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    "PIP_NO_BUILD_ISOLATION": "0",  # pip's way to say no: of a negated option it takes the option's own value
}
"""By which SageMaker's XGBoost image finds the code in the archive, and installs it with what it has.

It runs `pip install .` on the code whenever an instance starts. With an isolated build, pip would fetch setuptools for that
from PyPI: in a subnet without the internet no instance would start, and elsewhere none while PyPI is away.
"""

_LARGEST_STATE_BYTES = 64 * 1024**2
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


def load_trained(archive: Path, encoder: Encoder, labels: tuple[str, ...]) -> Predictor:
    """The model that a training job of the built-in algorithm has left, with what turns records into its features.

    Raises:
        ArtifactError: the archive is truncated or unsafe, has no model, or the model is not XGBoost's, or takes other
            features.
    """
    with tempfile.TemporaryDirectory() as folder:
        unpack(archive, Path(folder), MODEL_FILE)
        (Path(folder) / STATE_FILE).write_text(json.dumps(Predictor(None, encoder, labels).state()))
        return _load(Path(folder), archive)


def load_predictor(archive: Path) -> Predictor:
    """The model of a package's archive. Its booster and state hold no code, and the code beside them is not run.

    Raises:
        ArtifactError: as `load_trained`, or the archive was made by a release that this one cannot read.
    """
    with tempfile.TemporaryDirectory() as folder:
        unpack(archive, Path(folder), MODEL_FILE, STATE_FILE)
        return _load(Path(folder), archive)


def pack(predictor: Predictor) -> bytes:
    """The archive that serves the model; the same model makes the same bytes."""
    files = {
        MODEL_FILE: bytes(predictor.booster.save_raw("ubj")),
        STATE_FILE: json.dumps(predictor.state(), sort_keys=True, indent=1).encode(),
        f"code/{CODE.name}": CODE.read_bytes(),
    }
    target = io.BytesIO()
    # gzip and tar note the time of writing, unless told not to
    with gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return target.getvalue()


def unpack(archive: Path, folder: Path, *names: str) -> None:
    """Take only these files out of an archive into the folder.

    Raises:
        ArtifactError: the archive is damaged or unsafe, or lacks one of them.
    """
    try:
        with archive.open("rb") as file:
            held = unpack_files(file, folder, only=names)
    except UnsafeArchive as error:
        raise ArtifactError(
            f"{archive.name} is unsafe to unpack: {error}.", "Do not use it; find out who wrote it."
        ) from error
    except DamagedArchive as error:
        raise ArtifactError(f"{archive.name} is damaged: {error}.", _REMEDY) from error
    for name in names:
        if not (folder / name).is_file():
            raise ArtifactError(f"{archive.name} holds no {name}, but: {', '.join(held[:5]) or 'nothing'}.", _REMEDY)


def _load(folder: Path, archive: Path) -> Predictor:
    if (folder / MODEL_FILE).read_bytes()[:1] != b"{":
        raise ArtifactError(
            f"{MODEL_FILE} in {archive.name} is neither UBJSON nor JSON; a pickle is never loaded.",
            "Train with the built-in image 3.x, or save the model with Booster.save_model.",
        )
    size = (folder / STATE_FILE).stat().st_size
    if size > _LARGEST_STATE_BYTES:
        raise ArtifactError(f"{STATE_FILE} in {archive.name} has {size:,} bytes.", _REMEDY)
    try:
        predictor = Predictor.load(folder)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:  # xgboost's is a ValueError
        first = str(error).strip().splitlines()[0]
        raise ArtifactError(f"{archive.name} holds no model that can be loaded: {first}", _REMEDY) from error
    taken, given = predictor.booster.num_features(), len(predictor.encoder.names)
    if taken != given:
        raise ArtifactError(
            f"The model takes {taken} features, and the rows have {given}.",
            f"It was trained on other data. {_REMEDY}",
        )
    return predictor
