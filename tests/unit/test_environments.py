"""Where a command works: one of several environments, each in its account, or the only one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.aws import Aws
from common.environments import Environments, Network
from common.errors import SettingsError
from common.settings import Central, Settings
from common.steps.context import Context
from common.storage import REGISTERED, Bucket, Layout

NUMBERS = {"dev": "111111111111", "registry": "222222222222", "staging": "333333333333", "production": "444444444444"}


def declared(name: str, **more: Any) -> dict[str, Any]:
    account = NUMBERS[name]
    return {
        "account": account,
        "region": "eu-west-1",
        "bucket": f"models-{name}",
        "kms_key": f"arn:aws:kms:eu-west-1:{account}:key/{name}",
        "job_role": f"arn:aws:iam::{account}:role/models-jobs-{{model}}",
        **more,
    }


def served(name: str, **more: Any) -> dict[str, Any]:
    return declared(name, endpoint_role=f"arn:aws:iam::{NUMBERS[name]}:role/models-endpoint-{{model}}", **more)


FOUR: dict[str, Any] = {
    "registry": "registry",
    "serving": "production",
    "environments": {
        "dev": declared("dev", network={"subnets": ["subnet-1"], "security_groups": ["sg-1"], "isolated": True}),
        "registry": declared("registry"),
        "staging": served("staging"),
        "production": served("production", after="staging", session_seconds=14_400),
    },
}
ONE: dict[str, Any] = {
    "registry": "production",
    "serving": "production",
    "environments": {"production": served("production")},
}


def settings(tmp_path: Path, name: str, document: dict[str, Any] = FOUR) -> Settings:
    file = tmp_path / "environments.json"
    file.write_text(json.dumps(document))
    return Settings.from_environment({"MODELS_ENVIRONMENT": name}, file)


def test_dev_trains_registers_elsewhere_and_compares_with_what_serves_elsewhere(tmp_path: Path) -> None:
    dev = settings(tmp_path, "dev")
    assert dev.account == "111111111111"
    assert dev.registry == Central("222222222222", "eu-west-1", "models-registry", declared("registry")["kms_key"])
    assert dev.role_of_jobs("abalone") == "arn:aws:iam::111111111111:role/models-jobs-abalone"
    assert (dev.deploys, dev.answers_here) == ("production", False)
    assert dev.network == Network(("subnet-1",), ("sg-1",), isolated=True)


def test_staging_and_production_note_their_deployments_apart(tmp_path: Path) -> None:
    staging, production = settings(tmp_path, "staging"), settings(tmp_path, "production")
    assert (staging.deploys, production.deploys) == ("staging", "production")
    assert (staging.after, production.after) == ("", "staging")
    assert (staging.answers_here, production.answers_here) == (False, True)
    assert production.role_of_endpoint("abalone") == "arn:aws:iam::444444444444:role/models-endpoint-abalone"
    assert (staging.session_seconds, production.session_seconds) == (3600, 14_400)


def test_one_environment_has_one_bucket_one_registry_and_plain_names(tmp_path: Path) -> None:
    only = settings(tmp_path, "production", ONE)
    assert (only.registry, only.deploys, only.answers_here) == (None, "", True)
    assert only.key_of(only.bucket) == only.kms_key


def test_what_is_not_done_in_an_environment_says_so(tmp_path: Path) -> None:
    document = json.loads(json.dumps(FOUR))
    del document["environments"]["registry"]["job_role"]
    with pytest.raises(SettingsError, match="environment registry has no job_role"):
        settings(tmp_path, "registry", document).role_of_jobs("abalone")


def test_an_environment_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="MODELS_ENVIRONMENT is 'prod', and"):
        settings(tmp_path, "prod")


def test_a_missing_file_says_how_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no environments") as error:
        Environments.read(tmp_path / "environments.json")
    assert "make infra-map" in error.value.remedy


def broken(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(FOUR))
    document["environments"]["dev"] |= changes
    return document


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ([], 'there is no object "environments"'),
        ({**FOUR, "registry": "central"}, "\"registry\" is 'central', which is none of dev"),
        (broken(account="1234"), "dev: \"account\" is malformed: '1234'"),
        (broken(account=""), 'dev: there is no "account"'),
        (broken(buckt="x"), 'dev: "buckt" is not known'),
        (broken(kms_key="alias/models"), 'dev: "kms_key" is malformed'),
        (broken(after="test"), "dev: \"after\" is 'test'"),
        (broken(network={"subnets": ["subnet-1"]}), 'dev: "network" has subnets and no security groups'),
        (broken(network=["subnet-1"]), 'dev: "network" is malformed'),
        (broken(session_seconds=60), "AWS takes 900 to 43200"),
        (broken(region=7), 'dev: "region" is malformed: 7'),
    ],
)
def test_a_malformed_file_names_each_problem(tmp_path: Path, document: Any, problem: str) -> None:
    with pytest.raises(SettingsError) as error:
        settings(tmp_path, "dev", document)
    assert problem in error.value.what


def test_what_is_registered_lies_in_the_registrys_bucket_and_what_runs_in_ones_own(tmp_path: Path) -> None:
    bucket, layout = Bucket(Aws(settings(tmp_path, "dev"))), Layout("abalone")
    central = [layout.data("v", "train/train.csv"), layout.source("s"), layout.package("s", "v", "golden.json")]
    own = [layout.training(), layout.capture(), layout.batch_output(), layout.monitoring(1, "w/findings.json")]
    assert {bucket.of(key) for key in (*central, layout.fleet("s", "v", "models/"), layout.retraining(1))} == {
        "models-registry"
    }
    assert {bucket.of(key) for key in (*own, "notifications/data.json", "small/generations/1/models/")} == {
        "models-dev"
    }
    assert bucket.uri(layout.package("s", "v", "model.tar.gz")).startswith("s3://models-registry/abalone/packages/")


@given(st.sampled_from([*REGISTERED, "training", "batch", ""]), st.text("abc/", max_size=9))
def test_with_one_environment_everything_lies_in_one_bucket(folder: str, rest: str) -> None:
    only = Settings("eu-west-1", "models", "arn:aws:iam::123456789012:role/jobs")
    assert Bucket(Aws(only)).of(f"abalone/{folder}/{rest}") == "models"


def test_what_reads_data_by_itself_finds_the_region_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CircleCI's contexts say no region; a source in S3 or Secrets Manager knows nothing of environments."""
    here = settings(tmp_path, "dev")
    monkeypatch.setattr(Settings, "from_environment", lambda: here)
    monkeypatch.setattr("common.steps.context.require_account", lambda aws: None)
    monkeypatch.setenv("AWS_REGION", "us-east-1")

    Context.from_environment()

    assert os.environ["AWS_REGION"] == "eu-west-1"
