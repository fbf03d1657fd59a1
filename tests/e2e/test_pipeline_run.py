"""The player runs the real CircleCI files over a small repository whose programs are shell scripts."""

import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from common.local.pipeline.errors import PipelineError
from common.local.pipeline.process import PlannedJob
from common.local.pipeline.run import Settings, play
from common.scaffold.wiring import CONTINUATION, SETUP
from tests.e2e.pipeline_repo import CONTEXTS, PipelineRepo, one_job, statuses

FILES_AT_TOP = "Makefile README.md abalone_model churn_model common docs models python.sh requirements.txt tests"


def clicking(asked: list[str]) -> Callable[[PlannedJob], bool]:
    """Approve everything, and note what was asked."""

    def approve(job: PlannedJob) -> bool:
        asked.append(job.id)
        return True

    return approve


# ---- the three gestures


def test_push_and_click_train_and_approve(repo: PipelineRepo, settings: Settings) -> None:
    asked: list[str] = []
    result = play(repo.path, settings, approve=clicking(asked))
    assert statuses(result) == {
        "train-abalone": "success",
        "request-deployment": "success",
        "approve-abalone": "success",
        "check": "success",
        "audit": "success",
    }
    assert asked == ["abalone/request-deployment"]
    assert result.ok
    train = result.job("train-abalone")
    assert train.log.index("-m abalone_model.gather_data") < train.log.index("-m abalone_model.train_register")
    assert (train.artifacts / "abalone/report.html").read_text() == "<h1>report</h1>\n"
    assert train.tests is not None
    assert (train.tests.total, train.tests.failed, train.tests.skipped) == (2, 0, 1)
    assert "models approve abalone as arn:aws:iam::1:role/approve" in result.job("approve-abalone").log


def test_without_a_click_nothing_is_approved_and_the_pipeline_is_no_failure(
    repo: PipelineRepo, settings: Settings
) -> None:
    result = play(repo.path, settings)
    assert statuses(result)["request-deployment"] == "on_hold"
    assert statuses(result)["approve-abalone"] == "blocked"
    assert result.ok


def test_merge_deploys_and_looks_whether_all_is_in_step(repo: PipelineRepo, settings: Settings) -> None:
    repo.checkout("main")
    repo.git("merge", "--quiet", "--no-ff", "--no-edit", "feature")
    result = play(repo.path, settings)
    assert statuses(result) == {
        "deploy-abalone": "success",
        "check": "success",
        "audit": "success",
        "in-step": "success",
    }
    assert "python -m abalone_model.deploy" in result.job("deploy-abalone").log
    assert "models status --check" in result.job("in-step").log


# ---- schedules


def test_what_is_due_is_trained_with_its_reason_then_asked_for_and_deployed(
    repo: PipelineRepo, settings: Settings
) -> None:
    asked: list[str] = []
    repo.checkout("main")
    repo.write(due='{"retrain-churn": "drift in \\"day minutes\\"; exit 3"}\n')
    repo.commit()
    result = play(repo.path, settings, branch="main", parameters={"action": "retrain"}, approve=clicking(asked))
    assert statuses(result) == {
        "due": "success",
        "retrain-churn": "success",
        "request-deployment": "success",
        "approve-churn": "success",
        "deploy-churn": "success",
        "check": "success",
        "audit": "success",
        "dashboard": "success",
    }
    assert asked == ["retrain-churn/request-deployment"]
    assert '-m churn_model.train_register --because drift in "day minutes"; exit 3' in result.job("retrain-churn").log


