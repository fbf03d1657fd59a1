"""`models ci`: the pipeline player, set up for this checkout and its local AWS."""

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from rich.console import Console
from rich.prompt import Confirm

from common.errors import ModelsError, UsageError
from common.local.account import contexts, prepare_account
from common.local.daemon import status
from common.local.pipeline.plan import schedule as find_schedule
from common.local.pipeline.process import PlannedJob
from common.local.pipeline.project import origin
from common.local.pipeline.run import PipelineResult, Settings, play


def play_pipeline(
    repo: Path,
    state: Path,
    models: Collection[str],
    shared_endpoints: Collection[str],
    *,
    branch: str,
    tag: str,
    parameters: Collection[str],
    schedule: str,
    approve: bool | None,
    skip: Collection[str],
) -> PipelineResult:
    """Play a pipeline of the checkout against the local AWS of a state folder.

    Args:
        models, shared_endpoints: of the checkout, which have roles of their own; those of the models that only the played
            commit has are made, too.
        parameters: `NAME=VALUE` each; whole numbers and true/false are read as such.
        schedule: the schedule whose branch and parameters are played, in the place of these; empty for none.
        approve: the answer to every approval; None asks in the terminal.

    Raises:
        ModelsError: no local AWS runs there.
        UsageError: a parameter is not of that form, a schedule comes with another branch or parameters, or there is nobody
            to ask.
        PipelineError: there is no such schedule.
    """
    given = dict(map(_parameter, parameters))
    if schedule:
        if branch or tag or given:
            raise UsageError(
                "A schedule has a branch and parameters of its own.", "Leave out --branch, --tag and --parameter."
            )
        played = find_schedule(repo, schedule)
        branch, given = played.branch, dict(played.parameters)
    running = status(state)
    if running is None:
        raise ModelsError(f"No local AWS runs on {state}.", "Start it: `./models local up --detach`.")
    names = {*models, *models_of(repo, branch or tag or "HEAD")}
    prepare_account(running, origin(repo), sorted(names), shared_endpoints)
    console = Console()

    def ask(job: PlannedJob) -> bool:
        if approve is not None:
            return approve
        if not sys.stdin.isatty():
            raise UsageError(
                f"{job.name} waits for an approval, and nobody is there to ask.", "Add --approve or --no-approve."
            )
        return Confirm.ask(f"Approve {job.name}?", console=console, default=False)

    return play(
        repo,
        Settings(state / "circleci", contexts(running), project={}, venv=Path(sys.prefix)),
        branch=branch,
        tag=tag,
        parameters=given,
        approve=ask,
        skip=skip,
        console=console,
    )


def models_of(repo: Path, reference: str) -> list[str]:
    """The models that a branch, a tag or a commit has; none where there is no such reference."""
    found = subprocess.run(
        ["git", "-C", str(repo), "ls-tree", "-d", "--name-only", "--end-of-options", reference],
        capture_output=True,
        text=True,
        check=False,
    )
    return [name.removesuffix("_model") for name in found.stdout.split() if name.endswith("_model")]


def _parameter(text: str) -> tuple[str, str | int | bool]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"'{text}' is no parameter.", "Write NAME=VALUE, e.g. action=train.")
    if value in ("true", "false"):
        return name, value == "true"
    return name, int(value) if value.isdecimal() else value
