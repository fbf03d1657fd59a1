"""One customer's forecast: asked of the endpoint of a fleet, and drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from common.aws import error_code, is_missing, says
from common.deployment.fleet import ask_customer, manifest_of
from common.deployment.live import observe
from common.errors import DataError, UsageError
from common.model import Model
from common.registry import Package
from common.steps.context import Context
from common.steps.fleet_objects import read_index
from common.steps.invoke import answered_with_error, no_endpoint
from common.storage import Layout

Day = Mapping[str, Any]
"""A day of a forecast: `ds`, `yhat`, `yhat_lower`, `yhat_upper`."""
_BAR_CELLS = 48
_DAYS_BEFORE = 60
"""So much of what was read is drawn before the forecast."""


def read_request(text: str) -> Any:
    """What is asked of a customer's model, e.g. `{"period": 7}`.

    Raises:
        UsageError: the text is no JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"The request is not JSON: {error}", 'Write {"period": 7}, a number of days.') from error


def forecast_customer(context: Context, model: Model, customer: str, request: Any) -> list[Day]:
    """What the customer's model forecasts.

    Raises:
        UsageError: the id can name no customer.
        DataError: the fleet has no model of that customer, or the request is none that a model understands.
        DeploymentError: there is no endpoint, or the model answers with an error.
    """
    try:
        answer: list[Day] = ask_customer(context.aws, model.name, customer, request)
    except ClientError as error:
        from common.forecasting.checks import ID  # takes half a second to import, for nothing where there is an answer

        if not ID.fullmatch(customer):
            raise no_id(customer) from error
        if says(error, "Failed to download model data"):
            raise _unknown(context, model, customer) from error
        if is_missing(error):
            raise no_endpoint(model, model.name) from error
        if error_code(error) == "ModelError":
            raise answered_with_error(
                context, model, error.response, 'Ask for a number of days: {"period": 7}.'
            ) from error
        raise
    return answer


def no_id(customer: str) -> UsageError:
    return UsageError(f"{customer!r} can name no customer.", "Ids have letters, digits, '_', '.' and '-', at most 100.")


def _unknown(context: Context, model: Model, customer: str) -> DataError:
    package = context.registry(model).serving(observe(context.aws, model).package_arn)
    reason = manifest_of(context.aws, package).set_aside.get(customer) if package else None
    return DataError(
        f"The fleet that {model.name} serves has no model of customer '{customer}'"
        + (f", which was set aside when it was trained: {reason}." if reason else "."),
        f"`./models add-customer {model.name} {customer}` makes one from its readings.",
    )


def bars(forecast: Sequence[Day]) -> list[str]:
    """A line for each day: the interval with the expected value in it, all on one scale."""
    low = min(float(day["yhat_lower"]) for day in forecast)
    high = max(float(day["yhat_upper"]) for day in forecast)
    scale = (_BAR_CELLS - 1) / (high - low or 1.0)

    def cells(day: Day) -> str:
        start, middle, end = (round((float(day[name]) - low) * scale) for name in ("yhat_lower", "yhat", "yhat_upper"))
        line = [" "] * start + ["─"] * (end - start + 1)
        line[start], line[end] = "├", "┤"
        line[middle] = "●"
        return "".join(line)

    return [cells(day) for day in forecast]


def write_forecast_plot(context: Context, model: Model, customer: str, forecast: Sequence[Day], file: Path) -> None:
    """Draw the customer's last readings and its forecast into an SVG file.

    Raises:
        UsageError: the file cannot be written.
    """
    import numpy as np

    from common.report.plots.chart import standalone
    from common.report.plots.fleet import Example, example_figure

    days = np.array([_days(str(day["ds"])) for day in forecast])
    mean, lower, upper = (
        np.array([float(day[name]) for day in forecast]) for name in ("yhat", "yhat_lower", "yhat_upper")
    )
    before, values = last_readings(context, model, customer)
    example = Example(customer, before, values, float(days[0]), days, mean, lower, upper)
    drawn = standalone(example_figure(example, model.target, "").chart)
    try:
        file.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written: {error.strerror}.", "Name a file in a folder that exists."
        ) from error


def last_readings(context: Context, model: Model, customer: str) -> tuple[Any, Any]:
    """(days since 1970, values) of the customer's last weeks in the data of the package that serves; empty without any."""
    import numpy as np

    from common.forecasting.readings import read_customer

    package = context.registry(model).serving(observe(context.aws, model).package_arn)
    found = _member(context, model, package, customer) if package else None
    if found is None:  # a customer that was added, or whose readings were deleted since
        return np.empty(0), np.empty(0)
    series = read_customer(found)
    recent = series.days > series.days[-1] - _DAYS_BEFORE
    return series.days[recent], series.values[recent]


def _member(context: Context, model: Model, package: Package, customer: str) -> bytes | None:
    """The customer's own bytes of the clean readings that the package was trained on."""
    index = read_index(context.bucket, Layout(model.name).index(package.data_version, package.source, ""))
    place = index.customers.get(customer)
    return context.bucket.read_range(place["part"], place["offset"], place["length"]) if place else None


def _days(ds: str) -> float:
    time = datetime.fromisoformat(ds)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() / 86_400
