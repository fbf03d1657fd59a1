"""The CircleCI files as they are have no problem; each way to break them has one, and is found."""

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.lineage import FLEET_CODE, TABULAR_CODE, determines_training
from common.local.pipeline.check import check, models, triggered
from common.local.pipeline.config import load
from common.local.pipeline.plan import SCHEDULES_FILE
from common.model import Model, all_models
from common.scaffold.wiring import CONTINUATION, SETUP
from tests.e2e.pipeline_repo import ROOT, PipelineRepo, make_template

Change = Callable[[Any], object]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("check") / "template")


@pytest.fixture
def repo(template: Path, tmp_path: Path) -> PipelineRepo:
    return PipelineRepo.create(tmp_path / "repo", template)


# ---- the files as they are


def test_both_files_pass_circlecis_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.circle-ci", SETUP, CONTINUATION]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_this_repository_has_no_problem() -> None:
    assert [str(problem) for problem in check(ROOT)] == []


def test_every_model_folder_is_known() -> None:
    assert models(ROOT) == sorted(folder.name.removesuffix("_model") for folder in ROOT.glob("*_model"))


@pytest.mark.parametrize("path", sorted({*TABULAR_CODE, *FLEET_CODE}))
def test_code_that_determines_a_source_trains_the_models_that_have_it_and_no_others(path: str) -> None:
    file = f"{path}new.py" if path.endswith("/") else path
    assert triggered(ROOT, [file]) == {model.name for model in all_models() if determines_training(file, model)}


def test_requirements_train_every_model() -> None:
    assert triggered(ROOT, ["requirements.txt"]) == set(models(ROOT))


@pytest.mark.parametrize("file", ["README.md", "docs/a.md", "tests/unit/data/test_x.py", "common/local/data/x.py"])
def test_what_only_explains_or_tests_trains_nothing(file: str) -> None:
    assert triggered(ROOT, [file]) == set()


def test_model_folder_trains_its_own_model_only(repo: PipelineRepo) -> None:
    assert check(repo.path) == []
    assert triggered(repo.path, ["churn_model/train_register.py"]) == {"churn"}


# ---- broken variants


def without(section: str, name: str) -> Change:
    return lambda document: document[section].pop(name)


def flow(document: Any, name: str = "abalone") -> Any:
    """The invocations of a workflow by the job's name."""
    jobs = document["workflows"][name]["jobs"]
    return {next(iter(job)): next(iter(job.values())) for job in jobs if isinstance(job, dict)}


def invocation(job: str, **members: Any) -> Change:
    return lambda document: flow(document)[job].update(members)


def steps(job: str, step: Any) -> Change:
    return lambda document: document["jobs"][job]["steps"].append(step)


def parameter(name: str, **spec: Any) -> Change:
    return lambda document: document["parameters"].update({name: spec})


def drop_argument(document: Any) -> None:
    del flow(document)["train"]["model"]


def drop(*jobs: str) -> Change:
    """Take every invocation of these jobs out of abalone's workflow."""

    def change(document: Any) -> None:
        workflow = document["workflows"]["abalone"]
        workflow["jobs"] = [job for job in workflow["jobs"] if not job.keys() & set(jobs)]

    return change


def past_staging(document: Any) -> None:
    flow(document)["deploy"].update(requires=[], filters='pipeline.git.branch == "main"')


def retrained_past_staging(document: Any) -> None:
    flow(document, "retrain-abalone")["deploy"].update(
        requires=["approve-abalone"], filters="pipeline.parameters.staging"
    )


def in_a_circle(document: Any) -> None:
    flow(document)["train"]["requires"] = ["approve-abalone"]


def after_a_serial_job(document: Any) -> None:
    flow(document)["approve"]["requires"] = ["deploy-abalone"]


def strangers_text(document: Any) -> None:
    document["parameters"]["model"] = {"type": "string", "default": ""}


