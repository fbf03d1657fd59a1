"""How the ranges of a tuning job are read, scaled, and written as hyperparameters."""

import math
from typing import Any

import pytest

from common.local.api import ApiError
from common.local.tuning.ranges import CategoricalRange, NumericRange, combinations, read_ranges


def integer(name: str = "n", low: str = "1", high: str = "9", **members: str) -> dict[str, Any]:
    return {"IntegerParameterRanges": [{"Name": name, "MinValue": low, "MaxValue": high, **members}]}


def continuous(name: str = "x", low: str = "0", high: str = "1", **members: str) -> dict[str, Any]:
    return {"ContinuousParameterRanges": [{"Name": name, "MinValue": low, "MaxValue": high, **members}]}


def categorical(name: str = "c", *values: str) -> dict[str, Any]:
    return {"CategoricalParameterRanges": [{"Name": name, "Values": list(values)}]}


def read(*given: dict[str, Any]) -> tuple[Any, ...]:
    return read_ranges({"ParameterRanges": {kind: items for ranges in given for kind, items in ranges.items()}})


def test_ranges_of_all_types_are_sorted_by_name() -> None:
    assert read(integer("b"), continuous("c", "0.5"), categorical("a", "u", "v")) == (
        CategoricalRange("a", ("u", "v")),
        NumericRange("b", "Integer", 1, 9, "Linear"),
        NumericRange("c", "Continuous", 0.5, 1, "Linear"),
    )


@pytest.mark.parametrize(
    ("low", "high", "scaling"),
    [("0.001", "0.1", "Logarithmic"), ("0.01", "0.9", "Linear"), ("0", "1000", "Linear"), ("-1", "1", "Linear")],
)
def test_auto_is_logarithmic_from_two_orders_of_magnitude_on(low: str, high: str, scaling: str) -> None:
    assert read(continuous(low=low, high=high))[0].scaling == scaling
    assert read(continuous(low=low, high=high, ScalingType="Auto"))[0].scaling == scaling


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (integer(low="1.5"), r"MinValue \[1.5\] of hyperparameter \[n\] isn't a valid integer value"),
        (continuous(high="much"), r"MaxValue \[much\] of hyperparameter \[x\] isn't a valid continuous value"),
        (continuous(high="inf"), r"MaxValue \[inf\]"),
        (integer(low="9", high="1"), r"MinValue \[9\] of hyperparameter \[n\] is greater than its MaxValue \[1\]"),
        (continuous(ScalingType="Logarithmic"), "Logarithmic scaling works only for .* greater than 0"),
        (integer(low="0", ScalingType="Logarithmic"), "Logarithmic scaling works only"),
        (continuous(ScalingType="ReverseLogarithmic"), "Reverse logarithmic scaling works only .* 0 <= x < 1.0"),
        (continuous(low="-0.1", high="0.5", ScalingType="ReverseLogarithmic"), "Reverse logarithmic"),
        (integer(low="0", high="0", ScalingType="ReverseLogarithmic"), "Reverse logarithmic .*continuous"),
        (categorical("c", "a", "a"), r"value of hyperparameter \[c\] must be given once, but \[a\]"),
        ({}, "at least one hyperparameter range"),
        ({"AutoParameters": [{"Name": "x", "ValueHint": "1"}]}, "does not support ParameterRanges.AutoParameters"),
    ],
)
def test_ranges_that_cannot_be_searched_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=message) as error:
        read(given)
    assert error.value.code == "ValidationException"


def test_a_name_is_given_once_over_all_types() -> None:
    with pytest.raises(ApiError, match=r"hyperparameter must be given once, but \[same\]"):
        read(integer("same"), continuous("same"))


def test_thirty_ranges_are_allowed_over_all_types_and_no_more() -> None:
    numbers = [{"Name": f"n{i}", "MinValue": "1", "MaxValue": "2"} for i in range(29)]
    assert len(read({"IntegerParameterRanges": numbers}, continuous())) == 30
    with pytest.raises(ApiError, match=r"\[31\], exceeds the maximum of 30"):
        read({"IntegerParameterRanges": numbers}, continuous(), categorical("c", "a"))


@pytest.mark.parametrize("scaling", ["Linear", "ReverseLogarithmic"])
@pytest.mark.parametrize("text", ["0.1", "0.30000000000000004", "0.5", "0.99"])
def test_continuous_values_survive_the_way_into_the_search_and_back(scaling: str, text: str) -> None:
    [found] = read(continuous(low="0.1", high="0.99", ScalingType=scaling))
    searched = found.searched(text)
    distribution = found.distribution()
    assert distribution.low <= searched <= distribution.high
    assert float(found.text(searched)) == pytest.approx(float(text), abs=1e-15)


def test_reverse_logarithmic_ranges_search_the_distance_from_one() -> None:
    [found] = read(continuous(low="0.9", high="0.999", ScalingType="ReverseLogarithmic"))
    distribution = found.distribution()
    assert distribution.log
    assert (distribution.low, distribution.high) == pytest.approx((0.001, 0.1))
    assert 0.9 <= float(found.text(distribution.high)) <= float(found.text(distribution.low)) <= 0.999


def test_integers_are_written_without_a_point() -> None:
    [found] = read(integer(low="1", high="1000", ScalingType="Logarithmic"))
    assert found.distribution().log
    assert found.text(found.searched("17")) == "17"


@pytest.mark.parametrize(
    ("given", "text"),
    [(integer(), "0"), (integer(), "10"), (integer(), "2.5"), (continuous(), "1.1"), (continuous(), "many"),
     (continuous(), ""), (categorical("c", "a"), "b")],
)  # fmt: skip
def test_a_value_outside_of_the_range_is_none_of_its(given: dict[str, Any], text: str) -> None:
    assert read(given)[0].searched(text) is None


def test_combinations_multiply_and_are_infinite_with_a_continuous_range() -> None:
    assert combinations(read(integer(), categorical("c", "a", "b"))) == 18
    assert combinations(read(integer(), continuous())) == math.inf
