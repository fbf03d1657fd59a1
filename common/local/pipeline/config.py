"""The two CircleCI files as typed values. A key that the player does not know is an error, never ignored.

Strings keep their templates (`<< … >>`); `process` fills them in.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeVar

import yaml

from common.local.pipeline.errors import ConfigError

_T = TypeVar("_T")

Value = str | int | bool
"""What a pipeline or job parameter may be."""


@dataclass(frozen=True)
class Parameter:
    """A declared parameter; `default` is None where the caller has to give it."""

    type: str
    default: Value | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checkout:
    """Clone the commit into the working directory."""


@dataclass(frozen=True)
class Run:
    """A shell command. Times are written as CircleCI writes them (`90s`, `10m`, `1.5h`)."""

    command: str
    name: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    working_directory: str = "."
    when: str = "on_success"
    no_output_timeout: str = "10m"
    max_auto_reruns: int = 0
    auto_rerun_delay: str = "0s"


@dataclass(frozen=True)
class RestoreCache:
    """Put back the paths saved under the first key that has been saved."""

    keys: tuple[str, ...]


@dataclass(frozen=True)
class SaveCache:
    """Save the paths under the key, unless something was saved under it before."""

    key: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class StoreArtifacts:
    """Keep a file or folder; runs even when an earlier step failed."""

    path: str
    destination: str


@dataclass(frozen=True)
class StoreTestResults:
    """Keep and count JUnit files; runs even when an earlier step failed."""

    path: str


@dataclass(frozen=True)
class Continue:
    """What the continuation orb's command does: end the setup phase, and go on with another configuration.

    `parameters` is a JSON object, or the path of a file that holds one.
    """

    configuration_path: str
    parameters: str


@dataclass(frozen=True)
class Call:
    """A command of the same file with its arguments."""

    command: str
    arguments: Mapping[str, Value]


Step = Checkout | Run | RestoreCache | SaveCache | StoreArtifacts | StoreTestResults | Continue | Call


@dataclass(frozen=True)
class Command:
    parameters: Mapping[str, Parameter]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Job:
    parameters: Mapping[str, Parameter]
    steps: tuple[Step, ...]
    executor: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Invocation:
    """A job in a workflow: `job` is what it is called where it is defined, `name` what it is called here.

    `requires` are the jobs that it waits for, each with the ways it may end for this one to run: `success`, `failed`.
    """

    job: str
    name: str
    approval: bool = False
    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    filters: str = ""
    contexts: tuple[str, ...] = ()
    serial_group: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Workflow:
    when: str
    jobs: tuple[Invocation, ...]


@dataclass(frozen=True)
class Config:
    setup: bool
    orbs: Mapping[str, str]
    parameters: Mapping[str, Parameter]
    executors: Mapping[str, str]
    """The image of each executor; on this machine the steps run without it."""
    commands: Mapping[str, Command]
    jobs: Mapping[str, Job]
    workflows: Mapping[str, Workflow]


def load(text: str, file: str) -> Config:
    """Read a CircleCI file; `file` names it in errors.

    Raises:
        ConfigError: it is not YAML, a key stands twice, is unknown or missing, or a value has the wrong form.
    """
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is not valid YAML: {error}") from error
    top = _mapping(document, file, _TOP, required=("version", "workflows"))
    if top["version"] != 2.1:
        raise ConfigError(f"{file}: version is {top['version']!r}", "dynamic configuration needs `version: 2.1`")
    return Config(
        setup=top.get("setup", False) is True,
        orbs=_strings(top.get("orbs", {}), f"{file}: orbs"),
        parameters=_parameters(top.get("parameters", {}), f"{file}: parameters"),
        executors=_each(top, "executors", file, _executor),
        commands=_each(top, "commands", file, _command),
        jobs=_each(top, "jobs", file, _job),
        workflows=_each(top, "workflows", file, _workflow),
    )


def strings(value: object) -> Iterator[str]:
    """Every string inside a value of this module, e.g. to find the templates in it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from strings(item)
    elif is_dataclass(value):
        for member in fields(value):
            yield from strings(getattr(value, member.name))


