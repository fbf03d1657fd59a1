"""Training on the local AWS: what is evaluated and registered, and what is refused before and after the job."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import xgboost

from common.training.image import VERSIONS
from tests.accounts import Account
from tests.archives import archive
from tests.clones import TRAINING, Clone, packages, state_of, training_jobs
from tests.functional.steps.step_kit import GATHER, TRAIN, assert_refused, killed_at


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.create(tmp_path)


def put(aws: Account, key: str, body: bytes) -> None:
    aws.client("s3").put_object(Bucket=aws.bucket, Key=key, Body=body)


def read(aws: Account, uri_or_key: str) -> bytes:
    key = uri_or_key.removeprefix(f"s3://{aws.bucket}/")
    body: bytes = aws.client("s3").get_object(Bucket=aws.bucket, Key=key)["Body"].read()
    return body


@pytest.mark.long
def test_the_evaluation_that_travels_with_the_package_compares_with_linear_and_mean_on_the_same_rows(
    clone: Clone, aws: Account
) -> None:
    clone.succeed(aws, "train", "abalone")
    [package] = packages(aws)
    statistics = package["ModelMetrics"]["ModelQuality"]["Statistics"]
    assert statistics["ContentType"] == "application/json"
    evaluation = json.loads(read(aws, statistics["S3Uri"]))

    data = f"abalone/data/{package['CustomerMetadataProperties']['data_version']}"
    train, test = (np.loadtxt(io.BytesIO(read(aws, f"{data}/{n}/{n}.csv")), delimiter=",") for n in ("train", "test"))
    assert evaluation["rows"] == {"train": len(train), "test": len(test)}

    def rmse(predictions: Any) -> float:
        return float(np.sqrt(np.mean((predictions - test[:, 0]) ** 2)))

    def with_one(rows: Any) -> Any:
        return np.column_stack([np.ones(len(rows)), rows[:, 1:]])

    fitted = np.linalg.lstsq(with_one(train), train[:, 0], rcond=None)[0]
    with tarfile.open(
        fileobj=io.BytesIO(read(aws, package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]))
    ) as tar:
        member = tar.extractfile("xgboost-model")
        assert member is not None
        booster = xgboost.Booster(model_file=bytearray(member.read()))
    metrics = {name: values["rmse"] for name, values in evaluation["metrics"].items()}
    assert metrics == pytest.approx(
        {
            "model": rmse(booster.predict(xgboost.DMatrix(test[:, 1:]))),
            "linear": rmse(with_one(test) @ fitted),
            "mean": rmse(np.full(len(test), train[:, 0].mean())),
        },
        rel=1e-5,
    )
    assert evaluation["regression_metrics"]["rmse"]["value"] == metrics["model"]
    assert package["CustomerMetadataProperties"]["rmse"] == f"{metrics['model']:.6g}"

    baseline = package["DriftCheckBaselines"]["ModelDataQuality"]
    kept = json.loads(read(aws, baseline["Statistics"]["S3Uri"]))
    assert kept["dataset"]["item_count"] == len(train)
    lengths = next(feature for feature in kept["features"] if feature["name"] == "length")["numerical_statistics"]
    assert lengths["mean"] == pytest.approx(train[:, 4].mean())  # after the label and three indicators
    assert "rings" not in {feature["name"] for feature in kept["features"]}
    limits = json.loads(read(aws, baseline["Constraints"]["S3Uri"]))
    assert [each["name"] for each in limits["features"]] == [each["name"] for each in kept["features"]]


def test_an_unknown_hyperparameter_is_named(clone: Clone, aws: Account) -> None:
    clone.edit(TRAINING, '"max_depth"', '"depth"')
    clone.commit()
    done = clone.models(aws, "train", "abalone")
    assert_refused(done, "is Failed: ", "Extraneous hyperparameter found: depth", "/aws/sagemaker/TrainingJobs")
    assert packages(aws) == []


def test_after_a_failed_attempt_the_next_run_trains_again(clone: Clone, aws: Account) -> None:
    failing = """
