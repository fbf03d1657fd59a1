"""`models monitor`: what came in beside what the model was trained on."""

from __future__ import annotations

from typing import Annotated

import typer

from common.errors import UsageError
from common.model import find_model
from common.steps import failures_explained


def monitor(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model, e.g. churn.", show_default=False)],
    since: Annotated[
        str, typer.Option(metavar="ISO", help="Look at the calls from that time on, in UTC.", show_default=False)
    ] = "",
    until: Annotated[
        str, typer.Option(metavar="ISO", help="With --since: to that time; by default now.", show_default=False)
    ] = "",
    batch: Annotated[
        str, typer.Option(metavar="PARTITION", help="Look at this batch, e.g. dt=2026-11-20.", show_default=False)
    ] = "",
) -> None:
    """Compare what comes in with what the model was trained on.

    Without options: yesterday's captured calls, and the batches that were scored since the last look. Says which columns
    differ, whether the predictions are as good as they were where the truth is known, and whether the windows so far are a
    reason to retrain. Looking at the same again changes nothing.

    \b
    Examples:
      models monitor churn
      models monitor churn --since 2026-11-20T07:00 --until 2026-11-20T12:00
      models monitor churn --batch dt=2026-11-20
    """
    with failures_explained():
        from common.steps.context import Context
        from common.steps.monitor import monitor_model

        if until and not since:
            raise UsageError("--until goes with --since.", "E.g. --since 2026-11-20 --until 2026-11-21.")
        if batch and since:
            raise UsageError("--batch and --since ask for two windows at once.", "Give one of them.")
        monitor_model(Context.from_environment(), find_model(name), since=since, until=until, batch=batch)
