import math

import numpy as np
import pandas as pd
import pytest

from common.report.data_change import ColumnChange, DataChange
from common.report.tables import Table, columns_table, disagreement_table, number, rows_table, some

RECORDS = pd.DataFrame({"label": ["a", "b", "c"], "x": [1.0, math.nan, 3.25], "y": ["red", "", "blue"]})


def disagreements(predictions: list[float], champion: list[float]) -> Table | None:
    return disagreement_table(RECORDS, "label", np.array(predictions), np.array(champion), {"y": 2.0, "x": 1.0})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (0.00412, "0.0041"),
        (-0.0000412, "-4.1e-05"),
        (0.00999, "0.01"),
        (-1e-9, "0.000"),
        (999.5, "999.500"),
        (1234.5678, "1,235"),
        (-2e6, "-2,000,000"),
    ],
)
def test_figures_have_three_decimals_where_these_matter(value: float, text: str) -> None:
    assert number(value) == text


def test_gains_carry_their_sign() -> None:
    assert number(0.5, sign=True) == "+0.500"
    assert number(-0.5, sign=True) == "-0.500"
    assert number(0.0002, sign=True) == "+0.0002"
    assert number(-1e-17, sign=True) == number(0, sign=True) == "0.000"


def test_records_are_listed_by_how_much_the_models_differ_with_important_inputs_first() -> None:
    table = disagreements([0.5, 0.9, 0.2], [0.5, 0.8, 0.6])
    assert table == Table(
        ("difference", "this model", "champion", "true label", "y", "x"),
        (("-0.400", "0.200", "0.600", "c", "blue", "3.25"), ("+0.100", "0.900", "0.800", "b", "missing", "missing")),
    )


def test_models_that_agree_leave_nothing_to_list() -> None:
    assert disagreements([0.1, 0.2, 0.3], [0.1, 0.2, 0.3]) is None


def test_many_rows_and_inputs_make_no_longer_a_table() -> None:
    wide = pd.DataFrame({f"c{i}": np.arange(500.0) for i in range(100)})
    table = disagreement_table(wide, "c0", np.arange(500.0), np.zeros(500), {"c99": 1.0})
    assert table is not None
    assert table.header[4] == "c99"
    assert (len(table.header), len(table.rows)) == (4 + 12, 8)


def test_changes_of_rows_and_columns_are_told_in_words() -> None:
    column = ColumnChange("State", (0, 0.015), 0.3, "large", new=tuple("abcdefgh"), vanished=())
    change = DataChange(("old", "new"), {"train": (1000, 1200)}, (column,))
    assert rows_table(change).rows == (("train", "1,000", "1,200", "+200"),)
    assert columns_table(change).rows == (
        ("State", "large", "0.300", "0.0 % → 1.5 %", "a, b, c, d, e, f and 2 more", "–"),
    )


def test_long_lists_are_cut() -> None:
    assert some("abc") == "a, b, c"
    assert some(map(str, range(1006))) == "0, 1, 2, 3, 4, 5 and 1,000 more"


def test_markdown_survives_bars_and_line_breaks_in_cells() -> None:
    assert Table(("a|b", "c"), (("1\n2", "3"),)).markdown() == ["| a\\|b | c |", "| --- | --- |", "| 1 2 | 3 |"]
