"""A real PostgreSQL that holds the readings of the energy model's customers, as a company's warehouse would."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import ModelsError

NEW_CUSTOMER = "1000"
"""A customer who comes while the demo runs; those of the generator are 0 to 999."""
_FILL = "import sys; from energy_model.consumers import Generated, copy_into; copy_into(sys.argv[1], Generated())"
_COME = "INSERT INTO readings SELECT %s::integer, timestamp, 0.9 * consumption FROM readings WHERE customer_id = 4"


@contextmanager
def warehouse(folder: Path, repo: Path) -> Iterator[str]:
    """Start it in the folder, and fill it by the generator of the repository; its URL."""
    from pgserver.postgres_server import get_server

    server = get_server(folder)
    try:
        url = server.get_uri()
        done = subprocess.run([sys.executable, "-c", _FILL, url], cwd=repo, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ModelsError(f"The warehouse could not be filled: {done.stderr.strip()}")
        yield url
    finally:
        server.cleanup()


def welcome_customer(url: str) -> None:
    """Let the new customer come: it uses nine tenths of what another one did."""
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute(_COME, [NEW_CUSTOMER])