@pytest.mark.parametrize(
    ("due", "said"),
    [
        ("three models\n", "PARAMETERS aren't valid json: 'three models"),
        ('{"retrain-churn": null}', "PARAMETERS aren't valid json"),
        ('{"action": "none"}', "Conflicting pipeline parameters: action"),
        ('{"retrain-trout": "drift"}', "Unexpected argument(s) for .circleci/dynamic_config.yml: retrain-trout"),
    ],
)
def test_setup_job_that_passes_what_cannot_be_passed_fails_and_nothing_else_runs(
    repo: PipelineRepo, settings: Settings, due: str, said: str
) -> None:
    repo.write(due=due)
    repo.commit()
    result = play(repo.path, settings, parameters={"action": "retrain"})
    assert statuses(result) == {"due": "failed"}
    assert said in result.job("due").log


def test_failed_setup_job_ends_the_pipeline(repo: PipelineRepo, settings: Settings) -> None:
    result = play(repo.path, settings, parameters={"action": "retrain"})  # the commit has no file `due`
    assert (statuses(result), result.ok) == ({"due": "failed"}, False)


def test_pipeline_is_continued_once(repo: PipelineRepo, settings: Settings) -> None:
    def twice(document: Any) -> None:
        steps = document["jobs"]["due"]["steps"]
        steps.append(steps[3])

    repo.edit(SETUP, twice)
    repo.write(due="{}")
    repo.commit()
    result = play(repo.path, settings, parameters={"action": "retrain"})
    assert statuses(result) == {"due": "failed", "check": "success", "audit": "success"}
    assert "Pipeline is not in setup state." in result.job("due").log


def test_one_model_of_which_it_cannot_be_told_whether_it_is_due_keeps_no_other_from_it(
    repo: PipelineRepo, settings: Settings
) -> None:
    repo.checkout("main")
    repo.write(models='#!/bin/bash\nif [ "$1" = due ]; then cat due; exit 1; fi\n', due='{"retrain-churn": "drift"}')
    repo.commit()
    result = play(repo.path, settings, branch="main", parameters={"action": "retrain"}, skip={"check", "dashboard"})
    assert result.job("retrain-churn").status == "success"
    assert result.job("due").reason == "Could it be told of every model?: failed"


@pytest.mark.parametrize("failing", ["batch", "monitor"])
def test_a_batch_that_fails_keeps_nobody_from_looking_at_the_calls(
    repo: PipelineRepo, settings: Settings, failing: str
) -> None:
    repo.checkout("main")
    repo.write(models=f'#!/bin/bash\necho "$*"; test "$*" != "{failing} churn"\n')
    repo.commit()
    result = play(repo.path, settings, branch="main", parameters={"action": "nightly"}, skip={"check"})
    expected = {f"{job}-{model}": "success" for model in ("abalone", "churn") for job in ("batch", "monitor")}
    assert statuses(result) == expected | {f"{failing}-churn": "failed", "check": "skipped", "audit": "success"}


# ---- failures


def test_failed_training_asks_for_no_click_but_keeps_report_and_tests(repo: PipelineRepo, settings: Settings) -> None:
    repo.write(behaviour="echo the gate says no; exit 3\n")
    repo.commit()
    asked: list[str] = []
    result = play(repo.path, settings, approve=clicking(asked))
    train = result.job("train-abalone")
    assert statuses(result) == {
        "train-abalone": "failed",
        "request-deployment": "blocked",
        "approve-abalone": "blocked",
        "check": "success",
        "audit": "success",
    }
    assert not asked
    assert not result.ok
    assert train.reason == "Train, evaluate and register: failed"
    assert "the gate says no\nExited with code 3" in train.log
    assert (train.artifacts / "abalone/report.html").exists()
    assert train.tests is not None


def test_tag_runs_nothing(repo: PipelineRepo, settings: Settings) -> None:
    repo.git("tag", "v1")
    result = play(repo.path, settings, tag="v1")
    assert result.jobs == ()
    assert result.ok


def test_skipped_job_counts_as_passed(repo: PipelineRepo, settings: Settings) -> None:
    result = play(repo.path, settings, skip={"train-abalone", "check"}, approve=lambda _: True)
    assert statuses(result)["train-abalone"] == "skipped"
    assert statuses(result)["approve-abalone"] == "success"


