"""Of all roles of the four accounts, exactly these can: what the table says of some, this says of everyone."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.permissions import requests
from tests.permissions.applied import ADMINISTRATOR, Applied
from tests.permissions.exactly import EXACTLY
from tests.permissions.table import ARTIFACT, CAPTURE, WITHOUT_TLS, Actor, Given, Row

GROWING = (
    ("iam:CreateRole", "role@{}:another"),
    ("iam:PutRolePolicy", "role@{}:models-deploy"),
    ("iam:AttachRolePolicy", "role@{}:models-deploy"),
    ("iam:UpdateAssumeRolePolicy", "role@{}:models-deploy"),
    ("sts:AssumeRole", "role@{}:administrator"),
    ("kms:PutKeyPolicy", "key@{}"),
    ("kms:ScheduleKeyDeletion", "key@{}"),
    ("kms:DisableKey", "key@{}"),
    ("s3:PutBucketPolicy", "bucket@{}"),
    ("s3:PutBucketVersioning", "bucket@{}"),
    ("s3:PutEncryptionConfiguration", "bucket@{}"),
    ("s3:PutLifecycleConfiguration", "bucket@{}"),
    ("s3:DeleteBucket", "bucket@{}"),
    ("s3:DeleteObjectVersion", "s3@{}:abalone/packages/ab12-v1/model.tar.gz"),
    ("sagemaker:DeleteModelPackage", "model-package@{}:abalone/1"),
    ("sagemaker:PutModelPackageGroupPolicy", "model-package-group@{}:abalone"),
    ("sns:SetTopicAttributes", "topic@{}"),
)


def actors(applied: Applied) -> dict[str, Actor]:
    """All roles, by `deploy@production`."""
    accounts = {environment.account: name for name, environment in applied.environments.items()}
    return {
        f"{name.removeprefix('models-')}@{accounts[account]}": Actor(name, f"role@{accounts[account]}:{name}")
        for arn in applied.roles
        for account, name in [(arn.split(":")[4], arn.rpartition("/")[2])]
    }


@pytest.mark.parametrize(("action", "on", "given", "expected"), EXACTLY, ids=[f"{row[0]} {row[1]}" for row in EXACTLY])
def test_exactly_these_can(action: str, on: str, given: Given, expected: Iterable[str], four_accounts: Applied) -> None:
    row = Row(True, action, on, "", given)
    can = {name for name, actor in actors(four_accounts).items() if requests.decide(four_accounts.request(actor, row))}
    assert can == set(expected)


@pytest.mark.parametrize(("action", "on"), GROWING)
def test_no_role_of_circleci_or_of_people_grows_even_with_the_rights_of_an_administrator(
    action: str, on: str, applied: Applied
) -> None:
    kinds = ("train-", "approve", "deploy", "operate", "on-call")
    can = set()
    for name, actor in actors(applied).items():
        request = applied.request(actor, Row(True, action, on.format(name.partition("@")[2]), ""))
        if name.startswith(kinds) and requests.decide(replace(request, identity=(*request.identity, ADMINISTRATOR))):
            can.add(name)
    assert can == set()


@pytest.mark.parametrize(
    ("action", "on"),
    [
        ("s3:GetObject", ARTIFACT),
        ("s3:PutObject", CAPTURE),
        ("s3:ListBucket", "bucket@dev"),
        ("sns:Publish", "topic@dev"),
    ],
)
def test_nobody_can_without_tls(action: str, on: str, four_accounts: Applied) -> None:
    asked = [
        four_accounts.request(actor, Row(True, action, on, "", WITHOUT_TLS)) for actor in actors(four_accounts).values()
    ]
    everything = [replace(request, identity=(ADMINISTRATOR,)) for request in asked]
    assert not any(requests.decide(request) for request in (*asked, *everything))


FOLDERS = ("data", "sources", "code", "packages", "fleets", "attempts", "training", "gathering", "capture", "truth", "monitoring",
           "batch/input", "batch/output", "batch/work", "async/input", "async/output", "generations")  # fmt: skip


@pytest.mark.parametrize("environment", ["dev", "registry", "staging", "production"])
def test_a_role_of_one_model_reaches_nothing_of_another(environment: str, four_accounts: Applied) -> None:
    reached = [
        f"{name} {request.action} {request.resource}"
        for name, actor in actors(four_accounts).items()
        if name.partition("@")[0].endswith("-abalone")
        for folder in FOLDERS
        for other in ("churn", "abalone2", "abalon", "prices")
        for row in (
            Row(True, "s3:GetObject", f"s3@{environment}:{other}/{folder}/x/file", ""),
            Row(True, "s3:PutObject", f"s3@{environment}:{other}/{folder}/x/file", ""),
            Row(True, "s3:DeleteObject", f"s3@{environment}:{other}/{folder}/x/file", ""),
            Row(True, "s3:ListBucket", f"bucket@{environment}", "", {"s3:prefix": f"{other}/{folder}/"}),
        )
        for request in [four_accounts.request(actor, row)]
        if requests.decide(request)
    ]
    assert reached == []
