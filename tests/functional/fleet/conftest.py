"""Somebody who trains fleets in an account of the test's own."""

import pytest

from common.aws import Aws
from common.settings import Settings
from tests.accounts import Account
from tests.functional.fleet.fleet_kit import Trainer


@pytest.fixture
def trainer(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    return Trainer(Aws(Settings.from_environment()))
