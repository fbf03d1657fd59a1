"""What whoever is on call asks of `models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from common.model import Model, find_model
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
        from common.deployment.shared.declare import SharedEndpoint
        from common.operations.rollback import roll_back
        from common.operations.rollback_shared import roll_back_shared

        model, context = find_model(name), _context()
        endpoint = context.endpoint(model)
        if isinstance(endpoint, SharedEndpoint):
            roll_back_shared(context, model, endpoint, to=to, reason=reason, plan=plan)
        else:
            roll_back(context, model, endpoint, to=to, reason=reason, plan=plan)


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


def teardown(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The model; it may be gone from the checkout.", show_default=False)
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do what is listed. Without it nothing is removed.")] = False,
) -> None:
    """Remove everything of a model that costs money by the hour.

    Its endpoint, configurations, models, alarms and scaling go, and its running jobs are stopped. Packages, logs, artifacts
    and data stay, by which every answer of it can still be traced.

    \b
    Examples:
      models teardown abalone          lists what would go
      models teardown abalone --yes
    """
    with failures_explained():
        from common.operations.teardown import tear_down

        context = _context()
        tear_down(context.aws, name, context.say, confirmed=yes)


def logs(
    name: Name,
    minutes: Annotated[int, typer.Option(metavar="N", help="How far back to begin.", min=0)] = 10,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with the lines that come, until Ctrl-C.")] = False,
) -> None:
    """What the endpoint's containers print.

    By time, each line with its variant and instance.

    \b
    Examples:
      models logs abalone
      models logs abalone --minutes 60 --follow
    """
    with failures_explained():
        from common.operations.logs import show_logs

        context = _context()
        show_logs(context, _endpoint(context, name).name, minutes, follow=follow)


def watch(name: Name) -> None:
    """Watch a rollout until it has ended.

    Fleets and their phases, alarms, errors and latencies: a table on a terminal, a line for each change in a log. Where
    nothing is under way it is shown once.

    \b
    Examples:
      models watch abalone
    """
    with failures_explained():
        from common.operations import watch as watching

        context = _context()
        watching.watch(context, _endpoint(context, name))


def cost(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Only these models.", show_default=False)
    ] = None,
) -> None:
    """What runs now, and what it costs by the hour.

    Endpoints by instance type, and running jobs, of everything that this project created.

    \b
    Examples:
      models cost
      models cost abalone
    """
    with failures_explained():
        from common.operations.cost import show_cost

        show_cost(_context(), names or [])


def _endpoint(context: Context, name: str) -> Model:
    """What stands for the endpoint that the model serves behind: the model itself, or the owner of a shared one."""
    from common.deployment.shared.declare import SharedEndpoint

    model = find_model(name)
    declared = context.endpoint(model)
    return declared.owner if isinstance(declared, SharedEndpoint) else model


def _context() -> Context:
    from common.steps.context import Context

    return Context.from_environment()
