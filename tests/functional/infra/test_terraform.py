"""`infra/` does what it declares: Terraform applies it to accounts of the local AWS, and boto3 reads back what stands there."""

import json
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from common.environments import Environments
from common.local.accounts import layout
from common.local.accounts.layout import CircleCi, Organisation
from common.model import ROOT
from tests.accounts import REGION, Account
from tests.functional.infra import read_back
from tests.functional.infra.terraform_kit import (
    MIRROR,
    STATE,
    Stack,
    Terraform,
    found_terraform,
    initialised,
    prepared,
)

CIRCLECI = CircleCi("github.com/acme/models", approvers=("5ad53b7e-4f0e-4d4b-8d6c-2b1a3f0c9d8e",))
SUBSCRIBER = "team@example.com"
DESCRIPTIONS = {"abalone": "The rings of a shell"}
SHARED = ("ensemble",)
COMMON: Mapping[str, Any] = {
    "region": REGION,
    "models": DESCRIPTIONS,
    "shared_endpoints": SHARED,
    "circleci": {
        "organisation": CIRCLECI.organisation,
        "project": CIRCLECI.project,
        "repository": CIRCLECI.repository,
        "approvers": CIRCLECI.approvers,
    },
    "subscribers": [SUBSCRIBER],
    "budget": 500,
    "log_days": 30,
    "noncurrent_days": None,  # Terraform waits 55 s for that one resource: see the long test
}
LOGS = {
    "train": {"TrainingJobs", "ProcessingJobs"},
    "register": set[str](),
    "deploy": {"ProcessingJobs", "TransformJobs", "Endpoints/abalone", "Endpoints/ensemble"},
}


def _new_account() -> str:
    return f"{uuid.uuid4().int % 10**12:012d}"


def _applied(stack: Stack) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    """Apply; the environments as their file would say, the keys by environment, and CircleCI's contexts."""
    stack.run("validate")
    stack.run("apply", "-auto-approve", "-input=false", "-parallelism=40")  # most of the time it waits
    outputs = stack.outputs()
    declared = json.loads(outputs["environments"])
    keys = {name: each["kms_key"] for name, each in declared["environments"].items()}
    return declared, keys, outputs["contexts"]


def _check_place(url: str, organisation: Organisation, place: layout.Place, keys: Mapping[str, str]) -> Account:
    own = Account(url, place.account)
    key = keys[place.name]
    read_back.check_key(own, place, organisation, key)
    read_back.check_bucket(own, place, organisation, key)
    read_back.check_circleci(own, organisation)
    read_back.check_notifications(own, place, key, SUBSCRIBER)
    read_back.check_budget(own, place, "500")
    read_back.check_logs(own, key, {name for deed in place.does for name in LOGS[deed]})
    return own


def _check_stable_then_destroy(stack: Stack) -> None:
    """A second plan finds nothing to do; destroy leaves nothing; the state is in S3, and no lock is left."""
    stack.run("plan", "-detailed-exitcode", "-input=false", "-parallelism=40")  # 2 where something would change
    s3 = stack.administrator.client("s3")
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=stack.state_bucket)["Contents"]] == [STATE]
    stack.run("destroy", "-auto-approve", "-input=false", "-refresh=false", "-parallelism=40")
    s3.delete_object(Bucket=stack.state_bucket, Key=STATE)
    s3.delete_bucket(Bucket=stack.state_bucket)