def test_job_to_skip_has_to_exist(repo: PipelineRepo, settings: Settings) -> None:
    with pytest.raises(PipelineError, match="no job chekc"):
        play(repo.path, settings, skip={"chekc"})


def test_job_without_access_to_its_context_does_not_run(repo: PipelineRepo, settings: Settings) -> None:
    only_train = replace(settings, contexts={"train": CONTEXTS["train"]})
    result = play(repo.path, only_train, approve=lambda _: True)
    assert statuses(result)["approve-abalone"] == "unauthorized"
    assert result.job("approve-abalone").log == ""
    assert not result.ok


def test_job_whose_context_names_no_role_says_so(repo: PipelineRepo, settings: Settings) -> None:
    result = play(repo.path, replace(settings, contexts={"train": {}}), skip={"check"})
    assert result.job("train-abalone").reason == "Take on the AWS role of the context: failed"
    assert "AWS_ROLE_ARN: is missing: the context of this job has to set it" in result.job("train-abalone").log


# ---- the environment of a job


def test_job_whose_local_aws_issues_no_identity_fails_and_says_so(repo: PipelineRepo, settings: Settings) -> None:
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    result = play(repo.path, replace(settings, project=nowhere), skip={"check", "audit"})
    assert result.job("train-abalone").status == "failed"
    assert "the local AWS at http://127.0.0.1:1 issues no web identity" in result.job("train-abalone").reason


def test_each_models_jobs_take_on_the_role_of_that_model(repo: PipelineRepo, settings: Settings) -> None:
    train = {"AWS_ROLE_ARN": "arn:aws:iam::1:role/a path/models-train-{model}"}
    result = play(repo.path, replace(settings, contexts=CONTEXTS | {"train": train}), skip={"check"})
    assert "gather_data as arn:aws:iam::1:role/a path/models-train-abalone\n" in result.job("train-abalone").log


def test_job_of_no_model_refuses_a_role_for_each_model(repo: PipelineRepo, settings: Settings) -> None:
    operate = {"AWS_ROLE_ARN": "arn:aws:iam::1:role/models-operate-{model}"}
    repo.checkout("main")
    result = play(repo.path, replace(settings, contexts=CONTEXTS | {"operate": operate}), skip={"check"})
    assert result.job("in-step").reason == "Take on the AWS role of the context: failed"
    assert "this job is for no model, so its context needs an AWS_ROLE_ARN without {model}" in result.job("in-step").log
    assert "models status" not in result.job("in-step").log


def test_role_is_taken_on_with_a_token_outside_the_checkout_that_only_the_job_can_read(
    repo: PipelineRepo, settings: Settings
) -> None:
    look = "stat -c '%a %n' $AWS_WEB_IDENTITY_TOKEN_FILE; cut -d. -f2 $AWS_WEB_IDENTITY_TOKEN_FILE | base64 -d || true"

    def change(document: Any) -> None:
        document["jobs"]["train"]["steps"].append({"run": look})

    repo.edit(CONTINUATION, change)
    repo.commit()
    train = play(repo.path, settings, skip={"check"}).job("train-abalone")
    assert f"600 {train.folder}/home/.aws-web-identity-token" in train.log
    assert "vcs-ref/refs/heads/feature" in train.log
    assert not (train.folder / "home").exists(), "the token outlives its job"


def test_log_that_is_kept_shows_no_secret_that_a_job_printed(repo: PipelineRepo, settings: Settings) -> None:
    def change(document: Any) -> None:
        document["jobs"]["train"]["steps"].append({"run": "env"})

    repo.edit(CONTINUATION, change)
    repo.commit()
    held = {"WAREHOUSE_PASSWORD": "hunter2-of-the-warehouse", "NAME_OF_IT": "no secret at all"}
    train = play(repo.path, replace(settings, project={**settings.project, **held}), skip={"check"}).job(
        "train-abalone"
    )
    assert "WAREHOUSE_PASSWORD=****\n" in train.log
    assert "CIRCLE_OIDC_TOKEN_V2=****\n" in train.log
    assert "NAME_OF_IT=no secret at all\n" in train.log
    assert "hunter2" not in train.log


