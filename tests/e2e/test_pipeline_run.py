"""The player runs the real CircleCI files over a small repository whose programs are shell scripts."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pipeline_repo import PipelineRepo, make_template
from rich.console import Console

from common.local.pipeline.errors import PipelineError
from common.local.pipeline.process import PlannedJob
from common.local.pipeline.run import PipelineResult, Settings, play
from common.local.pipeline.serial import SerialGroup

CONTEXTS = {name: {"AWS_ROLE_ARN": f"arn:aws:iam::1:role/{name}"} for name in ("train", "approve", "deploy")}
DYNAMIC = ".circleci/dynamic_config.yml"
FILES_AT_TOP = "Makefile README.md abalone_model common docs models python.sh requirements.txt tests"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("run") / "template")


@pytest.fixture
def repo(template: Path, tmp_path: Path) -> PipelineRepo:
    """On a feature branch that changes abalone."""
    repo = PipelineRepo.create(tmp_path / "repo", template)
    repo.branch("feature")
    repo.commit("abalone_model/train_register.py")
    return repo


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(folder=tmp_path / "ci", contexts=CONTEXTS, project={})


def statuses(result: PipelineResult) -> dict[str, str]:
    return {job.name: job.status for job in result.jobs}


def clicking(asked: list[str]) -> Callable[[PlannedJob], bool]:
    """Approve everything, and note what was asked."""

    def approve(job: PlannedJob) -> bool:
        asked.append(job.id)
        return True

    return approve


def one_job(repo: PipelineRepo, *steps: Any, **job: Any) -> None:
    """Replace the continuation's workflows by one with one job of these steps, and commit."""

    def change(document: Any) -> None:
        document["jobs"] = {"job": {"executor": "python", **job, "steps": ["checkout", *steps]}}
        document["workflows"] = {"only": {"jobs": ["job"]}}

    repo.edit(DYNAMIC, change)
    repo.commit()


def play_one(repo: PipelineRepo, settings: Settings, *steps: Any, **job: Any) -> PipelineResult:
    one_job(repo, *steps, **job)
    return play(repo.path, settings)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.01)


# ---- the three gestures


