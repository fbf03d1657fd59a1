"""A real PostgreSQL that holds the readings of the energy model's customers, as a company's warehouse would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import ModelsError
from common.local.postgres import Postgres, postgres

NEW_CUSTOMER = 1000
"""A customer who comes while the demo runs; those of the generator are 0 to 999."""
_FILL = "import os; from energy_model.consumers import Generated, copy_into; copy_into(os.environ['URL'], Generated())"
_COME = f"INSERT INTO readings SELECT {NEW_CUSTOMER}, timestamp, 0.9 * consumption FROM readings WHERE customer_id = 4"  # noqa: S608


@contextmanager
def warehouse(repo: Path) -> Iterator[Postgres]:
    """Start it, filled by the generator of the repository."""
    with postgres() as server:
        done = subprocess.run(
            [sys.executable, "-c", _FILL], cwd=repo, env={**os.environ, "URL": server.url, "PYTHONPATH": str(repo)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise ModelsError(f"The warehouse could not be filled: {done.stderr.strip()}")
        yield server


def welcome_customer(server: Postgres) -> None:
    """Let the new customer come: it uses nine tenths of what another one did."""
    server.run(_COME)