import runpy, common.steps.candidate as candidate
request = candidate.training_request
candidate.training_request = lambda *a, **n: request(*a, **n) | {"HyperParameters": {"num_round": "many"}}
runpy.run_module("abalone_model.train_register", run_name="__main__")
"""
    assert clone.run(aws, *GATHER).returncode == 0
    assert_refused(clone.run(aws, "-c", failing), "is Failed: ", "num_round", "run the step again")
    [(name, _)] = training_jobs(aws)
    clone.succeed(aws, "train", "abalone")
    assert training_jobs(aws) == [(name, "Failed"), (f"{name}-2", "Completed")]
    assert packages(aws)[0]["CustomerMetadataProperties"]["training_job"] == f"{name}-2"


def test_a_request_that_sagemaker_refuses_names_what_is_wrong(clone: Clone, aws: Account) -> None:
    clone.edit(TRAINING, "ml.m5.large", "ml.none.large")
    clone.commit()
    done = clone.models(aws, "train", "abalone")
    assert_refused(
        done, "SageMaker refused the training job", "ml.none.large", "Correct what the model folder declares"
    )
    assert training_jobs(aws) == []


def test_a_model_that_fails_its_gate_is_registered_as_rejected_with_its_report(clone: Clone, aws: Account) -> None:
    clone.edit(TRAINING, "at_most=9", "at_most=0.5")
    clone.commit()
    build = clone.path / "build/abalone"
    for _ in range(2):
        assert_refused(
            clone.models(aws, "train", "abalone"), "Version 1 of abalone is rejected", "at most 0.5 is wanted"
        )
        [package] = packages(aws)
        assert package["ModelApprovalStatus"] == "Rejected"
        assert "at most 0.5 is wanted" in package["ApprovalDescription"]
        assert "refused" in (build / "report.html").read_text()
        assert json.loads((build / "evaluation.json").read_text())["gate"]["passed"] is False
        cases = ElementTree.parse(build / "junit/gate.xml").iter("testcase")  # noqa: S314 – our own file
        assert [case.find("failure") is not None for case in cases] == [True]
        (build / "report.html").unlink()
    [container], known = package["InferenceSpecification"]["Containers"], package["CustomerMetadataProperties"]
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", known["image_digest"])
    assert container["Image"].endswith(f"/sagemaker-xgboost@{known['image_digest']}")
    assert known["image_tag"] == VERSIONS["xgboost"]
    assert_refused(
        clone.models(aws, "approve", "abalone"), "is rejected", "at most 0.5 is wanted", "Mend the model and push"
    )


@pytest.mark.long
def test_a_process_that_dies_before_the_reason_is_written_leaves_it_in_the_metadata(clone: Clone, aws: Account) -> None:
    clone.edit(TRAINING, "at_most=9", "at_most=0.5")
    clone.commit()
    assert clone.run(aws, *GATHER).returncode == 0
    killed = clone.run(aws, "-c", killed_at("abalone_model.train_register", "common.registry:Registry._update", 1))
    assert killed.returncode == 137
    assert_refused(clone.run(aws, *TRAIN), "Version 1 of abalone is rejected", "at most 0.5 is wanted")


@pytest.mark.long
def test_the_package_that_serves_is_the_champion_where_it_can_answer_the_test_records(
    clone: Clone, aws: Account
) -> None:
    clone.release(aws)
    clone.tune(max_depth=3)
    clone.edit(
        "abalone_model/gather_data.py", r"columns=COLUMNS", 'columns=COLUMNS, derived=(Ratio("height", "length"),)'
    )
    clone.edit("abalone_model/gather_data.py", r"Columns, Number", "Columns, Number, Ratio")
    clone.commit()
    clone.succeed(aws, "train", "abalone")  # other features, made of the same columns
    assert champion_of(clone) == {"package": "version 1", "not_scored": ""}
    first, second = (float(package["CustomerMetadataProperties"]["rmse"]) for package in packages(aws))
    assert metrics_of(clone) == {"model": pytest.approx(second, rel=1e-5), "champion": pytest.approx(first, rel=1e-5)}

    clone.edit("abalone_model/gather_data.py", r'Number\("diameter".*\)', 'Ignored("diameter")')
    clone.edit("abalone_model/gather_data.py", r"Columns, Number", "Columns, Ignored, Number")
    clone.commit()
    clone.succeed(aws, "train", "abalone")
    assert champion_of(clone)["package"] == "version 1"
    assert champion_of(clone)["not_scored"].startswith(
        "it cannot answer: record 1, diameter: there is no such field; record 2, diameter: "
    )
    assert metrics_of(clone).keys() == {"model"}


def champion_of(clone: Clone) -> Any:
    return json.loads((clone.path / "build/abalone/evaluation.json").read_text())["champion"]


def metrics_of(clone: Clone) -> dict[str, float]:
    metrics = json.loads((clone.path / "build/abalone/evaluation.json").read_text())["metrics"]
    return {name: values["rmse"] for name, values in metrics.items() if name in ("model", "champion")}


@pytest.mark.long
def test_data_that_somebody_has_changed_in_the_bucket_are_refused_before_a_job_is_started(
    clone: Clone, aws: Account
) -> None:
    assert clone.run(aws, *GATHER).returncode == 0
    manifest = next(key for key in state_of(aws)["objects"] if key.endswith("manifest.json"))
    key = manifest.replace("manifest.json", "train/train.csv")
    document, rows = json.loads(read(aws, manifest)), read(aws, key)

    def refused(body: bytes, *phrases: str, forged: bool) -> None:
        """Train from this file, with a manifest that agrees with it where it is forged."""
        sha256 = {"train/train.csv": hashlib.sha256(body).hexdigest()} if forged else {}
        put(aws, key, body)
        put(aws, manifest, json.dumps(document | {"sha256": document["sha256"] | sha256}).encode())
        assert_refused(clone.run(aws, *TRAIN), *phrases)

    header = ("rings," + ",".join(document["features"]) + "\n").encode()
    textual = b"".join(b"True" + line[line.index(b",") :] for line in rows.splitlines(keepends=True))
    refused(rows.replace(b"0", b"1", 1), "is not what was gathered as data version", forged=False)
    refused(header + rows, "line 1 is a header", forged=True)
    refused(textual, "holds 'True', a textual boolean", forged=True)
    put(aws, manifest, b"{")
    assert_refused(clone.run(aws, *TRAIN), "manifest.json is damaged")
    aws.client("s3").delete_object(Bucket=aws.bucket, Key=manifest)
    assert_refused(clone.run(aws, *TRAIN), "is missing from the bucket", "gather_data --refresh")
    assert training_jobs(aws) == []

    aws.client("s3").delete_object(Bucket=aws.bucket, Key=key)
    assert clone.run(aws, *GATHER, "--refresh").returncode == 0, "the remedy of the message"
    assert read(aws, key) == rows


def other_model(_: bytes) -> bytes:
    rows = np.random.default_rng(0).normal(size=(50, 3))
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(rows, rows[:, 0]), 2)
    return archive({"xgboost-model": bytes(booster.save_raw("ubj"))})


BAD_ARTIFACTS: tuple[tuple[Callable[[bytes], bytes], str], ...] = (
    (lambda good: good[: len(good) // 2], "is damaged"),
    (lambda _: archive({"../../xgboost-model": b"{"}), "is unsafe to unpack"),
    (other_model, "The model takes 3 features, and the rows have 10"),
)
"""The unit tests of artifacts have more kinds."""


@pytest.mark.long
def test_an_artifact_that_is_not_what_it_claims_is_neither_registered_nor_deployed(clone: Clone, aws: Account) -> None:
    assert clone.run(aws, *GATHER).returncode == 0
    assert clone.run(
        aws, "-c", killed_at("abalone_model.train_register", "common.steps.candidate.fetch_artifact", 1)
    ).returncode
    key = next(key for key in state_of(aws)["objects"] if key.endswith("model.tar.gz"))
    good = read(aws, key)
    for damage, message in BAD_ARTIFACTS:
        put(aws, key, damage(good))
        before = state_of(aws)
        assert_refused(clone.run(aws, *TRAIN), message)
        assert state_of(aws) == before

    put(aws, key, good)
    clone.succeed(aws, "train", "abalone")
    clone.succeed(aws, "approve", "abalone")
    key = packages(aws)[0]["InferenceSpecification"]["Containers"][0]["ModelDataUrl"].partition(f"{aws.bucket}/")[2]
    put(aws, key, other_model(good))
    before = state_of(aws)
    deployed = clone.models(aws, "deploy", "abalone")
    assert_refused(deployed, "is not the artifact that was evaluated", "Nothing was changed")
    assert state_of(aws) == before
    aws.client("s3").delete_object(Bucket=aws.bucket, Key=key)
    assert_refused(clone.models(aws, "deploy", "abalone"), "There is no artifact at s3://", "Train again")
