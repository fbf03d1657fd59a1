"""Fixtures of the tests of infra/."""

from pathlib import Path

import pytest

from tests.functional.infra.terraform_kit import Terraform, found_terraform


@pytest.fixture
def terraform(tmp_path: Path) -> Terraform:
    """Terraform with a home of its own; skips the test where it or the provider is missing."""
    home = tmp_path / "home"
    home.mkdir()
    return found_terraform(home)
