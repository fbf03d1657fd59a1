"""Fixtures for every test: one local AWS for the whole run, and an account of its own for each test."""

import os
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import settings

from common.local import daemon
from tests.accounts import REGION, Account

# xgboost's idle threads spin, and take the cores from those that work. Read when xgboost is loaded, so set first.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Workers share two cores: how long one example took says nothing about the code.
settings.register_profile("shared cores", deadline=None)
settings.load_profile("shared cores")


@pytest.fixture(scope="session")
def aws_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a local AWS whose waits take a hundredth of AWS's. With pytest-xdist every worker has its own."""
    root = tmp_path_factory.mktemp("local-aws")
    started: list[daemon.Running] = []
    daemon.up(root, port=0, detach=True, time_scale=0.01, announce=started.append)
    try:
        yield started[0].url
    finally:
        daemon.down(root)


@pytest.fixture
def account() -> str:
    """The id of an account that no other test uses."""
    return f"{uuid.uuid4().int % 10**12:012d}"


@pytest.fixture
def aws(aws_url: str, account: str) -> Account:
    """The test's own account, empty but for one bucket."""
    own = Account(aws_url, account)
    own.client("s3").create_bucket(Bucket=own.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    return own
