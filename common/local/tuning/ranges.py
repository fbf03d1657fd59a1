"""The ranges that a tuning job searches. The API writes numbers as strings, and so do the training jobs' hyperparameters."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from common.local.api import validation_error

MAX_RANGES = 30
_LOGARITHMIC_RATIO = 100
"""`Auto` searches a range that spans two orders of magnitude or more on a logarithmic scale."""


@dataclass(frozen=True)
class NumericRange:
    """An integer or continuous hyperparameter between two bounds, which belong to the range."""

    name: str
    kind: str
    """`Integer` or `Continuous`."""
    low: float
    high: float
    scaling: str
    """`Linear`, `Logarithmic` or `ReverseLogarithmic`."""

    @property
    def combinations(self) -> float:
        return self.high - self.low + 1 if self.kind == "Integer" else math.inf

    def distribution(self) -> Any:
        """Optuna's form of the range. It knows no reverse logarithm: the distance from 1 is searched in its place."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.kind == "Integer":
            return IntDistribution(int(self.low), int(self.high), log=self.scaling == "Logarithmic")
        if self.scaling == "ReverseLogarithmic":
            return FloatDistribution(1 - self.high, 1 - self.low, log=True)
        return FloatDistribution(self.low, self.high, log=self.scaling == "Logarithmic")

    def text(self, searched: Any) -> str:
        """The hyperparameter for a value of the distribution."""
        if self.scaling == "ReverseLogarithmic":
            # 1 - (1 - x) may differ from x in its last digit, and must not leave the range
            searched = min(max(1 - searched, self.low), self.high)
        return repr(searched)

    def searched(self, text: str) -> Any:
        """The distribution's value for a hyperparameter; None when it is outside of the range or no such number."""
        try:
            value = _number(self.kind, text)
        except ValueError:
            return None
        if not self.low <= value <= self.high:
            return None
        if self.scaling == "ReverseLogarithmic":
            return min(max(1 - value, 1 - self.high), 1 - self.low)
        return value


@dataclass(frozen=True)
class CategoricalRange:
    """A hyperparameter that is one of some texts."""

    name: str
    values: tuple[str, ...]
    kind: str = "Categorical"

    @property
    def combinations(self) -> float:
        return len(self.values)

    def distribution(self) -> Any:
        """Optuna's form of the range."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)

    def text(self, searched: Any) -> str:
        """The hyperparameter for a value of the distribution."""
        return str(searched)

    def searched(self, text: str) -> Any:
        """The distribution's value for a hyperparameter; None when it is none of the range's."""
        return text if text in self.values else None


Range = NumericRange | CategoricalRange


def read_ranges(config: Mapping[str, Any]) -> tuple[Range, ...]:
    """The ranges of a `HyperParameterTuningJobConfig`, sorted by name.

    Raises:
        ApiError: `ValidationException`; there are none or more than 30, a name is given twice, a bound is no number, the bounds
            are in the wrong order, or the scaling does not suit them.
    """
    given = config.get("ParameterRanges", {})
    if given.get("AutoParameters"):
        raise validation_error("The local AWS does not support ParameterRanges.AutoParameters.")
    ranges: list[Range] = [
        *(_numeric("Integer", item) for item in given.get("IntegerParameterRanges", [])),
        *(_numeric("Continuous", item) for item in given.get("ContinuousParameterRanges", [])),
        *(_categorical(item) for item in given.get("CategoricalParameterRanges", [])),
    ]
    if not ranges:
        raise validation_error("A hyperparameter tuning job needs at least one hyperparameter range.")
    if len(ranges) > MAX_RANGES:
        raise validation_error(
            f"The number of hyperparameter ranges, [{len(ranges)}], exceeds the maximum of {MAX_RANGES} over all types."
        )
    _refuse_repetition("hyperparameter", [item.name for item in ranges])
    return tuple(sorted(ranges, key=lambda item: item.name))


def combinations(ranges: Iterable[Range]) -> float:
    """How many different trials the ranges allow; infinite when one is continuous."""
    return math.prod(item.combinations for item in ranges)


def _numeric(kind: str, given: Mapping[str, str]) -> NumericRange:
    name = given["Name"]
    bounds = []
    for member in ("MinValue", "MaxValue"):
        try:
            bounds.append(_number(kind, given[member]))
        except ValueError:
            raise validation_error(
                f"The {member} [{given[member]}] of hyperparameter [{name}] isn't a valid {kind.lower()} value."
            ) from None
    low, high = bounds
    if low > high:
        raise validation_error(
            f"The MinValue [{low}] of hyperparameter [{name}] is greater than its MaxValue [{high}]."
        )
    scaling = given.get("ScalingType", "Auto")
    _check_scaling(name, kind, low, high, scaling)
    if scaling == "Auto":
        scaling = "Logarithmic" if low > 0 and high / low >= _LOGARITHMIC_RATIO else "Linear"
    return NumericRange(name, kind, low, high, scaling)


def _check_scaling(name: str, kind: str, low: float, high: float, scaling: str) -> None:
    if scaling == "Logarithmic" and low <= 0:
        raise validation_error(
            f"Logarithmic scaling works only for ranges that have only values greater than 0; hyperparameter [{name}] "
            f"starts at {low}."
        )
    if scaling == "ReverseLogarithmic" and (kind != "Continuous" or low < 0 or high >= 1):
        raise validation_error(
            "Reverse logarithmic scaling works only for continuous ranges that are entirely within 0 <= x < 1.0; "
            f"hyperparameter [{name}] has the {kind.lower()} range {low} to {high}."
        )


def _categorical(given: Mapping[str, Any]) -> CategoricalRange:
    _refuse_repetition(f"value of hyperparameter [{given['Name']}]", given["Values"])
    return CategoricalRange(given["Name"], tuple(given["Values"]))


def _refuse_repetition(what: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise validation_error(f"Each {what} must be given once, but [{', '.join(repeated)}] is given several times.")


def _number(kind: str, text: str) -> float:
    """Raises ValueError for what is no (finite) number of that kind."""
    value: float = int(text) if kind == "Integer" else float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
