"""What CircleCI would run for a commit: the setup configuration, path filtering or a job of its own, and the continuation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from common.local.pipeline import paths
from common.local.pipeline.config import Config, Invocation, Value, load
from common.local.pipeline.errors import ConfigError, PipelineError
from common.local.pipeline.expressions import evaluate, fill
from common.local.pipeline.process import PlannedJob, process, resolve

SETUP_FILE = ".circleci/config.yml"
SCHEDULES_FILE = ".circleci/schedules.json"
FILTER_JOB = "path-filtering/filter"
_FILTER_ARGUMENTS = {"base-revision", "config-path", "mapping"}


@dataclass(frozen=True)
class Source:
    """The commit that a pipeline is for, and the branch or the tag (one of them) that was pushed."""

    commit: str
    branch: str = ""
    tag: str = ""


@dataclass(frozen=True)
class Schedule:
    """A schedule of the project: the branch whose pipeline it starts, and the parameters that it passes."""

    name: str
    branch: str
    parameters: Mapping[str, Value]


@dataclass(frozen=True)
class Plan:
    """What a phase of a pipeline would run, and why.

    Attributes:
        given: the parameters that came with the trigger.
        changed: the files that path filtering saw as changed; none where it does not run.
        parameters: what the setup phase passed to the continuation.
        jobs: empty for a tag: no job of the setup configuration filters for tags, so the pipeline ends there.
        setup: the jobs are those of the setup phase, and one of them has to continue the pipeline.
    """

    source: Source
    given: Mapping[str, Value]
    values: Mapping[str, Value]
    changed: tuple[str, ...] = ()
    parameters: Mapping[str, Value] = field(default_factory=dict)
    jobs: tuple[PlannedJob, ...] = ()
    setup: bool = False


def source(repo: Path, branch: str = "", tag: str = "", commit: str = "") -> Source:
    """The commit to play. Without a branch or a tag it is the branch that is checked out; without a commit, the tip.

    Raises:
        PipelineError: both were given, or what was given does not exist.
    """
    if branch and tag:
        raise PipelineError("a pipeline is for a branch or for a tag, not for both")
    if not branch and not tag:
        branch = paths.git(repo, "branch", "--show-current").strip()
        if not branch:
            raise PipelineError("no branch is checked out", "name the branch or the tag to play")
    revision = commit or (f"refs/tags/{tag}" if tag else f"refs/heads/{branch}")
    if not paths.exists(repo, revision):
        raise PipelineError(f"{revision} does not exist in {repo}", "commit first: what is not committed is not played")
    return Source(paths.git(repo, "rev-parse", f"{revision}^{{commit}}").strip(), branch, tag)


def plan(repo: Path, of: Source, parameters: Mapping[str, Value] | None = None, number: int = 0) -> Plan:
    """What the pipeline of the source runs, as far as that is known before a job has run. Reads the committed files.

    `parameters` are those of a trigger: of a person, or of a schedule.

    Where path filtering decides, that is everything. Otherwise it is the setup phase, see `continuation`.

    Raises:
        ConfigError: a file is malformed, or CircleCI's "Unexpected argument(s)" or "Conflicting pipeline parameters".
        PipelineError: git cannot say what changed, or CircleCI's "All workflows have been filtered".
    """
    given = parameters or {}
    setup = load(paths.git(repo, "show", f"{of.commit}:{SETUP_FILE}"), SETUP_FILE)
    values = _values(repo, of, number)
    own = values | _scoped(resolve(setup.parameters, given, SETUP_FILE))
    begun = Plan(of, given, values)
    if of.tag:
        return begun
    invocation = setup_job(setup, own)
    if invocation.job != FILTER_JOB:
        return Plan(of, given, values, jobs=process(setup, own), setup=True)
    arguments = filter_arguments(invocation, own)
    changed = paths.changed_files(repo, of.commit, _base(repo, of, arguments["base-revision"]))
    passed = paths.parameters(paths.parse_mapping(arguments["mapping"]), changed)
    return continuation(repo, begun, arguments["config-path"], passed, tuple(changed))


def continuation(
    repo: Path, setup: Plan, file: str, passed: Mapping[str, Value], changed: tuple[str, ...] = ()
) -> Plan:
    """What the pipeline goes on with after its setup phase, which passed these parameters to that configuration.

    What the trigger gave goes on beside them, by itself.

    Raises:
        ConfigError, PipelineError: as `plan`.
    """
    config = load(paths.git(repo, "show", f"{setup.source.commit}:{file}"), file)
    conflicting = sorted(passed.keys() & setup.given.keys())
    if conflicting:
        raise ConfigError(
            f"Conflicting pipeline parameters: {', '.join(conflicting)}",
            "what a trigger gives goes on by itself: the setup phase may not pass it, too",
        )
    jobs = process(config, {**setup.values, **_scoped(resolve(config.parameters, {**passed, **setup.given}, file))})
    return Plan(setup.source, setup.given, setup.values, changed, passed, jobs)


def schedules(text: str) -> tuple[Schedule, ...]:
    """The schedules of `.circleci/schedules.json`: a list of what CircleCI's API takes for a schedule each.

    Raises:
        ConfigError: it is not that.
    """
    try:
        found = [
            Schedule(entry["name"], entry["parameters"].pop("branch"), entry["parameters"])
            for entry in json.loads(text)
        ]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{SCHEDULES_FILE} is no list of schedules with a name, a branch and parameters: {error!r}"
        ) from error
    return tuple(found)


def schedule(repo: Path, name: str) -> Schedule:
    """The schedule of that name, as it is in the working tree: schedules are settings of the project, not of a commit.

    Raises:
        PipelineError: there is none.
    """
    file = repo / SCHEDULES_FILE
    known = {item.name: item for item in schedules(file.read_text() if file.exists() else "[]")}
    if name not in known:
        raise PipelineError(f"{SCHEDULES_FILE} has no schedule {name!r}", f"it has {', '.join(known) or 'none'}")
    return known[name]


def setup_job(setup: Config, values: Mapping[str, Value]) -> Invocation:
    """The one job of the setup phase.

    Raises:
        ConfigError: it is no setup configuration, or not one job of one workflow runs: CircleCI takes several workflows
            where their conditions let one of them run, and a pipeline is continued once.
    """
    running = [flow for flow in setup.workflows.values() if not flow.when or evaluate(flow.when, values)]
    jobs = [job for flow in running for job in flow.jobs]
    if not setup.setup or len(running) != 1 or len(jobs) != 1:
        raise ConfigError(
            f"{SETUP_FILE} is not a setup configuration of which one workflow with one job runs",
            "it takes `setup: true`, and conditions that exclude each other",
        )
    if jobs[0].job == FILTER_JOB and jobs[0].arguments.keys() != _FILTER_ARGUMENTS:
        raise ConfigError(f"{FILTER_JOB} takes the arguments {', '.join(sorted(_FILTER_ARGUMENTS))}")
    return jobs[0]


def filter_arguments(job: Invocation, values: Mapping[str, Value]) -> dict[str, str]:
    """What the path-filtering job is called with, templates filled in."""
    return {name: str(fill(str(text), values)) for name, text in job.arguments.items()}


def _scoped(parameters: Mapping[str, Value]) -> dict[str, Value]:
    return {f"pipeline.parameters.{name}": value for name, value in parameters.items()}


def _values(repo: Path, of: Source, number: int) -> dict[str, Value]:
    """The pipeline values that exist on this machine; any other is an error where it is used."""
    return {
        "pipeline.number": number,
        "pipeline.project.slug": f"local/{repo.resolve().name}",
        "pipeline.git.branch": of.branch,
        "pipeline.git.tag": of.tag,
        "pipeline.git.revision": of.commit,
    }


def _base(repo: Path, of: Source, base: str) -> str:
    """The base revision as the remote has it once the commit is pushed: on the base branch it is the commit itself."""
    if of.branch == base:
        return of.commit
    remote = f"refs/remotes/origin/{base}"
    return remote if paths.exists(repo, remote) else f"refs/heads/{base}"
