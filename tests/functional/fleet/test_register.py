"""From gathered readings to a registered fleet: what is written, who keeps a model, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from common.aws import Aws
from common.data.extract import Reading
from common.deployment.fleet import answered_offline, listing_of
from common.errors import ArtifactError, DataError, GateError, TrainingError
from common.evaluation.golden import FleetGolden
from common.forecasting.artifacts import unpack_model
from common.forecasting.handlers import answer
from common.forecasting.structural import Structural
from common.registry import PENDING, REJECTED, Registry
from common.settings import Settings
from common.steps.fleet_objects import etags_of, keys_below
from common.steps.history import package_history
from common.storage import Layout, split_uri
from common.training.code import Declared, code_archive, pack, stored, verified
from common.training.image import image_uri
from energy_model import MODEL
from tests.accounts import Account
from tests.clones import Clone, training_jobs
from tests.functional.fleet.register_kit import GATE, LOOSE, Made, Registrar, one_reading
from tests.functional.steps.step_kit import assert_refused

SIX = Made(("a", "b", "c", "d", "e", "f"))
BUILD = "common.steps.registering.ROOT"


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(BUILD, tmp_path)
    return tmp_path / "build" / "energy"


@pytest.fixture
def registrar(aws: Account, build: Path, monkeypatch: pytest.MonkeyPatch) -> Registrar:
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    made = Registrar(Aws(Settings.from_environment()))
    for service in ("s3", "sagemaker"):  # to build a client anew takes a quarter of a second
        vars(made.aws)[service] = aws.client(service)
    monkeypatch.setattr("common.steps.fleet_candidate.train_fleet_jobs", made.run_jobs)
    monkeypatch.setattr("common.steps.live.observe", made.observe)
    monkeypatch.setattr("common.steps.fleet_candidate.answered_offline", made.answer)
    declared = type("Declared", (), {"at_least": 0.0, "at_most": 1000.0})
    monkeypatch.setattr(type(MODEL), "declaration", lambda *_: declared)
    return made


def test_a_fleet_is_registered_with_all_that_deploying_and_deciding_need(registrar: Registrar, build: Path) -> None:
    package = registrar.release("1111111111111111", SIX)
    assert package.status == PENDING
    known = package.metadata
    assert (known["customers"], known["set_aside"], known["gate"]) == ("6", "0", "passed")
    assert float(known["mase"]) < 1.5
    assert known["training_job"].startswith("energy-1111")
    assert known["processing_job"].startswith("energy-split-1111")
    assert known["fleet"].endswith(f"/energy/fleets/1111111111111111-{package.data_version}/models/")
    assert package.environment["SAGEMAKER_SUBMIT_DIRECTORY"] == known["code"]
    assert known["code"].endswith(f"/energy/code/{known['code_digest']}.tar.gz")
    assert package.image.endswith(f"/sagemaker-scikit-learn@{known['image_digest']}")
    assert package.named_image == image_uri("eu-west-1", "sklearn")

    manifest = registrar.manifest(package)
    assert manifest.differs(listing_of(registrar.aws, known["fleet"])) == ""
    assert list(manifest.customers) == list(SIX.customers)
    assert manifest.customers["a"]["mae"] == pytest.approx(10, rel=0.5)
    assert manifest.customers["a"]["last"] == "2024-07-18"
    for name in ("report.html", "summary.md", "junit/gate.xml", "evaluation.json"):
        assert (build / name).read_bytes() == registrar.read(package, name)
    assert registrar.evaluation(package)["customers"]["fitted"] == 6
    assert "Customer a: consumption by date" in registrar.read(package, "report.html").decode()
    assert "# energy: passed" in "\n".join(registrar.said)


def test_readings_of_the_day_of_gathering_are_no_future_ones_and_those_of_later_days_are(registrar: Registrar) -> None:
    """A file is taken whole: it may hold readings of the last days, which a warehouse is not asked for."""
    today = datetime.now(UTC).date()

    def until(customer: str, last: date) -> list[Reading]:
        [rows] = Made((customer,)).readings(None)
        days = [last - timedelta(days=ago) for ago in reversed(range(len(rows)))]
        return [(customer, f"{day}T00:00:00", value) for day, (_, _, value) in zip(days, rows, strict=True)]

    made = Made(("a", "b", "c"), {"b": until("b", today), "c": until("c", today + timedelta(days=2))})
    manifest = registrar.manifest(registrar.release("1111111111111111", made))
    assert list(manifest.customers) == ["a", "b"]
    assert manifest.set_aside["c"].startswith("a time in the future in ")


def test_the_golden_answers_are_those_of_the_artifacts_in_the_bucket(
    registrar: Registrar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.steps.fleet_candidate.answered_offline", answered_offline)
    package = registrar.release("1111111111111111", Made(tuple(f"{i:02}" for i in range(25)), days=90))
    golden = FleetGolden.from_json(registrar.read(package, "golden.json"))
    assert len(golden.answers) == 10
    assert min(golden.answers) == "00"
    assert max(golden.answers) == "24"
    prefix = split_uri(package.fleet)[1]
    for customer, told in golden.answers.items():
        assert told["request"] == {"period": 7}
        model = unpack_model(registrar.bucket.read(f"{prefix}{customer}.tar.gz") or b"")
        assert golden.mismatch(customer, answer(Structural(), model, 7)) == ""


def test_a_second_run_finds_the_package_and_trains_nothing(registrar: Registrar, build: Path) -> None:
    package = registrar.release("1111111111111111", SIX)
    before = registrar.state()
    (build / "report.html").unlink()
    assert registrar.train("1111111111111111") == package
    assert registrar.state() == before
    assert (build / "report.html").exists()


def test_a_run_that_died_before_registering_is_continued_without_training_again(
    registrar: Registrar, monkeypatch: pytest.MonkeyPatch
) -> None:
    registrar.gather("1111111111111111", SIX)
    with monkeypatch.context() as dying:
        dying.setattr(Registry, "register", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            registrar.train("1111111111111111")
    assert registrar.train("1111111111111111").version == 1
    assert registrar.jobs == ["1111111111111111"]


def test_a_trial_writes_nothing_to_the_registry_and_no_file_of_a_package(registrar: Registrar, build: Path) -> None:
    registrar.gather("1111111111111111", SIX)
    assert registrar.train("1111111111111111", testing=True) is None
    assert not keys_below(registrar.bucket, "energy/packages/", "")
    assert list(registrar.registry.packages()) == []
    assert (build / "report.html").exists()
    assert "energy: tried out, and nothing registered" in "\n".join(registrar.said)


def test_a_new_fleet_is_scored_beside_the_champion_on_what_neither_has_seen(registrar: Registrar) -> None:
    registrar.release("1111111111111111", SIX)
    package = registrar.release("2222222222222222", replace(SIX, days=228))
    evaluation = registrar.evaluation(package)
    assert evaluation["champion"] == {"package": "version 1", "not_scored": ""}
    assert evaluation["rivals"]["champion"]["customers"] == 6
    assert float(package.metadata["champion_ratio"]) == pytest.approx(1, abs=0.3)
    assert "replace version 1: " in registrar.read(package, "summary.md").decode()
    assert "| rows | 1,368 | 1,200 |" in registrar.read(package, "summary.md").decode()


@pytest.mark.long
def test_a_customer_set_aside_keeps_its_model_and_says_so_also_two_fleets_later(registrar: Registrar) -> None:
    first = registrar.release("1111111111111111", SIX)
    newer = replace(SIX, customers=("a", "b", "c", "d", "e", "g"), poisoned=one_reading("b"), days=228)
    second = registrar.release("2222222222222222", newer)
    evaluation = registrar.evaluation(second)["customers"]
    assert (evaluation["kept"], evaluation["new"], evaluation["dropped"]) == (["b"], ["g"], ["f"])
    assert second.metadata["customers"] == "6"

    third = registrar.release("3333333333333333", replace(newer, days=250))
    for package in (second, third):
        entry = registrar.manifest(package).customers["b"]
        assert entry["kept_from"] == f"1111111111111111-{first.data_version}"
        assert entry["digest"] == registrar.manifest(first).customers["b"]["digest"]
        key = split_uri(package.fleet)[1] + "b.tar.gz"
        assert registrar.bucket.read(key) == registrar.bucket.read(split_uri(first.fleet)[1] + "b.tar.gz")
        assert registrar.manifest(package).differs(listing_of(registrar.aws, package.fleet)) == ""


def test_a_model_that_the_new_code_cannot_serve_is_not_kept(registrar: Registrar) -> None:
    registrar.release("1111111111111111", SIX)
    other = replace(LOOSE, forecaster=Structural(holidays={"new year": ("2024-01-01", "2025-01-01")}))
    registrar.gather("2222222222222222", replace(SIX, poisoned=one_reading("b")))
    package = registrar.train("2222222222222222", other)
    assert registrar.evaluation(package)["customers"]["dropped"] == ["b"]
    assert "b" not in registrar.manifest(package).customers
    said = "\n".join(registrar.said)
    assert "customer b cannot keep its model of version 1: it was fitted by a forecaster that is declared" in said


@pytest.mark.long
def test_a_model_that_the_new_code_reads_otherwise_is_not_kept(
    registrar: Registrar, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = registrar.release("1111111111111111", SIX)
    code = "tests.functional.fleet.register_kit.code_archive"
    monkeypatch.setattr(code, lambda declared: with_digits(declared, b"8  # of each number"))
    second = registrar.release("2222222222222222", replace(SIX, poisoned=one_reading("b")))
    assert second.metadata["code_digest"] != first.metadata["code_digest"]
    assert registrar.evaluation(second)["customers"]["kept"] == ["b"]

    monkeypatch.setattr(code, lambda declared: with_digits(declared, b"1"))
    third = registrar.release("3333333333333333", replace(SIX, poisoned=one_reading("b"), days=201))
    assert registrar.evaluation(third)["customers"]["dropped"] == ["b"]
    assert "customer b cannot keep its model of version 2: the new code answers otherwise with it" in "\n".join(
        registrar.said
    )

    monkeypatch.setattr(code, lambda declared: with_digits(declared, b"1 / 0"))
    fourth = registrar.release("4444444444444444", replace(SIX, poisoned=one_reading("c"), days=202))
    assert registrar.evaluation(fourth)["customers"]["dropped"] == ["c"]
    assert "ZeroDivisionError" in "\n".join(registrar.said)


def test_code_lies_where_its_digest_is_its_name_and_is_never_written_over(registrar: Registrar) -> None:
    bucket, archive, layout = registrar.bucket, code_archive(Structural()), Layout("energy")
    uri, key = stored(bucket, layout.code, archive), layout.code(hashlib.sha256(archive).hexdigest())
    written = bucket.written(key)
    assert uri == bucket.uri(key) == stored(bucket, layout.code, archive)
    assert (verified(bucket, uri), bucket.written(key)) == (archive, written)
    bucket.write_once(key, b"somebody's own")
    assert bucket.read(key) == archive
    bucket.write(key, b"somebody's own")
    for use in (lambda: stored(bucket, layout.code, archive), lambda: verified(bucket, uri)):
        with pytest.raises(ArtifactError, match=r"has been exchanged: its SHA-256 is [0-9a-f]{64}\."):
            use()
    assert bucket.read(key) == b"somebody's own"  # evidence is not removed
    registrar.aws.s3.delete_object(Bucket=bucket.name, Key=key)
    with pytest.raises(ArtifactError, match="is missing"):
        verified(bucket, uri)


def with_digits(declared: Declared, digits: bytes) -> bytes:
    """The code of a commit that answers with as many digits."""
    with tarfile.open(fileobj=io.BytesIO(code_archive(declared))) as tar:
        files = {member.name: cast("Any", tar.extractfile(member)).read() for member in tar}
    handlers = files["forecasting/handlers.py"]
    assert handlers.count(b"_DIGITS = 8") == 1
    return pack(files | {"forecasting/handlers.py": handlers.replace(b"_DIGITS = 8", b"_DIGITS = " + digits)})


def test_a_kept_model_that_somebody_has_replaced_is_not_carried_over(registrar: Registrar) -> None:
    first = registrar.release("1111111111111111", SIX)
    registrar.bucket.write(split_uri(first.fleet)[1] + "b.tar.gz", b"something else")
    registrar.gather("2222222222222222", replace(SIX, poisoned=one_reading("b")))
    with pytest.raises(GateError, match="1 of the champion's 6 customers would have no model any more"):
        registrar.train("2222222222222222", replace(LOOSE, gate=replace(GATE, may_drop_share=0)))
    assert "customer b cannot keep its model of version 1: it is not the one that was registered" in "\n".join(
        registrar.said
    )


def test_more_set_aside_than_tolerated_is_registered_as_rejected_and_fails_with_the_reasons(
    registrar: Registrar, build: Path
) -> None:
    registrar.gather("1111111111111111", replace(SIX, poisoned=one_reading("b") | one_reading("c")))
    with pytest.raises(GateError) as refused:
        registrar.train("1111111111111111", replace(LOOSE, tolerance=0.1))
    assert refused.value.exit_code == 1
    assert "2 of 6 customers are set aside (33.3 %), 10.0 % may be; the commonest reasons: 2: " in str(refused.value)
    [package] = registrar.registry.packages()
    assert package.status == REJECTED
    assert "2 of 6 customers are set aside" in (build / "junit" / "gate.xml").read_text()
    with pytest.raises(GateError):
        registrar.train("1111111111111111", replace(LOOSE, tolerance=0.1))
    assert len(list(registrar.registry.packages())) == 1


def test_a_fleet_without_any_model_fails_with_the_reasons_and_registers_nothing(registrar: Registrar) -> None:
    registrar.gather("1111111111111111", Made(("a", "b"), one_reading("a") | one_reading("b")))
    with pytest.raises(TrainingError, match=r"No customer can be scored: 0 were fitted, .* and 2 set aside"):
        registrar.train("1111111111111111")
    assert list(registrar.registry.packages()) == []


def test_without_gathered_data_the_message_says_what_to_run(registrar: Registrar) -> None:
    with pytest.raises(TrainingError, match="has gathered no data yet"):
        registrar.train("1111111111111111")
    version = registrar.gather("1111111111111111", SIX)
    registrar.aws.s3.delete_object(Bucket=registrar.bucket.name, Key=f"energy/data/{version}/manifest.json")
    with pytest.raises(DataError, match=f"Data version {version}, .* is missing from the bucket"):
        registrar.train("1111111111111111")


def changed(registrar: Registrar, prefix: str) -> None:
    registrar.bucket.write(f"{prefix}models/c.tar.gz", b"another model")


def deleted(registrar: Registrar, prefix: str) -> None:
    registrar.aws.s3.delete_object(Bucket=registrar.bucket.name, Key=f"{prefix}models/c.tar.gz")


def damaged(registrar: Registrar, prefix: str) -> None:
    registrar.bucket.write(f"{prefix}parts/part-00000.json.gz", b"no part")


def unfinished(registrar: Registrar, prefix: str) -> None:
    key = f"{prefix}parts/part-00000.json.gz"
    part = json.loads(gzip.decompress(registrar.bucket.read(key) or b""))
    del part["customers"]["c"]
    registrar.bucket.write(key, gzip.compress(json.dumps(part).encode()))


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (changed, ArtifactError, "1 of 6 artifacts below s3://.* are not those that were fitted: c."),
        (deleted, ArtifactError, "1 of 6 artifacts are missing below s3://.*: c."),
        (damaged, ArtifactError, "part-00000.json.gz is no part of a fleet"),
        (unfinished, TrainingError, "completed without a result for 1 of 6 customers"),
    ],
)
def test_what_the_jobs_left_is_verified_before_anything_is_registered(
    registrar: Registrar, damage: Callable[[Registrar, str], None], error: type[Exception], message: str
) -> None:
    version = registrar.gather("1111111111111111", SIX)
    registrar.train("1111111111111111", testing=True)
    damage(registrar, Layout("energy").fleet("1111111111111111", version, ""))
    with pytest.raises(error, match=message):
        registrar.train("1111111111111111")
    assert list(registrar.registry.packages()) == []


@pytest.mark.parametrize("left", [None, b"other code"])
def test_code_that_is_not_what_the_jobs_ran_registers_nothing(
    registrar: Registrar, monkeypatch: pytest.MonkeyPatch, left: bytes | None
) -> None:
    def run_jobs(*given: Any, **named: Any) -> Any:
        jobs = registrar.run_jobs(*given, **named)
        key = split_uri(jobs.code)[1]
        registrar.aws.s3.delete_object(Bucket=registrar.bucket.name, Key=key)
        if left is not None:
            registrar.bucket.write(key, left)
        return jobs

    monkeypatch.setattr("common.steps.fleet_candidate.train_fleet_jobs", run_jobs)
    registrar.gather("1111111111111111", SIX)
    with pytest.raises(ArtifactError, match=r"/energy/code/\w+\.tar\.gz (is missing|has been exchanged)"):
        registrar.train("1111111111111111")
    assert list(registrar.registry.packages()) == []


def test_where_etags_are_no_md5_every_artifact_is_read_instead(registrar: Registrar) -> None:
    package = registrar.release("1111111111111111", SIX)
    prefix, manifest = split_uri(package.fleet)[1], registrar.manifest(package)
    digests = {customer: entry["digest"] for customer, entry in manifest.customers.items()}
    found = etags_of(registrar.bucket, prefix, digests, md5=dict.fromkeys(digests, "encrypted"))
    assert found == {customer: (entry["etag"], entry["bytes"]) for customer, entry in manifest.customers.items()}
    with pytest.raises(ArtifactError, match="not those that were fitted: b"):
        etags_of(registrar.bucket, prefix, digests | {"b": "other"}, md5={})


def test_a_champion_whose_results_are_gone_does_not_stop_its_successor(registrar: Registrar) -> None:
    first = registrar.release("1111111111111111", SIX)
    key = Layout("energy").fleet("1111111111111111", first.data_version, "parts/part-00000.json.gz")
    registrar.aws.s3.delete_object(Bucket=registrar.bucket.name, Key=key)
    package = registrar.release("2222222222222222", replace(SIX, days=228, poisoned=one_reading("b")))
    evaluation = registrar.evaluation(package)
    assert evaluation["champion"]["package"] == "version 1"
    assert evaluation["champion"]["not_scored"].startswith("the results of its fit are gone from s3://")
    assert evaluation["customers"]["kept"] == ["b"], "its manifest is still known"


def test_a_champion_whose_manifest_is_another_one_is_not_trusted(registrar: Registrar) -> None:
    first = registrar.release("1111111111111111", SIX)
    registrar.bucket.write(split_uri(first.artifact)[1], b"another archive")
    package = registrar.release("2222222222222222", replace(SIX, days=228, poisoned=one_reading("b")))
    evaluation = registrar.evaluation(package)
    assert "is not what was registered with version 1" in evaluation["champion"]["not_scored"]
    assert evaluation["customers"]["kept"] == []
    assert evaluation["customers"]["new"] == [], "who is new is not known"
    assert "the customers of version 1 are not known" in "\n".join(registrar.said)


def test_a_fit_that_has_scored_another_champion_is_not_compared(registrar: Registrar) -> None:
    registrar.gather("2222222222222222", replace(SIX, days=228))
    registrar.train("2222222222222222", testing=True)
    registrar.release("1111111111111111", SIX)
    package = registrar.train("2222222222222222")
    assert registrar.evaluation(package)["champion"] == {
        "package": "version 1",
        "not_scored": "the fit job has scored no fleet, which was deployed when it was started",
    }


def test_the_history_of_a_fleet_has_its_own_columns(registrar: Registrar, monkeypatch: pytest.MonkeyPatch) -> None:
    registrar.release("1111111111111111", SIX)
    registrar.release("2222222222222222", replace(SIX, days=228, poisoned=one_reading("b")))
    declared = type("Declared", (), {"gate": GATE})
    monkeypatch.setattr(type(MODEL), "declaration", lambda *_: declared)
    history = package_history(registrar.context("2222222222222222"), MODEL)
    newest, oldest = (dict(zip(history.header, row, strict=True)) for row in history.rows)
    assert (newest["customers"], newest["set_aside"], oldest["set_aside"]) == ("6", "1", "0")
    for column in ("mase", "mae", "coverage80", "champion_ratio", "excess"):
        assert newest[column] == registrar.registry.version(2).metadata[column]
    assert oldest["champion_ratio"] == ""
    assert history.metric == "mase"
    assert len(history.points) == 2


@pytest.mark.long
def test_as_processes_with_the_real_jobs_a_refused_fleet_ends_with_1_and_is_not_trained_again(
    tmp_path: Path, aws: Account
) -> None:
    clone = Clone.create(tmp_path, models=("abalone", "energy"))
    made = Made(("1", "2", "3", "4"), one_reading("3"), days=120)
    rows = [",".join(row) for chunk in made.readings(None) for row in chunk]
    file = tmp_path / "readings.csv"
    file.write_text("\n".join(["customer_id,timestamp,consumption", *rows]))
    done = clone.models(aws, "train", "energy", ENERGY_SOURCE=str(file))
    assert_refused(done, "1 of 4 customers are set aside (25.0 %), 2.0 % may be")
    jobs = training_jobs(aws)
    assert [status for _, status in jobs] == ["Completed"]
    assert_refused(clone.run(aws, "-m", "energy_model.train_register"), "Version 1 of energy is rejected: gate: ")
    assert training_jobs(aws) == jobs
    assert (clone.path / "build" / "energy" / "report.html").exists()
    shown = clone.succeed(aws, "show", "energy")
    assert "set_aside" in shown
    assert "## Set aside" in shown
