"""Parts of clean readings: each customer can be read alone, and damage is never taken for data."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.forecasting.readings import DamagedPart, encode_customer, iso_date, iso_time, read_customer, read_part
from common.forecasting.series import Series

DAYS = np.arange(19_723, 19_753, dtype=float)
SERIES = [Series(name, DAYS + shift, np.sqrt(DAYS)) for name, shift in (("8", 0), ("a.b-c_9", 0.270833), ("80", 1))]
PART = b"".join(map(encode_customer, SERIES))


def test_a_part_is_a_gzip_file_of_rows_that_people_can_read() -> None:
    lines = gzip.decompress(PART).decode().splitlines()
    assert len(lines) == 90
    assert lines[0] == f"8,19723,{np.sqrt(19_723.0)!s}"
    assert lines[30] == f"a.b-c_9,19723.270833,{np.sqrt(19_723.0)!s}"


def test_the_customers_of_a_part_come_back_exactly() -> None:
    for found, series in zip(read_part(PART), SERIES, strict=True):
        assert found.customer == series.customer
        np.testing.assert_array_equal(found.days, series.days)
        np.testing.assert_array_equal(found.values, series.values)
    assert list(read_part(b"")) == []


@given(st.lists(st.floats(-1e100, 1e100), min_size=1, max_size=9))
def test_every_number_comes_back_exactly(values: list[float]) -> None:
    series = Series("8", np.arange(len(values), dtype=float), np.array(values))
    np.testing.assert_array_equal(read_customer(encode_customer(series)).values, series.values)


@pytest.mark.parametrize(
    "damaged",
    [
        PART[:-20],
        PART[: len(encode_customer(SERIES[0])) + 5],
        PART[:100] + b"xx" + PART[102:],
        gzip.compress(b"8,1,x\n"),
    ],
    ids=["truncated", "in the second member", "damaged", "no number"],
)
def test_a_damaged_part_is_refused(damaged: bytes) -> None:
    with pytest.raises(DamagedPart):
        list(read_part(damaged))


def test_a_range_that_is_not_one_customer_is_refused() -> None:
    with pytest.raises(DamagedPart, match="3 customers where one was expected"):
        read_customer(PART)


def test_times_are_told_as_dates_with_the_time_of_day_only_where_there_is_one() -> None:
    assert (iso_time(20_454), iso_time(20_454.75)) == ("2026-01-01", "2026-01-01T18:00:00Z")
    assert iso_time(20_453.999999) == "2026-01-01"
    assert iso_date(20_454.75) == "2026-01-01"
