"""A local AWS in the test's own process, with containers that do as the test says."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.local import daemon
from tests.accounts import Account
from tests.functional.local.hosting_kit import Local, fake_program, open_local


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    """An account of a local AWS whose waits take a hundredth of AWS's; nothing of it is left when the test ends."""
    monkeypatch.setattr("common.local.hosting.fleet.program", fake_program)
    aws = open_local(tmp_path / "state")
    try:
        yield Local(aws)
    finally:
        aws.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], Account]]]:
    """A state folder, and a function that starts a local AWS on it that the test may stop."""

    def start() -> Account:
        started: list[daemon.Running] = []
        daemon.up(tmp_path, port=0, detach=True, time_scale=0.01, announce=started.append)
        return Account(started[0].url, "123456789012")

    yield tmp_path, start
    daemon.down(tmp_path)