_TOP = ("version", "setup", "orbs", "parameters", "executors", "commands", "jobs", "workflows")
_INVOCATION = ("name", "type", "requires", "filters", "context", "serial-group")
_TYPES = ("boolean", "enum", "integer", "string")
_ENDS = ("success", "failed")


class _Loader(yaml.SafeLoader):
    """YAML in which a repeated key is an error: the plain loader lets the last one win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _mapping(
    value: object, where: str, known: tuple[str, ...] | None, required: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The value as a mapping whose keys are all known (`None`: any) and which has the required ones."""
    if not isinstance(value, dict):
        raise ConfigError(f"{where} is {value!r}, not a mapping")
    for key in value:
        if not isinstance(key, str) or (known is not None and key not in known):
            raise ConfigError(f"{where}: the key {key!r} is not known to the player")
    for key in required:
        if key not in value:
            raise ConfigError(f"{where}: {key!r} is missing")
    return value


def _each(top: dict[str, Any], section: str, file: str, read: Callable[[Any, str], _T]) -> dict[str, _T]:
    items = _mapping(top.get(section, {}), f"{file}: {section}", None)
    return {name: read(item, f"{file}: {section}: {name}") for name, item in items.items()}


def _string(value: object, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ConfigError(f"{where} is {value!r}, not a string")
    return str(value)


def _count(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{where} is {value!r}, not a whole number")
    return value


def _list(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ConfigError(f"{where} is {value!r}, not a list")
    return tuple(_string(item, where) for item in value)


def _strings(value: object, where: str) -> dict[str, str]:
    return {key: _string(item, f"{where}: {key}") for key, item in _mapping(value, where, None).items()}


def _parameters(value: object, where: str) -> dict[str, Parameter]:
    declared = {}
    for name, item in _mapping(value, where, None).items():
        spec = _mapping(item, f"{where}: {name}", ("type", "default", "enum"), required=("type",))
        if spec["type"] not in _TYPES or (spec["type"] == "enum") != ("enum" in spec):
            raise ConfigError(f"{where}: {name} is neither one of {', '.join(_TYPES)} nor an enum with its values")
        choices = _list(spec.get("enum", []), f"{where}: {name}: enum")
        declared[name] = Parameter(spec["type"], spec.get("default"), choices)
    return declared


def _executor(value: object, where: str) -> str:
    docker = _mapping(value, where, ("docker", "resource_class"), required=("docker",))["docker"]
    if not isinstance(docker, list) or len(docker) != 1:
        raise ConfigError(f"{where}: docker has to be a list of one image")
    return _string(_mapping(docker[0], f"{where}: docker", ("image",), required=("image",))["image"], where)


def _command(value: object, where: str) -> Command:
    body = _mapping(value, where, ("parameters", "steps"), required=("steps",))
    return Command(_parameters(body.get("parameters", {}), f"{where}: parameters"), _steps(body["steps"], where))


def _job(value: object, where: str) -> Job:
    known = ("parameters", "executor", "environment", "steps")
    body = _mapping(value, where, known, required=("executor", "steps"))
    return Job(
        parameters=_parameters(body.get("parameters", {}), f"{where}: parameters"),
        steps=_steps(body["steps"], where),
        executor=_string(body["executor"], f"{where}: executor"),
        environment=_strings(body.get("environment", {}), f"{where}: environment"),
    )


def _steps(value: object, where: str) -> tuple[Step, ...]:
    if not isinstance(value, list) or not value:
        raise ConfigError(f"{where}: steps is not a list of steps")
    return tuple(_step(item, f"{where}: step {number}") for number, item in enumerate(value, 1))


def _step(value: object, where: str) -> Step:
    if isinstance(value, str):
        return Checkout() if value == "checkout" else Call(value, {})
    if not isinstance(value, dict) or len(value) != 1:
        raise ConfigError(f"{where} is neither a step's name nor one step")
    (kind, body), *_ = value.items()
    where = f"{where} ({kind})"
    match kind:
        case "run":
            return _run(body, where)
        case "restore_cache":
            return RestoreCache(_list(_mapping(body, where, ("keys",), ("keys",))["keys"], where))
        case "save_cache":
            saved = _mapping(body, where, ("key", "paths"), ("key", "paths"))
            return SaveCache(_string(saved["key"], where), _list(saved["paths"], where))
        case "store_artifacts":
            stored = _mapping(body, where, ("path", "destination"), ("path",))
            path = _string(stored["path"], where)
            return StoreArtifacts(path, _string(stored.get("destination", path), where))
        case "store_test_results":
            return StoreTestResults(_string(_mapping(body, where, ("path",), ("path",))["path"], where))
        case "continuation/continue":
            known = ("configuration_path", "parameters")
            given = _mapping(body, where, known, required=known)
            return Continue(*(_string(given[name], where) for name in known))
        case _:
            return Call(kind, _mapping(body, where, None))


def _run(body: object, where: str) -> Run:
    if isinstance(body, str):
        return Run(body, name=body)
    known = tuple(member.name for member in fields(Run))
    given = _mapping(body, where, known, required=("command",))
    read = {key: _string(item, f"{where}: {key}") for key, item in given.items() if key != "environment"}
    if read.get("when", "on_success") not in ("on_success", "on_fail", "always"):
        raise ConfigError(f"{where}: when is {read['when']!r}")
    reruns = _count(given.get("max_auto_reruns", 0), f"{where}: max_auto_reruns")
    environment = _strings(given.get("environment", {}), f"{where}: environment")
    texts = {"name": read["command"]} | {key: text for key, text in read.items() if key != "max_auto_reruns"}
    return Run(**texts, environment=environment, max_auto_reruns=reruns)


def _workflow(value: object, where: str) -> Workflow:
    body = _mapping(value, where, ("when", "jobs"), required=("jobs",))
    if not isinstance(body["jobs"], list) or not body["jobs"]:
        raise ConfigError(f"{where}: jobs is not a list of jobs")
    jobs = tuple(_invocation(item, f"{where}: job {number}") for number, item in enumerate(body["jobs"], 1))
    names = [job.name for job in jobs]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{where}: the job name {name!r} stands twice", "give one of them another `name`")
    return Workflow(_string(body.get("when", ""), f"{where}: when"), jobs)


def _invocation(value: object, where: str) -> Invocation:
    if isinstance(value, str):
        return Invocation(value, value)
    if not isinstance(value, dict) or len(value) != 1:
        raise ConfigError(f"{where} is neither a job's name nor one job")
    (job, body), *_ = value.items()
    body = _mapping(body, f"{where} ({job})", None)
    approval = body.get("type", "build") == "approval"
    if "type" in body and not approval:
        raise ConfigError(f"{where} ({job}): the type {body['type']!r} is not known to the player")
    context = body.get("context", [])
    return Invocation(
        job=job,
        name=_string(body.get("name", job), f"{where}: name"),
        approval=approval,
        requires=_requires(body.get("requires", []), f"{where}: requires"),
        filters=_string(body.get("filters", ""), f"{where}: filters"),
        contexts=(context,) if isinstance(context, str) else _list(context, f"{where}: context"),
        serial_group=_string(body.get("serial-group", ""), f"{where}: serial-group"),
        arguments={key: item for key, item in body.items() if key not in _INVOCATION},
    )


def _requires(value: object, where: str) -> dict[str, tuple[str, ...]]:
    """A list of names, which have to succeed, and of mappings of a name to a list of ends."""
    if not isinstance(value, list):
        raise ConfigError(f"{where} is {value!r}, not a list")
    required: dict[str, tuple[str, ...]] = {}
    for item in value:
        if isinstance(item, dict):
            required |= {name: _list(ends, f"{where}: {name}") for name, ends in _mapping(item, where, None).items()}
        else:
            required[_string(item, where)] = ("success",)
    for name, ends in required.items():
        if not ends or not set(ends) <= set(_ENDS):
            raise ConfigError(
                f"{where}: {name} ends as {', '.join(ends) or 'nothing'}; the player knows {', '.join(_ENDS)}"
            )
    return required
