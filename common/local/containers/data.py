"""The built-in XGBoost's channels, their content types, and how their files become matrices."""

import csv
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common.local.containers.base import UserError, log
from common.local.containers.lean import import_xgboost

CONTENT_TYPES = {
    "csv": "csv",
    "text/csv": "csv",
    "libsvm": "libsvm",
    "text/libsvm": "libsvm",
    "text/x-libsvm": "libsvm",
    "parquet": "parquet",
    "application/x-parquet": "parquet",
    "recordio-protobuf": "recordio-protobuf",
    "application/x-recordio-protobuf": "recordio-protobuf",
}
"""Content type of a channel, an exact string, to the format of its files."""

_MAX_DEPTH = 3
"""Folders below this are not read."""


def validate_channels(channels: Mapping[str, Mapping[str, Any]]) -> str:
    """Check the job's channels (`inputdataconfig.json`); return the format of the training files.

    Raises:
        UserError: a channel is unknown, missing, or configured in a way that the image does not support.
    """
    if "train" not in channels:
        raise UserError("Missing required channel: train")
    for name, given in channels.items():
        if name not in ("train", "validation", "code"):
            raise UserError(f"Extraneous channel found: {name}")
        channel = {"ContentType": "text/libsvm"} | dict(given)
        accepted = ("text/python",) if name == "code" else CONTENT_TYPES
        if channel["ContentType"] not in accepted or channel.get("TrainingInputMode") != "File":
            raise UserError(f"Channel configuration for '{name}' channel is not supported: {channel}")
    return CONTENT_TYPES[channels["train"].get("ContentType", "text/libsvm")]


def find_files(channel: Path) -> list[Path]:
    """The channel's data files in order of their paths; empty where the channel has no data.

    Raises:
        UserError: one of them is hidden.
    """
    found = sorted(path for path in channel.rglob("*") if path.is_file())
    if any(path.name.startswith(".") for path in found):
        raise UserError("Hidden file found in the data path! Remove that before training.")
    near = [path for path in found if len(path.relative_to(channel).parts) <= _MAX_DEPTH]
    if len(near) < len(found):
        log(f"The depth of folder {channel} exceeds the limit {_MAX_DEPTH}; files in deeper folders are not loaded.")
    return near if sum(path.stat().st_size for path in near) else []


def load_matrix(files: Sequence[Path], file_format: str, scratch: Path, weighted: bool = False) -> Any:
    """A DMatrix of all files together, label first. Rows of a CSV header become a row like any other, as in the image.

    Args:
        scratch: a folder for the joined file, which is removed.
        weighted: column 1 of a CSV is the row's weight.

    Raises:
        UserError: the files are not in that format, or have no labels.
    """
    if file_format not in ("csv", "libsvm"):
        raise UserError(f"{file_format} is not supported by the local container; use csv or libsvm")
    try:
        matrix = _load_text(files, file_format, scratch, weighted)
    except (ValueError, OSError) as error:
        raise UserError(f"Failed to load {file_format} data with exception:\n{brief(error)}") from error
    if matrix.get_label().size == 0:
        raise UserError("Got input data without labels. Please check the input data set.")
    return matrix


def brief(error: Exception) -> str:
    """xgboost's message without the stack of its C++ frames."""
    return str(error).partition("\nStack trace:")[0].strip()


def _load_text(files: Sequence[Path], file_format: str, scratch: Path, weighted: bool) -> Any:
    for path in files:
        if file_format == "libsvm":
            _check_libsvm(path)
    options = "format=libsvm"
    if file_format == "csv":
        options = f"format=csv&label_column=0&delimiter={_sniff_delimiter(files)}" + "&weight_column=1" * weighted
    # xgboost takes what it reads for a URI, and finds no file whose path has one of these or is beyond ASCII
    is_plain = str(scratch).isascii() and not set("#?;") & set(str(scratch))
    with TemporaryDirectory(dir=scratch if is_plain else None) as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Text file input has been deprecated")
        joined = Path(folder, "rows")
        _join(files, joined)
        return import_xgboost().DMatrix(f"{joined}?{options}")


def _join(files: Sequence[Path], target: Path) -> None:
    """One file of all rows: xgboost reads a folder in the file system's order, which would make models differ."""
    with target.open("wb") as rows:
        for path in files:
            with path.open("rb") as part:
                shutil.copyfileobj(part, rows, 1 << 20)
            rows.write(b"\n")


def _sniff_delimiter(files: Sequence[Path]) -> str:
    delimiters = {}
    for path in files:
        with path.open(errors="ignore") as rows:
            line = rows.readline()
        try:
            delimiters[path] = csv.Sniffer().sniff(line).delimiter
        except csv.Error as error:
            raise UserError(f"Could not determine delimiter on line {line[:50]}:\n{error}") from error
    return delimiters[files[0]]


def _check_libsvm(path: Path) -> None:
    """Check lines until one with two features is found, as the image does; xgboost checks nothing."""
    with path.open(errors="ignore") as rows:
        for line in rows:
            count = _count_features(line.rstrip("\n"))
            if count < 0:
                raise UserError(
                    f"First line '{line[:50]}...' of file '{path.name}' is not 'LIBSVM' format. "
                    "Please ensure the file is in 'LIBSVM' format."
                )
            if count > 1:
                return


def _count_features(line: str) -> int:
    """Features of a libsvm line, -1 when it is none."""
    label, *features = line.split(" ")
    parts = label.split(":")
    try:
        for part in parts:
            float(part)
    except ValueError:
        return -1
    features = [feature for feature in features if feature]
    if len(parts) > 2 or any(feature.count(":") != 1 for feature in features):
        return -1
    return len(features)
