"""Every step can be repeated, interrupted and run twice at once; the outcome is the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.accounts import Account
from tests.clones import Clone, packages, state_of, training_jobs
from tests.functional.steps.step_kit import DEPLOY, GATHER, TRAIN, killed_at

OUTPUTS = ("evaluation.json", "junit/gate.xml", "report.html", "summary.md")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.create(tmp_path)


def test_a_second_run_of_every_step_changes_nothing(clone: Clone, aws: Account) -> None:
    steps = {
        "gather": GATHER,
        "train": TRAIN,
        "approve": ("-m", "common.cli", "approve", "abalone"),
        "deploy": DEPLOY,
        "status": ("-m", "common.cli", "status", "abalone", "--check"),
    }
    for name, step in steps.items():
        assert clone.run(aws, *step).returncode == 0, name
        first = state_of(aws)
        again = clone.run(aws, *step)
        assert again.returncode == 0, again.stderr
        assert state_of(aws) == first, name
    done = state_of(aws)
    for step in ((*GATHER, "--refresh"), TRAIN, steps["approve"]):
        assert clone.run(aws, *step).returncode == 0
    assert state_of(aws) == done
    assert len(training_jobs(aws)) == len(packages(aws)) == 1


@pytest.mark.long
def test_what_ci_keeps_is_written_again_by_a_run_that_finds_the_package_trained(clone: Clone, aws: Account) -> None:
    clone.succeed(aws, "train", "abalone")
    build = clone.path / "build/abalone"
    written = {name: (build / name).read_bytes() for name in OUTPUTS}
    assert all(written.values())
    shutil.rmtree(build)
    printed = clone.run(aws, *TRAIN).stdout
    assert {name: (build / name).read_bytes() for name in OUTPUTS} == written
    assert written["summary.md"].decode() in printed


@pytest.mark.long
def test_two_trainings_of_one_source_at_once_end_in_one_job_and_one_package(clone: Clone, aws: Account) -> None:
    assert clone.run(aws, *GATHER).returncode == 0
    both = [
        clone.start(aws, *TRAIN, CIRCLECI="true", CIRCLE_BUILD_NUM=number, CIRCLE_USERNAME="ada")
        for number in ("1", "2")
    ]
    printed = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    assert [status for _, status in training_jobs(aws)] == ["Completed"]
    assert len(packages(aws)) == 1
    before = state_of(aws)
    clone.succeed(aws, "train", "abalone")
    assert state_of(aws) == before


@pytest.mark.long
def test_a_gather_killed_between_any_two_uploads_is_completed_by_the_next(clone: Clone, aws: Account) -> None:
    uploads = 9  # the encoder, three sets in two forms, the manifest, and which data the source gathered
    for call in range(1, uploads + 1):
        killed = clone.run(aws, "-c", killed_at("abalone_model.gather_data", "common.storage:Bucket.write", call))
        assert killed.returncode == 137, killed.stderr
        assert len(state_of(aws)["objects"]) == call - 1
    refused = clone.run(aws, *TRAIN)
    assert refused.returncode == 1
    assert "has gathered no data yet" in refused.stderr
    assert clone.run(aws, *GATHER).returncode == 0
    objects = state_of(aws)["objects"]
    assert len(objects) == uploads
    manifest = next(key for key in objects if key.endswith("manifest.json"))
    described = json.loads(aws.client("s3").get_object(Bucket=aws.bucket, Key=manifest)["Body"].read())
    assert described["rows"] == {"train": 2951, "validation": 638, "test": 588}


@pytest.mark.long
def test_a_training_killed_anywhere_is_continued_by_the_next_with_the_same_job(clone: Clone, aws: Account) -> None:
    assert clone.run(aws, *GATHER).returncode == 0
    for where in (
        "common.training.job.follow",
        "common.steps.candidate.fetch_artifact",
        "common.storage:Bucket.write_all",
        "common.registry:Registry.register",
    ):
        killed = clone.run(aws, "-c", killed_at("abalone_model.train_register", where, 1))
        assert killed.returncode == 137, killed.stderr
        assert packages(aws) == []
    assert clone.run(aws, *TRAIN).returncode == 0
    assert [status for _, status in training_jobs(aws)] == ["Completed"]
    assert len(packages(aws)) == 1
