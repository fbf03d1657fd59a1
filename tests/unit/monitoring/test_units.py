"""Whether numbers look like another unit."""

from collections.abc import Callable

import numpy as np
import pytest

from common.monitoring.units import changed_unit

RANDOM = np.random.default_rng(3)
BEFORE, AGAIN = RANDOM.gamma(3, 20, 1000), RANDOM.gamma(3, 20, 400)


@pytest.mark.parametrize(
    ("factor", "unit"),
    [
        (1000, "kilograms to grams"),
        (1 / 1000, "grams to kilograms"),
        (60, "minutes to seconds"),
        (2.54, "inches to centimetres"),
        (1 / 100, "percent to shares"),
    ],
)
def test_a_factor_between_units_is_recognised(factor: float, unit: str) -> None:
    assert changed_unit(BEFORE, AGAIN * factor) == unit


def test_degrees_are_recognised() -> None:
    before, again = RANDOM.normal(12, 9, 1000), RANDOM.normal(12, 9, 400)
    assert changed_unit(before, again * 1.8 + 32) == "degrees Celsius to Fahrenheit"
    assert changed_unit(before + 273.15, again) == "Kelvin to degrees Celsius"


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values,
        lambda values: values * 1.5,
        lambda values: values + 60,
        lambda values: values**1.3,
        lambda values: np.where(np.arange(len(values)) % 2, values * 1000, values),
    ],
)
def test_what_no_unit_explains_is_none(change: Callable[[np.ndarray], np.ndarray]) -> None:
    assert changed_unit(BEFORE, change(AGAIN)) == ""


def test_around_zero_another_spread_is_no_other_unit() -> None:
    before, again = RANDOM.normal(0, 1, 1000), RANDOM.normal(0, 2.54, 400)
    assert changed_unit(before, again) == ""


def test_few_values_are_no_evidence() -> None:
    assert changed_unit(BEFORE, AGAIN[:99] * 1000) == ""
