"""What CircleCI's schema accepts and CircleCI refuses, or does otherwise than meant: references that lead nowhere,
models without a workflow, files that no rule knows, values of strangers in shell commands."""

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from common.local.pipeline import paths
from common.local.pipeline.config import (
    Call,
    Command,
    Config,
    Continue,
    Invocation,
    Job,
    Parameter,
    Run,
    Value,
    Workflow,
    load,
    strings,
)
from common.local.pipeline.errors import ConfigError
from common.local.pipeline.expressions import evaluate, names, templates
from common.local.pipeline.plan import FILTER_JOB, SCHEDULES_FILE, SETUP_FILE, filter_arguments, schedules, setup_job
from common.local.pipeline.process import admitted, fits, resolve

CONTEXTS = frozenset({"train", "approve", "deploy-staging", "deploy", "operate"})
"""The contexts that exist: docs/circleci.md says what each holds and who may use it."""

NOT_TRAINED_ON = (
    r"\.(ci|circleci)/.*",
    r"(docs|tests|benchmarks|infra)/.*",
    r"common/(batch|captured|commands|dashboard|deployment|experiments|local|monitoring|notifications)/.*",
    r"common/(operations|report|scaffold|steps)/.*",
    r"common/[a-z_]+\.py",
    r"[^/]+",
)
"""Files whose change trains no model, unless the mapping says otherwise: what runs, checks or explains the project, what
only deploys, and the modules that move data and packages but do not decide what a model learns. A tracked file has to
match one of these or the mapping, so that a new folder is never forgotten."""

SHARED_CODE = frozenset({"tabular-code", "fleet-code"})
"""The continuation's parameters that stand for what every model of a kind is trained on."""

SWITCHES = frozenset({"staging", "ask-before-production"})
"""The continuation's parameters that a team sets once, by their default; nothing passes them."""

DUE = "retrain-"
"""What begins the parameters that `models due --json` passes to the continuation, a reason for each model that is due."""

_DEPLOYS = ("deploy", "deploy-to-staging")
_PARAMETER = "pipeline.parameters."
_VALUE = re.compile(r"pipeline\.(parameters\.[\w-]+|[\w.-]+)")


@dataclass(frozen=True)
class Problem:
    """Something wrong in the CircleCI files, and where."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def check(repo: Path) -> list[Problem]:
    """Every problem of the two files as they are in the working tree; empty when they are right."""
    try:
        setup, continuation, rules, file = _load(repo)
        problems = [*_setup(setup, continuation, rules, file), *_phases(setup, continuation, file)]
        problems += [*_jobs(setup, SETUP_FILE), *_jobs(continuation, file), *_schedules(repo, setup)]
        problems += _models(repo, setup, continuation, rules, file)
    except ConfigError as error:
        return [Problem(".circleci", str(error))]
    return problems


def triggered(repo: Path, files: Iterable[str]) -> set[str]:
    """The models that a push which changes exactly these files trains, by the mapping in the working tree."""
    _, continuation, rules, _ = _load(repo)
    passed = resolve(continuation.parameters, paths.parameters(rules, files), SETUP_FILE)
    values = {f"{_PARAMETER}{name}": value for name, value in passed.items()}
    return {
        name
        for name in _model_parameters(continuation)
        if any(evaluate(flow.when, values) for flow in _flows(continuation, name))
    }


def models(repo: Path) -> list[str]:
    """The models of the repository: its tracked folders `<model>_model`."""
    folders = {file.split("/")[0] for file in _tracked(repo) if "/" in file}
    return sorted(folder.removesuffix("_model") for folder in folders if folder.endswith("_model"))


def _load(repo: Path) -> tuple[Config, Config, tuple[paths.Rule, ...], str]:
    setup = load((repo / SETUP_FILE).read_text(), SETUP_FILE)
    arguments = filter_arguments(setup_job(setup, _defaults(setup)), _defaults(setup))
    file = arguments["config-path"]
    return setup, load((repo / file).read_text(), file), paths.parse_mapping(arguments["mapping"]), file


def _defaults(config: Config) -> dict[str, Value]:
    return {f"{_PARAMETER}{name}": item.default for name, item in config.parameters.items() if item.default is not None}


def _tracked(repo: Path) -> list[str]:
    return [name for name in paths.git(repo, "ls-files", "-z").split("\0") if name]


def _model_parameters(continuation: Config) -> set[str]:
    booleans = {name for name, parameter in continuation.parameters.items() if parameter.type == "boolean"}
    return booleans - SHARED_CODE - SWITCHES


def _flows(config: Config, parameter: str) -> list[Workflow]:
    """The workflows whose condition names the parameter: a model's own, when it changed."""
    return [flow for flow in config.workflows.values() if flow.when and f"{_PARAMETER}{parameter}" in names(flow.when)]


