"""The step `gather_data` of a fleet: from a warehouse to an immutable data version, on this machine or inside a VPC."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import DataError
from common.steps.context import Context
from common.steps.gather_series import customer_readings
from energy_model import MODEL
from energy_model.gather_data import DATA
from tests.accounts import Account
from tests.clones import Clone
from tests.functional.data.conftest import Postgres
from tests.functional.data.test_extract import fill
from tests.functional.data.test_extract_secrets import login
from tests.functional.steps.step_kit import Done, assert_refused, killed_at

GATHER = ("-m", "energy_model.gather_data")
VPC = 'run_on=InVpc("ml.m5.large", subnets=("subnet-0a1b2c3d",), security_groups=("sg-0a1b2c3d",))'

READ_ONE = """
import sys
from common.steps import failures_explained
from common.steps.context import Context
from common.steps.gather_series import customer_readings
from energy_model import MODEL
from energy_model.gather_data import DATA
with failures_explained():
    rows = customer_readings(Context.from_environment(), MODEL, DATA, sys.argv[1])
    print(len(rows), rows[0], rows[-1])
"""


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.create(tmp_path, ("abalone", "energy"))


@pytest.fixture
def warehouse(postgres: Postgres) -> Iterator[Postgres]:
    """300 readings of three customers."""
    fill(postgres, "integer", "timestamp")
    postgres.run(
        "INSERT INTO readings SELECT 'm', timestamp '2024-01-01' + n / 3 * interval '1 day', n, n % 3 "
        "FROM generate_series(0, 299) AS n"
    )
    yield postgres
    postgres.run("DROP TABLE IF EXISTS readings")


def objects(aws: Account) -> dict[str, bytes]:
    """Everything in the bucket."""
    s3 = aws.client("s3")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=aws.bucket).get("Contents", [])]
    return {key: s3.get_object(Bucket=aws.bucket, Key=key)["Body"].read() for key in keys}


def without_password(done: Done, aws: Account) -> Done:
    """The process, in whose output, and in whatever it left on AWS, there is nothing of the password."""
    left = list(objects(aws).values())
    unpacked = [gzip.decompress(body) for body in left if body[:2] == b"\x1f\x8b"]
    jobs = aws.client("sagemaker").list_processing_jobs()["ProcessingJobSummaries"]
    described = [
        aws.client("sagemaker").describe_processing_job(ProcessingJobName=job["ProcessingJobName"]) for job in jobs
    ]
    for text in [done.stdout.encode(), done.stderr.encode(), *left, *unpacked, str(described).encode()]:
        assert b"s3cr" not in text.replace(b"s3cret", b"")
    return done


def gathered(aws: Account) -> tuple[str, dict[str, Any]]:
    """(data version, its manifest), when the bucket has exactly one, whole."""
    found = objects(aws)
    [manifest] = [
        json.loads(body) for key, body in found.items() if key.startswith("energy/data/") and "manifest" in key
    ]
    folder = f"energy/data/{manifest['version']}"
    parts = {key: body for key, body in found.items() if key.startswith("energy/data/") and "/raw/" in key}
    assert {f"{folder}/raw/{part['name']}" for part in manifest["parts"]} == set(parts)
    for part in manifest["parts"]:
        assert hashlib.sha256(parts[f"{folder}/raw/{part['name']}"]).hexdigest() == part["sha256"]
    [record] = [json.loads(body) for key, body in found.items() if key.startswith("energy/sources/")]
    assert record["data_version"] == manifest["version"]
    return manifest["version"], manifest


def test_a_warehouse_is_gathered_once_for_each_source_and_anew_on_demand(
    clone: Clone, aws: Account, warehouse: Postgres
) -> None:
    url = {"ENERGY_SOURCE": warehouse.url}
    first = without_password(clone.run(aws, *GATHER, **url), aws)
    assert first.returncode == 0, first.stderr
    version, manifest = gathered(aws)
    assert (manifest["rows"], manifest["customers"]) == (300, 3)
    assert manifest["source"] == f"postgresql://127.0.0.1:{warehouse.port}/telco"
    assert f"data {version} (300 readings of 3 customers in 1 parts)" in first.stdout
    before = objects(aws)

    warehouse.run("INSERT INTO readings VALUES ('m', '2024-12-01', 1, 0)")
    again = clone.run(aws, *GATHER, **url)
    assert "has gathered data " + version in again.stdout
    elsewhere = clone.run(aws, *GATHER, ENERGY_SOURCE="readings.csv")
    assert "warning: that was from postgresql://" in elsewhere.stdout
    assert objects(aws) == before

    refreshed = clone.run(aws, *GATHER, "--refresh", **url)
    assert refreshed.returncode == 0, refreshed.stderr
    after = objects(aws)
    assert {key: after[key] for key in before if "/sources/" not in key} == {
        key: body for key, body in before.items() if "/sources/" not in key
    }
    assert f"data {version}" not in refreshed.stdout


@pytest.mark.long
def test_what_is_not_committed_or_cannot_be_read_leaves_the_bucket_as_it_was(
    clone: Clone, aws: Account, warehouse: Postgres
) -> None:
    (clone.path / "readings.csv").write_text(
        "customer_id,timestamp,consumption\n1,2024-01-01,1\n2,2024-01-01,1\n1,2024-01-02,1\n"
    )
    for url, told in (
        (warehouse.url.replace(":s3cr", ":s3cr0"), "refuses the login"),
        ("readings.csv", "customer '1' are not together"),
    ):
        assert_refused(without_password(clone.run(aws, *GATHER, ENERGY_SOURCE=url), aws), told)
    clone.edit("energy_model/gather_data.py", r"ceiling_days_ago=2", "ceiling_days_ago=3")
    assert_refused(clone.run(aws, *GATHER, ENERGY_SOURCE=warehouse.url), "gather_data.py", "not committed")
    assert objects(aws) == {}


@pytest.mark.long
def test_a_gather_killed_between_any_two_uploads_is_completed_by_the_next(
    clone: Clone, aws: Account, warehouse: Postgres
) -> None:
    url = {"ENERGY_SOURCE": warehouse.url}
    for where, left in (("common.storage:Bucket.upload", 0), ("common.storage:Bucket.write", 1)):
        killed = clone.run(aws, "-c", killed_at("energy_model.gather_data", where, 1), **url)
        assert killed.returncode == 137, killed.stderr
        assert len(objects(aws)) == left
        assert not any("manifest" in key for key in objects(aws))
    assert clone.run(aws, *GATHER, **url).returncode == 0
    gathered(aws)


@pytest.mark.long
def test_inside_a_vpc_a_job_gathers_the_same_and_knows_the_secrets_name_only(
    clone: Clone, aws: Account, warehouse: Postgres
) -> None:
    assert clone.run(aws, *GATHER, ENERGY_SOURCE=warehouse.url).returncode == 0
    here, manifest = gathered(aws)
    s3 = aws.client("s3")
    for key in objects(aws):
        s3.delete_object(Bucket=aws.bucket, Key=key)

    _move_into_vpc(clone)
    assert_refused(
        without_password(clone.run(aws, *GATHER, ENERGY_SOURCE=warehouse.url), aws),
        "would stand in the job's request", "secretsmanager://",
    )  # fmt: skip
    assert objects(aws) == {}

    aws.client("secretsmanager").create_secret(Name="energy/warehouse", SecretString=login(warehouse))
    url = {"ENERGY_SOURCE": "secretsmanager://energy/warehouse"}
    done = without_password(clone.run(aws, *GATHER, **url), aws)
    assert done.returncode == 0, done.stdout + done.stderr
    inside, from_job = gathered(aws)
    assert inside == here
    assert from_job["parts"] == manifest["parts"]
    assert from_job["source"] == "the warehouse of the secret energy/warehouse"

    sagemaker = aws.client("sagemaker")
    [name] = [job["ProcessingJobName"] for job in sagemaker.list_processing_jobs()["ProcessingJobSummaries"]]
    job = sagemaker.describe_processing_job(ProcessingJobName=name)
    vpc = {"Subnets": ["subnet-0a1b2c3d"], "SecurityGroupIds": ["sg-0a1b2c3d"]}
    assert job["NetworkConfig"]["VpcConfig"] == vpc
    assert not job["NetworkConfig"].get("EnableNetworkIsolation")
    assert job["Environment"] == url
    assert "300 readings of 3 customers" in done.stdout  # the job's log

    one = clone.run(aws, "-c", READ_ONE, "2", **url)
    assert "100 ('2', '2024-01-01T00:00:00', '2.0') ('2', '2024-04-09T00:00:00', '299.0')" in one.stdout, one.stderr

    # A step that was killed after the job finds the job done.
    for key in objects(aws):
        if key.startswith(("energy/data", "energy/sources")):
            s3.delete_object(Bucket=aws.bucket, Key=key)
    assert clone.run(aws, *GATHER, **url).returncode == 0
    assert gathered(aws)[0] == here
    assert len(sagemaker.list_processing_jobs()["ProcessingJobSummaries"]) == 2  # the step's, and the customer's


@pytest.mark.long
def test_a_job_that_cannot_read_is_told_with_its_log_and_one_that_was_tampered_with_is_refused(
    clone: Clone, aws: Account, warehouse: Postgres
) -> None:
    _move_into_vpc(clone)
    url = {"ENERGY_SOURCE": "secretsmanager://energy/warehouse"}
    secrets = aws.client("secretsmanager")
    secrets.create_secret(Name="energy/warehouse", SecretString=login(warehouse, password="s3cr0"))
    assert_refused(without_password(clone.run(aws, *GATHER, **url), aws), "energy-gather-", "refuses the login")
    assert not any(key.startswith(("energy/data", "energy/sources")) for key in objects(aws))

    secrets.put_secret_value(SecretId="energy/warehouse", SecretString=login(warehouse))
    killed = clone.run(aws, "-c", killed_at("energy_model.gather_data", "common.storage:Bucket.read_json", 2), **url)
    assert killed.returncode == 137, killed.stderr
    [part] = [key for key in objects(aws) if key.endswith("part-00000.csv.gz")]
    aws.client("s3").put_object(Bucket=aws.bucket, Key=part, Body=gzip.compress(b"customer,timestamp,value\n"))
    assert_refused(clone.run(aws, *GATHER, **url), "is not what the job has written")
    assert not any(key.startswith(("energy/data", "energy/sources")) for key in objects(aws))


def test_one_customer_is_read_alone(aws: Account, warehouse: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**aws.env, "ENERGY_SOURCE": warehouse.url}.items():
        monkeypatch.setenv(name, value)
    context = Context.from_environment()
    found = customer_readings(context, MODEL, DATA, "2")
    assert (len(found), found[0]) == (100, ("2", "2024-01-01T00:00:00", "2.0"))
    with pytest.raises(DataError, match="has no customer '02', but one spelled '2'"):
        customer_readings(context, MODEL, DATA, "02")
    with pytest.raises(DataError, match="has no readings of customer '9'"):
        customer_readings(context, MODEL, DATA, "9")


@pytest.mark.long
def test_a_folder_of_this_machine_needs_no_bucket(clone: Clone, warehouse: Postgres) -> None:
    done = clone.run(None, *GATHER, "--to", "out", "--customer=1", ENERGY_SOURCE=warehouse.url)
    assert "100 readings of 1 customers in 1 parts in out" in done.stdout, done.stderr
    assert json.loads((clone.path / "out/manifest.json").read_text())["rows"] == 100
    assert_refused(
        clone.run(None, *GATHER, "--to", "README.md", ENERGY_SOURCE=warehouse.url), "cannot be a folder", code=2
    )
    assert "goes with --to" in clone.run(None, *GATHER, "--customer=1").stderr


def _move_into_vpc(clone: Clone) -> None:
    clone.edit("energy_model/gather_data.py", r"at_most=HIGHEST,", f"at_most=HIGHEST,\n    {VPC},")
    clone.edit("energy_model/gather_data.py", r"extract import Readings", "extract import InVpc, Readings")
    clone.commit("Read the warehouse inside its VPC")
