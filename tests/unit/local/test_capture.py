"""What data capture holds back and writes, with S3 played by a dictionary."""

import json
from typing import Any, cast

import pytest

from common.local.hosting import capture as module
from common.local.hosting.capture import Capture, CaptureSpec, Event, Place
from common.local.hosting.telemetry import Origin

ORIGIN = Origin("1", "eu-west-1", "e")
WANTED = CaptureSpec(True, 100, "s3://b", "", ("Input", "Output"), ("text/csv",), ())
HOUR = 1_700_000_000 // 3600 * 3600


class Store:
    """Objects that were written, by key."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def write(self, _bucket: str, key: str, body: bytes, _kms_key: str | None) -> None:
        self.objects[key] = body

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for body in self.objects.values() for line in body.splitlines()]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def capture(said: list[str]) -> Capture:
    return Capture(lambda _origin, _stream, line: said.append(line))


def place(store: Store, variant: str, origin: Origin = ORIGIN) -> Place:
    return Place(origin, variant, WANTED, cast(Any, store))


def event(body: bytes = b"1", moment: float = HOUR) -> Event:
    return Event(body, "text/csv", b"2", "text/csv", None, moment)


def test_each_hour_and_variant_has_files_of_its_own(capture: Capture, store: Store) -> None:
    for variant, moment in (("v1", HOUR + 3599.5), ("v1", HOUR + 3600), ("v2", HOUR), ("v2", HOUR + 1)):
        capture.record(place(store, variant), event(moment=moment))
    capture.flush()
    assert sorted((key.rpartition("/")[0], body.count(b"\n")) for key, body in store.objects.items()) == [
        ("e/v1/2023/11/14/22", 1),
        ("e/v1/2023/11/14/23", 1),
        ("e/v2/2023/11/14/22", 2),
    ]
    assert {key.rpartition("/")[2][:9] for key in store.objects if "/v1/2023/11/14/22" in key} == {"59-59-500"}


def test_files_are_written_when_they_are_old_or_large(
    capture: Capture, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FILE_BYTES", 10)
    monkeypatch.setattr("time.time", lambda: HOUR + 1.0)
    capture.record(place(store, "v1"), event())
    capture.write_due()
    assert store.objects == {}
    capture.record(place(store, "v1"), event(b"x" * 20))
    capture.write_due()
    assert len(store.lines()) == 2
    capture.record(place(store, "v1"), event())
    monkeypatch.setattr("time.time", lambda: HOUR + module.AGE_SECONDS + 1)
    capture.write_due()
    assert len(store.lines()) == 3


def test_flushing_one_endpoint_leaves_the_others(capture: Capture, store: Store) -> None:
    other = Origin("1", "eu-west-1", "other")
    for origin in (ORIGIN, other):
        capture.record(place(store, "v1", origin), event())
    capture.flush(other)
    assert [key.split("/")[0] for key in store.objects] == ["other"]


def test_what_does_not_fit_into_the_memory_is_not_captured_and_the_log_says_so(
    capture: Capture, store: Store, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HELD_BYTES", 10)
    for _ in range(5):
        capture.record(place(store, "v1"), event(b"1234"))
    capture.flush()
    assert len(store.lines()) == 2
    assert said == ["3 requests were not captured: too many wait to be written."]
    capture.record(place(store, "v1"), event(b"1234"))
    capture.flush()
    assert len(store.lines()) == 3


@pytest.mark.parametrize("percentage", [0, 25, 100])
def test_the_share_of_sampled_requests_is_the_percentage(percentage: int) -> None:
    wanted = CaptureSpec(True, percentage, "s3://b", "", ("Input",), (), ())
    share = sum(wanted.samples() for _ in range(10_000)) / 10_000
    assert abs(share - percentage / 100) < (0.03 if percentage == 25 else 1e-9)
