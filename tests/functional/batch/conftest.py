"""A model of the tests that serves: deployed once, and asked for batches by every test."""

from collections.abc import Iterator

import pytest

from tests.accounts import REGION, Account
from tests.functional.batch.batch_kit import Batches
from tests.functional.deployment.deployment_kit import Project


@pytest.fixture(scope="session")
def serving(aws_url: str) -> Iterator[Project]:
    """A project in an account of its own, whose first package serves."""
    account = Account(aws_url, "600000000001")
    account.client("s3").create_bucket(Bucket=account.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    with pytest.MonkeyPatch.context() as patch:
        for name, value in account.env.items():
            patch.setenv(name, value)
        project = Project(account)
        project.deploy(project.package(1))
    yield project
    project.remove_endpoint()


@pytest.fixture
def batches(serving: Project, monkeypatch: pytest.MonkeyPatch) -> Batches:
    for name, value in serving.account.env.items():
        monkeypatch.setenv(name, value)
    return Batches(serving)