BROKEN_DYNAMIC: dict[str, tuple[Change, str]] = {
    "undefined job": (without("jobs", "approve"), "the job 'approve' is not defined"),
    "undefined command": (without("commands", "assume-role"), "the command 'assume-role' is not defined"),
    "undefined executor": (without("executors", "python"), "the executor 'python' is not defined"),
    "unused job": (lambda d: d["jobs"].update(spare=d["jobs"]["check"]), "the job 'spare' is not used"),
    "unused command": (
        lambda d: d["commands"].update(spare=d["commands"]["set-up"]), "the command 'spare' is not used"),
    "unused executor": (
        lambda d: d["executors"].update(spare=d["executors"]["python"]), "the executor 'spare' is not used"),
    "requires of a job elsewhere": (invocation("approve", requires=["check"]), "requires 'check', which is not a job"),
    "requires in a circle": (in_a_circle, "require each other in a circle"),
    "requires of a serial job": (after_a_serial_job, "of a serial group, whose failure would not stop it"),
    "requires by halves": (
        invocation("approve", requires=[{"train-abalone": ["canceled"]}]), "train-abalone ends as canceled; the player knows"),
    "undeclared pipeline parameter": (without("parameters", "action"), "pipeline.parameters.action is not declared"),
    "unused pipeline parameter": (
        parameter("spare", type="boolean", default=False), "the parameter 'spare' is not used"),
    "unmapped pipeline parameter": (
        parameter("spare", type="boolean", default=False), "no line of the mapping sets the parameter 'spare'"),
    "pipeline parameter without default": (parameter("abalone", type="boolean"), "has no default of its type"),
    "parameter that a trigger gives to the setup only": (
        without("parameters", "to-version"), "'to-version' is not declared as in .circleci/config.yml"),
    "other choices than in the setup": (
        parameter("action", type="enum", enum=["none"], default="none"), "'action' is not declared as in"),
    "undeclared job parameter": (
        steps("check", {"run": "echo << parameters.x >>"}), "<< parameters.x >> names no declared parameter"),
    "unused job parameter": (
        lambda d: d["jobs"]["check"].update(parameters={"x": {"type": "string", "default": ""}}),
        "the parameter 'x' is not used"),
    "missing argument": (drop_argument, "the job 'train' lacks the argument 'model'"),
    "unknown argument": (invocation("train", colour="red"), "the job 'train' has no parameter 'colour'"),
    "argument of the wrong type": (invocation("train", model=3), "the argument model=3 of the job 'train' is not of"),
    "unknown argument of a command": (
        steps("check", {"set-up": {"x": 1}}), "the command 'set-up' has no parameter 'x'"),
    "unknown context": (invocation("train", context="prod"), "the context 'prod' is not one of"),
    "malformed condition": (invocation("train", filters="branch = main"), "cannot be read"),
    "condition on no pipeline value": (invocation("train", filters='branch == "x"'), "'branch', which is no pipeline"),
    "branch name in a command": (
        steps("check", {"run": "echo << pipeline.git.branch >>"}), "puts a pipeline value into its shell command"),
    "branch name as an argument of a command": (
        steps("check", {"assume-role": {"model": "<< pipeline.git.branch >>"}}), "puts a pipeline value into its shell command"),
    "branch name as a folder to work in": (
        steps("check", {"run": {"command": "ls", "working_directory": "<< pipeline.git.branch >>"}}),
        "puts a pipeline value into its shell command"),
    "branch name as an argument": (
        invocation("train", model="<< pipeline.git.branch >>"), "hands a stranger's text on to shell commands"),
    "free text as an argument": (strangers_text, "hands a stranger's text on to shell commands"),
    "model without its deploy": (drop("deploy"), "has the job 'deploy' for it"),
    "workflow of the wrong model": (invocation("deploy", model="churn"), "its workflow runs 'deploy-abalone-to-production' for"),
    "retraining without its deploy": (
        lambda d: d["workflows"]["retrain-abalone"]["jobs"].pop(), "has 0 deploys to production on main where staging is true"),
    "production before staging": (
        past_staging, "does not require the deploy of its model to staging where staging is true"),
    "two ways to production": (past_staging, "has 2 deploys to production on main where staging is false"),
    "retraining past staging": (retrained_past_staging, "does not require the deploy of its model to staging"),
    "production after another model's staging": (
        invocation("deploy-to-staging", model="churn"), "does not require the deploy of its model to staging"),
    "model without its deploy to staging": (drop("deploy-to-staging"), "has the job 'deploy-to-staging' for it"),
    "reason of a model that is not there": (
        parameter("retrain-trout", type="string", default=""), "'retrain-trout' stands for a model that is not there"),
    "reason in a shell command": (
        steps("retrain", {"run": "echo << parameters.because >>"}), "hands a stranger's text on to shell commands"),
    "continuation of a continuation": (
        steps("check", {"continuation/continue": {"configuration_path": "x", "parameters": "{}"}}), "in setup state"),
    "workflow that shared code does not start": (
        lambda d: d["workflows"]["abalone"].update(when="pipeline.parameters.abalone"),
        "when fleet-code or tabular-code changed"),
    "unknown key": (lambda d: d.update(anchors={}), "'anchors' is not known"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), BROKEN_DYNAMIC.values(), ids=BROKEN_DYNAMIC)
def test_broken_continuation_is_found(repo: PipelineRepo, change: Change, said: str) -> None:
    repo.edit(CONTINUATION, change)
    found = [str(problem) for problem in check(repo.path)]
    assert any(said in problem for problem in found), found


def mapping(change: Callable[[str], str]) -> Change:
    def edit(document: Any) -> None:
        job = document["workflows"]["setup"]["jobs"][0]["path-filtering/filter"]
        job["mapping"] = change(job["mapping"])

    return edit