@pytest.mark.long
def test_one_account_is_made_as_declared_and_goes_again(terraform: Terraform, aws_url: str, tmp_path: Path) -> None:
    own = Account(aws_url, _new_account())
    secret = f"arn:aws:secretsmanager:{REGION}:{own.account}:secret:warehouse-AbCdEf"
    person = f"arn:aws:iam::{own.account}:role/data-scientist"
    variables = {
        **COMMON,
        "account": own.account,
        "name": f"acme-{own.account}",
        "network": {"isolated": True},
        "warehouse_secrets": [secret],
        "on_call": [person],
    }
    stack = initialised(prepared(terraform, "examples/one-account", own, variables, tmp_path))

    declared, keys, contexts = _applied(stack)

    organisation = layout.one_account(
        own.account, f"acme-{own.account}-production", CIRCLECI, tuple(DESCRIPTIONS), SHARED
    )
    [place] = organisation.places
    network = declared["environments"]["production"].pop("network")
    assert declared == layout.environments(organisation, keys)
    assert contexts == layout.contexts(organisation)
    assert network["isolated"] is True
    read_back.check_network(own, network)
    _check_place(aws_url, organisation, place, keys)
    at = {"account": own.account, "region": REGION, "key": keys["production"], "topic": place.topic}
    packages = {"account": own.account, "region": REGION, "bucket": place.bucket, "key": keys["production"]}
    here = {**at, "bucket": place.bucket, **{f"packages_{name}": value for name, value in packages.items()}}
    joins = {"network": layout.document("network", at)}
    logs_in = {"warehouse": layout.document("warehouse", {"secrets": [secret]})}
    more = {
        "models-train-abalone": logs_in,
        "models-jobs-abalone": logs_in | joins,
        "models-endpoint-abalone": joins,
        "models-endpoint-ensemble": joins,
        "models-on-call": {name: layout.document(name, here) for name in ("on-call", "never")},
    }
    read_back.check_roles(own, layout.roles(organisation, place, keys), more)
    trust = own.client("iam").get_role(RoleName="models-on-call")["Role"]["AssumeRolePolicyDocument"]
    assert [each["Principal"] for each in trust["Statement"]] == [{"AWS": [person]}]
    read_back.check_groups(own, organisation, DESCRIPTIONS)
    _check_stable_then_destroy(stack)
    read_back.check_nothing_left(own)


def test_four_accounts_are_made_as_declared_and_go_again(terraform: Terraform, aws_url: str, tmp_path: Path) -> None:
    dev, registry, staging, production = ids = (_new_account(), _new_account(), _new_account(), _new_account())
    name = f"acme-{registry}"
    accounts = {"dev": dev, "registry": registry, "staging": staging, "production": production}
    variables = {**COMMON, "accounts": accounts, "name": name}
    administrator = Account(aws_url, _new_account())
    stack = initialised(prepared(terraform, "examples/four-accounts", administrator, variables, tmp_path))

    declared, keys, contexts = _applied(stack)

    organisation = layout.four_accounts(CIRCLECI, tuple(DESCRIPTIONS), SHARED, accounts=ids, name=name)
    assert declared == layout.environments(organisation, keys)
    assert contexts == layout.contexts(organisation)
    file = tmp_path / "environments.json"
    file.write_text(json.dumps(declared))
    assert Environments.read(file).named("production").after == "staging"
    for place in organisation.places:
        own = _check_place(aws_url, organisation, place, keys)
        read_back.check_roles(own, layout.roles(organisation, place, keys), {})
    read_back.check_groups(Account(aws_url, registry), organisation, DESCRIPTIONS)
    _check_stable_then_destroy(stack)
    for account in ids:
        read_back.check_nothing_left(Account(aws_url, account))


def test_wrong_values_are_refused_before_anything_is_made(terraform: Terraform, aws_url: str, tmp_path: Path) -> None:
    wrong = {
        "accounts": {"dev": "11111111111", "registry": "222222222222", "staging": "3" * 12, "production": "3" * 12},
        "region": "Ireland",
        "name": "Acme",
        "models": {"Abalone-2": "no name of a model"},
        "circleci": {
            **COMMON["circleci"],
            "project": "models",
            "approvers": [],
            "repository": "https://github.com/a/b",
        },
        "network": {"cidr": "10.0.0.0/27", "zones": 1},
        "key_users": ["somebody"],
        "on_call": ["somebody"],
        "subscribers": ["team"],
        "budget": 0,
        "session_hours": 13,
        "warehouse_secrets": ["password"],
        "noncurrent_days": 0,
        "log_days": 31,
    }
    administrator = Account(aws_url, _new_account())
    stack = initialised(prepared(terraform, "examples/four-accounts", administrator, wrong, tmp_path))

    said = " ".join(stack.run("plan", "-input=false", fails=True).replace("│", "").split())

    for message in (
        "accounts are the 12 digits",
        "four different ones",
        "region is one of AWS's",
        "name has 3 to 42",
        "name of a model has",
        "not names: see docs/infra.md",
        "Without approvers nobody",
        "without https:// and .git",
        "at least 256 addresses",
        "from 2 to 6",
        "key_users are",
        "on_call are",
        "subscribers are e-mail",
        "USD above 0",
        "session_hours is a whole number from 1 to 12",
        "warehouse_secrets are",
        "noncurrent_days is",
        "CloudWatch keeps logs",
    ):
        assert message in said


