"""`models`: the same steps for people, and where every model stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.commands import batch, dashboard, events, experiments, loop, monitoring, operations
from common.commands.local import ci, local
from common.model import all_models, find_model
from common.scaffold import commands as scaffold
from common.steps import commands, failures_explained
from common.tables import text_table

if TYPE_CHECKING:
    from common.registry import Package
    from common.steps.context import Context
    from common.steps.status import ModelStatus

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="""Train, approve and deploy the models of this repository, and see where they stand.

\b
A day with it:
  models status                  where does every model stand?
  models train abalone           on a branch: what CircleCI does after a push
  models approve abalone         what it does after the click
  models deploy abalone --plan   on main: what it would do after the merge
""",
)
app.add_typer(local, name="local")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The model, e.g. abalone.", show_default=False)]


def _context() -> Context:
    from common.steps.context import Context

    return Context.from_environment()


@app.command("list")
def list_models() -> None:
    """The models of this checkout.

    \b
    Examples:
      models list
    """
    with failures_explained():
        rows = [[m.name, m.target, m.problem, m.description] for m in all_models()]
        typer.echo(text_table(["model", "predicts", "problem", "description"], rows))


@app.command()
def status(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Only these models.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 when one is not in step with main.")] = False,
    wait: Annotated[float, typer.Option("--wait", help="With --check: minutes to wait for deploys under way.")] = 0,
) -> None:
    """Is every endpoint in step with main, and why not?

    Per model: main's source, newest package, approved, serving, in step or not, and why.

    \b
    Examples:
      models status
      models status abalone --check --wait 30
    """
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

    header = ("model", "main's source", "newest package", "main's approved", "serving", "endpoint", "in step", "why")
    rows = [
        [
            s.model.name,
            s.source,
            version(s.newest),
            str(s.wanted.version) if s.wanted else "–",
            str(s.serving.version) if s.serving else "–",
            s.live.status or "–",
            "held" if s.held else "yes" if s.in_step else "NO",
            s.held or s.problem,
        ]
        for s in statuses
    ]
    typer.echo(text_table(header, rows))


@app.command()
def history(
    name: Name,
    tuning: Annotated[bool, typer.Option("--tuning", help="The tuning jobs instead of the packages.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Everything that is known of each, as CSV.")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also plot the decisive metric: FILE.html or FILE.svg.")
    ] = None,
) -> None:
    """Every package of a model, newest first.

    What it was made from, how good it is, who approved it, and where it was deployed.

    \b
    Examples:
      models history abalone
      models history churn --plot churn.html
      models history churn --tuning --csv > tuning.csv
    """
    with failures_explained():
        from common.steps.history import show_history

        show_history(_context(), find_model(name), tuning=tuning, as_csv=as_csv, plot=plot)


@app.command()
def show(
    name: Name,
    version: Annotated[int, typer.Option(help="The version; by default the newest.", show_default=False)] = 0,
) -> None:
    """One package, its origin and its evaluation.

    \b
    Examples:
      models show abalone
      models show abalone --version 6
    """
    with failures_explained():
        from common.errors import RegistryError
        from common.storage import Layout

        model, context = find_model(name), _context()
        registry = context.registry(model)
        package = registry.version(version) if version else registry.newest()
        if package is None:
            raise RegistryError(f"{name} has no packages yet.", f"`models train {name}` makes the first.")
        facts = {"arn": package.arn, "status": package.status, "reason": package.reason, "artifact": package.artifact}
        typer.echo(text_table(["what", "value"], [[k, v] for k, v in (facts | package.metadata).items() if v]))
        key = Layout(name).package(package.source, package.data_version, "summary.md")
        typer.echo((context.bucket.read(key) or b"").decode())


@app.command()
def train(
    name: Name,
    refresh: Annotated[bool, typer.Option("--refresh", help="Gather again: the data may have grown.")] = False,
    testing: Annotated[
        bool, typer.Option("--testing", help="Try it out: a tuning runs one job only, and nothing is registered.")
    ] = False,
    because: Annotated[
        str,
        typer.Option(
            metavar="WHY",
            help="Train again what serves, on newer data: it has to be better there. `models due` says why.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Gather, train, evaluate and register this commit.

    Does nothing when that was done before.

    \b
    Examples:
      models train abalone
      models train churn --testing
      ABALONE_SOURCE=new.csv models train abalone --refresh
      models train churn --refresh --because "data had drifted in 3 of the last 5 windows"
    """
    with failures_explained():
        from common.errors import UsageError
        from common.steps.gather import gather_data
        from common.steps.gather_series import gather_readings
        from common.steps.train import train_model
        from common.steps.train_fleet import train_fleet_model

        model, context = find_model(name), _context()
        data, training = model.declaration("gather_data", "DATA"), model.declaration("train_register", "TRAINING")
        if model.is_fleet and because:
            raise UsageError(
                f"{name} is a fleet, whose customers' models are held against those that serve in every training.",
                "Leave out --because.",
            )
        if model.is_fleet:
            gather_readings(context, model, data, refresh=refresh)
            train_fleet_model(context, model, training, testing=testing)
        else:
            gather_data(context, model, data, refresh=refresh)
            train_model(context, model, training, testing=testing, because=because)


