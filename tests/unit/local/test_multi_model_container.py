"""The container contract of multi-model endpoints, and what becomes of a handler's answers and errors."""

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from common.local.containers import multi_model
from common.local.containers.handlers import SCIKIT_LEARN_MULTI_MODEL
from common.local.containers.http import Refusal, Request, Response
from common.local.containers.multi_model import Models

JSON = "application/json"


class Rejected(Exception):
    """As sagemaker_inference.errors has it."""

    def __init__(self, status_code: Any, message: str) -> None:
        super().__init__(status_code, message)
        self.status_code = status_code
        self.message = message


def script(**handlers: Any) -> ModuleType:
    module = ModuleType("inference")
    module.__dict__.update({"model_fn": lambda folder: Path(folder).name, **handlers})
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "ab":
        (tmp_path / name).mkdir()
    return tmp_path


Container = Callable[..., Models]


@pytest.fixture
def container() -> Iterator[Container]:
    """Makes containers, of which no process is left when the test ends."""
    made: list[Models] = []

    def make(limit: int | None = None, **handlers: Any) -> Models:
        handlers = handlers or {
            "transform_fn": lambda model, content, kind, accept: f"{model} {content} {kind} {accept}"
        }
        made.append(Models(script(**handlers), "inference.py", SCIKIT_LEARN_MULTI_MODEL, limit))
        return made[-1]

    yield make
    for models in made:
        models.close()


def send(
    models: Models, method: str, path: str, body: bytes = b"", kind: str | None = JSON, accept: str | None = None
) -> Response:
    try:
        return models.answer(Request(method, path, body, kind, accept))
    except Refusal as refusal:
        return refusal.response


def load(models: Models, folder: Path, name: str) -> int:
    body = json.dumps({"model_name": name, "url": str(folder / name)}).encode()
    return send(models, "POST", "/models", body).status


def test_models_are_loaded_listed_described_and_unloaded_by_name(folder: Path, container: Container) -> None:
    models = container()
    assert [load(models, folder, name) for name in "ab"] == [200, 200]
    assert load(models, folder, "a") == 409
    assert [each["modelName"] for each in json.loads(send(models, "GET", "/models").body)["models"]] == ["a", "b"]
    assert json.loads(send(models, "GET", "/models/a").body) == {"modelName": "a", "modelUrl": str(folder / "a")}
    assert send(models, "DELETE", "/models/a").status == 200
    for method, path in (("GET", "/models/a"), ("DELETE", "/models/a"), ("POST", "/models/a/invoke")):
        answer = send(models, method, path)
        assert (answer.status, json.loads(answer.body)["message"]) == (404, "Model not found: a")
    assert load(models, folder, "a") == 200


def test_requests_that_are_none_of_the_contract_are_refused(folder: Path, container: Container) -> None:
    models = container()
    assert load(models, folder, "missing") == 404
    assert send(models, "POST", "/models", b"{}").status == 400
    assert send(models, "POST", "/models", b"no JSON").status == 400
    assert send(models, "POST", "/invocations").status == 404


def test_a_full_container_answers_507_until_a_model_leaves(folder: Path, container: Container) -> None:
    models = container(limit=1)
    assert [load(models, folder, "a"), load(models, folder, "b"), load(models, folder, "a")] == [200, 507, 409]
    send(models, "DELETE", "/models/a")
    assert load(models, folder, "b") == 200


def test_a_model_that_does_not_fit_into_the_memory_is_answered_with_507(folder: Path, container: Container) -> None:
    def model_fn(_folder: str) -> None:
        raise MemoryError

    models = container(model_fn=model_fn)
    assert load(models, folder, "a") == 507
    assert json.loads(send(models, "GET", "/models").body) == {"models": []}


