"""A clone for each test of the steps."""

from pathlib import Path

import pytest
from clones import Clone


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone that the test may change."""
    return Clone.create(tmp_path)
