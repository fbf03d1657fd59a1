"""It stays good by itself: schedules score, look, train and ask, through the real YAML, until what came in is learnt.

The animals that come in later are large ones, and older than they look: what serves has seen few such, and is wrong about them.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.data.sources import Bundled
from common.local.pipeline.run import PipelineResult
from tests.accounts import Account
from tests.clones import packages, serving
from tests.e2e.pipeline_repo import statuses
from tests.e2e.project import Project

NIGHT = {"batch-abalone": "success", "monitor-abalone": "success"}
CHECKED = {"check": "skipped"}
MORNING = {"due": "success", "dashboard": "skipped", **CHECKED}


class Farm(Project):
    """A project whose model is trained on a file of animals, and scores folders of further ones.

    `rule` says how many drifted windows are a reason to retrain.
    """

    def __init__(self, aws: Account, folder: Path, rule: str) -> None:
        self.file = folder / "animals.csv"
        super().__init__(aws, folder, {"ABALONE_SOURCE": str(self.file)})
        animals = pd.read_csv(io.BytesIO(Bundled("abalone").read())).sample(frac=1, random_state=1)
        self.usual, self.fresh_usual = animals[:1200], animals[1200:1500]
        large = animals[1800:].query("length > 0.56")
        self.later = large.assign(rings=(large["rings"] + 6).clip(upper=40))
        deploy = "abalone_model/deploy.py"
        self.clone.edit(deploy, "declare import Monitor", "declare import Monitor, Rule")
        self.clone.edit(deploy, r"MONITOR = Monitor\(\)", f"MONITOR = Monitor(rule=Rule({rule}))")
        self.clone.commit("Say what is a reason")
        self.clone.push("main")
        self.collect(self.usual)
        for step in ("train", "approve", "deploy"):
            self.clone.succeed(aws, step, "abalone", ABALONE_SOURCE=str(self.file))

    def collect(self, *frames: pd.DataFrame) -> None:
        """Let the source have these animals, and their age."""
        pd.concat(frames).to_csv(self.file, index=False)

    def bring(self, partition: str, animals: pd.DataFrame) -> None:
        """Bring animals whose age is not known yet."""
        body = animals.drop(columns="rings").to_csv(index=False).encode()
        key = f"abalone/batch/input/{partition}/animals.csv"
        self.aws.client("s3").put_object(Bucket=self.aws.bucket, Key=key, Body=body)

    def night(self) -> PipelineResult:
        return self.play("main", parameters={"action": "nightly"})

    def morning(self, *, click: bool = False) -> PipelineResult:
        return self.play("main", parameters={"action": "retrain"}, click=click, skip=("check", "dashboard"))

    def rmse(self, animals: pd.DataFrame) -> float:
        """How far the endpoint is off."""
        body = animals.drop(columns="rings").to_csv(index=False, header=False)
        answer = self.aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName="abalone", ContentType="text/csv", Accept="text/csv", Body=body
        )
        ages = np.loadtxt(io.BytesIO(answer["Body"].read()), delimiter=",", ndmin=1)
        return float(np.sqrt(np.mean((ages - animals["rings"].to_numpy()) ** 2)))


@pytest.mark.long
def test_what_drifted_is_learnt_by_morning_and_deployed_after_one_click(aws: Account, tmp_path: Path) -> None:
    farm = Farm(aws, tmp_path, "windows=1, of=1")
    unseen = farm.later[-200:]
    before, usual = farm.rmse(unseen), farm.rmse(farm.usual)
    farm.bring("dt=2026-11-20", farm.later[:400])
    night = farm.night()
    assert statuses(night) == {"nightly": "success", **NIGHT, **CHECKED}
    assert "A reason to retrain: data had drifted in 1 of the last 1 windows" in night.job("monitor-abalone").log

    farm.collect(farm.usual[:300], farm.later[:-200])  # what the source still has
    morning = farm.morning(click=True)
    assert set(statuses(morning).values()) == {"success", "skipped"}, morning.jobs
    assert morning.job("retrain-abalone").log.count("Trained again because data had drifted in 1 of the last 1") == 1
    retrained = packages(farm.aws)[-1]
    assert serving(farm.aws) == retrained["ModelPackageArn"]
    assert "drifted" in retrained["CustomerMetadataProperties"]["retrained_because"]
    assert farm.predictions_are_those_of(serving(farm.aws))
    assert farm.rmse(unseen) < 0.5 * before
    assert farm.rmse(unseen) < 1.5 * usual  # as good as it was on the usual ones
    farm.clone.succeed(farm.aws, "status", "abalone", "--check")
