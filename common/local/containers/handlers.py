"""Serving in script mode: `model_fn`, then `input_fn`, `predict_fn`, `output_fn`, or `transform_fn` alone."""

import importlib
import io
import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from common.local.containers import http
from common.local.containers.base import Folders, UserError, log
from common.local.containers.http import Refusal, Response
from common.local.containers.lean import import_xgboost
from common.local.containers.scoring import parse
from common.local.containers.script import install_requirements

_WANTS_SCIKIT_LEARN = re.compile(rb"sklearn|XGB[A-Z]|pickle|joblib")
_TEXT_TYPES = ("application/json", "text/csv")
"""Bodies of exactly these types reach the script as text, in which U+FFFD stands for what is no UTF-8; others as bytes."""


@dataclass(frozen=True)
class Defaults:
    """The framework's own handlers, for those that the script does not define."""

    input_fn: Callable[[Any, Any], Any]
    predict_fn: Callable[[Any, Any], Any]


def _decode_array(body: str | bytes, content_type: str) -> Any:
    # one CSV row becomes a vector here, which scikit-learn refuses: the toolkit's own fault, kept
    if content_type == "text/csv" and isinstance(body, str):
        return np.genfromtxt(io.StringIO(body), delimiter=",", dtype=np.float32)
    if content_type == "application/json":
        return np.array(json.loads(body))
    if content_type == "application/x-npy" and isinstance(body, bytes):
        return np.load(io.BytesIO(body), allow_pickle=False)
    raise Refusal(415, f"Content type {content_type} is not supported by this framework.")


def _decode_matrix(body: str | bytes, content_type: str) -> Any:
    return import_xgboost().DMatrix(parse(body.encode() if isinstance(body, str) else body, content_type))


SCIKIT_LEARN = Defaults(_decode_array, lambda data, model: model.predict(data))
SCIKIT_LEARN_MULTI_MODEL = Defaults(
    lambda body, content_type: np.atleast_2d(_decode_array(body, content_type)), SCIKIT_LEARN.predict_fn
)
"""The toolkit that serves several models takes one CSV row for a matrix of one row."""
XGBOOST = Defaults(_decode_matrix, lambda data, model: model.predict(data, validate_features=False))


def serve(entry: Path, folders: Folders, defaults: Defaults) -> None:
    """Import the script, load its model and answer requests until the process is killed."""
    module = import_script(entry, folders, defaults)

    def load() -> http.Invoke:
        model = module.model_fn(str(folders.model))
        return lambda body, content_type, accept: invoke(module, model, defaults, body, content_type, accept)

    http.serve(load)


def import_script(entry: Path, folders: Folders, defaults: Defaults) -> ModuleType:
    """The script as a module, with what it requires installed.

    Raises:
        SystemExit: its requirements cannot be installed, or it lacks a handler that it needs.
    """
    try:
        packages = install_requirements(entry.parent, folders)
    except UserError as error:
        raise SystemExit(str(error)) from error
    sys.path[:0] = [str(entry.parent), str(packages)]
    if defaults is XGBOOST and not packages.exists() and not _wants_scikit_learn(entry.parent):
        import_xgboost()
    module = importlib.import_module(entry.stem)
    if not hasattr(module, "model_fn"):
        raise SystemExit(f"{entry.name} defines no model_fn")
    if hasattr(module, "transform_fn") and any(
        hasattr(module, f"{part}_fn") for part in ("input", "predict", "output")
    ):
        raise SystemExit("Cannot use transform_fn implementation with input_fn, predict_fn, and/or output_fn")
    return module


def _wants_scikit_learn(folder: Path) -> bool:
    """Whether scripts name scikit-learn or xgboost's wrappers for it, or load pickles, which may hold either."""
    return any(_WANTS_SCIKIT_LEARN.search(path.read_bytes()) for path in folder.rglob("*.py"))


def invoke(
    module: ModuleType, model: Any, defaults: Defaults, body: bytes, content_type: str | None, accept: str | None
) -> Response:
    """Answer one request by the script's handlers; what they raise is answered with 500."""
    content_type = content_type or "application/json"
    accept = accepted(accept)
    try:
        content = body.decode(errors="replace") if content_type in _TEXT_TYPES else body
        answer = call(module, model, defaults, content, content_type, accept)
    except Refusal:
        raise
    except Exception as error:
        log(traceback.format_exc())
        raise Refusal(500, str(error) or type(error).__name__) from error
    if hasattr(answer, "get_data"):  # a response of the image's web framework, by which a script sets a status
        return Response(answer.status_code, answer.get_data(), answer.mimetype)
    answer, kind = answer if isinstance(answer, tuple) else (answer, accept)
    return Response(200, answer if isinstance(answer, bytes) else str(answer).encode(), kind)


def accepted(accept: str | None) -> str:
    """The content type that a script is asked to answer in."""
    if accept and accept != "*/*":
        return accept
    return os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "application/json")


def call(
    module: ModuleType, model: Any, defaults: Defaults, content: str | bytes, content_type: str | None, accept: str
) -> Any:
    """What the script's handlers make of one request, the framework's own in place of those that it does not define."""
    if hasattr(module, "transform_fn"):
        return module.transform_fn(model, content, content_type, accept)
    data = getattr(module, "input_fn", defaults.input_fn)(content, content_type)
    prediction = getattr(module, "predict_fn", defaults.predict_fn)(data, model)
    return getattr(module, "output_fn", _encode)(prediction, accept)


def _encode(prediction: Any, accept: str) -> bytes:
    values = np.asarray(prediction)
    if accept == "application/json":
        return json.dumps(values.tolist()).encode()
    if accept == "text/csv":
        target = io.BytesIO()
        np.savetxt(target, values, delimiter=",", fmt="%s")
        return target.getvalue()
    if accept == "application/x-npy":
        target = io.BytesIO()
        np.save(target, values)
        return target.getvalue()
    raise Refusal(406, f"Accept type {accept} is not supported by this framework.")
