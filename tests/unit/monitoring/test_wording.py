"""Differences in words."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from common.monitoring.checks import Column
from common.monitoring.findings import PREDICTION
from common.monitoring.values import Values
from common.monitoring.wording import (
    categories_words,
    faulty_words,
    figure,
    missing_words,
    numbers_words,
    share,
    unseen_words,
)

EVEN = np.arange(101.0)
NAMES = np.array(["a"] * 90 + ["b"] * 10, dtype=object)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 %"), (0.0004, "0.04 %"), (0.0312, "3.1 %"), (0.1234, "12 %"), (1, "100 %")]
)
def test_shares_have_the_digits_that_matter(value: float, text: str) -> None:
    assert share(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.012345, "0.0123"), (4.5678, "4.57"), (-12345.6, "-12,346")])
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (EVEN + 40, "'x' is higher: half of the values are below 90, before it was 50."),
        (EVEN - 40, "'x' is lower: half of the values are below 10, before it was 50."),
        (
            50 + 2 * (EVEN - 50),
            "'x' varies more: the middle half of the values lies between 0 and 100, before between 25 and 75.",
        ),
        (
            50 + (EVEN - 50) / 2 + 30,
            "'x' is higher: half of the values are below 80, before it was 50; it varies less: "
            "the middle half of the values lies between 67.5 and 92.5, before between 25 and 75.",
        ),
        (np.where(EVEN < 20, 0, EVEN), "'x' has more low values: 20 % are at most 0, before 0.99 % were."),
    ],
)
def test_numbers_that_moved_are_described(now: np.ndarray, words: str) -> None:
    assert numbers_words("x", EVEN, now) == words


def test_predictions_have_no_column_name() -> None:
    assert numbers_words(PREDICTION, EVEN, EVEN + 40).startswith("The prediction is higher: ")


def test_categories_that_moved_most_are_named() -> None:
    now = np.array(["a"] * 70 + ["b"] * 28 + ["c"] * 2, dtype=object)
    assert categories_words("x", NAMES, now) == (
        "The categories of 'x' are distributed differently: 'a' is 70 %, before 90 %; 'b' is 28 %, before 10 %."
    )


def test_strangers_are_named() -> None:
    before, now = (
        Values(NAMES, 100, 0, 0, ()),
        Values(np.array(["a"] * 96 + ["d", "e", "f", "g"], dtype=object), 100, 0, 0, ()),
    )
    assert unseen_words("x", before, now) == (
        "'x' has 4 categories that no training record had, in 4.0 % of the records: 'd', 'e', 'f', …."
    )


def test_gaps_and_faults_are_counted() -> None:
    before, now = Values(EVEN, 1000, 1, 0, ()), Values(EVEN, 200, 30, 12, ("above 9 (10, 11)", "no number (many)"))
    assert missing_words("x", before, now) == "'x' is empty in 15 % of the records, before in 0.10 %."
    assert faulty_words("x", now) == (
        "12 of 200 values of 'x' are not what the model declares: above 9 (10, 11); no number (many)."
    )


def test_columns_of_a_manifest_are_those_that_predictions_are_made_from() -> None:
    described: list[Mapping[str, Any]] = [
        {"kind": "number", "name": "height", "at_least": 0, "decimals": 4},
        {"kind": "category", "name": "sex", "values": ["F", "M"], "optional": True},
        {"kind": "ignored", "name": "phone"},
        {"kind": "number", "name": "rings"},
    ]
    assert Column.described(described, "rings") == (
        Column("height", "number", at_least=0),
        Column("sex", "category", values=("F", "M"), optional=True),
    )