BROKEN_SETUP: dict[str, tuple[Change, str]] = {
    "folder not mapped": (
        mapping(lambda text: text.replace("abalone_model/.* abalone true", "")), "abalone_model is not in the mapping"),
    "parameter that is not declared": (
        mapping(lambda text: f"{text}\nx/.* trout true"), "does not declare the parameter"),
    "value of the wrong type": (mapping(lambda text: f"{text}\nx/.* abalone 1"), "is not of the parameter's type"),
    "alternatives without parentheses": (mapping(lambda text: f"{text}\na/.*|b/.* abalone true"), "leak"),
    "more than the orb's regular expressions": (mapping(lambda text: f"{text}\n\\w+/x abalone true"), "more than a"),
    "malformed line": (mapping(lambda text: f"{text}\nx/.* abalone"), "has 2 columns instead of three"),
    "parameter passed on that goes on by itself": (
        mapping(lambda text: f"{text}\n.* to-version << pipeline.parameters.to-version >>"), "mapping of to-version: goes on"),
    "staging that a trigger could leave out": (
        lambda d: d["parameters"].update(staging={"type": "boolean", "default": False}), "a trigger could go past staging"),
    "model that cannot be chosen": (
        lambda d: d["parameters"]["model"].update(enum=["none"]), "have to be none and the models: abalone, churn"),
    "other jobs in the setup": (lambda d: d["workflows"]["setup"]["jobs"].append("x"), "one workflow with one job runs"),
    "no job in the setup for an action": (
        lambda d: d["workflows"].pop("retrain"), "pipeline.parameters.action is retrain"),
    "two jobs in the setup for an action": (
        lambda d: d["workflows"]["retrain"].update(
            when='pipeline.parameters.action == "retrain" or pipeline.parameters.action == "rollback"'),
        "pipeline.parameters.action is rollback"),
    "setup job that does not continue": (
        lambda d: d["jobs"]["due"]["steps"].pop(3), "job due: does not continue the pipeline once"),
    "setup job that continues with what is not declared": (
        lambda d: d["jobs"]["due"]["steps"][3]["continuation/continue"].update(parameters='{"nights": 1}'),
        "Unexpected argument(s)"),
    "setup job that continues with another file": (
        lambda d: d["jobs"]["due"]["steps"][3]["continuation/continue"].update(configuration_path="x.yml"),
        "continues with x.yml"),
    "command that is another one in the continuation": (
        lambda d: d["commands"]["set-up"]["steps"].pop(), "'set-up' of commands is not what it is in"),
    "undefined job of the setup": (lambda d: d["jobs"].pop("due"), "the job 'due' is not defined"),
    "no setup configuration": (lambda d: d.pop("setup"), "is not a setup configuration"),
    "argument of the orb that is not known": (
        lambda d: d["workflows"]["setup"]["jobs"][0]["path-filtering/filter"].update({"tag": "3.9"}), "takes"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), BROKEN_SETUP.values(), ids=BROKEN_SETUP)
def test_broken_setup_is_found(repo: PipelineRepo, change: Change, said: str) -> None:
    repo.edit(SETUP, change)
    found = [str(problem) for problem in check(repo.path)]
    assert any(said in problem for problem in found), found


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("trout_model/train_register.py", "model trout: is not declared as a boolean parameter"),
        ("newcomers/x.py", "newcomers/x.py: matches neither the mapping"),
        ("common/features/x.py", "common/features/x.py: matches neither the mapping"),
        ("abalone_model/a file.py", "does not see a file with such a name"),
        ("abalone_model/ü.py", "does not see a file with such a name"),
        ("abalone_model/\udcff.py", "does not see a file with such a name"),  # a byte that is no UTF-8
    ],
)
def test_file_that_the_mapping_cannot_place_is_found(repo: PipelineRepo, file: str, said: str) -> None:
    repo.commit(file)
    found = [str(problem) for problem in check(repo.path)]
    assert any(said in problem for problem in found), found


def test_schedule_with_a_parameter_that_is_not_declared_is_found(repo: PipelineRepo) -> None:
    repo.write(**{SCHEDULES_FILE: '[{"name": "weekly", "parameters": {"branch": "main", "action": "weekly"}}]'})
    assert any("weekly: the argument action='weekly'" in str(problem) for problem in check(repo.path))
    repo.write(**{SCHEDULES_FILE: '{"name": "weekly"}'})
    assert any("is no list of schedules" in str(problem) for problem in check(repo.path))


@pytest.mark.parametrize("model", all_models(), ids=lambda model: model.name)
def test_what_a_model_declares_to_be_scored_and_monitored_is_what_the_schedules_run(model: Model) -> None:
    jobs = {job.name for flow in load((ROOT / CONTINUATION).read_text(), "f").workflows.values() for job in flow.jobs}
    for declared, job in (("BATCH", "batch"), ("MONITOR", "monitor"), ("MONITOR", "retrain")):
        assert hasattr(importlib.import_module(f"{model.folder}.deploy"), declared) == (f"{job}-{model.name}" in jobs)


def test_parameter_of_a_removed_model_is_found(repo: PipelineRepo) -> None:
    repo.git("rm", "-r", "--quiet", "abalone_model")
    assert any("there is no folder abalone_model" in str(problem) for problem in check(repo.path))
