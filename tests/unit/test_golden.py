"""Golden predictions recognise a model again, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.evaluation.golden import mismatch, read_golden, write_golden

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=10))
def test_numbers_read_back_exactly(rows: list[tuple[float, float, float]]) -> None:
    table = np.array(rows)
    features, predictions = read_golden(write_golden(table[:, :2], table[:, 2]))
    assert features == table[:, :2].tolist()
    assert predictions == table[:, 2].tolist()


@given(st.lists(NUMBERS, min_size=1, max_size=10))
def test_equal_answers_agree(numbers: list[float]) -> None:
    assert mismatch(numbers, list(numbers)) == ""


@pytest.mark.parametrize("answer", [9.6, 9.5 * (1 + 3e-4), float("nan"), float("inf"), 0.0])
def test_another_answer_is_found_and_shown(answer: float) -> None:
    assert "1 of 2 rows differ; row 2" in mismatch([1.0, 9.5], [1.0, answer])


def test_the_last_digits_of_32_bits_may_differ() -> None:
    assert mismatch([9.512345678901], [9.5123453]) == ""


def test_a_missing_answer_is_found() -> None:
    assert mismatch([1.0, 2.0], [1.0]) == "1 answers to 2 rows"
