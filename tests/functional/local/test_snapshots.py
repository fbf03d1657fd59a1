"""moto's state on disk: what interrupts its writing loses nothing."""

import threading
from pathlib import Path
from typing import Any

import pytest
from moto.backends import get_backend

from common.local import snapshots
from common.local.snapshots import Snapshots

SOON = 10.0


class Flaky:
    """Stands in for a function and fails the first time."""

    def __init__(self, function: Any, error: Exception) -> None:
        self._function = function
        self._errors = [error]

    def __call__(self, *arguments: Any) -> Any:
        if self._errors:
            raise self._errors.pop()
        return self._function(*arguments)


@pytest.mark.parametrize(
    "message", ["dictionary changed size during iteration", "OrderedDict mutated during iteration"]
)
def test_state_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    monkeypatch.setattr(snapshots, "_state", Flaky(lambda _: ({}, {}), RuntimeError(message)))
    kept = Snapshots(tmp_path)
    kept.mark("iam")
    kept.write()
    assert (tmp_path / "iam.pickle").exists()


def test_state_that_could_not_be_written_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(snapshots, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(snapshots, "_state", Flaky(lambda _: ({}, {}), OSError("No space left on device")))
    kept, closing, written = Snapshots(tmp_path), threading.Event(), threading.Event()
    monkeypatch.setattr(Path, "replace", lambda *_: written.set())
    kept.mark("iam")
    keeper = threading.Thread(target=kept.keep, args=(closing,))
    keeper.start()
    assert written.wait(SOON)
    closing.set()
    keeper.join()
    assert "No space left on device" in caplog.text


def test_queues_and_their_messages_are_there_again(tmp_path: Path, account: str) -> None:
    queues: Any = get_backend("sqs")[account]
    queues["eu-west-1"].create_queue("results", None)
    queues["eu-west-1"].send_message("results", "waits")
    kept = Snapshots(tmp_path)
    kept.mark("sqs")
    kept.write()
    del queues["eu-west-1"]
    Snapshots(tmp_path).restore()
    [message] = queues["eu-west-1"].receive_message("results", 1, 0, 0)
    assert message.body == "waits"


@pytest.mark.parametrize(
    ("usage", "spec"),
    [("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"), ("SIGN_VERIFY", "RSA_2048"), ("SIGN_VERIFY", "ECC_NIST_P256")],
)
def test_keys_are_there_again_and_open_what_they_closed(tmp_path: Path, account: str, usage: str, spec: str) -> None:
    keys: Any = get_backend("kms")[account]
    kms = keys["eu-west-1"]
    key = kms.create_key("", usage, spec, "models", [])
    kms.create_alias(key.id, "alias/models")
    closed, _ = kms.encrypt(key.id, b"secret", {})
    signature = b"" if usage == "ENCRYPT_DECRYPT" else kms.sign(key.id, b"text", key.signing_algorithms[0])[1]
    kept = Snapshots(tmp_path)
    kept.mark("kms")
    kept.write()
    del keys["eu-west-1"]
    Snapshots(tmp_path).restore()
    kms = keys["eu-west-1"]
    assert kms.any_id_to_key_id("alias/models") == key.id
    assert kms.decrypt(closed, {})[0] == b"secret"
    if signature:
        assert kms.verify(key.id, b"text", signature, key.signing_algorithms[0])[1]


def test_a_large_object_is_written_once_and_its_file_goes_with_it(tmp_path: Path, account: str) -> None:
    s3: Any = get_backend("s3")[account]["aws"]
    s3.create_bucket(f"large-{account}", "eu-west-1")
    large, small = b"0123456789" * 150_000, b"1"
    for key, content in (("large", large), ("small", small)):
        s3.put_object(f"large-{account}", key, content)
    kept = Snapshots(tmp_path)

    def files() -> dict[str, int]:
        kept.mark("s3")
        kept.write()
        etag = s3.get_object(f"large-{account}", "large").etag.strip('"')
        return {path.name: path.stat().st_mtime_ns for path in (tmp_path / "objects").glob(f"{etag}*")}

    first = files()
    assert len(first) == 1
    assert large not in (tmp_path / "s3.pickle").read_bytes()
    assert files() == first
    get_backend("s3")[account]["aws"].reset()
    Snapshots(tmp_path).restore()
    s3 = get_backend("s3")[account]["aws"]
    assert [s3.get_object(f"large-{account}", key).value for key in ("large", "small")] == [large, small]
    assert files() == first
    s3.put_object(f"large-{account}", "large", small)
    assert files() == {}
    assert not list(tmp_path.glob(f"objects/{next(iter(first))}"))
