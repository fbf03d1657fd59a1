"""What is wrong within one CircleCI file: references that lead nowhere, ways past staging, strangers' values in commands."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from common.local.pipeline.config import (
    Call,
    Command,
    Config,
    Continue,
    Invocation,
    Job,
    Parameter,
    Run,
    Step,
    Value,
    Workflow,
    strings,
)
from common.local.pipeline.expressions import evaluate, names, templates
from common.local.pipeline.plan import FILTER_JOB
from common.local.pipeline.process import admitted, fits

CONTEXTS = frozenset({"train", "approve", "deploy-staging", "deploy", "operate"})
"""The contexts that exist: docs/circleci.md says what each holds and who may use it."""

SHARED_CODE = frozenset({"tabular-code", "fleet-code"})
"""The continuation's parameters that stand for what every model of a kind is trained on."""

PARAMETER = "pipeline.parameters."
_VALUE = re.compile(r"pipeline\.(parameters\.[\w-]+|[\w.-]+)")


@dataclass(frozen=True)
class Problem:
    """Something wrong in the CircleCI files, and where."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def defaults(config: Config) -> dict[str, Value]:
    """The values of the pipeline parameters that have a default."""
    return {f"{PARAMETER}{name}": item.default for name, item in config.parameters.items() if item.default is not None}


def within(config: Config, file: str) -> Iterator[Problem]:
    """What is wrong within one of the files, which is called `file`."""
    owners: dict[str, Job | Command] = {f"job {name}": job for name, job in config.jobs.items()}
    owners |= {f"command {name}": command for name, command in config.commands.items()}
    for name, owner in owners.items():
        for what in _owner(config, owner):
            yield Problem(f"{file}: {name}", what)
        if not config.setup and any(isinstance(step, Continue) for step in owner.steps):
            yield Problem(f"{file}: {name}", "continues a pipeline that is no longer in setup state")
    for what in _unused(config):
        yield Problem(file, what)
    for name, workflow in config.workflows.items():
        for what in _workflow(config, workflow):
            yield Problem(f"{file}: workflow {name}", what)


def _owner(config: Config, owner: Job | Command) -> Iterator[str]:
    """The problems of one job or command."""
    used = {name for text in strings(owner) for name in templates(text)}
    for name in sorted(used):
        if not (name.startswith("pipeline.") or name.removeprefix("parameters.") in owner.parameters):
            yield f"the template << {name} >> names no declared parameter"
        yield from _undeclared(config, name)
    for name in owner.parameters:
        if f"parameters.{name}" not in used:
            yield f"the parameter {name!r} is not used"
    if isinstance(owner, Job) and owner.executor not in config.executors:
        yield f"the executor {owner.executor!r} is not defined"
    for step in owner.steps:
        if isinstance(step, Call):
            command = config.commands.get(step.command)
            if command is None:
                yield f"the command {step.command!r} is not defined"
            else:
                yield from _arguments(command.parameters, step.arguments, f"the command {step.command!r}")
        if any(name.startswith("pipeline.") for text in _executed(step) for name in templates(text)):
            said = getattr(step, "name", "") or step
            yield f"the step {said!r} puts a pipeline value into its shell command: use an environment variable"


def _executed(step: Step) -> Iterator[str]:
    """The texts of a step that a shell may come to read: all but its environment; of a cache, none."""
    if isinstance(step, Run):
        yield from strings(replace(step, environment={}))
    elif isinstance(step, Call | Continue):
        yield from strings(step)


def _arguments(declared: Mapping[str, Parameter], given: Mapping[str, Value], what: str) -> Iterator[str]:
    for name in sorted(given.keys() - declared.keys()):
        yield f"{what} has no parameter {name!r}"
    for name, parameter in declared.items():
        value = given.get(name, parameter.default)
        if value is None:
            yield f"{what} lacks the argument {name!r}"
        elif not (isinstance(value, str) and templates(value)) and not fits(parameter, value):
            yield f"the argument {name}={value!r} of {what} is not of its type"


def _undeclared(config: Config, name: str) -> Iterator[str]:
    if name.startswith(PARAMETER) and name.removeprefix(PARAMETER) not in config.parameters:
        yield f"{name} is not declared"


def _unused(config: Config) -> Iterator[str]:
    """Definitions that nothing refers to."""
    owners: list[Job | Command] = [*config.jobs.values(), *config.commands.values()]
    called = {step.command for owner in owners for step in owner.steps if isinstance(step, Call)}
    invoked = {job.job for workflow in config.workflows.values() for job in workflow.jobs}
    named = set(_VALUE.findall(" ".join(strings(config.workflows)) + " ".join(strings(config.jobs))))
    yield from (f"the command {name!r} is not used" for name in config.commands.keys() - called)
    yield from (f"the job {name!r} is not used" for name in config.jobs.keys() - invoked)
    yield from (
        f"the executor {name!r} is not used"
        for name in config.executors.keys() - {job.executor for job in config.jobs.values()}
    )
    # the setup phase hands on what it does not use itself; a repository without models of a kind does not use their parameter
    yield from (
        f"the parameter {name!r} is not used"
        for name in config.parameters
        if not config.setup and f"parameters.{name}" not in named and name not in SHARED_CODE
    )


def _workflow(config: Config, workflow: Workflow) -> Iterator[str]:
    jobs = {job.name: job for job in workflow.jobs}
    if workflow.when:
        yield from _expression(config, workflow.when)
    for job in workflow.jobs:
        yield from (f"{job.name}: {what}" for what in _invocation(config, job))
        for name in job.requires:
            if name not in jobs:
                yield f"{job.name}: requires {name!r}, which is not a job of this workflow"
            elif jobs[name].serial_group:
                yield f"{job.name}: requires {name!r} of a serial group, whose failure would not stop it"
    yield from _cycles({name: [item for item in job.requires if item in jobs] for name, job in jobs.items()})
    if any(job.job == "deploy" for job in workflow.jobs):
        yield from _ways_to_production(config, workflow)


def _ways_to_production(config: Config, workflow: Workflow) -> Iterator[str]:
    """Whether main comes to production by one job: after staging of the same model, where there is staging."""
    values: dict[str, Value] = {name: "" for job in workflow.jobs for name in names(job.filters)}
    values |= defaults(config) | {"pipeline.git.branch": "main", "pipeline.git.tag": ""}
    for staging, ask in itertools.product((False, True), repeat=2):
        given = {f"{PARAMETER}staging": staging, f"{PARAMETER}ask-before-production": ask}
        jobs = {job.name: job for job in admitted(workflow, values | given)}
        where = f"where staging is {str(staging).lower()}"
        deploys = [job for job in jobs.values() if job.job == "deploy"]
        if len(deploys) != 1:
            yield f"has {len(deploys)} deploys to production on main {where}"
        for deploy in deploys if staging else ():
            before = [jobs[name] for name in deploy.requires if jobs[name].job == "deploy-to-staging"]
            if not any(job.arguments.get("model") == deploy.arguments.get("model") for job in before):
                yield f"{deploy.name}: does not require the deploy of its model to staging {where}"


def _expression(config: Config, text: str) -> Iterator[str]:
    """The problems of a condition: evaluated with every name set to some value, it has to have one itself."""
    evaluate(text, dict.fromkeys(names(text), ""))
    for name in sorted(names(text)):
        yield from _undeclared(config, name)
        if not name.startswith("pipeline."):
            yield f"the condition {text!r} names {name!r}, which is no pipeline value"


def _invocation(config: Config, job: Invocation) -> Iterator[str]:
    if job.filters:
        yield from _expression(config, job.filters)
    for context in job.contexts:
        if context not in CONTEXTS:
            yield f"the context {context!r} is not one of {', '.join(sorted(CONTEXTS))}"
    for text in strings((job.serial_group, job.arguments)):
        for name in templates(text):
            yield from _undeclared(config, name)
    in_commands = _in_commands(config.jobs[job.job]) if job.job in config.jobs else set(job.arguments)
    for text in strings([value for name, value in job.arguments.items() if name in in_commands]):
        for name in templates(text):
            parameter = config.parameters.get(name.removeprefix(PARAMETER))
            if parameter is None or parameter.type == "string":
                yield f"the argument {text!r} hands a stranger's text on to shell commands: use an enum or a number"
    if job.approval or job.job == FILTER_JOB:
        return
    if job.job not in config.jobs:
        yield f"the job {job.job!r} is not defined"
    else:
        yield from _arguments(config.jobs[job.job].parameters, job.arguments, f"the job {job.job!r}")


def _in_commands(job: Job) -> set[str]:
    """The parameters of a job that get into something else than environment variables: into a shell command, perhaps."""
    return {name.removeprefix("parameters.") for text in strings(job.steps) for name in templates(text)}


def _cycles(requires: dict[str, list[str]]) -> Iterator[str]:
    while free := [name for name, needed in requires.items() if not needed]:
        requires = {name: [item for item in needed if item not in free] for name, needed in requires.items() if needed}
    if requires:
        yield f"the jobs {', '.join(sorted(requires))} require each other in a circle"
