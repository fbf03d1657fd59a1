"""What CircleCI would run for a commit: the setup configuration, path filtering, and the continuation."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.local.pipeline import paths
from common.local.pipeline.config import Config, Invocation, Value, load
from common.local.pipeline.errors import ConfigError, PipelineError
from common.local.pipeline.expressions import fill
from common.local.pipeline.process import PlannedJob, process, resolve

SETUP_FILE = ".circleci/config.yml"
FILTER_JOB = "path-filtering/filter"
_FILTER_ARGUMENTS = {"base-revision", "config-path", "mapping"}


@dataclass(frozen=True)
class Source:
    """The commit that a pipeline is for, and the branch or the tag (one of them) that was pushed."""

    commit: str
    branch: str = ""
    tag: str = ""


@dataclass(frozen=True)
class Plan:
    """What a pipeline would run, and why."""

    source: Source
    changed: tuple[str, ...]
    parameters: Mapping[str, Value]
    """What path filtering passed to the continuation."""
    jobs: tuple[PlannedJob, ...]
    """Empty for a tag: no job of the setup configuration filters for tags, so the pipeline ends there."""


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
    """What the pipeline of the source runs; `parameters` are those of a manual trigger. Reads the committed files.

    Raises:
        ConfigError: a file is malformed, or CircleCI's "Unexpected argument(s)" or "Conflicting pipeline parameters".
        PipelineError: git cannot say what changed, or CircleCI's "All workflows have been filtered".
    """
    given = parameters or {}
    setup = load(paths.git(repo, "show", f"{of.commit}:{SETUP_FILE}"), SETUP_FILE)
    values = _values(repo, of, number, "api" if given else "webhook")
    own = resolve(setup.parameters, given, SETUP_FILE)
    arguments = filter_arguments(setup, values | _scoped(own))
    if of.tag:
        return Plan(of, (), {}, ())
    changed = paths.changed_files(repo, of.commit, _base(repo, of, arguments["base-revision"]))
    passed = paths.parameters(paths.parse_mapping(arguments["mapping"]), changed)
    file = arguments["config-path"]
    config = load(paths.git(repo, "show", f"{of.commit}:{file}"), file)
    conflicting = sorted((passed.keys() | config.parameters.keys()) & given.keys())
    if conflicting:
        raise ConfigError(
            f"Conflicting pipeline parameters: {', '.join(conflicting)}",
            f"a parameter that a trigger passes may be declared in {SETUP_FILE} only, and not be mapped to itself",
        )
    jobs = process(config, values | _scoped(resolve(config.parameters, passed, file)))
    return Plan(of, tuple(changed), passed, jobs)


def filter_job(setup: Config) -> Invocation:
    """The one job of the setup configuration, which is the path-filtering orb's.

    Raises:
        ConfigError: there is something else in it.
    """
    jobs = [job for workflow in setup.workflows.values() for job in workflow.jobs]
    if not setup.setup or len(jobs) != 1 or jobs[0].job != FILTER_JOB or jobs[0].arguments.keys() != _FILTER_ARGUMENTS:
        raise ConfigError(
            f"{SETUP_FILE} is not a setup configuration with {FILTER_JOB} as its only job",
            f"it takes `setup: true` and the arguments {', '.join(sorted(_FILTER_ARGUMENTS))}",
        )
    return jobs[0]


def filter_arguments(setup: Config, values: Mapping[str, Value]) -> dict[str, str]:
    """What the path-filtering job is called with, templates filled in."""
    return {name: str(fill(str(text), values)) for name, text in filter_job(setup).arguments.items()}


def _scoped(parameters: Mapping[str, Value]) -> dict[str, Value]:
    return {f"pipeline.parameters.{name}": value for name, value in parameters.items()}


def _values(repo: Path, of: Source, number: int, trigger: str) -> dict[str, Value]:
    """The pipeline values that exist on this machine; any other is an error where it is used."""
    return {
        "pipeline.number": number,
        "pipeline.project.slug": f"local/{repo.resolve().name}",
        "pipeline.git.branch": of.branch,
        "pipeline.git.tag": of.tag,
        "pipeline.git.revision": of.commit,
        "pipeline.trigger.type": trigger,
    }


def _base(repo: Path, of: Source, base: str) -> str:
    """The base revision as the remote has it once the commit is pushed: on the base branch it is the commit itself."""
    if of.branch == base:
        return of.commit
    remote = f"refs/remotes/origin/{base}"
    return remote if paths.exists(repo, remote) else f"refs/heads/{base}"
