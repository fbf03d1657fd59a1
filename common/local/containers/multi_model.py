"""The server of a multi-model container: models are loaded, listed, unloaded and asked by name.

It plays multi-model-server with the inference toolkit's handlers, as the images run them, except that all models live in one
process, where the images start processes for each.
"""

import importlib.util
import json
import os
import threading
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from common.local.containers import handlers, http, script
from common.local.containers.base import Folders, log
from common.local.containers.handlers import Defaults
from common.local.containers.http import Refusal, Request, Response

LIMIT_VARIABLE = "SAGEMAKER_MULTI_MODEL_MAX_LOADED"
"""How many models this container takes into its memory: an instance's size, in place of its gigabytes."""

_JSON = "application/json"
_TEXT_TYPES = (_JSON, "text/csv")
"""Bodies of exactly these types reach the script as text; those of others as bytes."""


def serve(folders: Folders, defaults: Defaults) -> None:
    """Import the script of `SAGEMAKER_PROGRAM` and answer requests until the process is killed."""
    entry = script.find_serving_script(folders) if os.environ.get("SAGEMAKER_PROGRAM") else None
    if entry is None:
        raise SystemExit("a multi-model container needs a script: SAGEMAKER_PROGRAM and SAGEMAKER_SUBMIT_DIRECTORY")
    module = handlers.import_script(entry, folders, defaults)
    limit = os.environ.get(LIMIT_VARIABLE)
    http.listen(Models(module, entry.name, defaults, int(limit) if limit else None).answer)


class _Model:
    """One model in memory."""

    def __init__(self, name: str, url: str, shared: ModuleType, program: str) -> None:
        self._name = name
        self.url = url
        self._shared = shared
        self._own = Path(url, program)
        self._loaded: tuple[ModuleType, Any] | None = None

    def get(self) -> tuple[ModuleType, Any]:
        """The handlers, and what `model_fn` makes of the folder; one that fails is called again for each request, as there."""
        if self._loaded is None:
            module = self._import_own() if self._own.is_file() else self._shared
            self._loaded = module, module.model_fn(self.url)
        return self._loaded

    def _import_own(self) -> ModuleType:
        specification: Any = importlib.util.spec_from_file_location(f"{self._own.stem}_{self._name}", self._own)
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return module


class Models:
    """The models in memory, by the names that the platform gives them."""

    def __init__(self, module: ModuleType, program: str, defaults: Defaults, limit: int | None) -> None:
        """`program` is the file whose handlers `module` holds; a model that brings one of that name uses its own."""
        self._module = module
        self._program = program
        self._defaults = defaults
        self._limit = limit
        self._lock = threading.Lock()
        self._models: dict[str, _Model] = {}

    def answer(self, request: Request) -> Response:
        """One request of the container contract. Raises Refusal."""
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["models", name, "invoke"]:
                return self._invoke(self._find(name), request)
            case "POST", ["models"]:
                return self._load(request.body)
            case "DELETE", ["models", name]:
                return self._unload(name)
            case "GET", ["models", name]:
                return _json(_description(name, self._find(name)))
            case "GET", ["models"]:
                with self._lock:
                    return _json({"models": [_description(*item) for item in self._models.items()]})
        raise _refusal(404, "ResourceNotFoundException", "Requested resource is not found.")

    def _find(self, name: str) -> _Model:
        if name not in self._models:
            raise _refusal(404, "ModelNotFoundException", f"Model not found: {name}")
        return self._models[name]

    def _load(self, body: bytes) -> Response:
        wanted = _parsed(body)
        name, url = wanted["model_name"], wanted["url"]
        if not Path(url).is_dir():
            raise _refusal(404, "ModelNotFoundException", f"Model not found at: {url}")
        with self._lock:
            if name in self._models:
                raise _refusal(409, "ConflictStatusException", f"Model {name} is already registered.")
            if self._limit is not None and len(self._models) >= self._limit:
                raise _refusal(507, "InsufficientMemoryException", f"{self._limit} models are loaded: {LIMIT_VARIABLE}")
            model = self._models[name] = _Model(name, url, self._module, self._program)
        try:
            model.get()
        except MemoryError as error:
            self._unload(name)
            raise _refusal(507, "InsufficientMemoryException", "System out of memory") from error
        except Exception:
            log(traceback.format_exc())
        return _json({"status": f'Model "{name}" registered'})

    def _unload(self, name: str) -> Response:
        self._find(name)
        with self._lock:
            self._models.pop(name, None)
        return _json({"status": f'Model "{name}" unregistered'})

    def _invoke(self, model: _Model, request: Request) -> Response:
        try:
            accept = handlers.accepted(request.accept)
            content = request.body.decode() if request.content_type in _TEXT_TYPES else request.body
            answer = handlers.call(*model.get(), self._defaults, content, request.content_type, accept)
            answer, kind = answer if isinstance(answer, tuple) else (answer, accept)
            return Response(200, _encode(answer), kind)
        except Exception as error:
            return _failure(error)


def _failure(error: Exception) -> Response:
    """The image's answer to what a handler raises: message and traceback, with the status that the exception carries.

    There it has to be one of `sagemaker_inference.errors`, which this machine does not have; here any with a `status_code`.
    """
    status = getattr(error, "status_code", None)
    if not isinstance(status, int) or not 400 <= status < 600:
        status = 500
    trace = traceback.format_exc()
    if status >= 500:
        log(trace)
    return Response(status, f"{getattr(error, 'message', error)}\n{trace}".encode())


def _encode(answer: Any) -> bytes:
    if isinstance(answer, bytes | bytearray):
        return bytes(answer)
    return (answer if isinstance(answer, str) else json.dumps(answer, indent=2)).encode()


def _parsed(body: bytes) -> dict[str, str]:
    try:
        wanted = json.loads(body)
        return {member: str(wanted[member]) for member in ("model_name", "url")}
    except (ValueError, TypeError, KeyError) as error:
        raise _refusal(400, "BadRequestException", "model_name and url are required.") from error


def _description(name: str, model: _Model) -> dict[str, str]:
    return {"modelName": name, "modelUrl": model.url}


def _json(content: Any, status: int = 200) -> Response:
    return Response(status, json.dumps(content).encode(), _JSON)


def _refusal(status: int, kind: str, message: str) -> Refusal:
    refusal = Refusal(status, message)
    refusal.response = _json({"code": status, "type": kind, "message": message}, status)
    return refusal