def test_a_machine_without_the_provider_skips_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "terraform").touch(mode=0o755)
    for name in ("PATH", "HOME", "XDG_DATA_HOME", "XDG_DATA_DIRS", MIRROR):
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match=r"no folder of providers has the AWS provider 5\.100\.0"):
        found_terraform(tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.skip.Exception, match="terraform is not installed"):
        found_terraform(tmp_path)


def test_terraform_finds_its_files_formatted(terraform: Terraform) -> None:
    assert terraform.run(ROOT, "fmt", "-check", "-recursive", "infra") == ""


def _check_make(stack: Stack, root: Path) -> None:
    """`make infra-plan` finds nothing to do, and `make infra-map` writes a map that the code can read."""
    where = ["-C", str(root), "-f", str(ROOT / "Makefile"), "-o", "setup", f"BIN={Path(sys.executable).parent}"]
    plugins = {"TF_CLI_ARGS_init": f"-plugin-dir={stack.terraform.plugins}"}
    environment = stack.terraform.environment(stack.administrator.env | plugins)
    made = subprocess.run(
        ["make", "-s", *where, "infra-plan", "infra-map"], env=environment, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    assert "No changes." in made.stdout
    declared = Environments.read(root / "environments.json")
    assert declared.serving.account == stack.administrator.account


@pytest.mark.long
def test_the_bucket_of_the_state_and_what_expires_are_made(terraform: Terraform, aws_url: str, tmp_path: Path) -> None:
    """`infra/bootstrap`, then one account with its state there and versions that go: for these Terraform waits 55 s."""
    own = Account(aws_url, _new_account())
    state = f"acme-{own.account}-terraform"
    boot = prepared(
        terraform, "bootstrap", own, {"account": own.account, "region": REGION, "bucket": state}, tmp_path / "boot"
    )
    boot.run("init", "-input=false", f"-plugin-dir={terraform.plugins}")
    boot.run("validate")
    boot.run("apply", "-auto-approve", "-input=false", "-parallelism=40")
    variables = {**COMMON, "account": own.account, "name": f"acme-{own.account}", "noncurrent_days": 90}
    stack = prepared(terraform, "examples/one-account", own, variables, tmp_path / "one")
    (stack.folder / "backend.hcl").write_text(boot.outputs()["backend"])
    stack.run("init", "-input=false", f"-plugin-dir={terraform.plugins}", "-backend-config=backend.hcl")

    stack.run("apply", "-auto-approve", "-input=false", "-parallelism=40")

    _check_make(stack, tmp_path / "one")
    boot.run("plan", "-detailed-exitcode", "-input=false")
    s3 = own.client("s3")
    [rule] = s3.get_bucket_lifecycle_configuration(Bucket=f"acme-{own.account}-production")["Rules"]
    assert (rule["Status"], rule["NoncurrentVersionExpiration"]) == ("Enabled", {"NoncurrentDays": 90})
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert s3.get_bucket_versioning(Bucket=state)["Status"] == "Enabled"
    assert s3.get_public_access_block(Bucket=state)["PublicAccessBlockConfiguration"] == read_back.ALL_BLOCKED
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=state)["Contents"]] == ["models/terraform.tfstate"]
    [encryption] = s3.get_bucket_encryption(Bucket=state)["ServerSideEncryptionConfiguration"]["Rules"]
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    stack.run("destroy", "-auto-approve", "-input=false", "-refresh=false")
    assert "cannot be destroyed" in boot.run("destroy", "-auto-approve", "-input=false", fails=True)
