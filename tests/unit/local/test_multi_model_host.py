"""Which models an instance has: loading once, waiting for room, giving up, and containers that fail."""

import io
import json
import tarfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from common.local.hosting.multi_model import LoadFailed, ModelHost, ModelMissing, ModelNotReady, Store
from common.local.hosting.worker import Reply, WorkerGone
from common.local.roles.s3 import S3Refused


@dataclass
class Container:
    """Stands in for a worker: answers the contract, and may be told to be slow, full or gone."""

    limit: int = 100
    process_id: int = 1
    loading: threading.Event = field(default_factory=threading.Event)
    fault: Exception | Reply | None = None
    loaded: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.loading.set()

    def request(self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Reply:
        name = path.split("/")[2] if path != "/models" else json.loads(body)["model_name"]
        if path == "/models" and not self.loading.wait(timeout):
            raise TimeoutError
        with self.lock:
            return self.answer(method, path, name, headers)

    def answer(self, method: str, path: str, name: str, headers: Mapping[str, str]) -> Reply:
        if method == "DELETE":
            self.loaded.discard(name)
            return Reply(200, b"", None, None)
        if path != "/models":
            return Reply(200 if name in self.loaded else 404, name.encode(), None, None)
        if isinstance(self.fault, Exception):
            raise self.fault
        if self.fault is not None:
            return self.fault
        if len(self.loaded) >= self.limit:
            return Reply(507, b"full", None, None)
        self.calls.append(headers["X-Amzn-SageMaker-Target-Model"])
        self.loaded.add(name)
        return Reply(200, b"", None, None)


class Objects:
    """Stands in for S3."""

    def __init__(self) -> None:
        self.reads: list[str] = []
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz"):
            pass
        self.archive = buffer.getvalue()

    def read(self, _bucket: str, key: str) -> bytes:
        self.reads.append(key)
        if "missing" in key:
            raise KeyError(key)
        if "refused" in key:
            raise S3Refused("AccessDenied", "the role may not")
        return self.archive


class Host:
    """A model host as a fleet uses it."""

    def __init__(self, folder: Path, container: Container, keeps_models: bool = True) -> None:
        self.objects = Objects()
        self.measured: list[tuple[str, float]] = []
        objects: Any = self.objects
        worker: Any = container
        store = Store(objects, "s3://b/p/", folder)
        self.models = ModelHost(store, worker, keeps_models, lambda *value: self.measured.append(value))

    def ask(self, target: str, timeout: float = 5) -> int:
        self.models.claim(target)
        try:
            return self.models.invoke(target, b"", {}, timeout)[0].status
        finally:
            self.models.release(target)


def test_requests_that_come_together_load_a_model_once(tmp_path: Path) -> None:
    container = Container()
    host = Host(tmp_path, container)
    container.loading.clear()
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(host.ask, "a") for _ in range(8)]
        container.loading.set()
        assert [answer.result() for answer in answers] == [200] * 8
    assert (container.calls, host.objects.reads) == (["a"], ["p/a"])


def test_under_a_limit_no_request_fails_however_many_models_are_asked_at_once(tmp_path: Path) -> None:
    container = Container(limit=2)
    host = Host(tmp_path, container)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda turn: host.ask(f"m{turn * 7 % 13}"), range(400)))
    assert statuses == [200] * 400
    assert len(container.loaded) <= 2
    assert len(host.objects.reads) == 13  # the files stay on the disk


def test_a_load_waits_until_a_model_that_is_in_use_may_leave(tmp_path: Path) -> None:
    container = Container(limit=1)
    host = Host(tmp_path, container)
    host.ask("a")
    host.models.claim("a")
    with pytest.raises(ModelNotReady):
        host.ask("b", timeout=0.05)
    host.models.release("a")
    assert host.ask("b") == 200
    assert not host.models.has("a")


def test_a_load_that_takes_too_long_goes_on_and_a_later_request_is_answered(tmp_path: Path) -> None:
    container = Container()
    host = Host(tmp_path, container)
    container.loading.clear()
    with pytest.raises(ModelNotReady, match="a is not ready"):
        host.ask("a", timeout=0.01)
    assert host.models.has("a")
    container.loading.set()
    assert host.ask("a") == 200
    assert container.calls == ["a"]


@pytest.mark.parametrize(
    ("target", "fault", "error"),
    [
        ("missing", None, ModelMissing),
        ("refused", None, ModelMissing),
        ("a", Reply(500, b"broken", None, None), LoadFailed),
        ("a", WorkerGone("crashed"), LoadFailed),
    ],
)
def test_a_model_that_could_not_be_loaded_is_tried_again(
    tmp_path: Path, target: str, fault: Any, error: type[Exception]
) -> None:
    container = Container(fault=fault)
    host = Host(tmp_path, container)
    for _ in range(2):
        with pytest.raises(error):
            host.ask(target)
        assert not host.models.has(target)
    container.fault = None
    if target == "a":
        assert host.ask("a") == 200


def test_a_container_that_came_back_loads_from_the_disk_again(tmp_path: Path) -> None:
    container = Container()
    host = Host(tmp_path, container)
    host.ask("a")
    container.process_id, container.loaded = 2, set()
    assert host.ask("a") == 200
    assert (container.calls, host.objects.reads) == (["a", "a"], ["p/a"])


def test_without_a_cache_the_last_of_the_requests_unloads_the_model(tmp_path: Path) -> None:
    container = Container()
    host = Host(tmp_path, container, keeps_models=False)
    host.models.claim("a")
    host.ask("a")
    assert container.loaded
    host.models.release("a")
    assert not container.loaded
    assert not host.models.has("a")


def test_hits_loads_and_the_number_of_models_are_measured(tmp_path: Path) -> None:
    host = Host(tmp_path, Container(limit=1))
    for target in "aab":
        host.ask(target)
    names = [name for name, _ in host.measured]
    assert [value for name, value in host.measured if name == "ModelCacheHit"] == [0, 1, 0]
    assert names.count("ModelLoadingTime") == names.count("ModelDownloadingTime") == 2
    assert names.count("ModelLoadingWaitTime") == 2
    assert names.count("ModelUnloadingTime") == 1
    assert [value for name, value in host.measured if name == "LoadedModelCount"] == [1, 1, 1]
