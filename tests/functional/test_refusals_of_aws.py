"""What AWS refuses in an organisation of four accounts, as a person or a CI log reads it: the role, the action, the remedy."""

from __future__ import annotations

import json
import os
import time
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from common.aws import Aws, explained
from common.cli import app
from common.environments import Environments
from common.errors import AwsError, ModelsError
from common.evaluation.gate import Gate
from common.local.accounts import layout
from common.local.accounts.layout import CircleCi, Organisation, four_accounts
from common.local.accounts.make import Administrator, make
from common.local.pipeline.project import ORGANISATION, PROJECT, USER
from common.model import find_model
from common.settings import Settings
from common.storage import Bucket, Layout
from common.training.image import image_uri
from common.training.job import run_training_job
from common.training.xgboost import XGBoost, training_request

REPOSITORY = "github.com/local/models"


@dataclass(frozen=True)
class Accounts:
    """Four accounts, and jobs of CircleCI that work in them."""

    url: str
    organisation: Organisation
    file: Path

    def context(self, name: str, model: str = "abalone") -> dict[str, str]:
        """What a job of that context finds in its environment, but for its identity."""
        held = layout.contexts(self.organisation)[name]
        return {key: value.replace("{model}", model) for key, value in held.items()} | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def token(self, tmp_path: Path, branch: str = "feature", **claims: Any) -> str:
        """The file with a job's identity, as CircleCI would sign it."""
        subject = (
            f"org/{ORGANISATION}/project/{PROJECT}/user/{USER}/vcs-origin/{REPOSITORY}/vcs-ref/refs/heads/{branch}"
        )
        issuer = f"https://oidc.circleci.com/org/{ORGANISATION}"
        body = {"claims": {"iss": issuer, "aud": ORGANISATION, "sub": subject, **claims}}
        request = urllib.request.Request(  # noqa: S310 - of the test's own server
            f"{self.url}/_local/oidc/token", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            token = json.load(answer)["token"]
        file = tmp_path / f"token-{uuid.uuid4().hex}"
        file.write_text(token)
        return str(file)

    def job(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        context: str,
        token: str = "",
        **more: str,
    ) -> None:
        """Let this process be a job of that context, on a branch unless its identity says otherwise."""
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        identity = {"AWS_WEB_IDENTITY_TOKEN_FILE": token or self.token(tmp_path)}
        for name, value in (self.context(context) | identity | more).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("common.settings.FILE", self.file)


def models(*arguments: str) -> str:
    """What `./models …` tells when it fails."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture(scope="module")
def accounts(aws_url: str, tmp_path_factory: pytest.TempPathFactory) -> Accounts:
    numbers = tuple(f"{72_000_000_0000 + uuid.uuid4().int % 10**8 * 10 + place:012d}" for place in range(4))
    organisation = four_accounts(
        CircleCi(REPOSITORY), ("abalone", "churn"), accounts=(numbers[0], numbers[1], numbers[2], numbers[3]),
        name=f"refusals-{numbers[0][-8:]}",
    )  # fmt: skip
    keys = make(aws_url, organisation)
    file = tmp_path_factory.mktemp("map") / "environments.json"
    file.write_text(json.dumps(layout.environments(organisation, keys)))
    return Accounts(aws_url, organisation, file)


def account_of(accounts: Accounts, name: str) -> str:
    return next(place.account for place in accounts.organisation.places if place.name == name)


def test_credentials_of_another_account_stop_a_command_before_it_does_anything(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    accounts.job(monkeypatch, tmp_path, "train", MODELS_ENVIRONMENT="production")
    told = models("deploy", "abalone")
    dev, production = account_of(accounts, "dev"), account_of(accounts, "production")
    assert f"These are credentials of account {dev}, and the environment production is account {production}" in told
    assert f"sts:GetCallerIdentity answers arn:aws:sts::{dev}:assumed-role/models-train-abalone/" in told
    assert "the Terraform variable `accounts`" in told


def test_an_expired_identity_says_which_role_was_asked_for_what(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    accounts.job(monkeypatch, tmp_path, "train", accounts.token(tmp_path, exp=int(time.time()) - 5))
    told = models("status")
    assert "AWS refused AssumeRoleWithWebIdentity: ExpiredToken" in told
    assert "models-train-abalone" in told
    assert "the Terraform variable `session_hours`" in told


def test_a_branch_that_asks_for_the_role_of_main_is_told_what_decides_it(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    accounts.job(monkeypatch, tmp_path, "deploy")
    told = models("status")
    assert "models-deploy" in told
    assert "sts:AssumeRoleWithWebIdentity" in told
    assert "the Terraform variable `circleci`" in told


@pytest.fixture
def without_dev(accounts: Accounts) -> Any:
    """The registry's key admits nobody of dev any more, as where a grant was forgotten."""
    registry = accounts.organisation.registry
    kms = Administrator(accounts.url, registry.account).client("kms")
    key = Environments.read(accounts.file).registry.kms_key
    before = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    document = json.loads(before)
    root = f"arn:aws:iam::{registry.account}:root"
    own = [s for s in document["Statement"] if s["Principal"].get("AWS") == root]
    assert own != document["Statement"]
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps({**document, "Statement": own}))
    yield
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=before)


def refusal(of: Any) -> ModelsError:
    with pytest.raises(ModelsError) as refused, explained():
        of()
    return refused.value


def test_a_missing_grant_of_a_key_names_role_action_and_variable(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, without_dev: None
) -> None:
    accounts.job(monkeypatch, tmp_path, "train")
    aws = Aws(Settings.from_environment())
    told = refusal(lambda: Bucket(aws).write(Layout("abalone").package("s", "v", "golden.json"), b"[]"))
    assert isinstance(told, AwsError)
    assert "is not authorized to perform: kms:GenerateDataKey" in told.what
    assert "models-train-abalone" in told.remedy
    assert "kms:GenerateDataKey" in told.remedy
    assert "`accounts`" in told.remedy


def request_of(aws: Aws, model: str, role_of: str) -> Any:
    training = XGBoost("ml.m5.large", {"objective": "reg:squarederror", "num_round": 1}, Gate("rmse", at_most=9))
    bucket, layout_ = Bucket(aws), Layout(model)
    request = training_request(
        find_model(model), training, aws.settings, image=image_uri(aws.settings.region),
        channels={"train": bucket.uri(layout_.data("v", "train/"))}, output=bucket.uri(layout_.training()),
    )  # fmt: skip
    return {**request, "RoleArn": aws.settings.role_of_jobs(role_of)}


def test_a_role_that_may_not_be_passed_is_named_with_who_asked(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    accounts.job(monkeypatch, tmp_path, "train")
    aws = Aws(Settings.from_environment())
    told = refusal(
        lambda: run_training_job(aws, "abalone-x", lambda: request_of(aws, "abalone", "churn"), lambda _line: None)
    )
    assert "iam:PassRole" in told.what
    assert "models-jobs-churn" in told.what
    assert "The role models-train-abalone of account" in told.remedy
    assert "the variable `models`" in told.remedy
    everything = Administrator(accounts.url, account_of(accounts, "dev")).client("sagemaker")
    assert not everything.list_training_jobs()["TrainingJobSummaries"]
