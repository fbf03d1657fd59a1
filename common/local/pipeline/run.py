"""Play a pipeline on this machine: the jobs that CircleCI would run for a commit, as processes."""

import re
import signal
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from common.local.pipeline.caches import Caches
from common.local.pipeline.config import SaveCache, Value
from common.local.pipeline.display import Display, JobState, display
from common.local.pipeline.environment import Identity, environment, identity_of
from common.local.pipeline.errors import PipelineError
from common.local.pipeline.job import JobRun, StepResult, TestCounts, Workspace
from common.local.pipeline.plan import Plan, continuation, plan
from common.local.pipeline.plan import source as find_source
from common.local.pipeline.process import PlannedJob
from common.local.pipeline.serial import SerialGroup, next_number

_TICK_SECONDS = 0.05
_FAILED = ("failed", "unauthorized", "canceled")
_UNFINISHED = ("queued", "running")

Approve = Callable[[PlannedJob], bool]


@dataclass(frozen=True)
class JobResult:
    """How a job ended. `folder` has `log.txt`, `artifacts/` and `test-results/`, as far as the job came."""

    workflow: str
    name: str
    status: str
    seconds: float
    reason: str
    steps: tuple[StepResult, ...]
    tests: TestCounts | None
    folder: Path

    @property
    def log(self) -> str:
        """The output of all steps; empty when none ran."""
        file = Workspace(self.folder).log
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def artifacts(self) -> Path:
        return Workspace(self.folder).artifacts


@dataclass(frozen=True)
class PipelineResult:
    """How a pipeline ended; its jobs are in the order of the file."""

    number: int
    plan: Plan
    folder: Path
    jobs: tuple[JobResult, ...]

    @property
    def ok(self) -> bool:
        """No job failed. A pipeline that waits for an approval is ok."""
        return all(job.status not in _FAILED for job in self.jobs)

    def job(self, name: str) -> JobResult:
        """The job of that name.

        Raises:
            PipelineError: the pipeline has none, or several in different workflows.
        """
        found = [job for job in self.jobs if job.name == name]
        if len(found) != 1:
            raise PipelineError(f"the pipeline has {len(found)} jobs named {name!r}: {[job.name for job in self.jobs]}")
        return found[0]


@dataclass(frozen=True)
class Settings:
    """What a project's settings are on CircleCI, and where the pipelines of a repository are kept on this machine."""

    folder: Path
    """Pipelines, caches and serial groups; pipelines that share it know of each other."""
    contexts: Mapping[str, Mapping[str, str]]
    """The variables of each context. A job whose context is missing here is unauthorized."""
    project: Mapping[str, str]
    """The project's environment variables, which every job gets."""
    venv: Path | None = None
    """A virtual environment made from the repository's present `requirements.txt`. Jobs whose checkout has the same
    file link it as `.venv`, through the cache that the configuration declares for it, instead of installing."""
    parallel: int = 2
    """How many jobs run at once."""


def play(
    repo: Path,
    settings: Settings,
    *,
    branch: str = "",
    tag: str = "",
    commit: str = "",
    parameters: Mapping[str, Value] | None = None,
    approve: Approve = lambda _: False,
    skip: Collection[str] = (),
    console: Console | None = None,
) -> PipelineResult:
    """Play the pipeline of a commit: by default the tip of the branch that is checked out.

    `parameters` are those of a manual trigger or a schedule. `approve` is asked at each approval job, and stops everything
    but the jobs that are running; where it says no the job stays on hold, and what requires it does not run. The jobs named in
    `skip` count as passed without running.

    Raises:
        PipelineError: the pipeline cannot even start, see `plan`. A failing job is a result.
        KeyboardInterrupt: Ctrl-C or SIGTERM came; every process of the pipeline has ended.
    """
    number = next_number(settings.folder / "pipelines" / "count")
    planned = plan(repo, find_source(repo, branch, tag, commit), parameters, number)
    folder = settings.folder / "pipelines" / str(number)
    pipeline = _Pipeline(repo, settings, number, folder, planned, approve, skip)
    folder.mkdir(parents=True)
    with _terminated_as_interrupt(), display(_title(number, planned), console) as shown:
        pipeline.run(shown)
    return PipelineResult(number, pipeline.plan, folder, tuple(pipeline.result(state) for state in pipeline.states))


