"""A real PostgreSQL on this machine, in the place of a warehouse: its own process on 127.0.0.1, which asks for passwords."""

from __future__ import annotations

import importlib
import shutil
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Literal

PASSWORD = "s3cr:t/%41"  # noqa: S105 – of a server that nobody else can reach
"""Holds what has to be percent-encoded in a URL, and the like of it."""


@dataclass(frozen=True)
class Postgres:
    """A running server with the database `telco`, which its user `ada` owns."""

    port: int

    @property
    def url(self) -> str:
        return f"postgresql://ada:s3cr%3At%2F%2541@127.0.0.1:{self.port}/telco"

    def run(self, statement: str) -> None:
        """Run a statement as ada, and commit it."""
        with psycopg.connect(self.url) as connection:
            connection.execute(statement.encode())


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a server with an empty database; at the end it is stopped, and its files are removed."""
    with warnings.catch_warnings(action="ignore"):  # it misses XDG_RUNTIME_DIR
        pgserver: Any = importlib.import_module("pgserver")  # it exports what it makes at import
    # Not below a folder of this user's own: as root the server runs as another user, who may not pass through it.
    home = Path(tempfile.mkdtemp(prefix="postgres-"))
    server = pgserver.get_server(home / "data", cleanup_mode=None)
    control = partial(pgserver.pg_ctl, pgdata=server.pgdata, user=server.system_user)
    try:
        _admit(server.pgdata, server.get_uri())
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = f"-h 127.0.0.1 -p {port} -k {server.pgdata} -c fsync=off"
        control(["-w", "-m", "fast", "-l", str(server.log), "-o", options, "restart"])
        yield Postgres(port)
    finally:
        control(["-w", "-m", "immediate", "stop"])
        shutil.rmtree(home)


def _admit(data: Path, admin: str) -> None:
    """Create ada and her database; after the restart she is asked for her password."""
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(SQL("CREATE USER ada PASSWORD {}").format(Literal(PASSWORD)))
        connection.execute("CREATE DATABASE telco OWNER ada")
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    (data / "pg_hba.conf").write_text("host all ada 127.0.0.1/32 scram-sha-256\n")
