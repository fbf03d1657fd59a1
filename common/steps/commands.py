"""`models invoke`, `models smoke` and `models add-customer` on the command line."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common.errors import UsageError
from common.model import Model, find_model
from common.steps import failures_explained
from common.tables import text_table

if TYPE_CHECKING:
    from common.steps.context import Context

Name = Annotated[str, typer.Argument(metavar="NAME", help="The model, e.g. abalone.", show_default=False)]


def invoke(
    name: Name,
    records: Annotated[
        str,
        typer.Argument(
            help='A JSON record or a list of them, or @FILE.csv, or - to read JSON; of a fleet, e.g. {"period": 7}.'
        ),
    ],
    customer: Annotated[
        str, typer.Option(metavar="ID", help="Whose forecast, where the model is a fleet.", show_default=False)
    ] = "",
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw the forecast, after the last readings: FILE.svg.")
    ] = None,
    key: Annotated[
        str,
        typer.Option(
            metavar="KEY", help="Who asks: in an A/B test the same version answers it always.", show_default=False
        ),
    ] = "",
) -> None:
    """Ask the endpoint for predictions, or for a forecast.

    \b
    Examples:
      models invoke abalone '{"sex": "M", "length": 0.455, "diameter": 0.365, …}'
      models invoke abalone @animals.csv
      echo '[{…}, {…}]' | models invoke abalone -
      models invoke energy '{"period": 28}' --customer 8 --plot forecast.svg
      models invoke abalone @animals.csv --key customer-17
    """
    with failures_explained():
        model, text = find_model(name), sys.stdin.read() if records == "-" else records
        _require_fitting(model, customer, plot, key)
        if model.is_fleet:
            _forecast(model, customer, text, plot)
        else:
            _predict(model, text, key)


def _require_fitting(model: Model, customer: str, plot: Path | None, key: str) -> None:
    if model.is_fleet and (key or not customer):
        raise UsageError(f"{model.name} has a model for each customer.", "Say whose forecast you want: --customer 8.")
    if not model.is_fleet and (customer or plot):
        raise UsageError(
            f"{model.name} is one model, which answers for records.",
            "Leave out --customer and --plot, which are for fleets of forecasting models.",
        )
    if plot and plot.suffix != ".svg":
        raise UsageError(f"{plot} is no file for a forecast's plot.", "Name a file that ends in .svg.")


def _predict(model: Model, text: str, key: str) -> None:
    from common.steps.invoke import invoke_model, read_records

    given = read_records(text)
    answers = invoke_model(_context(), model, given, key)
    columns = list(dict.fromkeys(column for record in given for column in record))
    rows = [
        [*(str(record.get(column, "")) for column in columns), *(_figure(value) for value in answer.values())]
        for record, answer in zip(given, answers, strict=True)
    ]
    typer.echo(text_table([*columns, *answers[0]], rows))


def _forecast(model: Model, customer: str, text: str, plot: Path | None) -> None:
    from common.steps.forecast import forecast_customer, read_request, write_forecast_plot

    context = _context()
    forecast = forecast_customer(context, model, customer, read_request(text))
    _show(forecast)
    if plot:
        write_forecast_plot(context, model, customer, forecast, plot)


def _show(forecast: Sequence[Mapping[str, Any]]) -> None:
    from common.steps.forecast import bars

    rows = [
        [*(_figure(value) for value in day.values()), bar] for day, bar in zip(forecast, bars(forecast), strict=True)
    ]
    typer.echo(text_table([*forecast[0], ""], rows))


def smoke(name: Name) -> None:
    """Ask the endpoint as its callers do, and compare.

    JSON and CSV, one record and several, a record that it has to refuse; of a fleet, a few customers. The answers have to be
    those that the trained model gave. CircleCI runs it after each deploy to staging.

    \b
    Examples:
      models smoke abalone
    """
    with failures_explained():
        from common.steps.smoke import smoke_test

        smoke_test(_context(), find_model(name))


def add_customer(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The fleet, e.g. energy.", show_default=False)],
    customer: Annotated[str, typer.Argument(metavar="ID", help="The new customer's id.", show_default=False)],
    file: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="Its readings as CSV; by default they are asked for in the source."
        ),
    ] = None,
) -> None:
    """Serve a new customer of a fleet, with no deployment.

    A model is fitted as those that serve were, and put beside them. It is never put over another one.

    \b
    Examples:
      models add-customer energy 1000
      models add-customer energy 1000 --from readings.csv
    """
    with failures_explained():
        model = find_model(name)
        if not model.is_fleet:
            raise UsageError(
                f"{name} is one model, and has no customers.", "`models list` shows which are for forecasting."
            )
        from common.steps import add_customer as step

        data, fleet = model.declaration("gather_data", "DATA"), model.declaration("train_register", "TRAINING")
        _show(step.add_customer(_context(), model, data, fleet, customer, file))


def _context() -> Context:
    from common.steps.context import Context

    return Context.from_environment()


def _figure(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