# ---- both files: parameters and the mapping


def _setup(setup: Config, continuation: Config, rules: Iterable[paths.Rule], file: str) -> Iterator[Problem]:
    for name, parameter in setup.parameters.items():
        if continuation.parameters.get(name) != parameter:
            yield Problem(
                file, f"the parameter {name!r} is not declared as in {SETUP_FILE}: a trigger gives it to both"
            )
    mapped = {rule.parameter for rule in rules}
    for name in sorted(continuation.parameters.keys() - setup.parameters.keys() - mapped):
        if not name.startswith(DUE) and name not in SWITCHES:
            yield Problem(file, f"no line of the mapping sets the parameter {name!r}")
    for name in sorted(SWITCHES & (setup.parameters.keys() | mapped)):
        yield Problem(
            SETUP_FILE, f"passes {name!r} on: a trigger could go past staging; only its default in {file} says it"
        )
    for rule in rules:
        where = f"{SETUP_FILE}: mapping of {rule.parameter}"
        if rule.parameter in setup.parameters:
            yield Problem(where, "goes on by itself: a trigger that gives it has Conflicting pipeline parameters")
        if rule.parameter not in continuation.parameters:
            yield Problem(where, f"{file} does not declare the parameter: Unexpected argument(s)")
        elif not fits(continuation.parameters[rule.parameter], rule.value):
            yield Problem(where, f"the value {rule.value!r} is not of the parameter's type")
        if _open_alternatives(rule.regex):
            yield Problem(where, f"the alternatives of {rule.regex!r} leak: write them in parentheses")
        if re.search(r"\(\?|\\[A-Za-z]", rule.regex):
            yield Problem(where, f"{rule.regex!r} uses more than a shell's regular expressions know")
    for name, parameter in [*setup.parameters.items(), *continuation.parameters.items()]:
        if parameter.default is None or not fits(parameter, parameter.default):
            yield Problem(".circleci", f"the pipeline parameter {name!r} has no default of its type")


def _open_alternatives(regex: str) -> bool:
    """Whether a `|` stands outside all parentheses: `^a|b$` is `^a` or `b$`."""
    depth = 0
    for character in re.sub(r"\\.|\[[^]]*\]", "", regex):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and depth == 0:
            return True
    return False


# ---- from the setup phase to the continuation, and the schedules


def _phases(setup: Config, continuation: Config, file: str) -> Iterator[Problem]:
    """Whether every pipeline has one job that continues it, with a configuration and parameters that exist."""
    enums = {f"{_PARAMETER}{name}": item.choices for name, item in setup.parameters.items() if item.type == "enum"}
    asked = {name for flow in setup.workflows.values() for name in names(flow.when)} & enums.keys()
    for values in itertools.product(*(enums[name] for name in sorted(asked))):
        given = dict(zip(sorted(asked), values, strict=True))
        try:
            setup_job(setup, _defaults(setup) | given)
        except ConfigError as error:
            yield Problem(SETUP_FILE, f"{error} (where {', '.join(f'{k} is {v}' for k, v in given.items())})")
    for job in (job for flow in setup.workflows.values() for job in flow.jobs if job.job in setup.jobs):
        steps = [step for step in setup.jobs[job.job].steps if isinstance(step, Continue)]
        if len(steps) != 1:
            yield Problem(f"{SETUP_FILE}: job {job.job}", "does not continue the pipeline once")
        for step in steps:
            yield from (Problem(f"{SETUP_FILE}: job {job.job}", what) for what in _continues(step, continuation, file))
    for kind in ("commands", "executors"):
        ours, theirs = getattr(setup, kind), getattr(continuation, kind)
        for name in sorted(ours.keys() & theirs.keys()):
            if ours[name] != theirs[name]:
                yield Problem(SETUP_FILE, f"{name!r} of {kind} is not what it is in {file}")


