"""Which windows of a package add up."""

from __future__ import annotations

from common.monitoring.findings import Findings
from common.monitoring.looked import Looked
from common.monitoring.results import apart, decision
from common.monitoring.rules import Rule

ODD = Findings((100, 100), (), (), None, None, drifted=True, degraded=False, broken=False)


def live(since: str, until: str) -> Looked:
    time = {"since": f"2026-11-{since}:00:00+00:00", "until": f"2026-11-{until}:00:00+00:00"}
    return Looked(f"live-{since}-{until}", "live", time["until"], 100, 1, "i", time, ODD)


def batch(day: int) -> Looked:
    return Looked(f"batch-dt={day}", "batch", f"2026-11-{day}T02:00:00+00:00", 100, 1, "i", {"partition": "d"}, ODD)


DAYS = [live("18T00", "19T00"), live("19T00", "20T00")]


def test_an_hour_that_is_looked_at_again_and_again_is_one_odd_window() -> None:
    parts = [live("20T07", "20T09"), live("20T07", "20T10"), live("20T08", "20T11")]
    assert apart(parts) == [parts[1]]
    assert not decision(parts, Rule(2, 5)).retrain
    assert apart([*DAYS, *parts, live("20T00", "21T00")]) == [*DAYS, live("20T00", "21T00")]


def test_days_count_although_somebody_has_looked_at_the_whole_week() -> None:
    assert apart([*DAYS, live("14T00", "21T00"), live("18T12", "19T12")]) == DAYS


def test_windows_that_follow_each_other_and_batches_all_count_in_their_order() -> None:
    mixed = [DAYS[0], batch(19), batch(19), DAYS[1], live("20T00", "20T05"), live("20T05", "20T10")]
    assert apart(mixed) == mixed
    assert decision(mixed, Rule(6, 6)).retrain
