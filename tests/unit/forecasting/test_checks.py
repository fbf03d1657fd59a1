"""What is wrong with a customer's readings, in words, and what is repaired."""

from __future__ import annotations

import math
import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.data.extract import Reading
from common.forecasting.checks import Checked, Limits, check_customers, clean_customer
from common.forecasting.readings import iso_time
from common.forecasting.series import Series, Unfit
from tests.poison import REPAIRED, SET_ASIDE

LIMITS = Limits(at_least=0, at_most=1000, ceiling=20_454)  # 2026-01-01
FIRST = 19_723  # 2024-01-01
GOOD = [
    ("8", f"2024-0{1 + day // 28}-{1 + day % 28:02d}T06:00:00", str(round(50 + 20 * math.sin(day), 3)))
    for day in range(56)
]


def check(rows: list[Reading], limits: Limits = LIMITS) -> Checked:
    return check_customers([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows], limits)


def renamed(rows: list[Reading], customer: str) -> list[Reading]:
    return [(customer, timestamp, value) for _, timestamp, value in rows]


def assert_same(left: Series, right: Series) -> None:
    assert (left.customer, left.days.tolist(), left.values.tolist()) == (
        right.customer,
        right.days.tolist(),
        right.values.tolist(),
    )


def test_good_readings_pass_as_they_are() -> None:
    checked = check(GOOD)
    [series] = checked.series
    assert series.days[:3].tolist() == [FIRST + 0.25, FIRST + 1.25, FIRST + 2.25]
    assert series.values.tolist() == [float(value) for _, _, value in GOOD]
    assert checked.set_aside == {}
    assert checked.counts == {"rows": 56, "duplicates": 0, "other_time_zones": 0, "unsorted": 0}


REASONS = {
    "empty": "no time in 1 of 1 reading",
    "no values": "no value in 56 of 56 readings",
    "one row": "1 reading, and at least 14 are needed",
    "one reading over and over": "1 reading, and at least 14 are needed",
    "constant": "all 56 values are 5",
    "missing value": "no value in 1 of 56 readings",
    "NaN": "NaN in 1 of 56 readings",
    "infinite": "an infinite value in 1 of 56 readings",
    "beyond any double": "an infinite value in 1 of 56 readings",
    "text": "no number in 1 of 56 readings, e.g. 'n/a'",
    "decimal comma": "no number in 1 of 56 readings, e.g. '12,5'",
    "negative": "a value below 0 in 1 of 56 readings; the lowest is -0.5",
    "huge": "a value above 1,000 in 1 of 56 readings; the highest is 1e+30",
    "missing timestamp": "no time in 1 of 56 readings",
    "no such day": "an unreadable time in 1 of 56 readings, e.g. '2025-02-30T00:00:00'",
    "future": "a time in the future in 1 of 56 readings: the last is of 2999-01-01, "
    "and none can be of 2026-01-01 or later",
    "two values for one time": "two values for one time, 1 times, first on 2024-01-21T06:00:00Z",
    "id that cannot name a file": "its id '../8' cannot name a file: letters, digits, '_', '.' and '-', at most 100, can",
}


@pytest.mark.parametrize("poison", SET_ASIDE)
def test_a_poisoned_customer_is_set_aside_with_its_reason_and_its_neighbours_are_not(poison: str) -> None:
    poisoned = SET_ASIDE[poison](GOOD)
    checked = check([*renamed(GOOD, "7"), *poisoned, *renamed(GOOD, "9")])
    assert checked.set_aside == {poisoned[0][0]: REASONS[poison]}
    [alone] = check(GOOD).series
    for customer, series in zip(("7", "9"), checked.series, strict=True):
        assert_same(series, Series(customer, alone.days, alone.values))


COUNTS = {
    "unsorted": ("unsorted", 1),
    "backwards": ("unsorted", 1),
    "delivered twice": ("duplicates", 56),
    "other time zone": ("other_time_zones", 56),
}


