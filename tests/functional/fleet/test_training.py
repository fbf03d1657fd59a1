"""A fleet on the local AWS: the jobs, what they leave in S3, and the same fleet however many instances share the work."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from common.errors import ArtifactError, TrainingError
from common.evaluation.fleet_gate import FleetGate
from common.forecasting.artifacts import read_results, unpack_model
from common.forecasting.readings import read_customer, read_part
from common.storage import split_uri
from common.training.code import pack
from common.training.fleet import Fleet
from common.training.fleet_job import run_fit, run_split
from energy_model.consumers import Generated
from tests.functional.fleet.fleet_kit import FORECASTER, LIMITS, Host, Trainer, write_raw
from tests.poison import Poisoned

CUSTOMERS = 60


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_raw(tmp_path / "raw", Poisoned(Generated(CUSTOMERS), every=20), 9_000)


@pytest.mark.long
def test_three_instances_make_the_fleet_that_one_makes(trainer: Trainer, raw: Path, tmp_path: Path) -> None:
    host = Host(tmp_path / "one")
    host.split(raw)
    host.fit()
    trainer.upload(raw, "data-1")
    jobs = trainer.train("source-1", "data-1", instances=3)
    files = trainer.files("source-1", "data-1")

    folder = tmp_path / "one/checkpoints"
    assert files == {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.gz")}
    for part, index in zip(sorted((tmp_path / "one/customers").iterdir()), host.indices(), strict=True):
        assert trainer.bucket.read(f"energy/data/data-1/customers/source-1/{part.name}") == part.read_bytes()
        found = trainer.bucket.read_json(f"energy/data/data-1/index/source-1/{part.name.partition('.')[0]}.json")
        assert found == index

    assert (jobs.fit["TrainingJobName"], jobs.split["ProcessingJobName"]) == (
        "energy-source-1-data-1",
        "energy-split-source-1-data-1",
    )
    assert jobs.code == f"s3://{trainer.bucket.name}/energy/code/{jobs.code_digest}.tar.gz"
    code = trainer.bucket.read(f"energy/code/{jobs.code_digest}.tar.gz") or b""
    assert jobs.code_digest == hashlib.sha256(code).hexdigest()
    metrics = {metric["MetricName"]: metric["Value"] for metric in jobs.fit["FinalMetricDataList"]}
    assert metrics["fleet:set_aside"] == 0
    assert 0.3 < metrics["fleet:mase"] < 1
    assert any("customers fitted" in line for line in trainer.said)


def test_every_customer_has_a_model_or_a_reason_and_can_be_read_without_the_others(raw: Path, tmp_path: Path) -> None:
    host = Host(tmp_path / "one")
    assert host.split(raw).returncode == 0
    assert host.fit().returncode == 0
    models = host.models()
    results = {customer: entry for part in host.results() for customer, entry in part["customers"].items()}
    assert models.keys() == results.keys()
    assert models.keys().isdisjoint(host.set_aside())
    assert len(models) + len(host.set_aside()) == CUSTOMERS
    for customer, entry in results.items():
        assert entry["digest"] == hashlib.sha256(models[customer]).hexdigest()
        assert entry["md5"] == hashlib.md5(models[customer], usedforsecurity=False).hexdigest()
        assert entry["bytes"] == len(models[customer]) <= 1000
        model = unpack_model(models[customer])
        assert (model.customer, model.until, model.parameters) == (customer, entry["until"], entry["parameters"])
    for part, index in zip(sorted((tmp_path / "one/customers").iterdir()), host.indices(), strict=True):
        content = part.read_bytes()
        assert {series.customer for series in read_part(content)} == index["customers"].keys()
        for customer, place in index["customers"].items():
            series = read_customer(content[place["offset"] : place["offset"] + place["length"]])
            assert (series.customer, len(series.days)) == (customer, place["rows"])


def test_a_second_run_joins_the_jobs_and_a_champion_is_scored_on_readings_that_it_has_not_seen(
    trainer: Trainer, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer.upload(raw, "data-1")
    first = trainer.train("source-1", "data-1", instances=1)
    again = trainer.train("source-1", "data-1", instances=1)
    assert again.fit["TrainingJobArn"] == first.fit["TrainingJobArn"]
    assert again.split["ProcessingJobArn"] == first.split["ProcessingJobArn"]
    with monkeypatch.context() as others:
        others.setattr(
            "common.training.fleet_job.code_archive", lambda forecaster: pack({"fit.py": b"print('theirs')"})
        )
        with pytest.raises(
            TrainingError, match=r"Job energy-split-source-1-data-1 has run other code than this commit's"
        ):
            trainer.train("source-1", "data-1", instances=1)

    trainer.train("source-2", "data-1", instances=1, champion=trainer.origin("source-1", "data-1").fleet + "parts/")
    files = trainer.files("source-2", "data-1").items()
    results = [read_results(content)["customers"] for name, content in files if name.startswith("parts/")]
    scored = [entry for customers in results for entry in customers.values() if entry["holdout"]]
    assert len(scored) > CUSTOMERS * 0.8
    # The same readings and the same forecaster: what was fitted without the holdout does as well as itself.
    assert all(entry["champion"] == {"mae": entry["holdout"]["mae"], "kind": "before"} for entry in scored)


def test_neither_job_starts_with_code_that_was_exchanged(trainer: Trainer) -> None:
    origin, fleet = (
        trainer.origin("source-1", "data-1"),
        Fleet(FORECASTER, "ml.m5.large", 1, FleetGate(at_most_mase=1.0)),
    )
    trainer.bucket.write(split_uri(origin.code)[1], pack({"split.py": b"", "fit.py": b"print('mine')"}))
    for start in (
        lambda: run_split(trainer.aws, origin, fleet, LIMITS, trainer.said.append),
        lambda: run_fit(trainer.aws, origin, fleet, "", trainer.said.append),
        lambda: trainer.train("source-1", "data-1"),
    ):
        with pytest.raises(ArtifactError, match=r"/energy/code/\w+\.tar\.gz has been exchanged"):
            start()
    assert not trainer.aws.sagemaker.list_training_jobs()["TrainingJobSummaries"]
    assert not trainer.aws.sagemaker.list_processing_jobs()["ProcessingJobSummaries"]


def test_a_damaged_part_fails_the_job_which_says_which_one(trainer: Trainer, raw: Path) -> None:
    (raw / "part-00001.csv.gz").write_bytes((raw / "part-00001.csv.gz").read_bytes()[:-100])
    trainer.upload(raw, "data-1")
    with pytest.raises(TrainingError, match=r"part-00001\.csv\.gz: the part cannot be read") as failed:
        trainer.train("source-1", "data-1", instances=1)
    assert "Traceback" not in str(failed.value)
