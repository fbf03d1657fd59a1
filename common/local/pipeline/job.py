"""One job on this machine: its steps as processes, in a clean clone, with the environment that CircleCI sets."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import TextIO

from common.local.pipeline import paths
from common.local.pipeline.caches import Caches
from common.local.pipeline.config import (
    Checkout,
    Continue,
    RestoreCache,
    Run,
    SaveCache,
    Step,
    StoreArtifacts,
    StoreTestResults,
    Value,
)
from common.local.pipeline.errors import ConfigError, PipelineError
from common.local.pipeline.plan import Source
from common.local.pipeline.process import PlannedJob

Continues = Callable[[str, Mapping[str, Value]], None]
"""Goes on with the pipeline: the configuration's path, and the parameters that it is passed."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_POLL_SECONDS = 0.02
_GRACE_SECONDS = 5.0
_LONGEST_NAME = 255
"""Of a file; a longer text cannot name one."""


@dataclass(frozen=True)
class StepResult:
    """How a step ended: `success`, `failed`, `timed_out` or `canceled`."""

    name: str
    status: str
    seconds: float
    exit_code: int | None = None


@dataclass(frozen=True)
class TestCounts:
    """What the JUnit files of a job say."""

    __test__ = False  # no test class, whatever pytest makes of the name

    total: int = 0
    failed: int = 0
    skipped: int = 0


_SECRET = re.compile(r"(TOKEN|SECRET|PASSWORD|KEY)(_V\d+)?$")
_SECRET_LENGTH = 8
"""The keys of the local AWS are shorter, and words that occur anywhere."""


@dataclass(frozen=True)
class Workspace:
    """The folder of a job, which is kept (`log.txt`, `artifacts/`, `test-results/`) but for checkout and home."""

    folder: Path

    @property
    def log(self) -> Path:
        """The output of all steps."""
        return self.folder / "log.txt"

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    @property
    def test_results(self) -> Path:
        return self.folder / "test-results"

    @property
    def checkout(self) -> Path:
        return self.folder / "project"

    @property
    def home(self) -> Path:
        return self.folder / "home"


