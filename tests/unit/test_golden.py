"""Golden predictions recognise a model again, and nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.evaluation.golden import Golden, score

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64)
VALUES = NUMBERS | st.text() | st.none() | st.integers() | st.booleans()


def predictions(numbers: list[float]) -> list[dict[str, float]]:
    return [{"prediction": number} for number in numbers]


def mismatch(expected: list[float], answered: list[float]) -> str:
    return Golden([{}] * len(expected), predictions(expected)).mismatch(predictions(answered))


@given(st.lists(st.tuples(st.dictionaries(st.text(), VALUES), NUMBERS), min_size=1, max_size=10))
def test_records_and_answers_read_back_exactly(rows: list[tuple[dict[str, Any], float]]) -> None:
    golden = Golden([record for record, _ in rows], predictions([number for _, number in rows]))
    assert Golden.from_json(golden.to_json()) == golden


@given(st.lists(NUMBERS, min_size=1, max_size=10))
def test_equal_answers_agree(numbers: list[float]) -> None:
    assert mismatch(numbers, list(numbers)) == ""


@pytest.mark.parametrize("answer", [9.6, 9.5 * (1 + 3e-4), float("nan"), float("inf"), 0.0])
def test_another_answer_is_found_and_shown(answer: float) -> None:
    assert "1 of 2 records differ; record 2" in mismatch([1.0, 9.5], [1.0, answer])


def test_the_last_digits_of_32_bits_may_differ() -> None:
    assert mismatch([9.512345678901], [9.5123453]) == ""


def test_a_missing_answer_is_found() -> None:
    assert mismatch([1.0, 2.0], [1.0]) == "1 answers to 2 records"


def test_probabilities_are_compared_and_not_the_labels_that_follow_from_them() -> None:
    golden = Golden([{}], [{"probability": 0.49999, "label": "no"}])
    assert golden.mismatch([{"probability": 0.50001, "label": "yes"}]) == ""
    assert "expected 0.49999, answered 0.6" in golden.mismatch([{"probability": 0.6, "label": "no"}])


def test_an_answer_of_another_kind_of_model_has_no_score() -> None:
    with pytest.raises(KeyError):
        score({"label": "yes"})
