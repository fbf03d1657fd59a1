"""What the monitor takes for a value is what serving takes for one."""

import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.monitoring.checks import Column
from common.monitoring.values import aligned, read
from common.serving.inference import Category, Fault, Number

NUMBER = Column("n", "number", at_least=-2.0, at_most=100.0)
WHOLE = Column("n", "number", at_least=-2.0, at_most=100.0, integer=True)
spelled = st.sampled_from(
    ["", "NA", " 3 ", "1_000", "true", "1e3", "1e400", "-inf", "nan", "?", "none", "x", "0x10", "7.", ".5", "-3", "101"]
)
raw = spelled | st.none() | st.floats() | st.integers(-5, 200) | st.booleans()


def verdict(column: Number | Category, value: object) -> str:
    try:
        found = column.read(value)
    except Fault:
        return "faulty"
    return "missing" if found == "" or (isinstance(found, float) and math.isnan(found)) else "present"


@given(st.lists(raw, min_size=1, max_size=12), st.booleans())
def test_numbers_are_read_as_serving_reads_them(given_values: list[Any], integer: bool) -> None:
    column = WHOLE if integer else NUMBER
    values = read(pd.Series(given_values, dtype=object), column)
    serving = Number("n", at_least=-2, at_most=100, integer=integer, optional=True)
    verdicts = [verdict(serving, value) for value in given_values]
    assert (values.rows, values.missing, values.faulty) == (
        len(given_values), verdicts.count("missing"), verdicts.count("faulty"),
    )  # fmt: skip
    assert bool(values.faults) == (values.faulty > 0)


@given(st.lists(st.floats(-5, 200), min_size=1))
def test_columns_of_floats_are_read_as_serving_reads_them(given_values: list[float]) -> None:
    values = read(pd.Series(given_values), WHOLE)
    serving = Number("n", at_least=-2, at_most=100, integer=True)
    assert values.faulty == sum(verdict(serving, value) == "faulty" for value in given_values)
    assert values.present.tolist() == given_values


@given(st.lists(st.sampled_from(["F", "M", "X", " M", "na", ""]) | st.none() | st.just(415.0), min_size=1))
def test_categories_are_read_as_serving_reads_them(given_values: list[Any]) -> None:
    for names in ((), ("F", "M"), ("na", "M")):
        values = read(pd.Series(given_values, dtype=object), Column("c", "category", values=names))
        verdicts = [verdict(Category("c", names, optional=True), value) for value in given_values]
        assert (values.missing, values.faulty) == (verdicts.count("missing"), verdicts.count("faulty"))


def test_each_record_keeps_its_place() -> None:
    assert aligned(pd.Series(["2", "x", None, "4"]), NUMBER).tolist() == pytest.approx(
        [2, math.nan, math.nan, 4], nan_ok=True
    )
    assert aligned(pd.Series(["F", None, "?"]), Column("c", "category")).tolist() == ["F", "", ""]


def test_faults_are_told_with_examples_the_most_frequent_first() -> None:
    values = read(pd.Series(["many", "101", "102", "102", "103", "104", "2"], dtype=object), NUMBER)
    assert values.faults == ("above 100.0 (101, 102, 103)", "no number (many)")
    assert values.present.tolist() == [101, 102, 102, 103, 104, 2]


def test_of_a_text_that_somebody_sent_in_place_of_a_category_the_beginning_is_kept() -> None:
    values = read(pd.Series(["x" * 10**6, "CA"]), Column("State", "category"))
    assert values.present.tolist() == ["x" * 256, "CA"]


def test_a_whole_number_beyond_all_bounds_spoils_no_other_value() -> None:
    values = read(pd.Series([10**400, 3, "7"], dtype=object), NUMBER)
    assert values.present.tolist() == [3, 7]
    assert (values.faulty, values.missing) == (1, 0)
    assert values.faults[0].startswith("infinite (1000")
