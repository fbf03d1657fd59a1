"""What the bus sends of what is due, and when time may be skipped."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.local import clock
from common.local.context import LocalAws
from common.local.events import bus
from common.local.events.bus import Due, EventBus
from common.local.services import Services
from common.local.store import Store


@pytest.fixture
def own_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EventBus]:
    """A bus whose own thread looks for nothing, and whose clock is this test's."""
    monkeypatch.setattr(bus, "_LOOK_SECONDS", 600.0)
    monkeypatch.setattr(clock, "_skipped", 0.0)
    aws = LocalAws(tmp_path, Store(Path(":memory:")), Services(lambda _: None), "http://127.0.0.1:1")
    try:
        yield EventBus(aws)
    finally:
        aws.close()


def test_one_schedule_that_fails_keeps_no_other_from_being_sent_once(
    own_bus: EventBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, sent = [], []

    def due(after: float, until: float) -> list[Iterator[Due]]:
        asked.append((after, until))
        return [iter([Due(until - 1, name, name)]) for name in ("broken", "whole")] if len(asked) == 1 else []

    def send(due: Due) -> None:
        if due.arn == "broken":
            raise RuntimeError("no such target")
        sent.append(due.arn)

    monkeypatch.setattr(bus, "_schedules", due)
    monkeypatch.setattr(own_bus, "_scheduled", send)
    own_bus.advance(60)
    own_bus.fire_schedules()
    assert sent == ["whole"]
    assert asked[1][0] == asked[0][1]


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan"), 200 * 365.25 * 86_400])
def test_time_goes_forward_only_and_not_beyond_what_a_date_can_say(own_bus: EventBus, seconds: float) -> None:
    before = clock.skipped()
    with pytest.raises(ValueError, match="time goes forward only"):
        own_bus.advance(seconds)
    assert clock.skipped() == before


def test_a_bus_on_the_same_state_goes_on_at_the_time_that_was_skipped_to(
    own_bus: EventBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_bus.advance(3600)
    monkeypatch.setattr(clock, "_skipped", 0.0)  # as in a new process
    aws: Any = own_bus._aws
    again = EventBus(aws)
    assert clock.skipped() == 3600
    again.fire_schedules()