def test_text_reaches_the_script_as_text_and_all_else_as_bytes(folder: Path, container: Container) -> None:
    models = container()
    load(models, folder, "a")
    assert send(models, "POST", "/models/a/invoke", b"1", "text/csv").body == b"a 1 text/csv application/json"
    assert send(models, "POST", "/models/a/invoke", b"1", None).body == b"a b'1' None application/json"
    assert send(models, "POST", "/models/a/invoke", b"1", "text/csv", "text/x").body == b"a 1 text/csv text/x"
    assert send(models, "POST", "/models/a/invoke", b"\xff", "text/csv").status == 500


@pytest.mark.parametrize(
    ("answer", "body", "kind"),
    [
        (b"\x00", b"\x00", JSON),
        ("ä", "ä".encode(), JSON),
        (("1,2", "text/csv"), b"1,2", "text/csv"),
        ([1], b"[\n  1\n]", JSON),
    ],
)
def test_answers_are_bytes_text_or_indented_json(
    folder: Path, container: Container, answer: Any, body: bytes, kind: str
) -> None:
    models = container(transform_fn=lambda *_: answer)
    load(models, folder, "a")
    response = send(models, "POST", "/models/a/invoke")
    assert (response.status, response.body, response.content_type) == (200, body, kind)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (Rejected(400, "period is no number"), 400, "period is no number"),
        (Rejected(200, "no error's status"), 500, "no error's status"),
        (Rejected("400", "no number"), 500, "no number"),
        (ValueError("anything else"), 500, "anything else"),
    ],
)
def test_an_error_has_the_status_that_it_carries_and_shows_its_traceback(
    folder: Path, container: Container, error: Exception, status: int, message: str
) -> None:
    def transform_fn(*_: Any) -> None:
        raise error

    models = container(transform_fn=transform_fn)
    load(models, folder, "a")
    answer = send(models, "POST", "/models/a/invoke")
    first, second, *_ = answer.body.decode().splitlines()
    assert (answer.status, first, second) == (status, message, "Traceback (most recent call last):")


def test_a_model_fn_that_fails_is_called_again_by_each_request(folder: Path, container: Container) -> None:
    faults = [ValueError("first"), ValueError("second")]

    def model_fn(_folder: str) -> str:
        if faults:
            raise faults.pop(0)
        return "ready"

    models = container(model_fn=model_fn, transform_fn=lambda model, *_: model)
    assert load(models, folder, "a") == 200
    assert send(models, "POST", "/models/a/invoke").status == 500
    assert send(models, "POST", "/models/a/invoke").body == b"ready"


def test_one_row_of_csv_is_a_matrix_for_scikit_learns_default_handlers(folder: Path, container: Container) -> None:
    models = container(predict_fn=lambda data, _model: data.sum(axis=1))
    load(models, folder, "a")
    assert send(models, "POST", "/models/a/invoke", b"1,2", "text/csv").body == b"[3.0]"
    assert send(models, "POST", "/models/a/invoke", b"1,2\n3,4", "text/csv").body == b"[3.0, 7.0]"
    assert send(models, "POST", "/models/a/invoke", b"1,2", "text/plain").status == 500


def test_a_model_that_ends_its_process_fails_its_own_request_and_no_other(folder: Path, container: Container) -> None:
    def transform_fn(model: str, content: str, *_: Any) -> str:
        if content == "crash":
            os._exit(3)
        return f"{model} {os.getpid()}"

    models = container(transform_fn=transform_fn)
    for name in "ab":
        load(models, folder, name)
    before = {name: send(models, "POST", f"/models/{name}/invoke").body for name in "ab"}
    assert len({answer.split()[1] for answer in before.values()}) == 2
    died = send(models, "POST", "/models/a/invoke", b"crash", "text/csv")
    assert (died.status, json.loads(died.body)["message"]) == (500, "Worker died.")
    again = send(models, "POST", "/models/a/invoke")
    assert again.status == 200
    assert again.body != before["a"]
    assert send(models, "POST", "/models/b/invoke").body == before["b"]


