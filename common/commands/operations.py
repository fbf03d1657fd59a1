"""What whoever is on call asks of `models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from common.model import find_model
from common.steps import failures_explained

if TYPE_CHECKING:
    from common.steps.context import Context

Name = Annotated[str, typer.Argument(metavar="NAME", help="The model, e.g. abalone.", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why; it is shown wherever the model is.", show_default=False)]
Plan = Annotated[bool, typer.Option("--plan", help="Say what would be done, and change nothing.")]


def rollback(
    name: Name,
    reason: Reason,
    to: Annotated[
        int, typer.Option(metavar="N", help="The version; by default what was deployed before.", show_default=False)
    ] = 0,
    plan: Plan = False,
) -> None:
    """Go back to what served before, and keep it serving.

    With no training and at once, verified by the golden predictions. What production goes back from is marked: no deploy
    takes it again, until a newer package of main's source is approved, or it is released.

    \b
    Examples:
      models rollback abalone --plan --reason "too old by a year since Tuesday"
      models rollback abalone --reason "too old by a year since Tuesday"
      models rollback abalone --to 4 --reason "5 was bad, too"
    """
    with failures_explained():
        from common.operations.rollback import roll_back

        model = find_model(name)
        roll_back(_context(), model, model.declaration("deploy", "ENDPOINT"), to=to, reason=reason, plan=plan)


def hold(name: Name, reason: Reason) -> None:
    """Let no deploy change what serves, until it is released.

    \b
    Examples:
      models hold abalone --reason "we measure latencies until noon"
    """
    with failures_explained():
        from common.operations.holds import hold_model

        hold_model(_context(), find_model(name), reason)


def release(
    name: Name,
    version: Annotated[
        int,
        typer.Option(
            metavar="N", help="Take the mark of a rollback from this version; by default main's.", show_default=False
        ),
    ] = 0,
) -> None:
    """End a hold, or let deploys take again what was rolled back.

    \b
    Examples:
      models release abalone
      models release abalone --version 6
    """
    with failures_explained():
        from common.operations.holds import release_model

        release_model(_context(), find_model(name), version)


def _context() -> Context:
    from common.steps.context import Context

    return Context.from_environment()