def test_push_and_click_train_and_approve(repo: PipelineRepo, settings: Settings) -> None:
    asked: list[str] = []
    result = play(repo.path, settings, approve=clicking(asked))
    assert statuses(result) == {
        "train-abalone": "success",
        "request-deployment": "success",
        "approve-abalone": "success",
        "check": "success",
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
    assert statuses(result) == {"deploy-abalone": "success", "check": "success", "in-step": "success"}
    assert "python -m abalone_model.deploy" in result.job("deploy-abalone").log
    assert "models status --check" in result.job("in-step").log


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


def test_role_is_taken_on_with_a_token_outside_the_checkout_that_only_the_job_can_read(
    repo: PipelineRepo, settings: Settings
) -> None:
    look = "stat -c '%a %n' $AWS_WEB_IDENTITY_TOKEN_FILE; cut -d. -f2 $AWS_WEB_IDENTITY_TOKEN_FILE | base64 -d || true"

    def change(document: Any) -> None:
        document["jobs"]["train"]["steps"].append({"run": look})

    repo.edit(DYNAMIC, change)
    repo.commit()
    train = play(repo.path, settings, skip={"check"}).job("train-abalone")
    assert f"600 {train.folder}/home/.aws-web-identity-token" in train.log
    assert "vcs-ref/refs/heads/feature" in train.log
    assert not (train.folder / "home").exists(), "the token outlives its job"


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
    log = play_one(repo, replace(settings, project=project), *steps, environment=variables).job("job").log
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


def test_branch_name_is_never_part_of_a_command(repo: PipelineRepo, settings: Settings) -> None:
    name = """x;touch${IFS}pwned;$(touch${IFS}pwned)`touch${IFS}pwned`'"&&touch${IFS}pwned|ü"""
    repo.branch(name)
    result = play(repo.path, settings, branch=name, approve=lambda _: True)
    assert set(statuses(result).values()) == {"success"}
    assert not list(settings.folder.rglob("pwned"))
    assert not list(repo.path.rglob("pwned"))


# ---- steps


def test_steps_after_a_failure_run_only_where_they_say_so(repo: PipelineRepo, settings: Settings) -> None:
    steps = [
        {"run": {"command": "echo ran on_fail too early", "when": "on_fail"}},
        {"run": "mkdir kept; echo x > kept/file; exit 1"},
        {"run": "echo ran after the failure"},
        {"run": {"command": "echo cleaning up", "when": "always"}},
        {"run": {"command": "echo explaining", "when": "on_fail"}},
        {"store_artifacts": {"path": "kept", "destination": "d"}},
    ]
    job = play_one(repo, settings, *steps).job("job")
    assert job.status == "failed"
    assert [line for line in job.log.splitlines() if line in ("cleaning up", "explaining")] == [
        "cleaning up",
        "explaining",
    ]
    assert "\nran after the failure" not in job.log
    assert "\nran on_fail too early" not in job.log
    assert (job.artifacts / "d/file").read_text() == "x\n"


@pytest.mark.parametrize("command", ["false; true", "false | true", "exit 7"])
def test_shell_stops_at_the_first_failure(repo: PipelineRepo, settings: Settings, command: str) -> None:
    assert play_one(repo, settings, {"run": command}).job("job").status == "failed"


def test_silent_step_is_stopped_with_all_its_processes(repo: PipelineRepo, settings: Settings) -> None:
    step = {"run": {"name": "hang", "command": "sleep 300 & echo $! > $HOME/../pid; wait", "no_output_timeout": "0.3s"}}
    job = play_one(repo, settings, step).job("job")
    assert job.steps[-1].status == "timed_out"
    assert "Too long with no output (exceeded 0.3s)" in job.log
    assert not alive(int((job.folder / "pid").read_text()))


def test_step_that_keeps_talking_is_not_stopped(repo: PipelineRepo, settings: Settings) -> None:
    talk = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.1; done"
    step = {"run": {"name": "talk", "command": talk, "no_output_timeout": "0.5s"}}
    assert play_one(repo, settings, step).ok


def test_flaky_step_is_rerun_as_often_as_it_says(repo: PipelineRepo, settings: Settings) -> None:
    third_time = {"name": "n", "command": "echo try >> tries; test $(wc -l < tries) = 3", "auto_rerun_delay": "10ms"}
    assert play_one(repo, settings, {"run": third_time | {"max_auto_reruns": 2}}).job("job").log.count("--- rerun") == 2
    assert play_one(repo, settings, {"run": third_time | {"max_auto_reruns": 1}}).job("job").status == "failed"


def test_background_process_ends_with_its_step(repo: PipelineRepo, settings: Settings) -> None:
    job = play_one(repo, settings, {"run": "sleep 300 & echo $! > $HOME/../pid"}).job("job")
    assert job.status == "success"
    assert not alive(int((job.folder / "pid").read_text()))


def test_failing_tests_are_counted(repo: PipelineRepo, settings: Settings) -> None:
    suite = "<testsuites><testsuite><testcase><failure/></testcase><testcase/></testsuite></testsuites>"
    steps = [{"run": f"mkdir r; echo '{suite}' > r/a.xml; exit 1"}, {"store_test_results": {"path": "r"}}]
    tests = play_one(repo, settings, *steps).job("job").tests
    assert tests is not None
    assert (tests.total, tests.failed) == (2, 1)


# ---- caches


CACHED = [
    {"restore_cache": {"keys": ['v-{{ arch }}-{{ checksum "requirements.txt" }}']}},
    {"run": "test -e .venv/made && echo found the cache || (mkdir .venv && touch .venv/made && echo made anew)"},
    {"run": "git status --porcelain"},
    {"save_cache": {"key": 'v-{{ arch }}-{{ checksum "requirements.txt" }}', "paths": [".venv"]}},
]


def test_cache_is_found_until_its_checksum_changes(repo: PipelineRepo, settings: Settings) -> None:
    assert "\nmade anew" in play_one(repo, settings, *CACHED).job("job").log
    assert "\nfound the cache" in play(repo.path, settings).job("job").log
    repo.commit("requirements.txt")
    assert "\nmade anew" in play(repo.path, settings).job("job").log


def test_registered_environment_is_used_in_place_and_survives_a_job_that_clears_it(
    repo: PipelineRepo, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/made").touch()
    (tmp_path / "venv/bin/python").touch()
    one_job(repo, *CACHED, {"run": "readlink .venv/bin; find .venv -delete"})
    log = play(repo.path, replace(settings, venv=tmp_path / "venv")).job("job").log
    assert "\nfound the cache" in log
    assert f"\n{tmp_path}/venv/bin\n" in log
    assert "?? .venv" not in log
    assert (tmp_path / "venv/made").exists()
    assert (tmp_path / "venv/bin/python").exists()


def test_registered_environment_is_not_used_for_other_requirements(
    repo: PipelineRepo, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "venv").mkdir()
    one_job(repo, *CACHED)
    repo.commit("requirements.txt")
    repo.checkout("main")  # the working tree, from which the environment was made, has the old ones
    log = play(repo.path, replace(settings, venv=tmp_path / "venv"), branch="feature").job("job").log
    assert "\nmade anew" in log


# ---- several at once


def test_jobs_that_do_not_require_each_other_run_at_once(repo: PipelineRepo, settings: Settings) -> None:
    meet = "touch $HOME/../../{0}; until test -e $HOME/../../{1}; do sleep 0.02; done"

    def change(document: Any) -> None:
        document["jobs"] = {
            name: {"executor": "python", "steps": [{"run": {"command": command, "no_output_timeout": "10s"}}]}
            for name, command in (("a", meet.format("a-here", "b-here")), ("b", meet.format("b-here", "a-here")))
        }
        document["workflows"] = {"only": {"jobs": ["a", "b"]}}

    repo.edit(DYNAMIC, change)
    repo.commit()
    assert statuses(play(repo.path, settings)) == {"a": "success", "b": "success"}


def test_older_pipeline_is_skipped_when_a_newer_one_has_its_serial_group(
    repo: PipelineRepo, settings: Settings
) -> None:
    newer = SerialGroup(settings.folder / "serial", "local/repo/deploy-abalone", number=99)
    repo.checkout("main")
    repo.git("merge", "--quiet", "--ff-only", "feature")
    with newer.member():
        result = play(repo.path, settings, skip={"check", "in-step"})
    assert statuses(result)["deploy-abalone"] == "not_run"
    assert result.ok


def test_newer_pipeline_waits_for_the_older_one_of_its_serial_group(repo: PipelineRepo, settings: Settings) -> None:
    older = SerialGroup(settings.folder / "serial", "local/repo/deploy-abalone", number=0)
    repo.checkout("main")
    repo.git("merge", "--quiet", "--ff-only", "feature")
    results: list[PipelineResult] = []
    thread = threading.Thread(target=lambda: results.append(play(repo.path, settings, skip={"check", "in-step"})))
    with older.member():
        thread.start()
        folder = settings.folder / "serial"
        wait_for(lambda: len(list(folder.glob("*/*"))) == 2)
        assert not results
    thread.join(15)
    assert statuses(results[0])["deploy-abalone"] == "success"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_pipeline_leaves_no_process(repo: PipelineRepo, settings: Settings, number: signal.Signals) -> None:
    one_job(repo, {"run": "sleep 300 & echo $! > $HOME/../pid; echo $$ >> $HOME/../pid; wait"})
    code = (
        "import sys; from pathlib import Path; from common.local.pipeline.run import Settings, play; "
        "play(Path(sys.argv[1]), Settings(Path(sys.argv[2]), {}, {}))"
    )
    root = Path(__file__).resolve().parents[2]
    player = subprocess.Popen(
        [sys.executable, "-c", code, str(repo.path), str(settings.folder)], cwd=root, stderr=subprocess.PIPE
    )
    pids = settings.folder / "pipelines/1/only/job/pid"
    wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    player.send_signal(number)
    _, said = player.communicate(timeout=15)
    assert b"KeyboardInterrupt" in said
    assert player.returncode != 0
    assert not any(alive(int(pid)) for pid in pids.read_text().split())


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended but was not yet reaped does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


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
