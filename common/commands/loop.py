"""Which models are to be trained again: `models due`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from common.errors import MonitoringError
from common.model import all_models, find_model
from common.steps import failures_explained
from common.tables import text_table


def due(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Only these models.", show_default=False)
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="As the parameters that CircleCI's continuation is passed; the table on stderr."),
    ] = False,
) -> None:
    """Which models are to be trained again now, and why?

    By what the monitor found about the package that serves, or by the calendar; `MONITOR` in deploy.py declares both. A job
    that failed is no reason, and no model is due while a package of it waits for its click. Where it cannot be told of a
    model, the others are told all the same, and the exit code is 1.

    \b
    Examples:
      models due
      models due churn
      models due --json > due.json
    """
    with failures_explained():
        from common.steps.context import Context
        from common.steps.due import due_models, parameters

        context = Context.from_environment()
        models = [find_model(name) for name in names] if names else all_models()
        found, failures = due_models(context, models)
        rows = [[each.model.name, "yes" if each.because else "no", each.words] for each in found]
        typer.echo(text_table(["model", "due", "why"], rows), err=as_json)
        if as_json:
            typer.echo(json.dumps(parameters(found), ensure_ascii=False))
        if len(failures) == 1:
            raise failures[0]
        if failures:
            told = "".join(f"\n  - {error.what}" for error in failures)
            raise MonitoringError(
                f"It cannot be told of {len(failures)} models:{told}", "`models due NAME` says what to do."
            )
