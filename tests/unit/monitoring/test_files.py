"""Which objects of the bucket are looked at."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from common.monitoring.files import live_files
from common.monitoring.job import Files
from common.storage import Bucket
from tests.unit.monitoring.shelf import Shelf

HOURS = ("17/23", "18/11", "18/12", "19/07", "20/00", "20/23", "21/00")
CALLS = Shelf({f"m/capture/m/AllTraffic/2026/11/{hour}/a.jsonl": b"" for hour in HOURS})
CALLS["m/capture/m/AllTraffic/2026/11/20/00/a.tmp"] = b""


def looked_at(shelf: Shelf) -> tuple[Files, Files]:
    """Calls and truth of the 20th; predictions are known from noon of the 18th on."""
    since, until, earliest = (datetime(2026, 11, *moment, tzinfo=UTC) for moment in ((20, 0), (21, 0), (18, 12)))
    return live_files(cast(Bucket, shelf), "m/capture/m/AllTraffic", "m/truth", since, until, earliest)


def hours(files: Files) -> list[str]:
    return [name.removeprefix("2026/11/").rpartition("/")[0] for name in sorted(files.etags)]


def test_without_truth_only_the_calls_of_the_window_are_looked_at() -> None:
    calls, truth = looked_at(CALLS)
    assert hours(calls) == ["20/00", "20/23"]
    assert not truth
    known = Shelf({**CALLS, "m/truth/2026/11/19/23/t.jsonl": b"", "m/truth/2026/11/21/00/t.jsonl": b""})
    assert looked_at(known) == (calls, truth)


def test_truth_that_came_in_the_window_brings_the_earlier_calls_that_it_may_be_about() -> None:
    calls, truth = looked_at(Shelf({**CALLS, "m/truth/2026/11/20/05/t.jsonl": b""}))
    assert hours(calls) == ["18/12", "19/07", "20/00", "20/23"]
    assert hours(truth) == ["20/05"]
    assert truth.prefix == "s3://bucket/m/truth/"
