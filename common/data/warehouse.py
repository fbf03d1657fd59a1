"""A warehouse that speaks PostgreSQL's protocol as a source of data: the rows of a query, as CSV with a header."""

from __future__ import annotations

import csv
import io
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from common.data.transfer import is_loopback, limited
from common.errors import SourceError

if TYPE_CHECKING:
    from psycopg import Error
    from sqlalchemy import URL, Connection, CursorResult, Engine
    from sqlalchemy.exc import StatementError

    from common.data.extract import Reading, Wanted

_CHUNK_ROWS = 5_000
_PARAMETERS = {"sslmode", "sslrootcert", "sslcert", "sslkey", "application_name"}
"""What may stand after a URL's `?`; others, such as `hostaddr`, would lead past what its host promises."""
_CONNECTION: dict[str, Any] = {
    # Without keepalives a gateway drops a connection that waits for minutes, and nobody notices a server that has gone.
    "keepalives_idle": 60,
    "keepalives_interval": 10,
    "keepalives_count": 6,
    "client_encoding": "utf8",  # Redshift calls its own UNICODE, which psycopg does not know
    "prepare_threshold": None,  # what is asked once needs no preparing, and Redshift has no DEALLOCATE ALL
}
_ENCRYPTED = ("verify-full", "verify-ca", "require")