@app.command()
def approve(name: Name) -> None:
    """Approve the package that this commit has trained.

    The approval job in CircleCI runs the same.

    \b
    Examples:
      models approve abalone
    """
    with failures_explained():
        model, context = find_model(name), _context()
        package = _trained_here(context, name)
        approved = context.registry(model).approve(package, context.run)
        typer.echo(f"{name}: version {approved.version} is approved. {approved.reason}")


@app.command()
def reject(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; it is shown wherever the package is.")],
    version: Annotated[
        int, typer.Option(help="The version; by default the one trained from this checkout.", show_default=False)
    ] = 0,
) -> None:
    """Reject a package, so that no deploy takes it.

    What serves goes on serving until the next deploy.

    \b
    Examples:
      models reject abalone --version 6 --reason "unit of weight was wrong"
    """
    with failures_explained():
        model, context = find_model(name), _context()
        registry = context.registry(model)
        package = registry.version(version) if version else _trained_here(context, name)
        typer.echo(f"{name}: version {registry.reject(package, context.run, reason).version} is rejected.")


def _trained_here(context: Context, name: str) -> Package:
    """The package of this checkout's source and of the data that it gathered."""
    from common.errors import RegistryError

    model = find_model(name)
    source = context.checkout.source(model)
    registry = context.registry(model)
    # In CircleCI the click belongs to the package of its own pipeline, also when newer data were gathered since.
    own = (p for p in registry.packages(source) if p.metadata.get("pipeline", "") == context.run.pipeline != "")
    package = next(own, None) or registry.find(source, context.gathered(model, source))
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
    version: Annotated[
        int, typer.Option(help="Deploy this approved version instead of main's.", show_default=False)
    ] = 0,
    despite_alarms: Annotated[
        bool, typer.Option("--despite-alarms", help="Leave out alarms that fire before any traffic shifts.")
    ] = False,
) -> None:
    """Make the endpoint serve main's approved package.

    \b
    Examples:
      models deploy abalone --plan
      models deploy abalone
      models deploy abalone --version 6   go back by hand; the next merge deploys main's again
      models deploy abalone --despite-alarms   what serves is on fire, and this is the remedy
    """
    with failures_explained():
        from common.steps.deploy import deploy_model

        model, context = find_model(name), _context()
        endpoint = context.endpoint(model)
        deploy_model(context, model, endpoint, plan=plan, version=version, despite_alarms=despite_alarms)


app.command()(loop.due)
app.command()(operations.rollback)
app.command()(operations.hold)
app.command()(operations.release)
app.command()(operations.logs)
app.command()(operations.watch)
app.command()(operations.teardown)
app.command()(operations.cost)
app.command()(events.events)
app.command()(dashboard.dashboard)
app.command()(commands.invoke)
app.command()(commands.smoke)
app.command()(commands.add_customer)
app.command()(experiments.shadow)
app.command()(experiments.ab)
app.command()(batch.batch)
app.command()(monitoring.monitor)
app.command()(scaffold.new)
app.command()(scaffold.remove)

app.command()(ci)


def main() -> None:
    app(prog_name="models")


if __name__ == "__main__":
    main()
