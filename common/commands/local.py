"""`models local` and `models ci`: the AWS and the CircleCI on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.deployment.shared.declare import SharedEndpoint
from common.model import ROOT, all_models
from common.steps import failures_explained

local = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The AWS on this machine: real jobs, no account.",
)
State = Annotated[Path, typer.Option(help="The folder of the local AWS's state.")]


def _declared() -> tuple[list[str], list[str]]:
    """The names of the checkout's models, and of the endpoints that some of them share: each has a role of its own."""
    models = all_models()
    endpoints = [model.declaration("deploy", "ENDPOINT") for model in models]
    shared = {endpoint.name for endpoint in endpoints if isinstance(endpoint, SharedEndpoint)}
    return [model.name for model in models], sorted(shared)


@local.command("up")
def local_up(
    detach: Annotated[bool, typer.Option("--detach", help="Run in the background, and print the variables.")] = False,
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 4566,
    state: State = Path(".local-aws"),
) -> None:
    """Start the AWS on this machine, and print the variables by which a shell uses it.

    \b
    Examples:
      eval "$(./models local up --detach)"
      LOCAL_AWS_TIME_SCALE=0.01 ./models local up   waits take a hundredth of AWS's
    """
    with failures_explained():
        from common.local.account import prepare_account
        from common.local.daemon import Running, up
        from common.local.daemon import status as local_status
        from common.local.pipeline.project import origin

        names = _declared()

        def announce(running: Running) -> None:
            typer.echo(prepare_account(running, origin(ROOT), *names))

        running = local_status(state)
        if running:
            typer.echo(f"It runs already at {running.url}; these are its variables.", err=True)
            announce(running)
        else:
            up(state, port, detach, announce=announce)


@local.command("down")
def local_down(state: State = Path(".local-aws")) -> None:
    """Stop the AWS on this machine; its state stays for the next start.

    \b
    Examples:
      models local down
    """
    with failures_explained():
        from common.local.daemon import down

        typer.echo(f"Stopped {down(state).url}")


@local.command("clock")
def local_clock(
    advance: Annotated[
        str, typer.Option(metavar="TIME", help="Skip so much, e.g. 90m, 6h, 1d.", show_default=False)
    ] = "",
    state: State = Path(".local-aws"),
) -> None:
    """The time on the AWS on this machine, which can be skipped.

    Schedules that are due meanwhile have been sent when it returns. Time never goes back, not even after a restart.

    \b
    Examples:
      models local clock
      models local clock --advance 1d
    """
    with failures_explained():
        from common.local.skip import local_time, running_on, skip, span

        running = running_on(state)
        moment = skip(running, span(advance)) if advance else local_time(running)
        typer.echo(moment.isoformat(timespec="seconds"))


def ci(
    branch: Annotated[str, typer.Option(help="By default the branch that is checked out.")] = "",
    tag: Annotated[str, typer.Option(help="Play the pipeline of a tag instead.")] = "",
    parameter: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE of a manual trigger, e.g. action=train.")
    ] = None,
    schedule: Annotated[
        str, typer.Option(help="Play what this schedule of .circleci/schedules.json starts, e.g. nightly.")
    ] = "",
    approve: Annotated[
        bool | None, typer.Option("--approve/--no-approve", help="Answer approvals; asks by default.")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(help="A job that counts as passed without running, e.g. check.")
    ] = None,
    state: State = Path(".local-aws"),
) -> None:
    """Play the pipeline of a commit on this machine.

    CircleCI's YAML is read as it is. The jobs run in clean clones of what is committed, and work on the local AWS: run
    `models local up --detach` first.

    \b
    Examples:
      models ci --branch my-branch --approve
      models ci --parameter action=train --parameter model=abalone
      models ci --schedule nightly
    """
    with failures_explained():
        from common.local.play import play_pipeline

        result = play_pipeline(
            ROOT,
            state,
            *_declared(),
            branch=branch,
            tag=tag,
            parameters=parameter or [],
            schedule=schedule,
            approve=approve,
            skip=skip or [],
        )
        typer.echo(f"Logs and artifacts: {result.folder}")
    if not result.ok:
        raise typer.Exit(1)