def _continues(step: Continue, continuation: Config, file: str) -> Iterator[str]:
    if step.configuration_path != file:
        yield f"continues with {step.configuration_path}, and path filtering with {file}"
    if step.parameters.lstrip().startswith("{"):
        try:
            resolve(continuation.parameters, json.loads(step.parameters), file)
        except (ValueError, ConfigError) as error:
            yield f"passes {step.parameters}: {error}"


def _schedules(repo: Path, setup: Config) -> Iterator[Problem]:
    path = repo / SCHEDULES_FILE
    for schedule in schedules(path.read_text() if path.exists() else "[]"):
        try:
            resolve(setup.parameters, schedule.parameters, SETUP_FILE)
        except ConfigError as error:
            yield Problem(f"{SCHEDULES_FILE}: {schedule.name}", str(error))


# ---- each file: jobs, commands, workflows


def _jobs(config: Config, file: str) -> Iterator[Problem]:
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
        if isinstance(step, Run) and any(name.startswith("pipeline.") for name in templates(step.command)):
            yield f"the step {step.name!r} puts a pipeline value into its shell command: use an environment variable"


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
    if name.startswith(_PARAMETER) and name.removeprefix(_PARAMETER) not in config.parameters:
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
    values |= _defaults(config) | {"pipeline.git.branch": "main", "pipeline.git.tag": ""}
    for staging, ask in itertools.product((False, True), repeat=2):
        given = {f"{_PARAMETER}staging": staging, f"{_PARAMETER}ask-before-production": ask}
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
            parameter = config.parameters.get(name.removeprefix(_PARAMETER))
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


# ---- the models


def _models(repo: Path, setup: Config, config: Config, rules: tuple[paths.Rule, ...], file: str) -> Iterator[Problem]:
    known = models(repo)
    for name in known:
        for what in _model(name, config, rules):
            yield Problem(f"model {name}", what)
    for name in sorted(_model_parameters(config) - set(known)):
        yield Problem(file, f"the parameter {name!r} stands for a model, but there is no folder {name}_model")
    for name in sorted(config.parameters.keys() - {f"{DUE}{model}" for model in known}):
        if name.startswith(DUE):
            yield Problem(file, f"the parameter {name!r} stands for a model that is not there")
    for where, declared in ((SETUP_FILE, setup.parameters), (file, config.parameters)):
        for name, parameter in declared.items():
            if parameter.choices and name.endswith("model") and set(parameter.choices) != {"none", *known}:
                yield Problem(where, f"the choices of {name!r} have to be none and the models: {', '.join(known)}")
    trained = _model_parameters(config) | SHARED_CODE
    for name in _tracked(repo):
        if re.search(r"\s", name) or not name.isascii():
            yield Problem(name, "the path-filtering orb does not see a file with such a name: rename it")
        elif not any(paths.matches(rule, name) for rule in rules if rule.parameter in trained) and not any(
            re.fullmatch(regex, name) for regex in NOT_TRAINED_ON
        ):
            yield Problem(name, "matches neither the mapping nor the list of files that train no model")


def _model(name: str, config: Config, rules: Iterable[paths.Rule]) -> Iterator[str]:
    if name not in _model_parameters(config):
        yield "is not declared as a boolean parameter"
    if not any(rule.parameter == name and paths.matches(rule, f"{name}_model/a.py") for rule in rules):
        yield f"its folder {name}_model is not in the mapping"
    flows, reason = _flows(config, name), f"{DUE}{name}"
    yield from _complete(name, flows, "when it changed", {"train", "approve", *_DEPLOYS})
    if reason in config.parameters:
        yield from _complete(name, _flows(config, reason), f"with {reason!r}", {"retrain", "approve", *_DEPLOYS})
    if not all(names(flow.when) & {f"{_PARAMETER}{code}" for code in SHARED_CODE} for flow in flows):
        yield f"its workflow does not run when {' or '.join(sorted(SHARED_CODE))} changed"


def _complete(name: str, flows: Iterable[Workflow], when: str, wanted: set[str]) -> Iterator[str]:
    """Whether these workflows have the wanted jobs for the model, and none for another one."""
    invoked = {job.job for flow in flows for job in flow.jobs if job.arguments.get("model") == name}
    for missing in sorted(wanted - invoked):
        yield f"no workflow that runs {when} has the job {missing!r} for it"
    for flow in flows:
        for job in flow.jobs:
            if job.arguments.get("model", name) != name:
                yield f"its workflow runs {job.name!r} for {job.arguments['model']!r}"
