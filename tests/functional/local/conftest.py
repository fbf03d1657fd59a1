"""A local AWS in the test's own process, with containers that do as the test says."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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
