"""A model that serves is trained again on newer data, and nobody is asked where that gains nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.accounts import Account
from tests.clones import packages
from tests.farm import Farm
from tests.functional.steps.step_kit import assert_refused

BECAUSE = "data had drifted in 2 of the last 3 windows: live-1, live-2"


@pytest.mark.long
def test_only_what_is_better_on_fresh_data_is_offered_for_approval(aws: Account, tmp_path: Path) -> None:
    farm = Farm(aws, tmp_path)
    farm.release()

    assert_refused(farm.retrain(BECAUSE), "nothing new to train abalone on", "those of version 1, which serves")
    assert len(packages(aws)) == 1

    farm.collect(farm.usual, farm.fresh_usual)
    refused = farm.retrain(BECAUSE)
    assert_refused(refused, "Version 2 of abalone is rejected", "fresh test rows", "not shown to be any better")
    rejected = packages(aws)[-1]
    assert rejected["ModelApprovalStatus"] == "Rejected"
    assert "not shown to be any better" in rejected["ApprovalDescription"]
    attempt = aws.client("s3").get_object(Bucket=aws.bucket, Key="abalone/attempts/1.json")
    assert "Version 2 of abalone is rejected" in json.loads(attempt["Body"].read())["outcome"]

    farm.collect(farm.usual, farm.fresh_usual, farm.later)
    done = farm.retrain(BECAUSE)
    assert done.returncode == 0, done.stderr
    assert f"Trained again because {BECAUSE}." in done.stdout
    offered = packages(aws)[-1]
    assert offered["ModelApprovalStatus"] == "PendingManualApproval"
    assert offered["CustomerMetadataProperties"]["retrained_because"].startswith("data had drifted in 2 of the last 3")
    assert offered["CustomerMetadataProperties"]["source"] == rejected["CustomerMetadataProperties"]["source"]
    assert BECAUSE in (farm.clone.path / "build/abalone/report.html").read_text()

    assert farm.retrain(BECAUSE).returncode == 0  # again: the package waits for its click
    assert len(packages(aws)) == 3
    assert "version 3 waits for its click" in farm.clone.succeed(aws, "due", "abalone")
    for step in ("approve", "deploy"):
        farm.clone.succeed(aws, step, "abalone")
    farm.clone.succeed(aws, "status", "abalone", "--check")
    farm.clone.succeed(aws, "rollback", "abalone", "--reason", "too old")
    refused = farm.retrain(BECAUSE)
    assert_refused(refused, "those of version 3, which was rolled back", "models release abalone --version 3")
    assert len(packages(aws)) == 3
    assert "held: version 3" in farm.clone.succeed(aws, "status", "abalone", "--check")