class JobRun:
    """Runs the steps of one job, one after the other, until `stop` is set."""

    def __init__(
        self, planned: PlannedJob, repo: Path, of: Source, where: Workspace, env: Mapping[str, str], caches: Caches,
        stop: Event, on_step: Callable[[str], None], on_continue: Continues,
    ) -> None:  # fmt: skip
        self._planned = planned
        self._repo = repo
        self._source = of
        self._where = where
        self._env = env
        self._caches = caches
        self._stop = stop
        self._on_step = on_step
        self._on_continue = on_continue
        self.tests: TestCounts | None = None
        """What the kept JUnit files say, once a step has kept some."""

    def run(self) -> tuple[StepResult, ...]:
        """Run the steps; what follows a failure is skipped, but for `when: always`, `on_fail` and the store steps."""
        results: list[StepResult] = []
        self._where.home.mkdir(parents=True)
        self._where.checkout.mkdir()
        Path(self._env["BASH_ENV"]).touch()
        try:
            for step in self._planned.steps:
                failed = any(result.status != "success" for result in results)
                if self._stop.is_set() or not _due(step, failed):
                    continue
                self._on_step(title(step))
                results.append(self._step(step))
        finally:
            shutil.rmtree(self._where.checkout, ignore_errors=True)
            shutil.rmtree(self._where.home, ignore_errors=True)
        return tuple(results)

    def _step(self, step: Step) -> StepResult:
        started = time.monotonic()
        with self._where.log.open("a") as log:
            print(f"=== {title(step)}", file=log, flush=True)
            try:
                result = self._act(step, log)
            except (PipelineError, OSError) as error:
                print(error, file=log)
                result = StepResult(title(step), "failed", 0.0)
        self._hide_secrets()
        return replace(result, seconds=time.monotonic() - started)

    def _hide_secrets(self) -> None:
        """Take what the job was given in confidence out of what it printed, as CircleCI does before anybody sees it."""
        written = hidden = self._where.log.read_bytes()
        for name, value in self._env.items():
            if _SECRET.search(name) and len(value) >= _SECRET_LENGTH:
                hidden = hidden.replace(value.encode(), b"****")
        if hidden != written:
            self._where.log.write_bytes(hidden)

    def _act(self, step: Step, log: TextIO) -> StepResult:
        checkout = self._where.checkout
        match step:
            case Run():
                return self._run(step, log)
            case Checkout():
                clone(self._repo, self._source, checkout)
            case RestoreCache():
                found = self._caches.restore(step.keys, checkout)
                print(f"restored {found}" if found else "no cache found", file=log)
            case SaveCache():
                saved = self._caches.save(step.key, step.paths, checkout)
                print("saved" if saved else "nothing to save: the key exists, or the paths do not", file=log)
            case StoreArtifacts():
                print(f"{_keep(checkout / step.path, self._where.artifacts / step.destination)} files kept", file=log)
            case StoreTestResults():
                print(f"{_keep(checkout / step.path, self._where.test_results)} files kept", file=log)
                self.tests = count_tests(self._where.test_results)
            case Continue():
                passed = continuation_parameters(step.parameters, checkout)
                self._on_continue(step.configuration_path, passed)
                print(f"continued with {step.configuration_path} and {json.dumps(passed)}", file=log)
            case _:
                raise ConfigError(f"the step {step!r} was not expanded")
        return StepResult(title(step), "success", 0.0)

    def _run(self, step: Run, log: TextIO) -> StepResult:
        for attempt in range(step.max_auto_reruns + 1):
            if attempt:
                print(f"--- rerun {attempt} of {step.max_auto_reruns}", file=log, flush=True)
            status, code = self._attempt(step, log)
            if status in ("success", "canceled") or attempt == step.max_auto_reruns:
                break
            if self._stop.wait(seconds(step.auto_rerun_delay)):
                break
        return StepResult(step.name, status, 0.0, code)

    def _attempt(self, step: Run, log: TextIO) -> tuple[str, int | None]:
        """Run the command once; its processes, in a session of their own, end with it."""
        process = subprocess.Popen(
            ["bash", "-eo", "pipefail", "-c", step.command],
            cwd=self._where.checkout / step.working_directory,
            env={**self._env, **self._planned.environment, **step.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = self._watch(process, log, seconds(step.no_output_timeout))
        finally:
            _end_group(process)
        if status == "timed_out":
            print(f"Too long with no output (exceeded {step.no_output_timeout})", file=log)
        elif status == "failed":
            print(f"Exited with code {process.returncode}", file=log)
        return status, process.returncode

    def _watch(self, process: subprocess.Popen[bytes], log: TextIO, silence_allowed: float) -> str:
        """Wait for the process, for the end of our patience with its silence, or for the pipeline's cancellation."""
        size, spoken = -1, time.monotonic()
        while True:
            try:
                return "success" if process.wait(_POLL_SECONDS) == 0 else "failed"
            except subprocess.TimeoutExpired:
                grown = os.fstat(log.fileno()).st_size
                if grown != size:
                    size, spoken = grown, time.monotonic()
            if self._stop.is_set():
                return "canceled"
            if time.monotonic() - spoken > silence_allowed:
                return "timed_out"


def title(step: Step) -> str:
    """What a step is called where people see it."""
    if isinstance(step, Run):
        return step.name
    return re.sub(r"(?<!^)(?=[A-Z])", " ", type(step).__name__).capitalize()


def seconds(duration: str) -> float:
    """A duration as CircleCI writes it (`90s`, `10m`, `1.5h`), in seconds.

    Raises:
        ConfigError: it is written otherwise.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", duration)
    if not match:
        raise ConfigError(f"{duration!r} is not a duration", "write a number and its unit: 90s, 10m, 1.5h")
    return float(match[1]) * _UNITS[match[2]]


def clone(repo: Path, of: Source, to: Path) -> None:
    """A clean clone with the whole history, on the source's branch or tag.

    Raises:
        PipelineError: git failed.
    """
    paths.git(repo, "clone", "--quiet", "--no-checkout", str(repo.resolve()), str(to))
    where = ["-B", of.branch, of.commit] if of.branch else ["--detach", of.commit]
    paths.git(to, "checkout", "--quiet", *where)


def continuation_parameters(text: str, checkout: Path) -> dict[str, Value]:
    """The parameters that a continuation is passed: the content of the file, or the text itself, as a JSON object.

    Raises:
        PipelineError: it is none, or has values that no parameter takes.
    """
    file = checkout / text
    given = file.read_text() if len(text) < _LONGEST_NAME and file.is_file() else text
    try:
        passed = json.loads(given)
    except ValueError:
        passed = None
    if not isinstance(passed, dict) or not all(isinstance(value, str | int) for value in passed.values()):
        raise PipelineError(
            f"PARAMETERS aren't valid json: {given!r}", "a file or a text with a JSON object of parameters"
        )
    return passed


def count_tests(folder: Path) -> TestCounts | None:
    """The sum over the JUnit files below the folder; None when there is none.

    Raises:
        PipelineError: one is no XML.
    """
    counts = [_counted(file) for file in sorted(folder.rglob("*.xml"))]
    if not counts:
        return None
    return TestCounts(*(sum(column) for column in zip(*counts, strict=True)))


def _counted(file: Path) -> tuple[int, int, int]:
    try:
        document = ElementTree.parse(file)  # noqa: S314 - written by this repository's own tests
    except ElementTree.ParseError as error:
        raise PipelineError(f"the test results {file.name} are no XML: {error}") from error
    cases = list(document.iter("testcase"))
    failed = sum(1 for case in cases if case.find("failure") is not None or case.find("error") is not None)
    return len(cases), failed, sum(1 for case in cases if case.find("skipped") is not None)


def _due(step: Step, failed: bool) -> bool:
    if isinstance(step, StoreArtifacts | StoreTestResults):
        return True
    when = step.when if isinstance(step, Run) else "on_success"
    return when == "always" or (when == "on_fail") == failed


def _keep(source: Path, target: Path) -> int:
    """Copy a file or a folder's content; returns how many files there were (a missing source has none)."""
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
        return 1
    if not source.exists():
        return 0
    shutil.copytree(source, target, dirs_exist_ok=True)
    return sum(1 for file in source.rglob("*") if file.is_file())


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End every process of the step's session that is still there: politely first, while the shell itself lives."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # nothing was left behind
