"""The platform's side of a multi-model container on one instance: which models it has, and when they come and go.

A model is downloaded and loaded when a request first asks for it. Its files stay on the instance's disk, so that an object
which is overwritten in S3 goes on being served as it was. When the container answers that it has no memory for one more
model (507), those that were asked longest ago are unloaded.
"""

import hashlib
import json
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from common.archives import ArchiveError
from common.local.hosting.artifact import unpack_object
from common.local.hosting.worker import Reply, Worker, WorkerGone
from common.local.roles.s3 import RoleS3, S3Refused

LOADING_SECONDS = 360.0
"""How long loading may go on, while the requests that asked for it are told to come again."""

TARGET_HEADER = "X-Amzn-SageMaker-Target-Model"

Measure = Callable[[str, float], None]
"""(metric of CloudWatch, value); durations in µs. `LoadedModelCount` counts a model that is being loaded, too."""


class ModelMissing(Exception):
    """There is no such model in S3; the message is what the caller sees."""


class ModelNotReady(Exception):
    """The model is being loaded, and that takes longer than a request may wait."""


class LoadFailed(Exception):
    """The container has not taken the model; `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.body.decode(errors="replace"))
        self.reply = reply


@dataclass(frozen=True)
class Store:
    """Where the models come from, and where they are unpacked."""

    s3: RoleS3
    prefix: str
    """`s3://bucket/…/`"""
    folder: Path

    def fetch(self, target: str, name: str) -> Path:
        """The folder with the model's files, unpacked if they are not on the disk yet.

        Raises:
            ModelMissing: there is no such object, or not for the model's role.
            LoadFailed: it is no tar.gz that can be unpacked safely.
        """
        folder = self.folder / name / "model"
        if folder.exists():
            return folder
        partial = self.folder / name / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        bucket, _, key = (self.prefix + target).removeprefix("s3://").partition("/")
        try:
            unpack_object(self.s3, bucket, key, partial)
        except (KeyError, S3Refused) as fault:
            reason = f" ({fault})" if isinstance(fault, S3Refused) else ""
            raise ModelMissing(
                f"Failed to download model data(bucket: {bucket}, key: {key}). Please ensure that there is an object located at "
                f"the URL and that the role passed to CreateModel has permissions to download the object.{reason}"
            ) from fault
        except ArchiveError as fault:
            text = f"Failed to extract model data archive for model {target}: {fault}"
            raise LoadFailed(Reply(500, text.encode(), None, None)) from fault
        return partial.rename(folder)


@dataclass(eq=False)
class _Model:
    target: str
    name: str
    """What the container knows it by: an opaque name, as on AWS."""
    busy: int = 0
    """Requests that need it now, and keep it from being unloaded."""
    process: int | None = None
    """The process that has it in memory: a container that has crashed comes back without its models."""
    change: "Future[None] | None" = None
    """Loading or unloading, while it is under way."""


class ModelHost:
    """The models of one instance. Safe from any thread."""

    def __init__(self, store: Store, worker: Worker, keeps_models: bool, measure: Measure) -> None:
        """`keeps_models` False unloads each model as soon as no request needs it."""
        self._store = store
        self._worker = worker
        self._keeps_models = keeps_models
        self._measure = measure
        self._changed = threading.Condition()
        self._models: OrderedDict[str, _Model] = OrderedDict()
        """By target, the one that was asked longest ago first."""

    def has(self, target: str) -> bool:
        """Whether a model is loaded, or being loaded, here."""
        return target in self._models

    def claim(self, target: str) -> None:
        """Announce a request to a model, which keeps it from being unloaded until `release`."""
        with self._changed:
            if target not in self._models:
                name = hashlib.sha256(target.encode()).hexdigest()[:32]
                self._models[target] = _Model(target, name)
            self._models[target].busy += 1
            self._models.move_to_end(target)

    def release(self, target: str) -> None:
        """The request has been answered."""
        with self._changed:
            model = self._models[target]
            model.busy -= 1
            leaving = not self._keeps_models and self._is_idle(model)
            if leaving:
                model.change = Future()
            self._settle(model)
        if leaving:
            self._unload(model)

    def invoke(self, target: str, body: bytes, headers: Mapping[str, str], timeout: float) -> tuple[Reply, float]:
        """Ask a claimed model, which is loaded before if need be. Returns the answer, and the seconds that the model took.

        Raises:
            ModelMissing, LoadFailed: it cannot be loaded.
            ModelNotReady: it is not loaded within `timeout` seconds.
            TimeoutError, WorkerGone: as of `Worker.request`.
        """
        began = time.perf_counter()
        model = self._models[target]
        hit = self._is_loaded(model)
        self._measure("ModelCacheHit", float(hit))
        if not hit:
            self._await_loaded(model, began + timeout)
            self._measure("ModelLoadingWaitTime", (time.perf_counter() - began) * 1e6)
        asked = time.perf_counter()
        reply = self._worker.request(
            "POST",
            f"/models/{model.name}/invoke",
            body,
            {**headers, TARGET_HEADER: target},
            max(timeout - (asked - began), 0.001),
        )
        return reply, time.perf_counter() - asked

    def _is_loaded(self, model: _Model) -> bool:
        return model.change is None and model.process is not None and model.process == self._worker.process_id

    def _is_idle(self, model: _Model) -> bool:
        return model.busy == 0 and self._is_loaded(model)

    def _settle(self, model: _Model) -> None:
        """Forget a model that is neither loaded nor needed, and wake a load that waits for room. The caller has the lock."""
        if model.busy == 0:
            if model.process is None and model.change is None:
                self._models.pop(model.target, None)
            self._changed.notify_all()

    def _await_loaded(self, model: _Model, deadline: float) -> None:
        while True:
            with self._changed:
                if self._is_loaded(model):
                    return
                change = model.change
                if change is None:
                    change = model.change = Future()
                    threading.Thread(target=self._load, args=(model, change), name="load", daemon=True).start()
            try:
                change.result(max(0.0, deadline - time.perf_counter()))
            except TimeoutError:
                raise ModelNotReady(
                    f"The model {model.target} is not ready for inference yet. Please try again."
                ) from None

    def _load(self, model: _Model, change: "Future[None]") -> None:
        process: int | None = None
        fault: Exception | None = None
        try:
            process = self._load_within(model, time.perf_counter() + LOADING_SECONDS)
        except Exception as error:
            fault = error
        with self._changed:
            model.process, model.change = process, None
            self._settle(model)
        self._measure("LoadedModelCount", len(self._models))
        if fault is None:
            change.set_result(None)
        else:
            change.set_exception(fault)

    def _load_within(self, model: _Model, deadline: float) -> int | None:
        """Load the model; the process that has it then."""
        began = time.perf_counter()
        folder = self._store.fetch(model.target, model.name)
        fetched = time.perf_counter()
        self._measure("ModelDownloadingTime", (fetched - began) * 1e6)
        body = json.dumps({"model_name": model.name, "url": str(folder)}).encode()
        headers = {"Content-Type": "application/json", TARGET_HEADER: model.target}
        while True:
            process = self._worker.process_id
            try:
                reply = self._worker.request(
                    "POST", "/models", body, headers, max(deadline - time.perf_counter(), 0.001)
                )
            except TimeoutError as error:
                raise ModelNotReady(
                    f"The model {model.target} was not loaded within {LOADING_SECONDS:.0f} s."
                ) from error
            except WorkerGone as gone:
                raise LoadFailed(Reply(503, f"The container is not available: {gone}".encode(), None, None)) from gone
            if reply.status in (200, 409):
                self._measure("ModelLoadingTime", (time.perf_counter() - fetched) * 1e6)
                return process
            if reply.status != 507 or not self._make_room(deadline):
                raise LoadFailed(reply)

    def _make_room(self, deadline: float) -> bool:
        """Unload the model that was asked longest ago, as soon as there is one that no request needs."""
        with self._changed:
            victim = self._oldest_idle()
            while victim is None:
                if not self._changed.wait(max(0.0, deadline - time.perf_counter())):
                    return False
                victim = self._oldest_idle()
            victim.change = Future()
        self._unload(victim)
        return True

    def _oldest_idle(self) -> _Model | None:
        return next((model for model in self._models.values() if self._is_idle(model)), None)

    def _unload(self, model: _Model) -> None:
        """Take a model out of the container's memory. `model.change` has been set, so that requests for it wait."""
        began = time.perf_counter()
        with suppress(TimeoutError, WorkerGone):  # a container that has ended has no models left
            self._worker.request("DELETE", f"/models/{model.name}", b"", {}, LOADING_SECONDS)
        self._measure("ModelUnloadingTime", (time.perf_counter() - began) * 1e6)
        with self._changed:
            change, model.process, model.change = model.change, None, None
            self._settle(model)
        self._measure("LoadedModelCount", len(self._models))
        if change is not None:
            change.set_result(None)
