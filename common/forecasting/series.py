"""What every forecaster takes and gives: series in, compact parameters; parameters and days in, forecasts.

This package travels into the containers as it stands: it needs NumPy and SciPy, and nothing else of this repository.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

Parameters = dict[str, Any]
"""A fitted model as JSON: all that its forecasts need. Numbers are rounded, so that a model is less than a kilobyte."""


@dataclass(frozen=True)
class Series:
    """The clean readings of one customer.

    Attributes:
        days: (n,) strictly increasing times, in days since 1970-01-01T00:00Z with fractions.
        values: (n,) finite readings.
    """

    customer: str
    days: Values
    values: Values


class Unfit(NamedTuple):
    """A series of which no model can be made, and why, in a person's words."""

    reason: str


class Forecast(NamedTuple):
    """What is expected of n customers on h days each: all are (n, h), in the units of the readings.

    Attributes:
        mean: as likely too high as too low: the median, which has the least mean absolute error.
        lower, upper: between them lies a reading with the probability that was asked for.
    """

    mean: Values
    lower: Values
    upper: Values


class Forecaster(Protocol):
    """A method of forecasting, with its declared options."""

    @property
    def name(self) -> str:
        """How a declaration calls it."""

    def to_json(self) -> dict[str, Any]:
        """The declaration, from which `forecaster_from` makes the same forecaster."""

    def fit(self, batch: Sequence[Series]) -> list[Parameters | Unfit]:
        """The model of each series, in their order.

        A model depends on its series alone, but for rounding. A bad series never harms another, nor raises an error.
        """

    def forecast(self, parameters: Sequence[Parameters], days: Values, level: float = 0.8) -> Forecast:
        """What is expected of each customer on its days.

        Args:
            parameters: n models.
            days: (n, h) days since 1970-01-01T00:00Z, after the last reading of the customer.
            level: the probability that a reading lies between `lower` and `upper`, between 0 and 1.
        """


class UnknownForecaster(ValueError):
    """A declaration names no forecaster; the message says which there are."""


def forecaster_from(document: Mapping[str, Any]) -> Forecaster:
    """The forecaster that declared itself so with `to_json`.

    Raises:
        UnknownForecaster: there is none of this name.
    """
    name = document.get("name")
    if name == "structural":
        from .structural import Structural

        return Structural.from_json(document)
    if name == "prophet":
        from .prophet import ProphetForecaster  # heavy, and behind an extra

        return ProphetForecaster.from_json(document)
    raise UnknownForecaster(f"There is no forecaster {name!r}; there are structural and prophet.")
