"""`models`: the same steps for people, and where every model stands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.model import ROOT, all_models, find_model
from common.steps import failures_explained

if TYPE_CHECKING:
    from common.registry import Package
    from common.steps.context import Context
    from common.steps.status import ModelStatus

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train, approve and deploy the models of this repository, and see where they stand.",
    epilog="A day with it: `models status`, then `models train NAME` on a branch, `models approve NAME`, and on main "
    "`models deploy NAME --plan`. CircleCI runs the same commands.",
)
local = typer.Typer(no_args_is_help=True, help="The AWS on this machine: real jobs and endpoints, no account.")
app.add_typer(local, name="local")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The model, e.g. abalone.", show_default=False)]


def _context() -> Context:
    from common.steps.context import Context

    return Context.from_environment()


@app.command("list")
def list_models() -> None:
    """The models of this checkout."""
    with failures_explained():
        _table(["model", "predicts", "problem", "description"],
               [[m.name, m.target, m.problem, m.description] for m in all_models()])  # fmt: skip


@app.command()
def status(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]…", help="Only these models.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 when one is not in step with main.")] = False,
    wait: Annotated[float, typer.Option("--wait", help="With --check: minutes to wait for deploys under way.")] = 0,
) -> None:
    """Per model: main's source, newest package, approved, serving, in step or not, and why."""
    with failures_explained():
        from common.steps.status import model_status, require_in_step

        context, models = _context(), [find_model(name) for name in names] if names else all_models()
        if check:
            require_in_step(context, models, wait, _show_status)
        else:
            _show_status([model_status(context, model) for model in models])


def _show_status(statuses: list[ModelStatus]) -> None:
    def version(package: Package | None) -> str:
        return f"{package.version} {package.status}" if package else "–"

    _table(
        ["model", "main's source", "newest package", "main's approved", "serving", "endpoint", "in step", "why"],
        [
            [
                s.model.name,
                s.source,
                version(s.newest),
                str(s.wanted.version) if s.wanted else "–",
                str(s.serving.version) if s.serving else "–",
                s.live.status or "–",
                "yes" if s.in_step else "NO",
                s.problem,
            ]
            for s in statuses
        ],
    )


@app.command()
def history(name: Name) -> None:
    """Every package of a model, newest first: what it was made from, how good it is, who approved it, where it served."""
    with failures_explained():
        model = find_model(name)
        rows = [
            [
                str(package.version),
                f"{package.created:%Y-%m-%d %H:%M}",
                package.status,
                package.source,
                package.data_version,
                package.metadata.get("commit", "")[:8],
                package.metadata.get("branch", ""),
                package.metadata.get(_decisive_metric(name), ""),
                package.metadata.get("approved_by", ""),
                package.metadata.get("deployed_at", ""),
            ]
            for package in _context().registry(model).packages()
        ]
        header = ["version", "created", "status", "source", "data", "commit", "branch", _decisive_metric(name)]
        _table([*header, "approved by", "deployed"], rows)


def _decisive_metric(name: str) -> str:
    return str(find_model(name).declaration("train_register", "TRAINING").gate.metric)


@app.command()
def show(
    name: Name,
    version: Annotated[int, typer.Option(help="The version; by default the newest.")] = 0,
) -> None:
    """One package with everything that it can be traced back to, and its evaluation."""
    with failures_explained():
        from common.errors import RegistryError
        from common.storage import Layout

        context, model = _context(), find_model(name)
        registry = context.registry(model)
        package = registry.version(version) if version else registry.newest()
        if package is None:
            raise RegistryError(f"{name} has no packages yet.", f"`models train {name}` makes the first.")
        facts = {"arn": package.arn, "status": package.status, "reason": package.reason, "artifact": package.artifact}
        _table(["what", "value"], [[k, v] for k, v in (facts | package.metadata).items() if v])
        key = Layout(name).package(package.source, package.data_version, "summary.md")
        typer.echo((context.bucket.read(key) or b"").decode())


@app.command()
def train(
    name: Name,
    refresh: Annotated[bool, typer.Option("--refresh", help="Gather again: the data may have grown.")] = False,
) -> None:
    """Gather, train, evaluate and register what is committed here; does nothing when that was done before."""
    with failures_explained():
        from common.steps.gather import gather_data
        from common.steps.train import train_model

        context, model = _context(), find_model(name)
        gather_data(context, model, model.declaration("gather_data", "DATA"), refresh=refresh)
        train_model(context, model, model.declaration("train_register", "TRAINING"))


@app.command()
def approve(name: Name) -> None:
    """Approve the package that was trained from this checkout's source; what the approval job in CircleCI runs."""
    with failures_explained():
        context, model = _context(), find_model(name)
        package = _trained_here(context, name)
        approved = context.registry(model).approve(package, context.run)
        typer.echo(f"{name}: version {approved.version} is approved. {approved.reason}")


