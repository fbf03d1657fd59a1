"""The server of a multi-model container: models are loaded, listed, unloaded and asked by name.

It plays multi-model-server with the inference toolkit's handlers, as the images run them: models in processes of their own,
each of which answers one request after the other. The images start one or several for each model; here at most
`PROCESSES`, which further models share: a thousand take the memory of a machine otherwise.
"""

import importlib.util
import json
import os
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from common.local.containers import handlers, http, script
from common.local.containers.base import Folders, log
from common.local.containers.handlers import Defaults
from common.local.containers.http import Refusal, Request, Response
from common.local.containers.model_process import Died, Gone, ModelProcess, Nursery

LIMIT_VARIABLE = "SAGEMAKER_MULTI_MODEL_MAX_LOADED"
"""How many models this container takes into its memory: an instance's size, in place of its gigabytes."""

PROCESSES = 64

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

    def __init__(self, url: str, shared: ModuleType, program: str, defaults: Defaults) -> None:
        self._url = url
        self._shared = shared
        self._program = program
        self._defaults = defaults
        self._loaded: tuple[ModuleType, Any] | None = None

    def load(self) -> bool:
        """Whether the model fits into the memory."""
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

    def invoke(self, request: Request) -> Response:
        """The handlers' answer."""
        try:
            accept = handlers.accepted(request.accept)
            content = request.body.decode() if request.content_type in _TEXT_TYPES else request.body
            answer = handlers.call(*self._get(), self._defaults, content, request.content_type, accept)
            answer, kind = answer if isinstance(answer, tuple) else (answer, accept)
            return Response(200, _encode(answer), kind)
        except Exception as error:
            return _failure(error)


_Message = tuple[Literal["load", "invoke", "unload"], str, Any]
"""What to do, with which model, and its folder or the request to it."""


def _work(module: ModuleType, program: str, defaults: Defaults) -> Callable[[_Message], bool | Response]:
    """What a process does with its messages."""
    loaded: dict[str, _Handlers] = {}

    def work(message: _Message) -> bool | Response:
        task, name, argument = message
        if task == "invoke":
            return loaded[name].invoke(argument)
        loaded.pop(name, None)
        if task == "unload":
            return True
        model = _Handlers(argument, module, program, defaults)
        fits = model.load()
        if fits:
            loaded[name] = model
        return fits

    return work


@dataclass(eq=False)
class _Seat:
    """A process, and the models that it has."""

    process: ModelProcess
    names: set[str] = field(default_factory=set)


@dataclass
class _Model:
    """One model, as the container's server knows it."""

    url: str
    seat: _Seat | None = None
    """None when its process has ended, until the next request."""
    lock: threading.Lock = field(default_factory=threading.Lock)


class Models:
    """The models in memory, by the names that the platform gives them."""

    def __init__(self, module: ModuleType, program: str, defaults: Defaults, limit: int | None) -> None:
        """`program` is the file whose handlers `module` holds; a model that brings one of that name uses its own."""
        self._nursery = Nursery(partial(_work, module, program, defaults))
        self._limit = limit
        self._lock = threading.Lock()
        self._models: dict[str, _Model] = {}
        self._seats: list[_Seat] = []

    def close(self) -> None:
        """End all processes."""
        self._nursery.close()
        for seat in self._seats:
            seat.process.end()

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
            raise _not_found(name)
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
            self._seated(name, model)
        except Refusal:
            self._unload(name)
            raise
        return _json({"status": f'Model "{name}" registered'})

    def _seated(self, name: str, model: _Model) -> _Seat:
        """The process that has the model in its memory, where it is loaded if need be. Raises Refusal."""
        with model.lock:
            while model.seat is None:
                if self._models.get(name) is not model:  # unloaded while this request waited for its turn
                    raise _not_found(name)
                seat = self._free_seat(name)
                fits = self._ask(seat, ("load", name, model.url))
                if fits is False:
                    seat.names.discard(name)
                    raise _refusal(507, "InsufficientMemoryException", "System out of memory")
                if fits:
                    model.seat = seat
            return model.seat

    def _free_seat(self, name: str) -> _Seat:
        """A process for one more model: one without any, or a new one, or that with the fewest."""
        with self._lock:
            seat = min(self._seats, key=lambda each: len(each.names), default=None)
            if seat is None or (seat.names and len(self._seats) < PROCESSES):
                seat = _Seat(self._nursery.spawn())
                self._seats.append(seat)
            seat.names.add(name)
            return seat

    def _invoke(self, name: str, model: _Model, request: Request) -> Response:
        while True:
            answer = self._ask(self._seated(name, model), ("invoke", name, request))
            if isinstance(answer, Response):
                return answer

    def _ask(self, seat: _Seat, message: _Message) -> bool | Response | None:
        """A process's answer; None when another model has ended it before. Raises Refusal when this message did."""
        try:
            answer: bool | Response = seat.process.ask(message)
        except (Died, Gone) as end:
            with self._lock:
                if seat in self._seats:
                    self._seats.remove(seat)
                for name in seat.names:
                    if name in self._models and self._models[name].seat is seat:
                        self._models[name].seat = None
            if isinstance(end, Died):
                log(f"The process of model {message[1]} has ended; the next request loads it anew.")
                raise _refusal(500, "InternalServerException", "Worker died.") from None
            return None
        return answer

    def _unload(self, name: str) -> Response:
        model = self._find(name)
        with self._lock:
            self._models.pop(name, None)
        with model.lock:
            seat, model.seat = model.seat, None
        if seat is not None:
            with self._lock:
                if seat.names == {name}:  # nobody waits for what it does: a request that the platform has given up
                    seat.process.kill_if_busy()
            with suppress(Refusal):
                self._ask(seat, ("unload", name, None))
            with self._lock:
                seat.names.discard(name)
        return _json({"status": f'Model "{name}" unregistered'})


def _import(path: Path) -> ModuleType:
    specification: Any = importlib.util.spec_from_file_location(f"{path.stem}_of_the_model", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


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


def _not_found(name: str) -> Refusal:
    return _refusal(404, "ModelNotFoundException", f"Model not found: {name}")


def _refusal(status: int, kind: str, message: str) -> Refusal:
    refusal = Refusal(status, message)
    refusal.response = _json({"code": status, "type": kind, "message": message}, status)
    return refusal
