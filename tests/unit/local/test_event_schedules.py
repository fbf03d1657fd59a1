"""When a rule's schedule is due."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.local.events.schedules import Cron, ScheduleError, schedule

START = datetime(2026, 11, 20, 22, 10, tzinfo=UTC)  # a Friday


def due(expression: str, days: float) -> list[str]:
    moments = schedule(expression).due(START.timestamp(), START.timestamp(), (START + timedelta(days=days)).timestamp())
    return [datetime.fromtimestamp(moment, UTC).strftime("%d %H:%M") for moment in moments]


@pytest.mark.parametrize(
    ("expression", "days", "moments"),
    [
        ("rate(1 hour)", 0.1, ["20 23:10", "21 00:10"]),
        ("rate(2 days)", 4, ["22 22:10", "24 22:10"]),
        ("cron(0 23 * * ? *)", 2, ["20 23:00", "21 23:00"]),
        ("cron(15/20 22 ? * MON-FRI *)", 3, ["20 22:15", "20 22:35", "20 22:55"]),
        ("cron(0 8 1 JAN,DEC ? *)", 50, ["01 08:00", "01 08:00"]),
        ("cron(10 22 * * ? *)", 0.5, []),  # now is past
        ("cron(0 0 ? * 1 2026)", 9, ["22 00:00", "29 00:00"]),  # Sunday is 1
    ],
)
def test_a_schedule_is_due(expression: str, days: float, moments: list[str]) -> None:
    assert due(expression, days) == moments


@pytest.mark.parametrize(
    "wrong",
    ["rate(0 minutes)", "rate(1 minutes)", "rate(2 hour)", "rate(5 weeks)", "cron(0 23 * * *)", "cron(60 * * * ? *)",
     "cron(0 0 * * * *)", "cron(0 0 ? * ? *)", "cron(0 0 L * ? *)", "cron(0 0 5-1 * ? *)", "cron(0/0 0 * * ? *)", "daily"],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(wrong: str) -> None:
    with pytest.raises(ScheduleError):
        schedule(wrong)


@given(
    st.floats(0, 5e8),
    st.floats(0, 5e5),
    st.floats(0, 5e5),
    st.sampled_from(["rate(7 minutes)", "cron(5/25 * * * ? *)"]),
)
def test_no_moment_is_lost_or_doubled_between_two_looks(
    anchor: float, first: float, second: float, expression: str
) -> None:
    plan = schedule(expression)
    middle, end = anchor + first, anchor + first + second
    looks = [*plan.due(anchor, anchor, middle), *plan.due(anchor, middle, end)]
    assert looks == list(plan.due(anchor, anchor, end))
    assert looks == sorted(set(looks))


def test_a_cron_names_its_fields() -> None:
    assert schedule("cron(0 12 ? JAN-MAR 2,4 *)") == Cron(
        frozenset({0}), frozenset({12}), None, frozenset({1, 2, 3}), frozenset({2, 4}), frozenset(range(1970, 2200))
    )