@app.command()
def reject(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; it is shown wherever the package is.")],
    version: Annotated[int, typer.Option(help="The version; by default the one trained from this checkout.")] = 0,
) -> None:
    """Reject a package, so that no deploy takes it. What serves goes on serving until the next deploy."""
    with failures_explained():
        context, model = _context(), find_model(name)
        registry = context.registry(model)
        package = registry.version(version) if version else _trained_here(context, name)
        typer.echo(f"{name}: version {registry.reject(package, context.run, reason).version} is rejected.")


def _trained_here(context: Context, name: str) -> Package:
    """The package of this checkout's source and of the data that it gathered."""
    from common.errors import RegistryError

    model = find_model(name)
    source = context.checkout.source(model)
    package = context.registry(model).find(source, context.gathered(model, source))
    if package is None:
        raise RegistryError(
            f"No package of {name} was trained from this checkout's source {source}.",
            f"Train it first: push the branch, or `models train {name}`.",
        )
    return package


@app.command()
def deploy(
    name: Name,
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be done, and change nothing.")] = False,
    version: Annotated[int, typer.Option(help="Deploy this approved version instead of main's.")] = 0,
) -> None:
    """Make the endpoint serve the approved package of main's source."""
    with failures_explained():
        from common.steps.deploy import deploy_model

        model = find_model(name)
        deploy_model(_context(), model, model.declaration("deploy", "ENDPOINT"), plan=plan, version=version)


@app.command()
def invoke(
    name: Name,
    records: Annotated[str, typer.Argument(help="A JSON record or a list of them, or @FILE.csv, or - to read JSON.")],
) -> None:
    """Ask the endpoint for predictions of raw records, e.g. '{"sex": "M", "length": 0.455, …}'."""
    with failures_explained():
        from common.steps.invoke import invoke_model, read_records

        model = find_model(name)
        frame = read_records(sys.stdin.read() if records == "-" else records)
        predictions = invoke_model(_context(), model, model.declaration("gather_data", "DATA"), frame)
        rows = [
            [*map(str, record), f"{prediction:.4g}"]
            for record, prediction in zip(frame.itertuples(index=False), predictions, strict=True)
        ]
        _table([*map(str, frame.columns), f"predicted {model.target}"], rows)


State = Annotated[Path, typer.Option(help="The folder of the local AWS's state.")]


@local.command("up")
def local_up(
    detach: Annotated[bool, typer.Option("--detach", help="Run in the background, and print the variables.")] = False,
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 4566,
    state: State = Path(".local-aws"),
) -> None:
    """Start the AWS on this machine. `eval "$(./models local up --detach)"` makes the shell use it."""
    with failures_explained():
        from common.local.account import prepare_account
        from common.local.daemon import status as local_status
        from common.local.daemon import up

        running = local_status(state)
        if running:
            typer.echo(f"It runs already at {running.url}; these are its variables.", err=True)
            typer.echo(prepare_account(running))
        else:
            up(state, port, detach, announce=lambda started: typer.echo(prepare_account(started)))


@local.command("down")
def local_down(state: State = Path(".local-aws")) -> None:
    """Stop the AWS on this machine; its state stays for the next start."""
    with failures_explained():
        from common.local.daemon import down

        typer.echo(f"Stopped {down(state).url}")


@app.command()
def ci(
    branch: Annotated[str, typer.Option(help="By default the branch that is checked out.")] = "",
    tag: Annotated[str, typer.Option(help="Play the pipeline of a tag instead.")] = "",
    parameter: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE of a manual trigger, e.g. action=train.")
    ] = None,
    approve: Annotated[
        bool | None, typer.Option("--approve/--no-approve", help="Answer approvals; asks by default.")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(help="A job that counts as passed without running, e.g. check.")
    ] = None,
    state: State = Path(".local-aws"),
) -> None:
    """CircleCI on this machine: play the pipeline of a commit from the YAML as it is, against the local AWS.

    The jobs run in clean clones of what is committed. Run `models local up --detach` first.
    """
    with failures_explained():
        from common.local.play import play_pipeline

        result = play_pipeline(
            ROOT, state, branch=branch, tag=tag, parameters=parameter or [], approve=approve, skip=skip or []
        )
        typer.echo(f"Logs and artifacts: {result.folder}")
    if not result.ok:
        raise typer.Exit(1)


def _table(header: list[str], rows: list[list[str]]) -> None:
    """Print a table: wrapped to the terminal, and never wrapped in logs and pipes."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 240, highlight=False)
    table = Table(*header, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
