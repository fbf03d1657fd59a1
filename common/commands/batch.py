"""`models batch`: score what has come in, with the package that serves."""

from __future__ import annotations

from typing import Annotated

import typer

from common.model import find_model
from common.steps import failures_explained


def batch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model, e.g. churn.", show_default=False)],
    partition: Annotated[
        str,
        typer.Option(metavar="FOLDER", help="This partition, with the package that serves now.", show_default=False),
    ] = "",
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be done, and change nothing.")] = False,
) -> None:
    """Score partitions of raw records.

    Without options: every partition of the input that was not scored yet, or whose files have changed since. Each becomes
    rows of keys, inputs, prediction and package version; records that cannot be scored are set aside with their reason.
    Whatever was done stays done: interrupt it, and run it again.

    \b
    Examples:
      models batch churn --plan
      models batch churn
      models batch churn --partition dt=2026-11-20
    """
    with failures_explained():
        from common.batch.declare import declared_batch
        from common.steps.batch import score_batches
        from common.steps.context import Context

        model = find_model(name)
        declared = declared_batch(model)
        score_batches(Context.from_environment(), model, declared, partition=partition, plan=plan)
