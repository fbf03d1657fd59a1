"""The customers that a fleet's report plots: their last readings, and what was forecast of them."""

from __future__ import annotations

from collections.abc import Sequence

from common.evaluation.fleet_parts import Parts
from common.forecasting import Forecaster
from common.forecasting.readings import read_customer
from common.report.plots.fleet import Example
from common.steps.fleet_objects import Index
from common.storage import Bucket

LEVEL = 0.8
DAYS = 90
"""How many days before the end are shown."""


def read_examples(
    bucket: Bucket, index: Index, parts: Parts, forecaster: Forecaster, customers: Sequence[str]
) -> list[Example]:
    """Read these customers alone, and forecast their holdouts with the parameters that were fitted without them."""
    return [_example(bucket, index, parts, forecaster, customer) for customer in customers]


def _example(bucket: Bucket, index: Index, parts: Parts, forecaster: Forecaster, customer: str) -> Example:
    place, entry = index.customers[customer], parts.customers[customer]
    series = read_customer(bucket.read_range(place["part"], place["offset"], place["length"]))
    held_out = series.days > entry["before_until"]
    shown = held_out | (series.days > series.days[-1] - DAYS)
    days = series.days[held_out]
    forecast = forecaster.forecast([entry["before"]], days[None, :], LEVEL)
    return Example(
        customer=customer,
        days=series.days[shown],
        values=series.values[shown],
        start=float(days[0]),
        forecast_days=days,
        mean=forecast.mean[0],
        lower=forecast.lower[0],
        upper=forecast.upper[0],
    )
