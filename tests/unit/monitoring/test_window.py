"""What a window is called, which ones can be asked for, and where its files are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UsageError
from common.monitoring.window import BatchWindow, LiveWindow, asked, describe, hours, yesterday

NOW = datetime(2026, 11, 21, 1, 30, 12, 500, tzinfo=UTC)


def test_yesterday_is_the_day_before_in_utc_wherever_the_clock_stands() -> None:
    window = yesterday(NOW)
    assert window.id == "live-20261120T00-20261121T00"
    assert yesterday(NOW.astimezone(timezone(timedelta(hours=-5)))) == window


def test_a_window_that_is_asked_for_is_in_utc_and_lasts_until_now() -> None:
    assert asked("2026-11-20", "2026-11-21", NOW) == yesterday(NOW)
    assert asked("2026-11-20T02:00+02:00", "2026-11-21", NOW) == yesterday(NOW)
    open_ended = asked("2026-11-21T01:00", "", NOW)
    assert open_ended.until == NOW.replace(microsecond=0)
    assert open_ended.id == "live-20261121T010000-20261121T013012"


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        ("2026-11-21", "2026-11-20", "is no window that is over"),
        ("2026-11-20", "2026-11-20", "is no window that is over"),
        ("2026-11-21", "2026-11-22", "is no window that is over"),
        ("2026-11-22", "", "is no window that is over"),
        ("yesterday", "", "'yesterday' is no time"),
        ("2026-11-20", "noon", "'noon' is no time"),
    ],
)
def test_what_is_no_window_is_refused(since: str, until: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        asked(since, until, NOW)


def test_a_partition_is_a_window_by_a_name_that_can_be_a_folders() -> None:
    assert BatchWindow("dt=2026-11-20").id == "batch-dt=2026-11-20"
    assert describe(BatchWindow("eu/dt=1"))["id"] == "batch-eu,dt=1"
    assert BatchWindow("week 1 (late)").id == "batch-week%201%20%28late%29"


@given(st.sets(st.text("aä/,% =", min_size=1), min_size=2))
def test_no_two_partitions_are_one_window(names: set[str]) -> None:
    ids = {BatchWindow(name).id for name in names}
    assert len(ids) == len(names)
    assert not any("/" in each for each in ids)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 30)), st.integers(1, 3 * 86_400))
def test_every_moment_of_a_window_is_in_one_of_its_hours(begin: datetime, seconds: int) -> None:
    window = LiveWindow(begin.replace(tzinfo=UTC), begin.replace(tzinfo=UTC) + timedelta(seconds=seconds))
    folders = hours(window.since, window.until)
    assert folders == sorted(set(folders))
    inside = [window.since, window.until - timedelta(microseconds=1), window.since + (window.until - window.since) / 2]
    assert {f"{moment:%Y/%m/%d/%H}" for moment in inside} <= set(folders)
    assert len(folders) <= seconds // 3600 + 2
