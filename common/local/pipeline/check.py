"""What CircleCI's schema accepts and CircleCI refuses, or does otherwise than meant: references that lead nowhere,
models without a workflow, files that no rule knows, values of strangers in shell commands."""

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from common.local.pipeline import paths
from common.local.pipeline.config import Config, Continue, Workflow, load
from common.local.pipeline.errors import ConfigError
from common.local.pipeline.expressions import evaluate, names
from common.local.pipeline.plan import SCHEDULES_FILE, SETUP_FILE, filter_arguments, schedules, setup_job
from common.local.pipeline.problems import PARAMETER, SHARED_CODE, Problem, defaults, within
from common.local.pipeline.process import fits, resolve

NOT_TRAINED_ON = (
    r"\.(ci|circleci)/.*",
    r"(docs|tests|benchmarks|infra|supply_chain)/.*",
    r"common/(batch|captured|commands|dashboard|deployment|experiments|local|monitoring|notifications)/.*",
    r"common/(operations|report|scaffold|steps)/.*",
    r"common/[a-z_]+\.py",
    r"[^/]+",
)
"""Files whose change trains no model, unless the mapping says otherwise: what runs, checks or explains the project, what
only deploys, and the modules that move data and packages but do not decide what a model learns. A tracked file has to
match one of these or the mapping, so that a new folder is never forgotten."""

SWITCHES = frozenset({"staging", "ask-before-production"})
"""The continuation's parameters that a team sets once, by their default; nothing passes them."""

DUE = "retrain-"
"""What begins the parameters that `models due --json` passes to the continuation, a reason for each model that is due."""

_DEPLOYS = ("deploy", "deploy-to-staging")


def check(repo: Path) -> list[Problem]:
    """Every problem of the two files as they are in the working tree; empty when they are right."""
    try:
        setup, continuation, rules, file = _load(repo)
        problems = [*_setup(setup, continuation, rules, file), *_phases(setup, continuation, file)]
        problems += [*within(setup, SETUP_FILE), *within(continuation, file), *_schedules(repo, setup)]
        problems += _models(repo, setup, continuation, rules, file)
    except ConfigError as error:
        return [Problem(".circleci", str(error))]
    return problems


def triggered(repo: Path, files: Iterable[str]) -> set[str]:
    """The models that a push which changes exactly these files trains, by the mapping in the working tree."""
    _, continuation, rules, _ = _load(repo)
    passed = resolve(continuation.parameters, paths.parameters(rules, files), SETUP_FILE)
    values = {f"{PARAMETER}{name}": value for name, value in passed.items()}
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
    arguments = filter_arguments(setup_job(setup, defaults(setup)), defaults(setup))
    file = arguments["config-path"]
    return setup, load((repo / file).read_text(), file), paths.parse_mapping(arguments["mapping"]), file


def _tracked(repo: Path) -> list[str]:
    return [name for name in paths.git(repo, "ls-files", "-z").split("\0") if name]


def _model_parameters(continuation: Config) -> set[str]:
    booleans = {name for name, parameter in continuation.parameters.items() if parameter.type == "boolean"}
    return booleans - SHARED_CODE - SWITCHES


def _flows(config: Config, parameter: str) -> list[Workflow]:
    """The workflows whose condition names the parameter: a model's own, when it changed."""
    return [flow for flow in config.workflows.values() if flow.when and f"{PARAMETER}{parameter}" in names(flow.when)]


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
    enums = {f"{PARAMETER}{name}": item.choices for name, item in setup.parameters.items() if item.type == "enum"}
    asked = {name for flow in setup.workflows.values() for name in names(flow.when)} & enums.keys()
    for values in itertools.product(*(enums[name] for name in sorted(asked))):
        given = dict(zip(sorted(asked), values, strict=True))
        try:
            setup_job(setup, defaults(setup) | given)
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
    if not all(names(flow.when) & {f"{PARAMETER}{code}" for code in SHARED_CODE} for flow in flows):
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