@dataclass(frozen=True)
class Warehouse:
    """The rows of a query, read through a server-side cursor in one read-only transaction.

    The connection to another machine is encrypted and its certificate checked, unless the URL says less: `sslmode=require`
    encrypts only. `sslrootcert=` names the file of an authority that the system does not know, such as RDS's.

    Attributes:
        url: `postgresql://user:password@host:port/database`, special characters percent-encoded.
        query: one SELECT. Text, numbers, booleans, dates and timestamps are spelled; it casts what is something else.
        statement_seconds: for what the server does at a time: for its first rows, and for each further chunk.
        total_seconds: until the last row.
    """

    url: str = field(repr=False)
    query: str
    connect_seconds: int = 10
    statement_seconds: float = 600
    total_seconds: float = 1800

    @property
    def description(self) -> str:
        """The URL without user, password and parameters."""
        from sqlalchemy import URL

        url = _parsed(self.url)
        return URL.create("postgresql", host=url.host, port=url.port, database=url.database).render_as_string()

    def read(self) -> bytes:
        """The rows as CSV with a header.

        NULL is an empty cell, booleans are `true` and `false`, times ISO 8601 (in UTC where they have a zone), and
        decimals have no exponent.

        Raises:
            SourceError: URL or query cannot work, the server cannot be reached or refuses them, or there are no rows.
        """
        from sqlalchemy import text
        from sqlalchemy.exc import StatementError

        deadline = time.monotonic() + self.total_seconds
        try:
            with self.engine().connect() as connection:
                self.prepare(connection)
                connection.execution_options(yield_per=_CHUNK_ROWS)
                with connection.execute(text(self.query)) as result:
                    chunks = self._chunks(result)
                    return limited(lambda _: next(chunks, b""), self.description, deadline)
        except TimeoutError:
            raise self.refused(f"gave not all rows within {self.total_seconds:g} s", "Ask for fewer rows.") from None
        except StatementError as error:
            raise self.explained(error) from error

    def readings(self, wanted: Wanted) -> Iterator[list[Reading]]:
        """The readings that the query finds, by customer, timestamp and value, in chunks; see `common.data.cursor`."""
        from common.data.cursor import Cursor

        return Cursor(self, wanted).readings()

    def engine(self, **arguments: object) -> Engine:
        """What makes connections to the warehouse.

        Args:
            arguments: further ones of psycopg's `connect`.
        """
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        if not self.query.strip():
            raise self.refused(
                "needs a query, and the model declares none",
                'Declare it in gather_data.py: FromEnvironment(…, query="SELECT …").',
            )
        url = _parsed(self.url)
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args=_CONNECTION | {"connect_timeout": self.connect_seconds} | _encryption(url) | arguments,
            execution_options={"postgresql_readonly": True},
            poolclass=NullPool,
            use_native_hstore=False,  # spares each connection a query, which Redshift refuses
        )
        # SQLAlchemy's hook for Redshift, which has no such setting to ask for; no literal is ever written into a query.
        engine.dialect._set_backslash_escapes = lambda _: None  # type: ignore[attr-defined]
        return engine

    def prepare(self, connection: Connection) -> None:
        """Set what a new connection needs: times in UTC, and a limit for each statement."""
        connection.exec_driver_sql("SET timezone TO 'UTC'")
        connection.exec_driver_sql(f"SET statement_timeout TO {self.statement_seconds * 1000:.0f}")

    def _chunks(self, result: CursorResult[Any]) -> Iterator[bytes]:
        names = list(result.keys())
        partitions = result.partitions(_CHUNK_ROWS)  # without a size it fetches all rows, whatever the option says
        first = next(partitions, ())
        if not first:
            raise self.refused("has no rows for the query", "Check its conditions, and what fills the tables.")
        yield _csv([names])
        yield _csv(self.spelled(names, first))
        for rows in partitions:
            yield _csv(self.spelled(names, rows))

    def spelled(self, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[tuple[str, ...]]:
        """The rows as text.

        Raises:
            SourceError: a value of a type that has no plain spelling.
        """
        return zip(
            *(self._column(name, cells) for name, cells in zip(names, zip(*rows, strict=True), strict=True)),
            strict=True,
        )

    def _column(self, name: str, values: Sequence[Any]) -> Iterator[str]:
        kinds = set(map(type, values))
        odd = next((kind for kind in kinds if kind not in _SPELLING), None)
        if odd:
            raise self.refused(
                f"has values in column '{name}' that no cell can hold ({odd.__name__})",
                f"Cast it in the query, e.g. CAST({name} AS text).",
            )
        if len(kinds) == 1:
            return map(_SPELLING[kinds.pop()], values)
        return (_SPELLING[type(value)](value) for value in values)

    def refused(self, fault: str, remedy: str) -> SourceError:
        """The error that tells of a fault of this warehouse."""
        return SourceError(f"{self.description} {fault}.", remedy)

    def explained(self, error: StatementError) -> SourceError:
        """The error that tells what SQLAlchemy has met."""
        from sqlalchemy.exc import DBAPIError

        if isinstance(error, DBAPIError):
            return self.refused(*_fault(error.orig))  # type: ignore[arg-type]  # psycopg's, by the dialect
        fault = f"cannot be asked: {str(error.orig).partition(' (')[0].lower()}"  # `:name` in the query
        return self.refused(fault, r"Write `\:` in the query for a colon that names no parameter.")


_SPELLING: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "",
    str: str,
    bool: lambda value: "true" if value else "false",
    int: str,
    float: str,
    Decimal: lambda value: f"{value:f}",
    date: date.isoformat,
    datetime: datetime.isoformat,
    UUID: str,
}


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _parsed(url: str) -> URL:
    """The parts of a URL that can only mean what it shows.

    Raises:
        SourceError: it is malformed, names no host, or has parameters other than `_PARAMETERS`. Never repeats the URL.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url).set(drivername="postgresql")
    except (ArgumentError, ValueError):
        parsed = None
    # A second @ is one of the password's, the rest of which would be taken for the host.
    if parsed is None or not parsed.host or url.count("@") > 1:
        raise SourceError(
            "The URL of the warehouse is malformed.",
            "Give postgresql://user:password@host:port/database, and percent-encode what is special: %40 for @.",
        )
    foreign = sorted(
        name for name, value in parsed.query.items() if name not in _PARAMETERS or not isinstance(value, str)
    )
    if foreign:
        raise SourceError(
            f"The URL of the warehouse has the parameters {', '.join(foreign)}.",
            f"Only these are known, each once: {', '.join(sorted(_PARAMETERS))}.",
        )
    return parsed


def _encryption(url: URL) -> dict[str, str]:
    """The connection's arguments that keep others on the way from reading and changing the data.

    Raises:
        SourceError: the URL asks for a connection to another machine that may be unencrypted.
    """
    if is_loopback(str(url.host)):
        return {}
    mode = str(url.query.get("sslmode", "verify-full"))
    if mode not in _ENCRYPTED:
        raise SourceError(
            f"sslmode={mode} lets anybody on the way to {url.host} read the password and change the data.",
            f"Leave it out, or give {' or '.join(_ENCRYPTED[1:])}.",
        )
    if mode == "require" or "sslrootcert" in url.query:
        return {"sslmode": mode}
    from botocore.httpsession import where

    # libpq's own `system` is, in psycopg's wheel, a folder that exists nowhere.
    return {"sslmode": mode, "sslrootcert": ssl.get_default_verify_paths().cafile or where()}


_CHECK_QUERY = "Correct the query in gather_data.py; tables outside the search path are named `schema.table`."
_BROKE_OFF = ("broke off", "Try again.")
_BY_STATE = {
    "42P01": ("has not what the query asks for", _CHECK_QUERY),
    "42703": ("has not what the query asks for", _CHECK_QUERY),
    "42501": ("does not let this user read that", "Grant the user SELECT on it, and USAGE on its schema."),
    "25006": ("is only read from", "Declare a query that changes nothing."),
    "57014": ("took too long over the query", "Ask for fewer rows, or index what the query selects by."),
}
_IN_WORDS = {
    "failed to resolve": ("names a host that DNS does not know", "Check the address and the network."),
    "refused": ("could not be reached", "Check host and port, and that a database listens there."),
    "timeout": (
        "did not answer in time",
        "Check host, port and firewalls: a warehouse is often open to its own VPC only.",
    ),
    "password": ("refuses the login", "Check user and password in the URL; special characters are percent-encoded."),
    "pg_hba.conf": ("refuses the login", "Its administrator has to let this user in from this address."),
    "certificate": ("failed the TLS check", "Check the address, or give its authority: ?sslrootcert=FILE."),
    "does not support SSL": ("is not encrypted", "Switch TLS on in the server."),
    "FATAL": ("refuses the connection", "Check user and database in the URL."),
    "unexpected": _BROKE_OFF,
    "terminating": _BROKE_OFF,
}


def _fault(error: Error) -> tuple[str, str]:
    """What went wrong, and the remedy."""
    # libpq tells of a failed connection in words only.
    words = error.diag.message_primary or " ".join(str(error).split())
    known = _BY_STATE.get(error.sqlstate or "") or next((v for k, v in _IN_WORDS.items() if k in words), None)
    fault, remedy = known or ("did not run the query", "Try the query with psql.")
    return f"{fault} ({words})", remedy
