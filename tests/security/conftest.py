"""A local AWS whose state folder the tests can look into, whose waits take a thousandth of AWS's, and a model in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.local import daemon
from tests.accounts import Account
from tests.functional.deployment.deployment_kit import Project


@pytest.fixture(scope="session")
def aws_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attacked-aws")


@pytest.fixture(scope="session")
def aws_url(aws_root: Path) -> Iterator[str]:
    started: list[daemon.Running] = []
    daemon.up(aws_root, port=0, detach=True, time_scale=0.001, announce=started.append)
    try:
        yield started[0].url
    finally:
        daemon.down(aws_root)


@pytest.fixture
def project(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    project = Project(aws)
    yield project
    project.remove_endpoint()
