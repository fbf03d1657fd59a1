"""Inference of the built-in XGBoost: what `sagemaker-xgboost` answers without a script."""

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.local.containers import http
from common.local.containers.base import Folders
from common.local.containers.data import CONTENT_TYPES, brief
from common.local.containers.http import Refusal, Response
from common.local.containers.lean import import_xgboost
from common.local.containers.selection import select

Rows = npt.NDArray[np.float64]
_ACCEPTED = ("application/json", "application/jsonlines", "text/csv")


class Model:
    """One booster, or several whose predictions are averaged (the folds of `_kfold`), or voted on where they are labels."""

    def __init__(self, folder: Path) -> None:
        """Load every file of the model folder.

        Raises:
            ValueError: there is none, or one is no model in UBJSON or JSON.
        """
        paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
        if not paths:
            raise ValueError(f"no model file in {folder}")
        if os.environ.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true") != "true":
            paths = paths[:1]
        self._boosters = [_load(path) for path in paths]
        learner = json.loads(self._boosters[0].save_config())["learner"]
        self.objective: str = learner["objective"]["name"]
        self.classes = int(learner["learner_model_param"]["num_class"])
        self.features: int = self._boosters[0].num_features()
        self._linear = learner["gradient_booster"]["name"] == "gblinear"

    def predict(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Predictions in the objective's terms; columns that are not given are missing values.

        Raises:
            ValueError: there are more columns than features.
        """
        given = rows.shape[1]
        if given > self.features:
            raise ValueError(
                f"Check failed: learner_model_param_.num_feature >= p_fmat->Info().num_col_ ({self.features} vs. {given}) : "
                "Number of columns does not match number of features in booster."
            )
        if given < self.features:
            rows = np.hstack([rows, np.full((len(rows), self.features - given), np.nan)])
        answers = [self._predict_one(booster, rows) for booster in self._boosters]
        if len(answers) == 1:
            return answers[0]
        if self.objective in ("multi:softmax", "binary:hinge"):
            return np.array(
                [np.bincount(votes.astype(int)).argmax() for votes in np.array(answers).T], dtype=np.float32
            )
        return np.asarray(np.mean(answers, axis=0))

    def _predict_one(self, booster: Any, rows: Rows) -> npt.NDArray[np.float32]:
        if self._linear:  # for which xgboost has no in-place prediction
            matrix = import_xgboost().DMatrix(rows, nthread=1)
            return np.asarray(booster.predict(matrix, validate_features=False))
        return np.asarray(booster.inplace_predict(rows, validate_features=False))


def serve(folders: Folders) -> None:
    """Load the model and answer requests until the process is killed."""

    def load() -> http.Invoke:
        try:
            model = Model(folders.model)
        except (ValueError, OSError) as error:
            raise SystemExit(f"Unable to load model: {brief(error)}") from error
        return lambda body, content_type, accept: invoke(model, body, content_type, accept)

    http.serve(load)


def invoke(model: Model, body: bytes, content_type: str | None, accept: str | None) -> Response:
    """Answer one request: parse, predict, encode, in the image's order of checks."""
    if not body:
        return Response(204)
    rows = parse(body, content_type)
    try:
        predictions = model.predict(rows)
    except ValueError as error:
        raise Refusal(400, f"Unable to evaluate payload provided: {brief(error)}") from error
    kind = _accept(accept)
    selected = os.environ.get("SAGEMAKER_INFERENCE_OUTPUT")
    if selected is not None:
        text = select(predictions, selected, model.objective, model.classes, kind)
    elif kind == "application/jsonlines":
        raise Refusal(406, "application/jsonlines is answered only with SAGEMAKER_INFERENCE_OUTPUT")
    else:
        text = _encode(predictions.tolist(), kind)
    return Response(200, text.encode(), f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)


def parse(body: bytes, content_type: str | None) -> Rows:
    """The rows of a CSV or libsvm body; libsvm is what a body without a type is taken for.

    libsvm indices that begin at 1 are shifted to 0 here, but not in training, as in the image.

    Raises:
        Refusal: 415, the type is not supported or the body is not of that type.
    """
    kind, _, options = (content_type or "text/libsvm").lower().partition(";")
    file_format = CONTENT_TYPES.get(kind.strip())
    if file_format is None:
        raise Refusal(415, f"{content_type} is not an accepted ContentType: {', '.join(CONTENT_TYPES)}.")
    if file_format not in ("csv", "libsvm"):
        raise Refusal(415, f"Content-type {content_type} is not supported.")
    if file_format == "csv" and "label_size" in options and options.strip() != "label_size=1":
        raise Refusal(415, f"{content_type} is not an accepted csv ContentType: label_size must be equal to 1")
    try:
        text = body.strip().decode()
        return _parse_csv(text) if file_format == "csv" else _parse_libsvm(text)
    except (ValueError, csv.Error) as error:
        message = f"Loading {file_format} data failed with Exception, please ensure data is in {file_format} format:\n"
        raise Refusal(415, f"{message} {type(error)}\n {error}") from error


def _load(path: Path) -> Any:
    content = path.read_bytes()
    if not content.startswith(b"{"):
        kind = "a pickle, which could run any code" if content.startswith(b"\x80") else "neither UBJSON nor JSON"
        raise ValueError(f"Model {path} cannot be loaded: it is {kind}; save it with Booster.save_model")
    booster = import_xgboost().Booster({"nthread": 1})
    booster.load_model(bytearray(content))
    booster.set_param("nthread", 1)
    return booster


def _parse_csv(text: str) -> Rows:
    lines = text.split("\n")
    head = lines[0][:512]
    # with several candidates the sniffer prefers the comma, unless there are quotes; asking it takes longer than predicting
    delimiter = "," if "," in head and '"' not in head and "'" not in head else csv.Sniffer().sniff(head).delimiter
    if delimiter.isalnum():
        delimiter = ","
    return np.array([[float(value) if value else np.nan for value in line.split(delimiter)] for line in lines])


def _parse_libsvm(text: str) -> Rows:
    lines = [[item.split(":") for item in line.split() if ":" in item] for line in text.split("\n")]
    rows = [{int(index): float(value) for index, value in line} for line in lines]
    indices = [index for row in rows for index in row]
    if not indices:
        raise ValueError("no line has a feature")
    first = 1 if min(indices) >= 1 else 0
    matrix = np.full((len(rows), max(indices) - first + 1), np.nan)
    for number, row in enumerate(rows):
        for index, value in row.items():
            matrix[number, index - first] = value
    return matrix


def _accept(header: str | None) -> str:
    kind = (header or "").partition(";")[0].strip().lower()
    if kind in ("", "*/*"):
        return os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv")
    if kind not in _ACCEPTED:
        raise Refusal(
            406, f"Accept type {kind} is not supported. Please use supported accept types: {list(_ACCEPTED)}."
        )
    return kind


def _encode(predictions: Sequence[Any], kind: str) -> str:
    if os.environ.get("SAGEMAKER_BATCH") == "true":
        return "".join(f"{value}\n" for value in predictions)
    if kind == "application/json":
        return json.dumps({"predictions": [{"score": value} for value in predictions]})
    return "".join(f"{','.join(map(str, value)) if isinstance(value, list) else value}\n" for value in predictions)
