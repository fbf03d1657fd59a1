import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.data.split import Fractions, assign, digests
from common.errors import DataError

values = st.floats(allow_nan=False) | st.text(max_size=5)
tables = st.lists(st.tuples(values, values), min_size=1, max_size=30).map(lambda rows: pd.DataFrame(rows, dtype=object))


def sets(rows: pd.DataFrame) -> list[str]:
    return assign(digests(rows), Fractions()).tolist()


@given(tables, st.randoms())
def test_a_row_keeps_its_set_in_whatever_order_the_rows_come(rows: pd.DataFrame, random: np.random.Generator) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)
    assert sets(rows.iloc[order]) == [sets(rows)[position] for position in order]


@given(tables, tables)
def test_a_row_keeps_its_set_when_the_data_grow(rows: pd.DataFrame, more: pd.DataFrame) -> None:
    assert sets(pd.concat([rows, more]))[: len(rows)] == sets(rows)


@given(tables)
def test_repeated_rows_share_a_set(rows: pd.DataFrame) -> None:
    assert sets(pd.concat([rows, rows]))[len(rows) :] == sets(rows)


@given(tables)
def test_another_share_of_validation_rows_moves_no_test_row(rows: pd.DataFrame) -> None:
    keys = digests(rows)
    few, many = assign(keys, Fractions(0.8, 0.05, 0.15)), assign(keys, Fractions(0.5, 0.35, 0.15))
    assert (few == "test").equals(many == "test")


def test_sets_have_the_declared_shares_of_many_rows() -> None:
    shares = pd.Series(sets(pd.DataFrame({"key": range(20_000)}))).value_counts(normalize=True)
    for name, share in Fractions()._asdict().items():
        assert shares[name] == pytest.approx(share, abs=0.015)


def test_digests_are_the_same_in_every_release() -> None:
    # The first eight bytes of SHA-256 of ["M", 0.455] and ["F", 0.53], as any tool computes them.
    rows = pd.DataFrame({"sex": ["M", "F"], "length": [0.455, 0.53]})
    assert digests(rows).tolist() == [6408672345833469847, 11922768963163367266]


def test_equal_numbers_have_equal_digests_whatever_their_type() -> None:
    whole, real = pd.DataFrame({"x": [15, 0]}), pd.DataFrame({"x": [15.0, -0.0]})
    assert digests(whole).tolist() == digests(real).tolist()


def test_a_number_and_its_text_differ() -> None:
    assert digests(pd.DataFrame({"x": [1.5]}))[0] != digests(pd.DataFrame({"x": ["1.5"]}))[0]


@pytest.mark.parametrize("fractions", [(0.7, 0.2, 0.2), (1.0, 0.0, 0.0), (1.2, -0.1, -0.1), (0.7, 0.1, 0.1)])
def test_fractions_that_are_no_shares_of_one_whole_are_refused(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(DataError, match="no shares of one whole"):
        assign(pd.Series([1], dtype="uint64"), Fractions(*fractions))
