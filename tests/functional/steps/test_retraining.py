"""A model that serves is trained again on newer data, and nobody is asked where that gains nothing."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from common.data.sources import Bundled
from tests.accounts import Account
from tests.clones import Clone, packages
from tests.functional.steps.step_kit import assert_refused

BECAUSE = "data had drifted in 2 of the last 3 windows: live-1, live-2"


def animals(first: int, last: int, *, older: int = 0) -> pd.DataFrame:
    """Some of the animals; `older`: as if each had so many rings more, which nothing that is measured shows."""
    frame = pd.read_csv(io.BytesIO(Bundled("abalone").read())).sample(frac=1, random_state=1).iloc[first:last]
    return frame.assign(rings=(frame["rings"] + older).clip(upper=40))


class Owner:
    """Somebody with a clone, whose model is trained on a file that grows."""

    def __init__(self, aws: Account, folder: Path) -> None:
        self.aws = aws
        self.clone = Clone.create(folder)
        self.file = folder / "animals.csv"
        self.variables = {"ABALONE_SOURCE": str(self.file)}

    def release(self) -> None:
        for step in ("train", "approve", "deploy"):
            self.clone.succeed(self.aws, step, "abalone", **self.variables)

    def retrain(self) -> subprocess.CompletedProcess[str]:
        return self.clone.models(self.aws, "train", "abalone", "--refresh", "--because", BECAUSE, **self.variables)

    def collect(self, *frames: pd.DataFrame) -> None:
        pd.concat(frames).to_csv(self.file, index=False)


@pytest.fixture
def owner(aws: Account, tmp_path: Path) -> Owner:
    return Owner(aws, tmp_path)


@pytest.mark.long
def test_only_what_is_better_on_fresh_data_is_offered_for_approval(owner: Owner) -> None:
    before, more, later = animals(0, 1200), animals(1200, 1500), animals(1800, 3200, older=6)
    owner.collect(before)
    owner.release()

    assert_refused(owner.retrain(), "nothing new to train abalone on", "those of version 1, which serves")
    assert len(packages(owner.aws)) == 1

    owner.collect(before, more)
    assert_refused(owner.retrain(), "Version 2 of abalone is rejected", "fresh test rows", "not shown to be any better")
    rejected = packages(owner.aws)[-1]
    assert rejected["ModelApprovalStatus"] == "Rejected"
    assert "not shown to be any better" in rejected["ApprovalDescription"]
    attempt = owner.aws.client("s3").get_object(Bucket=owner.aws.bucket, Key="abalone/monitoring/retrain/1.json")
    assert "Version 2 of abalone is rejected" in json.loads(attempt["Body"].read())["outcome"]

    owner.collect(before, more, later)
    done = owner.retrain()
    assert done.returncode == 0, done.stderr
    assert f"Trained again because {BECAUSE}." in done.stdout
    offered = packages(owner.aws)[-1]
    assert offered["ModelApprovalStatus"] == "PendingManualApproval"
    assert offered["CustomerMetadataProperties"]["retrained_because"].startswith("data had drifted in 2 of the last 3")
    assert offered["CustomerMetadataProperties"]["source"] == rejected["CustomerMetadataProperties"]["source"]
    assert BECAUSE in (owner.clone.path / "build/abalone/report.html").read_text()

    assert owner.retrain().returncode == 0  # again: the package waits for its click
    assert "version 3 waits for its click" in owner.clone.succeed(owner.aws, "due", "abalone")
