"""The server of a multi-model container: models are loaded, listed, unloaded and asked by name.

It plays multi-model-server with the inference toolkit's handlers, as the images run them: each model in a process of its own,
which answers one request after the other.
"""

import importlib.util
import json
import os
import threading
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from common.local.containers import handlers, http, script
from common.local.containers.base import Folders, log
from common.local.containers.handlers import Defaults
from common.local.containers.http import Refusal, Request, Response
from common.local.containers.model_process import Died, ModelProcess, Nursery

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


class _Handlers:
    """One model in the memory of its process."""

    def __init__(self, shared: ModuleType, program: str, defaults: Defaults) -> None:
        self._shared = shared
        self._program = program
        self._defaults = defaults
        self._url = ""
        self._loaded: tuple[ModuleType, Any] | None = None

    def work(self, message: str | Request) -> bool | Response:
        """Load the model of a folder (whether it fits into the memory), or answer a request to it."""
        return self._load(message) if isinstance(message, str) else self._invoke(message)

    def _load(self, url: str) -> bool:
        self._url = url
        try:
            self._get()
        except MemoryError:
            return False
        except Exception:
            log(traceback.format_exc())  # each request tries again, and is answered with what it raises
        return True

    def _get(self) -> tuple[ModuleType, Any]:
        """The handlers, and what `model_fn` makes of the folder; one that fails is called again for each request, as there."""
        if self._loaded is None:
            own = Path(self._url, self._program)
            module = _import(own) if own.is_file() else self._shared
            self._loaded = module, module.model_fn(self._url)
        return self._loaded

    def _invoke(self, request: Request) -> Response:
        try:
            accept = handlers.accepted(request.accept)
            content = request.body.decode() if request.content_type in _TEXT_TYPES else request.body
            answer = handlers.call(*self._get(), self._defaults, content, request.content_type, accept)
            answer, kind = answer if isinstance(answer, tuple) else (answer, accept)
            return Response(200, _encode(answer), kind)
        except Exception as error:
            return _failure(error)


@dataclass
class _Model:
    """One model, as the container's server knows it."""

    url: str
    process: ModelProcess | None = None
    """None when it has died, until the next request."""
    lock: threading.Lock = field(default_factory=threading.Lock)


class Models:
    """The models in memory, by the names that the platform gives them."""

    def __init__(self, module: ModuleType, program: str, defaults: Defaults, limit: int | None) -> None:
        """`program` is the file whose handlers `module` holds; a model that brings one of that name uses its own."""
        self._nursery = Nursery(lambda: _Handlers(module, program, defaults).work)
        self._limit = limit
        self._lock = threading.Lock()
        self._models: dict[str, _Model] = {}

    def close(self) -> None:
        """End all processes."""
        self._nursery.close()
        for model in self._models.values():
            if model.process is not None:
                model.process.end()

    def answer(self, request: Request) -> Response:
        """One request of the container contract. Raises Refusal."""
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["models", name, "invoke"]:
                return self._invoke(name, self._find(name), request)
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
            model = self._models[name] = _Model(url)
        try:
            self._started(name, model)
        except Refusal:
            self._unload(name)
            raise
        return _json({"status": f'Model "{name}" registered'})

    def _started(self, name: str, model: _Model) -> ModelProcess:
        """The model's process, with the model in memory. Raises Refusal."""
        with model.lock:
            if model.process is None:
                process = self._nursery.spawn()
                try:
                    fits = process.ask(model.url)
                except Died:
                    raise _died(name) from None
                if not fits:
                    process.end()
                    raise _refusal(507, "InsufficientMemoryException", "System out of memory")
                model.process = process
            return model.process

    def _invoke(self, name: str, model: _Model, request: Request) -> Response:
        process = self._started(name, model)
        try:
            answer: Response = process.ask(request)
        except Died:
            with model.lock:
                if model.process is process:
                    model.process = None
            raise _died(name) from None
        return answer

    def _unload(self, name: str) -> Response:
        self._find(name)
        with self._lock:
            model = self._models.pop(name, None)
        if model is not None and model.process is not None:
            model.process.end()
        return _json({"status": f'Model "{name}" unregistered'})


def _import(path: Path) -> ModuleType:
    specification: Any = importlib.util.spec_from_file_location(f"{path.stem}_of_the_model", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _died(name: str) -> Refusal:
    log(f"The process of model {name} has ended; the next request starts it again.")
    return _refusal(500, "InternalServerException", "Worker died.")


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
