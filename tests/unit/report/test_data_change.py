import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.report.data_change import ColumnChange, DataChange, compare_data, stability_index

RANDOM = np.random.default_rng(0)


def manifest(version: str, rows: int) -> dict[str, Any]:
    return {"version": version, "rows": {"train": rows, "test": 100}}


def compared(before: pd.DataFrame, now: pd.DataFrame) -> DataChange:
    return compare_data(before, now, manifest("old", len(before)), manifest("new", len(now)))


def column(before: list[Any], now: list[Any]) -> ColumnChange:
    return compared(pd.DataFrame({"x": before}), pd.DataFrame({"x": now})).columns[0]


def test_the_stability_index_is_that_of_the_textbook() -> None:
    before, now = np.array([5000, 5000]), np.array([4000, 6000])
    assert stability_index(before, now) == pytest.approx(-0.1 * math.log(0.8) + 0.1 * math.log(1.2), abs=1e-4)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=20))
def test_the_stability_index_is_never_negative_and_the_same_both_ways(counts: list[tuple[int, int]]) -> None:
    before, now = np.array(counts).T
    assert stability_index(before, now) >= 0
    assert stability_index(before, now) == pytest.approx(stability_index(now, before))


def test_the_same_rows_show_no_drift() -> None:
    frame = pd.DataFrame({"x": RANDOM.normal(size=500), "c": RANDOM.choice(["a", "b"], 500)})
    change = compared(frame, frame)
    assert [c.drift for c in change.columns] == [0, 0]
    assert [c.size for c in change.columns] == ["none", "none"]


@pytest.mark.parametrize(("shift", "size"), [(0.1, "none"), (0.4, "small"), (1.0, "large"), (100.0, "large")])
def test_a_number_that_moves_drifts_by_how_far_it_moved(shift: float, size: str) -> None:
    before = RANDOM.normal(size=4000)
    assert column(list(before), list(RANDOM.normal(shift, size=4000))).size == size


@pytest.mark.parametrize("now", [4.0, 6.0])
def test_a_constant_number_that_changes_drifts(now: float) -> None:
    assert column([5.0] * 200, [now] * 200).size == "large"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([30, 100, 1000]))
def test_chance_alone_is_hardly_ever_called_drift(seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    frames = [
        pd.DataFrame({f"n{i}": random.normal(size=rows) for i in range(10)}
        | {f"c{i}": random.choice([f"s{k}" for k in range(50)], rows) for i in range(10)})
        for _ in range(2)
    ]  # fmt: skip
    assert sum(change.size != "none" for change in compared(*frames).columns) <= 4


def test_categories_that_come_and_go_are_named() -> None:
    change = column(["a"] * 50 + ["b"] * 50, ["b"] * 50 + ["d"] * 25 + ["c"] * 25)
    assert change.new == ("c", "d")
    assert change.vanished == ("a",)
    assert change.size == "large"


def test_missing_values_are_counted_and_drift() -> None:
    change = column([1.0, 2.0, 3.0, 4.0] * 100, [1.0, 2.0, math.nan, math.nan] * 100)
    assert change.missing == pytest.approx((0, 0.5))
    assert change.size == "large"
    assert column(["a", "b"] * 50, ["a", ""] * 50).missing == (0, 0.5)


def test_a_column_that_was_or_is_wholly_missing_is_compared() -> None:
    assert column([math.nan] * 50, [1.0] * 50).size == "large"
    assert column([1.0] * 50, [math.nan] * 50).size == "large"


def test_columns_are_sorted_by_drift_and_those_of_one_side_named() -> None:
    before = pd.DataFrame({"calm": [1.0, 2.0] * 50, "gone": 1.0, "wild": [1.0, 2.0] * 50})
    now = pd.DataFrame({"calm": [1.0, 2.0] * 50, "wild": [8.0, 9.0] * 50, "fresh": "x"})
    change = compared(before, now)
    assert [c.name for c in change.columns] == ["wild", "calm"]
    assert change.added == ("fresh",)
    assert change.removed == ("gone",)


def test_versions_and_rows_of_each_set_stand_side_by_side() -> None:
    change = compared(pd.DataFrame({"x": [1.0] * 40}), pd.DataFrame({"x": [1.0] * 50}))
    assert change.versions == ("old", "new")
    assert not change.same
    assert change.rows == {"train": (40, 50), "test": (100, 100)}


def test_ten_thousand_rows_are_compared_in_a_blink() -> None:
    frame = pd.DataFrame({"id": [f"customer {i}" for i in range(10_000)], "x": RANDOM.normal(size=10_000)})
    fresh = frame.assign(id=[f"customer {i}" for i in range(10_000, 20_000)])
    change = compared(frame, fresh)
    assert len(change.columns[0].new) == 10_000