def test_models_share_processes_when_there_are_many_and_a_crash_still_fails_its_own_request_alone(
    folder: Path, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multi_model, "PROCESSES", 2)
    (folder / "c").mkdir()

    def transform_fn(model: str, content: str, *_: Any) -> str:
        if content == "crash":
            time.sleep(0.2)
            os._exit(3)
        return f"{model} {os.getpid()}"

    models = container(transform_fn=transform_fn)
    for name in "abc":
        load(models, folder, name)

    def ask(name: str, content: bytes = b"") -> tuple[int, str]:
        answer = send(models, "POST", f"/models/{name}/invoke", content, "text/csv")
        return answer.status, answer.body.decode()

    process = {name: ask(name)[1].split()[1] for name in "abc"}
    assert process["a"] == process["c"] != process["b"]
    with ThreadPoolExecutor(4) as pool:
        crashed = pool.submit(ask, "a", b"crash")
        time.sleep(0.05)
        waiting = [pool.submit(ask, "c") for _ in range(3)]
    assert crashed.result()[0] == 500
    assert {answer.result()[0] for answer in waiting} == {200}
    assert {answer.result()[1].split()[0] for answer in waiting} == {"c"}
    assert ask("b") == (200, f"b {process['b']}")
    assert ask("a")[0] == 200


def test_the_process_of_an_unloaded_model_takes_the_next(folder: Path, container: Container) -> None:
    models = container(transform_fn=lambda model, *_: f"{model} {os.getpid()}")
    load(models, folder, "a")
    before = send(models, "POST", "/models/a/invoke").body.split()
    send(models, "DELETE", "/models/a")
    load(models, folder, "b")
    assert send(models, "POST", "/models/b/invoke").body.split() == [b"b", before[1]]


def test_a_model_that_ends_its_process_while_it_is_loaded_is_refused_and_can_be_loaded_anew(
    folder: Path, container: Container
) -> None:
    def model_fn(folder: str) -> str:
        if not Path(folder, "repaired").exists():
            os._exit(3)
        return "repaired"

    models = container(model_fn=model_fn, transform_fn=lambda model, *_: model)
    assert load(models, folder, "a") == 500
    assert json.loads(send(models, "GET", "/models").body) == {"models": []}
    (folder / "a" / "repaired").touch()
    assert load(models, folder, "a") == 200
    assert send(models, "POST", "/models/a/invoke").body == b"repaired"


def test_a_model_that_hangs_is_killed_when_it_is_unloaded(folder: Path, container: Container) -> None:
    def transform_fn(model: str, content: str, *_: Any) -> str:
        if content == "hang":
            Path(folder, "hangs").write_text(str(os.getpid()))
            time.sleep(60)
        return model

    models = container(transform_fn=transform_fn)
    for name in "ab":
        load(models, folder, name)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(send, models, "POST", "/models/a/invoke", b"hang", "text/csv") for _ in range(2)]
        while not Path(folder, "hangs").exists() or not Path(folder, "hangs").read_text():
            time.sleep(0.01)
        began = time.monotonic()
        assert send(models, "DELETE", "/models/a").status == 200
        assert sorted(each.result().status for each in asked) == [404, 500]
    assert time.monotonic() - began < 30
    process = int(Path(folder, "hangs").read_text())
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() - began < 30
    assert send(models, "POST", "/models/b/invoke").body == b"b"
    assert load(models, folder, "a") == 200
    assert send(models, "POST", "/models/a/invoke").body == b"a"


def test_a_process_that_cannot_be_started_fails_the_load(
    folder: Path, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, fork = os.getpid(), os.fork

    def full() -> int:
        if os.getpid() == here:
            return fork()
        raise OSError("no more processes")

    monkeypatch.setattr(os, "fork", full)
    models = container()
    assert load(models, folder, "a") == 500
    assert json.loads(send(models, "GET", "/models").body) == {"models": []}
