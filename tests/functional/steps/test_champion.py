"""The package that serves, as the rival of a candidate: scored where that says something, and otherwise named with a reason."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import xgboost

from common.aws import Aws
from common.data.stored import Stored
from common.evaluation.gate import Gate
from common.model import Model
from common.registry import APPROVED, Package
from common.serving.archive import pack
from common.serving.inference import Encoder, Number, Predictor
from common.settings import Run, Settings
from common.steps.candidate import Candidate, Trained
from common.steps.context import Context
from common.training import XGBoost
from common.training.image import image_uri
from tests.accounts import Account

MODEL = Model("churn", "Who leaves.", target="leaves", problem="binary_classification")
TRAINING = XGBoost("ml.m5.large", {"objective": "binary:logistic", "num_round": 2}, Gate("log_loss", at_most=1))
ENCODER = Encoder((Number("x"),), {}, {})
X = np.linspace(0, 1, 40)
LABELS = ("no", "yes")
MANIFEST = {
    "version": "d1", "classes": list(LABELS), "label": "leaves", "rows": {"test": 40}, "source": "", "warnings": [],
    "columns": [{"kind": "number", "name": "x"}, {"kind": "category", "name": "leaves", "values": list(LABELS)}],
}  # fmt: skip
JOB = {
    "TrainingJobName": "job", "BillableTimeInSeconds": 30, "TrainingTimeInSeconds": 60,
    "AlgorithmSpecification": {"TrainingImage": image_uri("eu-west-1")},
}  # fmt: skip


@dataclass
class Data:
    """What a candidate asks of its data version, and how often."""

    manifest: dict[str, Any]
    version: str = "d1"
    reads: list[str] = field(default_factory=list)

    def records(self, name: str) -> pd.DataFrame:
        self.reads.append(f"records of {name}")
        return pd.DataFrame({"x": X, "leaves": np.where(X > 0.5, "yes", "no")})

    def rows(self, name: str) -> np.ndarray:
        self.reads.append(f"rows of {name}")
        return np.column_stack([X > 0.5, X]).astype(float)


def artifact(objective: str, labels: tuple[str, ...]) -> bytes:
    booster = xgboost.train({"objective": objective, "nthread": 1}, xgboost.DMatrix(X[:, None], X > 0.5), 3)
    return pack(Predictor(booster, ENCODER, labels, threshold=0.4))


@dataclass
class Stage:
    """A candidate that answers `no` or `yes`, beside a champion whose artifact each test chooses."""

    aws: Aws
    said: list[str] = field(default_factory=list)

    def candidate(self, content: bytes, *, registered: bytes | None = None, testing: bool = False) -> Candidate:
        self.aws.s3.put_object(Bucket=self.aws.settings.bucket, Key="champion.tar.gz", Body=content)
        known = {"artifact_digest": sha256(registered or content).hexdigest(), "data_version": "d0"}
        uri = f"s3://{self.aws.settings.bucket}/champion.tar.gz"
        package = Package("arn", 6, APPROVED, datetime.now(UTC), image="", artifact=uri, metadata=known)
        data = cast("Stored", Data(MANIFEST))
        context = Context(self.aws, run=Run(user="ada"), say=self.said.append)
        candidate = Candidate(context, MODEL, TRAINING, "s1", data, testing)
        candidate.__dict__["champion_package"] = package
        return candidate


@pytest.fixture
def stage(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Stage:
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    return Stage(Aws(Settings.from_environment()))


def test_a_champion_of_the_same_labels_is_scored_with_its_own_threshold(stage: Stage) -> None:
    champion = stage.candidate(artifact("binary:logistic", LABELS)).champion
    assert (champion.package, champion.reason, champion.threshold) == ("version 6", "", 0.4)
    assert champion.predictions is not None
    assert (champion.predictions[-1] > 0.5 > champion.predictions[0]) == np.True_


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: artifact("reg:squarederror", ()), "it predicts a number, and this model a label (no or yes)"),
        (
            lambda: artifact("binary:logistic", LABELS[::-1]),
            "it predicts a label (yes or no), and this model a label (no",
        ),
    ],
)
def test_a_champion_that_predicts_something_else_is_not_scored(
    stage: Stage, make: Callable[[], bytes], told: str
) -> None:
    champion = stage.candidate(make()).champion
    assert champion.predictions is None
    assert champion.package == "version 6"
    assert told in champion.reason


def test_an_artifact_that_is_not_the_registered_one_is_no_champion(stage: Stage) -> None:
    good = artifact("binary:logistic", LABELS)
    champion = stage.candidate(artifact("reg:logistic", LABELS), registered=good).champion
    assert champion.predictions is None
    assert "champion.tar.gz is not the artifact that was registered" in champion.reason


def test_a_champion_whose_data_are_gone_is_said_not_to_be_compared_by_them(stage: Stage) -> None:
    assert stage.candidate(artifact("binary:logistic", LABELS)).data_change is None
    assert stage.said == ["  warning: the champion's data are not compared: d0 is gone from the bucket"]


def evaluated(stage: Stage, *, testing: bool = False) -> Candidate:
    """A candidate whose model is there already."""
    candidate = stage.candidate(artifact("binary:logistic", LABELS), testing=testing)
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, xgboost.DMatrix(X[:, None], X > 0.5), 5)
    candidate.__dict__.update(trained=Trained(JOB), predictor=Predictor(booster, ENCODER, LABELS))
    return candidate


def test_each_set_is_downloaded_and_checked_once(stage: Stage) -> None:
    candidate = evaluated(stage)
    assert b"replace version 6" in candidate.files["report.html"]
    reads = cast("Data", candidate.data).reads
    once = ["records of test", "records of train", "rows of test", "rows of train", "rows of validation"]
    assert sorted(reads) == once


def test_the_baseline_is_of_the_training_records_without_their_label_and_travels_with_the_package(stage: Stage) -> None:
    candidate = evaluated(stage)
    files = candidate.files
    assert list(files)[-1] == "evaluation.json"
    for name in ("statistics", "constraints"):
        document = json.loads(files[f"baseline/{name}.json"])
        assert [feature["name"] for feature in document["features"]] == ["x"]
    pairs = np.loadtxt(io.BytesIO(files["baseline/predictions.csv"]), delimiter=",")
    np.testing.assert_array_equal(pairs, np.column_stack([candidate.predictions, X > 0.5]))
    registered = candidate.package_request()["DriftCheckBaselines"]["ModelDataQuality"]
    bucket = stage.aws.settings.bucket
    assert registered == {
        kind: {
            "ContentType": "application/json",
            "S3Uri": f"s3://{bucket}/churn/packages/s1-d1/baseline/{kind.lower()}.json",
        }
        for kind in ("Statistics", "Constraints")
    }


def test_the_report_names_its_files_in_the_bucket_unless_none_are_uploaded(stage: Stage) -> None:
    for testing in (False, True):
        page = evaluated(stage, testing=testing).files["report.html"].decode()
        assert ("churn/packages/s1-d1/report.html" in page) is not testing
        assert ("churn/packages/s1-d1/evaluation.json" in page) is not testing