def test_job_sees_what_circleci_sets_and_nothing_of_the_callers(
    repo: PipelineRepo, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the caller's")
    steps = [
        {"run": {"command": 'echo "export FROM_STEP=1" >> "$BASH_ENV"'}},
        {"run": {"command": "env", "environment": {"DEEPEST": "step"}}},
    ]
    variables = {"DEEPEST": "job", "DEEP": "job"}
    project = {"DEEPEST": "project", "DEEP": "project", "SHALLOW": "project"}
    one_job(repo, *steps, environment=variables)
    log = play(repo.path, replace(settings, project=project)).job("job").log
    commit = repo.git("rev-parse", "HEAD")
    lines = log.splitlines()
    for line in (
        "CI=true",
        "CIRCLECI=true",
        "CIRCLE_BRANCH=feature",
        f"CIRCLE_SHA1={commit}",
        "CIRCLE_JOB=job",
        "CIRCLE_BUILD_NUM=1",
        "FROM_STEP=1",
        "DEEPEST=step",
        "DEEP=job",
        "SHALLOW=project",
    ):
        assert line in lines
    assert not any(line.startswith(("CIRCLE_TAG=", "AWS_", "PYTEST_", "VIRTUAL_ENV=")) for line in lines)


def test_job_works_in_a_clean_clone_with_the_whole_history(repo: PipelineRepo, settings: Settings) -> None:
    one_job(
        repo, {"run": "git status --porcelain --branch; echo *; git rev-list --count HEAD; git rev-parse origin/main"}
    )
    (repo.path / "untracked").write_text("x")
    (repo.path / "README.md").write_text("not committed")
    log = play(repo.path, settings).job("job").log
    main = repo.git("rev-parse", "main")
    assert f"\n## feature...origin/feature\n{FILES_AT_TOP}\n3\n{main}\n" in log


def test_the_checkout_is_left_alone_when_git_calls_the_player(
    repo: PipelineRepo, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a pre-push hook, for which git points these variables at the pusher's repository."""
    one_job(repo, {"run": "git rev-parse --show-toplevel; ls Makefile"})
    monkeypatch.setenv("GIT_DIR", str(repo.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repo.path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(repo.path / ".git/index"))
    job = play(repo.path, settings).job("job")
    assert job.status == "success", job.log
    assert str(job.folder) in job.log


# What git takes for the name of a branch, and more for a file's: metacharacters of the shell, CircleCI's templates, what looks
# like a space, turns the reading direction, or is as long as a name may be.
HOSTILE_BRANCHES = {
    "shell": """x;touch${IFS}pwned;$(touch${IFS}pwned)`touch${IFS}pwned`'"&&touch${IFS}pwned|ü""",
    "templates": "<<pipeline.git.branch>>/<<parameters.model>>\u00a0\u2028\u202e${AWS_ROLE_ARN}{{checksum}}",
    "long": "x" * 240,
}
HOSTILE_FILES = ("$(touch pwned).py", "`touch pwned`", "a;touch pwned;.csv", "'\"&&touch pwned|", "--help", "-c", "a\nb",
                 "<< pipeline.git.branch >>", "\u202ecod.exe", "*", "x" * 250)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_BRANCHES.values(), ids=HOSTILE_BRANCHES)
def test_names_of_branches_and_files_are_never_part_of_a_command(
    repo: PipelineRepo, settings: Settings, name: str
) -> None:
    repo.branch(name)
    repo.write_all({f"abalone_model/{file}": "x\n" for file in HOSTILE_FILES})
    repo.commit()
    result = play(repo.path, settings, branch=name, approve=lambda _: True)
    assert set(statuses(result)) == {"train-abalone", "request-deployment", "approve-abalone", "check", "audit"}
    assert set(statuses(result).values()) == {"success"}
    assert not list(settings.folder.rglob("pwned"))
    assert not list(repo.path.rglob("pwned"))


def test_names_of_files_are_no_part_of_what_main_and_its_schedules_run(repo: PipelineRepo, settings: Settings) -> None:
    repo.checkout("main")
    repo.switch_on("staging")
    repo.write_all({f"abalone_model/{file}": "x\n" for file in HOSTILE_FILES})
    repo.write(due=json.dumps({"retrain-abalone": "$(touch pwned)`touch pwned`';touch pwned;\"<< parameters.model >>"}))
    repo.commit()
    for parameters in ({}, {"action": "nightly"}, {"action": "retrain"}):
        result = play(repo.path, settings, branch="main", parameters=parameters, approve=lambda _: True)
        assert set(statuses(result).values()) == {"success"}
    assert not list(settings.folder.rglob("pwned"))
    log = result.job("retrain-abalone").log
    assert "--because $(touch pwned)`touch pwned`';touch pwned;\"<< parameters.model >> as " in log


# ---- staging


def test_production_follows_staging_and_the_click_in_between(repo: PipelineRepo, settings: Settings) -> None:
    asked: list[str] = []
    repo.checkout("main")
    repo.switch_on("staging", "ask-before-production")
    repo.commit("abalone_model/deploy.py")
    assert statuses(play(repo.path, settings)) == {
        "deploy-abalone-to-staging": "success",
        "request-production": "on_hold",
        "deploy-abalone-to-production": "blocked",
        "check": "success",
        "audit": "success",
        "in-step": "success",
    }
    result = play(repo.path, settings, approve=clicking(asked))
    assert asked == ["abalone/request-production"]
    for place, role in (("staging", "deploy-staging"), ("production", "deploy")):
        assert f"abalone_model.deploy as arn:aws:iam::1:role/{role}\n" in result.job(f"deploy-abalone-to-{place}").log
    assert "models smoke abalone as arn:aws:iam::1:role/deploy-staging" in result.job("deploy-abalone-to-staging").log


def test_what_does_not_pass_in_staging_is_not_deployed_to_production(repo: PipelineRepo, settings: Settings) -> None:
    repo.checkout("main")
    repo.switch_on("staging")
    repo.write(models='#!/bin/bash\ntest "$1" != smoke\n')
    repo.commit("abalone_model/deploy.py")
    result = play(repo.path, settings)
    assert result.job("deploy-abalone-to-staging").reason == "Ask what serves there now: failed"
    assert statuses(result)["deploy-abalone-to-production"] == "blocked"


# ---- what people see


def test_lines_tell_the_story_outside_a_terminal(repo: PipelineRepo, settings: Settings) -> None:
    repo.write(behaviour="echo the gate says no; exit 3\n")
    repo.commit()
    out = StringIO()
    play(repo.path, settings, skip={"check"}, console=Console(file=out, width=200))
    text = out.getvalue()
    assert text.startswith("pipeline 1 · feature · ")
    assert "abalone/train-abalone  running" in text
    assert "Train, evaluate and register: failed" in text
    assert "    the gate says no\n" in text
    assert "gather_data" not in text, "only the output of the step that failed is shown"
    assert "checks/check  skipped" in text


def test_terminal_shows_a_tree_and_survives_the_question(repo: PipelineRepo, settings: Settings) -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)

    def approve(_: object) -> bool:
        out.write("<<question>>")
        return True

    play(repo.path, settings, skip={"check"}, approve=approve, console=console)
    before, after = out.getvalue().split("<<question>>")
    assert "├── abalone" in before
    assert "request-deployment  queued" in before
    assert "approve-abalone  success" in after
