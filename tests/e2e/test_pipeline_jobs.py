"""Steps, caches and processes: what the player does with one job, and with several at once."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.local.pipeline.run import PipelineResult, Settings, play
from common.local.pipeline.serial import SerialGroup
from common.scaffold.wiring import CONTINUATION
from tests.e2e.pipeline_repo import PipelineRepo, one_job, statuses


def play_one(repo: PipelineRepo, settings: Settings, *steps: Any, **job: Any) -> PipelineResult:
    one_job(repo, *steps, **job)
    return play(repo.path, settings)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.01)


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
    step = {"run": {"name": "hang", "command": "sleep 300 & echo $! > $HOME/../pid; wait", "no_output_timeout": "1s"}}
    job = play_one(repo, settings, step).job("job")
    assert job.steps[-1].status == "timed_out"
    assert "Too long with no output (exceeded 1s)" in job.log
    assert not alive(int((job.folder / "pid").read_text()))


def test_step_that_keeps_talking_is_not_stopped(repo: PipelineRepo, settings: Settings) -> None:
    talk = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo $i; sleep 0.1; done"
    step = {"run": {"name": "talk", "command": talk, "no_output_timeout": "1s"}}
    assert play_one(repo, settings, step).ok


def test_flaky_step_is_rerun_as_often_as_it_says(repo: PipelineRepo, settings: Settings) -> None:
    third_time = {"name": "n", "command": "echo try >> tries; test $(wc -l < tries) = 3", "auto_rerun_delay": "0.01s"}
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


def test_malformed_test_results_fail_their_step_and_nothing_else(repo: PipelineRepo, settings: Settings) -> None:
    job = play_one(
        repo, settings, {"run": "mkdir r; echo '<testsuite>' > r/a.xml"}, {"store_test_results": {"path": "r"}}
    ).job("job")
    assert (job.status, job.tests) == ("failed", None)
    assert job.reason == "Store test results: failed"
    assert "a.xml" in job.log


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

    repo.edit(CONTINUATION, change)
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
        "import signal, sys; from pathlib import Path; from common.local.pipeline.run import Settings, play; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "  # a process in the background inherits that it is ignored
        "play(Path(sys.argv[1]), Settings(Path(sys.argv[2]), {}, {}))"
    )
    root = Path(__file__).resolve().parents[2]
    player = subprocess.Popen(
        [sys.executable, "-c", code, str(repo.path), str(settings.folder)], cwd=root, stderr=subprocess.PIPE
    )
    pids = settings.folder / "pipelines/1/only/job/pid"
    try:
        wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        player.send_signal(number)
        _, said = player.communicate(timeout=15)
    finally:
        player.kill()
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