@pytest.mark.parametrize("way", REPAIRED)
def test_readings_that_lose_nothing_are_repaired_and_counted(way: str) -> None:
    checked = check(REPAIRED[way](GOOD))
    assert_same(checked.series[0], check(GOOD).series[0])
    name, count = COUNTS[way]
    assert checked.counts[name] == count


@pytest.mark.parametrize(
    ("spelled", "day", "zones"),
    [
        ("2024-01-31", 19_753.0, 0),
        ("2024-01-31 12:00:00", 19_753.5, 0),
        ("2024-01-31T12:00:00Z", 19_753.5, 0),
        ("2024-01-31 12:00:00+00", 19_753.5, 0),
        ("2024-01-31 12:00:00.5+00:00", 19_753.500006, 0),
        ("2024-01-31 14:00:00+02", 19_753.5, 1),
        ("2024-01-31T06:30:00-0530", 19_753.5, 1),
        ("1969-12-31T18:00:00", -0.25, 0),
    ],
)
def test_times_are_read_as_warehouses_spell_them(spelled: str, day: float, zones: int) -> None:
    rows = [*GOOD[31:], ("8", spelled, "7.5")]
    checked = check(rows, Limits())
    [series] = checked.series
    assert series.days[series.values == 7.5].tolist() == [day]
    assert checked.counts["other_time_zones"] == zones


@pytest.mark.parametrize(
    "spelled",
    ["now", "TODAY", "2024", "2024-01", "-2024-01-31", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-12:00"],
)
def test_what_names_no_day_that_a_calendar_has_is_no_time_and_harms_no_neighbour(spelled: str) -> None:
    checked = check([*GOOD, *renamed(GOOD, "odd"), ("odd", spelled, "7.5")])
    assert checked.set_aside == {"odd": f"an unreadable time in 1 of 57 readings, e.g. {spelled!r}"}
    assert_same(checked.series[0], check(GOOD).series[0])


@pytest.mark.parametrize("spelled", ["0001-01-01", "9999-12-30T23:59:59Z"])
def test_a_time_at_either_end_of_the_calendar_can_be_told(spelled: str) -> None:
    [series] = check([*GOOD, ("8", spelled, "7.5")], Limits()).series
    assert spelled in (iso_time(series.days[0]), iso_time(series.days[-1]))


@given(st.integers(0, 2**32))
@settings(max_examples=20)
def test_any_order_of_the_rows_gives_the_same_series(seed: int) -> None:
    rows = [*GOOD, *GOOD[::5]]
    random.Random(seed).shuffle(rows)  # noqa: S311
    assert_same(check(rows).series[0], check(GOOD).series[0])


@settings(max_examples=30)
@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), min_size=1, max_size=5))
def test_no_text_harms_a_neighbour(texts: list[tuple[str, str]]) -> None:
    checked = check([*[("odd", time, value) for time, value in texts], *GOOD])
    assert "odd" in checked.set_aside
    assert_same(checked.series[0], check(GOOD).series[0])


def test_nothing_passes_where_nothing_is_good() -> None:
    checked = check([("8", "", "")])
    assert checked.series == []
    assert check([]).set_aside == {}


def test_one_customer_is_checked_by_the_same_rules() -> None:
    times, values = [row[1] for row in GOOD], [row[2] for row in GOOD]
    clean = clean_customer("8", times, values, LIMITS)
    assert isinstance(clean, Series)
    assert_same(clean, check(GOOD).series[0])
    assert clean_customer("8", times, ["5"] * 56, LIMITS) == Unfit("all 56 values are 5")
    assert clean_customer("8", [], [], LIMITS) == Unfit("it has no readings")


def test_many_rows_are_checked_at_once() -> None:
    rows = 200_000
    customers = np.repeat(np.arange(rows // 800).astype(str).astype(object), 800)
    times = np.tile(
        np.datetime_as_string(np.datetime64("2023-01-01") + np.arange(800), unit="s").astype(object), rows // 800
    )
    values = (np.arange(rows) % 997).astype(str).astype(object)
    start = time.process_time()
    checked = check_customers(customers, times, values, LIMITS)  # type: ignore[arg-type]
    assert len(checked.series) == rows // 800
    assert time.process_time() - start < 2  # it takes a tenth of that
