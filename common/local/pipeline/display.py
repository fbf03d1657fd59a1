"""A pipeline while it runs: a live tree in a terminal, one line per event elsewhere."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.tree import Tree

from common.local.pipeline.job import StepResult, TestCounts
from common.local.pipeline.process import PlannedJob

STYLES = {
    "queued": "dim",
    "running": "cyan",
    "success": "green",
    "skipped": "dim",
    "on_hold": "magenta",
    "blocked": "dim",
    "not_run": "yellow",
    "canceled": "yellow",
    "failed": "bold red",
    "unauthorized": "bold red",
}
"""Every status that a job can have."""
_LOG_TAIL_LINES = 25


@dataclass
class JobState:
    """A job as it is now."""

    planned: PlannedJob
    status: str = "queued"
    reason: str = ""
    step: str = ""
    started: float = 0.0
    ended: float = 0.0
    steps: tuple[StepResult, ...] = ()
    tests: TestCounts | None = None
    log_tail: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long the job ran, or has been running."""
        return (self.ended or time.monotonic()) - self.started if self.started else 0.0


class Display(AbstractContextManager["Display"]):
    """Shows the jobs of a pipeline. This one shows nothing."""

    def __exit__(self, *_: object) -> None:
        self.pause()

    def update(self, jobs: Sequence[JobState]) -> None:
        """Show what has changed; called many times a second."""

    def pause(self) -> None:
        """Leave the terminal to a question; the next update resumes."""


def display(title: str, console: Console | None) -> Display:
    """The display that fits the console; None shows nothing."""
    if console is None:
        return Display()
    return LiveTree(title, console) if console.is_terminal else Lines(title, console)


class Lines(Display):
    """One line whenever a job starts a step or ends: for logs and pipes."""

    def __init__(self, title: str, console: Console) -> None:
        self._console = console
        self._shown: dict[str, tuple[str, str]] = {}
        self._started = time.monotonic()
        console.print(escape(title), highlight=False)

    def update(self, jobs: Sequence[JobState]) -> None:
        for job in jobs:
            now = (job.status, job.step if job.status == "running" else "")
            if self._shown.get(job.planned.id, ("queued", "")) != now:
                self._shown[job.planned.id] = now
                at = f"{time.monotonic() - self._started:7.1f} s"
                self._console.print(f"{at}  {escape(job.planned.id)}  {describe(job)}", highlight=False)
                _print_tail(self._console, job)


class LiveTree(Display):
    """Workflows and jobs as a tree that is redrawn in place."""

    def __init__(self, title: str, console: Console) -> None:
        self._title = title
        self._console = console
        self._live: Live | None = None
        self._jobs: Sequence[JobState] = ()

    def update(self, jobs: Sequence[JobState]) -> None:
        self._jobs = jobs
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=False)
            self._live.start()
        self._live.update(tree(self._title, jobs), refresh=True)

    def pause(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def __exit__(self, *_: object) -> None:
        self.pause()
        for job in self._jobs:
            _print_tail(self._console, job)


def tree(title: str, jobs: Sequence[JobState]) -> Tree:
    """The jobs by workflow."""
    root = Tree(escape(title))
    branches: dict[str, Tree] = {}
    for job in jobs:
        workflow = job.planned.workflow
        if workflow not in branches:
            branches[workflow] = root.add(f"[bold]{escape(workflow)}[/bold]")
        branches[workflow].add(f"{escape(job.planned.name)}  {describe(job)}")
    return root


def describe(job: JobState) -> str:
    """Status, time, and what else is worth saying, as rich markup."""
    style = STYLES[job.status]
    parts = [f"[{style}]{job.status.replace('_', ' ')}[/{style}]"]
    if job.seconds:
        parts.append(f"{job.seconds:.1f} s")
    if job.status == "running":
        parts.append(f"[dim]{escape(job.step)}[/dim]")
    if job.tests:
        failed = f", {job.tests.failed} failed" if job.tests.failed else ""
        parts.append(f"{job.tests.total} tests{failed}")
    if job.reason:
        parts.append(escape(job.reason))
    return "  ".join(parts)


def _print_tail(console: Console, job: JobState) -> None:
    for line in job.log_tail[-_LOG_TAIL_LINES:]:
        console.print(f"    {escape(line)}", highlight=False, soft_wrap=True)