class _Pipeline:
    """The jobs of one pipeline, started as soon as what they require has passed; first those of its setup phase, if any."""

    def __init__(
        self, repo: Path, settings: Settings, number: int, folder: Path, planned: Plan, approve: Approve,
        skip: Collection[str],
    ) -> None:  # fmt: skip
        self._repo = repo
        self._settings = settings
        self._number = number
        self._folder = folder
        self._approve = approve
        self._skip = skip
        self._caches = Caches(settings.folder / "caches")
        self._stop = threading.Event()
        self._id = str(uuid.uuid4())
        self._workflow_ids: dict[str, str] = {}
        self.states: list[JobState] = []
        self._next: Plan | None = None
        self._adopt(planned)

    def _adopt(self, planned: Plan) -> None:
        """Go on with the jobs of a plan: the first one, or the continuation of a setup phase.

        Raises:
            PipelineError: a job that is to be skipped is not in it, nor will be.
        """
        unknown = set(self._skip) - {job.name for job in planned.jobs}
        if unknown and not planned.setup:
            raise PipelineError(f"there is no job {', '.join(sorted(unknown))} to skip in this pipeline")
        self.plan = planned
        self._workflow_ids |= {job.workflow: str(uuid.uuid4()) for job in planned.jobs}
        self.states += [JobState(job, "skipped" if job.name in self._skip else "queued") for job in planned.jobs]
        if self._settings.venv:
            self._seed(planned, self._settings.venv)

    def _continue(self, file: str, passed: Mapping[str, Value]) -> None:
        """What the continuation orb asks of CircleCI; on the thread of a job.

        Raises:
            PipelineError: there is no setup phase to continue, or what was passed does not fit.
        """
        if not self.plan.setup or self._next:
            raise PipelineError("Pipeline is not in setup state.", "a pipeline is continued once, from its setup phase")
        self._next = continuation(self._repo, self.plan, file, passed)

    def _seed(self, planned: Plan, venv: Path) -> None:
        for job in planned.jobs:
            for step in job.steps:
                if isinstance(step, SaveCache) and ".venv" in step.paths:
                    self._caches.seed(step.key, self._repo, ".venv", venv)

    def run(self, shown: Display) -> None:
        """Run every job that can run, and show it."""
        running: list[Future[None]] = []
        with ThreadPoolExecutor(max_workers=self._settings.parallel) as pool:
            try:
                while self._next or any(state.status in _UNFINISHED for state in self.states):
                    if self._next:
                        self._adopt(self._next)
                        self._next = None
                    for state in self._ready():
                        if state.planned.approval:
                            shown.update(self.states)
                            shown.pause()
                            state.status = "success" if self._approve(state.planned) else "on_hold"
                        else:
                            state.status, state.step = "running", "waiting for a free machine"
                            running.append(pool.submit(self._job, state))
                    shown.update(self.states)
                    for future in running:
                        if future.done():
                            future.result()
                    time.sleep(_TICK_SECONDS)
            finally:
                self._stop.set()
        shown.update(self.states)

    def _ready(self) -> list[JobState]:
        """The queued jobs whose requirements have all ended as required; those that never can are marked blocked."""
        ready = []
        for state in self.states:
            if state.status != "queued":
                continue
            required = {name: self._end(state.planned.workflow, name) for name in state.planned.requires}
            if all(required[name] in ends for name, ends in state.planned.requires.items()):
                ready.append(state)
            elif any(required[name] not in (*ends, *_UNFINISHED) for name, ends in state.planned.requires.items()):
                state.status = "blocked"
        return ready

    def _end(self, workflow: str, name: str) -> str:
        """The status of a job for those that require it: one that was skipped counts as passed."""
        found = next(item for item in self.states if (item.planned.workflow, item.planned.name) == (workflow, name))
        return "success" if found.status == "skipped" else found.status

    def _job(self, state: JobState) -> None:
        """Take the job to its end. Its status is set last: the display, on another thread, shows each status once."""
        job = state.planned
        missing = [name for name in job.contexts if name not in self._settings.contexts]
        if missing:
            state.reason, state.status = f"no access to the context {', '.join(missing)}", "unauthorized"
        elif not job.serial_group:
            self._execute(state)
        else:
            group = SerialGroup(self._settings.folder / "serial", job.serial_group, self._number)
            state.step = f"waiting for the serial group {job.serial_group}"
            with group.member():
                while not group.first() and not group.superseded() and not self._stop.wait(_TICK_SECONDS):
                    pass
                if group.superseded():
                    state.reason, state.status = "superseded by a newer pipeline of its serial group", "not_run"
                else:
                    self._execute(state)

    def _execute(self, state: JobState) -> None:
        job, where = state.planned, self._workspace(state.planned)
        identity = Identity(
            pipeline_id=self._id,
            workflow_id=self._workflow_ids[job.workflow],
            job_id=str(uuid.uuid4()),
            build_number=next_number(self._settings.folder / "builds"),
        )
        contexts = [self._settings.contexts[name] for name in job.contexts]
        env = environment(job, self.plan.source, self._repo, identity, where.checkout, where.home)
        for more in (self._settings.project, *contexts):
            env |= more
        try:
            env |= identity_of(self.plan.source, self._repo, env.get("AWS_ENDPOINT_URL", ""))
        except PipelineError as error:
            state.reason, state.status = str(error), "failed"
            return

        def on_step(name: str) -> None:
            state.step = name

        state.started = time.monotonic()
        run = JobRun(job, self._repo, self.plan.source, where, env, self._caches, self._stop, on_step, self._continue)
        state.steps = run.run()
        state.tests = run.tests
        state.ended = time.monotonic()
        bad = [step for step in state.steps if step.status != "success"]
        if bad:
            state.reason = f"{bad[0].name}: {bad[0].status.replace('_', ' ')}"
            state.log_tail = _output(where.log.read_text(errors="replace"), bad[0].name).splitlines()
        canceled = self._stop.is_set()
        state.status = "canceled" if canceled else "failed" if bad else "success"

    def _workspace(self, job: PlannedJob) -> Workspace:
        return Workspace(self._folder / _safe(job.workflow) / _safe(job.name))

    def result(self, state: JobState) -> JobResult:
        return JobResult(
            workflow=state.planned.workflow,
            name=state.planned.name,
            status=state.status,
            seconds=state.seconds,
            reason=state.reason,
            steps=state.steps,
            tests=state.tests,
            folder=self._workspace(state.planned).folder,
        )


def _title(number: int, planned: Plan) -> str:
    of = planned.source
    if not planned.jobs:
        return f"pipeline {number} · {of.tag} · {of.commit[:9]} · nothing runs for a tag"
    if planned.given:
        asked = ", ".join(f"{name}={value}" for name, value in planned.given.items())
        return f"pipeline {number} · {of.branch} · {of.commit[:9]} · {asked}"
    changed = ", ".join(name for name, value in planned.parameters.items() if value is True) or "no model"
    return f"pipeline {number} · {of.branch} · {of.commit[:9]} · {len(planned.changed)} files changed: {changed}"


def _output(log: str, step: str) -> str:
    """What one step wrote."""
    return log.partition(f"=== {step}\n")[2].partition("\n=== ")[0]


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)


@contextmanager
def _terminated_as_interrupt() -> Iterator[None]:
    """SIGTERM ends the pipeline like Ctrl-C does: with its processes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
