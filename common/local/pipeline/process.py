"""From a configuration and the pipeline's values to the jobs that run, with every template filled in. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from common.local.pipeline.config import (
    Call,
    Command,
    Config,
    Invocation,
    Job,
    Parameter,
    Step,
    Value,
    Workflow,
)
from common.local.pipeline.errors import ConfigError, PipelineError
from common.local.pipeline.expressions import evaluate, fill


@dataclass(frozen=True)
class PlannedJob:
    """A job that will run when what it requires has ended as it requires. An approval job has no steps."""

    workflow: str
    name: str
    approval: bool
    requires: Mapping[str, tuple[str, ...]]
    contexts: tuple[str, ...]
    serial_group: str
    environment: Mapping[str, str]
    steps: tuple[Step, ...]

    @property
    def id(self) -> str:
        """`<workflow>/<job>`, unique in a pipeline."""
        return f"{self.workflow}/{self.name}"


def resolve(declared: Mapping[str, Parameter], given: Mapping[str, Any], what: str) -> dict[str, Value]:
    """The value of every declared parameter: the given one, or the default.

    Raises:
        ConfigError: CircleCI's "Unexpected argument(s)", a missing argument, or a value of the wrong type.
    """
    unexpected = sorted(given.keys() - declared.keys())
    if unexpected:
        raise ConfigError(f"Unexpected argument(s) for {what}: {', '.join(unexpected)}")
    values = {}
    for name, parameter in declared.items():
        value = given.get(name, parameter.default)
        if value is None:
            raise ConfigError(f"{what} lacks the argument {name!r}")
        if not fits(parameter, value):
            allowed = " | ".join(parameter.choices) or parameter.type
            raise ConfigError(f"the argument {name}={value!r} of {what} is not of its type: {allowed}")
        values[name] = value
    return values


def fits(parameter: Parameter, value: object) -> bool:
    """Whether the value is one that the parameter may take."""
    match parameter.type:
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "enum":
            return value in parameter.choices
        case _:
            return isinstance(value, str)


def process(config: Config, values: Mapping[str, Value]) -> tuple[PlannedJob, ...]:
    """The jobs that run, in the order of the file. `values` are the pipeline's (`pipeline.git.branch`, …), parameters
    included (`pipeline.parameters.<name>`).

    Raises:
        ConfigError: the configuration refers to something that does not exist.
        PipelineError: CircleCI's "All workflows have been filtered".
    """
    planned = [
        _planned(config, name, invocation, values)
        for name, workflow in config.workflows.items()
        if not workflow.when or evaluate(workflow.when, values)
        for invocation in admitted(workflow, values)
    ]
    if not planned:
        raise PipelineError("All workflows have been filtered", "keep one workflow that always runs")
    return tuple(planned)


def admitted(workflow: Workflow, values: Mapping[str, Value]) -> list[Invocation]:
    """The jobs that pass their filters. One whose requirements are all filtered out is out, too; otherwise those that
    are filtered out are no longer required. A tag runs only jobs that filter for themselves."""
    on_tag = bool(values["pipeline.git.tag"])
    jobs = [job for job in workflow.jobs if (evaluate(job.filters, values) if job.filters else not on_tag)]
    while True:
        present = {job.name for job in jobs}
        kept = [job for job in jobs if not job.requires or present.intersection(job.requires)]
        if len(kept) == len(jobs):
            return [
                replace(job, requires={name: ends for name, ends in job.requires.items() if name in present})
                for job in jobs
            ]
        jobs = kept


def _planned(config: Config, workflow: str, invocation: Invocation, values: Mapping[str, Value]) -> PlannedJob:
    environment: Mapping[str, str] = {}
    steps: tuple[Step, ...] = ()
    if not invocation.approval:
        job = _defined(config.jobs, invocation.job, "job")
        arguments = {
            name: fill(value, values) if isinstance(value, str) else value
            for name, value in invocation.arguments.items()
        }
        scope = _scope(job, arguments, values, f"the job {invocation.job}")
        _defined(config.executors, job.executor, "executor")
        environment = {name: str(fill(text, scope)) for name, text in job.environment.items()}
        steps = tuple(_expanded(config, job.steps, scope, values))
    return PlannedJob(
        workflow=workflow,
        name=invocation.name,
        approval=invocation.approval,
        requires=invocation.requires,
        contexts=invocation.contexts,
        serial_group=str(fill(invocation.serial_group, values)),
        environment=environment,
        steps=steps,
    )


def _defined(section: Mapping[str, Any], name: str, kind: str) -> Any:
    if name not in section:
        raise ConfigError(f"the {kind} {name!r} is not defined")
    return section[name]


def _scope(
    owner: Job | Command, arguments: Mapping[str, Any], values: Mapping[str, Value], what: str
) -> dict[str, Value]:
    """What templates inside a job or command may name: the pipeline's values and its own parameters."""
    own = resolve(owner.parameters, arguments, what)
    return {**values, **{f"parameters.{name}": value for name, value in own.items()}}


def _expanded(
    config: Config, steps: Iterable[Step], scope: Mapping[str, Value], values: Mapping[str, Value]
) -> Iterable[Step]:
    for step in steps:
        filled = _filled(step, scope)
        if isinstance(filled, Call):
            command = _defined(config.commands, filled.command, "command")
            inner = _scope(command, filled.arguments, values, f"the command {filled.command}")
            yield from _expanded(config, command.steps, inner, values)
        else:
            yield filled


def _filled(value: Any, scope: Mapping[str, Value]) -> Any:
    """The step with the templates of all its members filled in."""
    if isinstance(value, str):
        return fill(value, scope)
    if isinstance(value, tuple):
        return tuple(_filled(item, scope) for item in value)
    if isinstance(value, Mapping):
        return {key: _filled(item, scope) for key, item in value.items()}
    if isinstance(value, Step):
        return replace(value, **{member.name: _filled(getattr(value, member.name), scope) for member in fields(value)})
    return value
