"""A real PostgreSQL for the tests of the warehouse: one for the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from common.local.postgres import PASSWORD, Postgres
from common.local.postgres import postgres as running

__all__ = ["PASSWORD", "Postgres"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running() as server:
        yield server
