"""The accounts of a project on the local AWS, made of the documents in `infra/policies`, and the policies that stand there."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from common.environments import Environment
from common.local.accounts import layout
from common.local.accounts.layout import CircleCi, Organisation
from common.local.accounts.make import Administrator, make
from common.local.pipeline.project import ORGANISATION, PROJECT, USER
from tests.permissions.applied import Applied, Identity, read_back
from tests.permissions.table import APPROVER

CIRCLECI = CircleCi("github.com/acme/models", approvers=(APPROVER,))
MODELS, SHARED = ("abalone", "churn", "energy"), ("prices",)


@pytest.fixture(scope="session")
def own() -> Identity:
    """The project as CircleCI names it, and one of its people who is no approver."""
    return Identity(ORGANISATION, PROJECT, CIRCLECI.repository, USER)


@pytest.fixture(scope="session")
def four_accounts(aws_url: str) -> Applied:
    accounts = ("610000000001", "610000000002", "610000000003", "610000000004")
    return apply(aws_url, layout.four_accounts(CIRCLECI, MODELS, SHARED, accounts=accounts, name="permissions"))


@pytest.fixture(scope="session")
def one_account(aws_url: str) -> Applied:
    return apply(aws_url, layout.one_account("610000000005", "permissions-alone", CIRCLECI, MODELS, SHARED))


@pytest.fixture(scope="session", params=["four_accounts", "one_account"])
def applied(request: pytest.FixtureRequest) -> Applied:
    """The one and the other."""
    found: Applied = request.getfixturevalue(request.param)
    return found


def apply(url: str, organisation: Organisation) -> Applied:
    keys = make(url, organisation)
    places = {place.name: place for place in organisation.places}
    environments = {
        name: Environment(name, place.account, place.region, place.bucket, keys[name], place.topic)
        for name, place in places.items()
    }
    training, serving = organisation.doing("train")[0], organisation.serving
    _give_people_their_role(url, environments[serving.name], environments[organisation.registry.name])
    _declare_a_warehouse(url, environments[training.name])
    return read_back(environments, lambda environment, service: Administrator(url, environment.account).client(service))


def _give_people_their_role(url: str, environment: Environment, registry: Environment) -> None:
    """`models-on-call`, which a project has only when it says who is."""
    iam = Administrator(url, environment.account).client("iam")
    people = {"AWS": f"arn:aws:iam::{environment.account}:root"}
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": people, "Action": "sts:AssumeRole"}],
    }
    iam.create_role(RoleName="models-on-call", AssumeRolePolicyDocument=json.dumps(trust))
    values = _values(environment) | {f"packages_{key}": value for key, value in _values(registry).items()}
    for name in ("on-call", "never"):
        _put(iam, "models-on-call", name, values)


def _declare_a_warehouse(url: str, environment: Environment) -> None:
    iam = Administrator(url, environment.account).client("iam")
    secret = f"arn:aws:secretsmanager:{environment.region}:{environment.account}:secret:warehouse"
    for model in MODELS:
        for role in (f"models-train-{model}", f"models-jobs-{model}"):
            _put(iam, role, "warehouse", {"secrets": [secret]})


def _values(environment: Environment) -> dict[str, str | list[str]]:
    return {
        "account": environment.account,
        "region": environment.region,
        "bucket": environment.bucket,
        "key": environment.kms_key,
        "topic": environment.topic,
    }


def _put(iam: Any, role: str, policy: str, values: Mapping[str, str | list[str]]) -> None:
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=layout.document(policy, values))
