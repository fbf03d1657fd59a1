"""Readings out of a warehouse: streamed through a cursor of the server, and read on where a connection has broken off."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from psycopg import ClientCursor
from sqlalchemy import Date, Executable, Select, bindparam, column, func, or_, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, StatementError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.types import UserDefinedType

from common.data.extract import Reading, Wanted

if TYPE_CHECKING:
    from sqlalchemy import BindParameter, Connection, Subquery
    from sqlalchemy.sql.compiler import SQLCompiler

    from common.data.warehouse import Warehouse

CHUNK_ROWS = 20_000
_REDSHIFT_ROWS = 1_000
"""Redshift refuses to fetch more at once from a cluster of one node."""
_ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 1.0
_LOG = logging.getLogger(__name__)

Rows = Sequence[Sequence[Any]]


@dataclass
class _Place:
    """How far the readings have come: `passed` of one customer, after `before` of others.

    Attributes:
        digest: of those of the customer, the sum of their hashes.
    """

    customer: Any
    passed: int = 0
    before: int = 0
    digest: int = 0

    def advanced(self, rows: Rows, readings: list[Reading]) -> _Place:
        """The place after these rows, which are spelled as these readings."""
        customer = rows[-1][0]
        own = next((n for n, row in enumerate(reversed(rows)) if row[0] != customer), len(rows))
        digest = sum(map(hash, readings[-own:]))
        if customer == self.customer:
            return _Place(customer, self.passed + own, self.before, self.digest + digest)
        return _Place(customer, own, self.before + self.passed + len(rows) - own, digest)


class Cursor:
    """The readings that a warehouse's query finds, ordered by customer, timestamp and value.

    The query is put into parentheses, so it needs no order of its own; `:floor` and `:ceiling` are its parameters. A cursor
    of the server gives the rows in chunks, all from one snapshot of the tables.

    Where the connection breaks off, a new one reads on: from the customer at which it broke, whose first readings are passed
    over. That is a second snapshot. It continues the first if nothing before the ceiling has changed between, which holds
    for readings that are only ever added, and is checked: the new snapshot must have as many readings of the customers
    before that one, and the same first ones of that customer.
    """

    def __init__(self, warehouse: Warehouse, wanted: Wanted) -> None:
        self._warehouse = warehouse
        self._wanted = wanted
        self._names = (wanted.customer, wanted.timestamp, wanted.value)
        self._place: _Place | None = None

    def readings(self) -> Iterator[list[Reading]]:
        """The readings in chunks.

        Raises:
            SourceError: query or connection fail, and going on does not help; or there are no readings; or the warehouse
                has changed while it was read.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                for rows in self._rows():
                    chunk = self._spelled(rows)
                    self._place = (self._place or _Place(rows[0][0])).advanced(rows, chunk)
                    yield chunk
            except StatementError as error:
                if attempt == _ATTEMPTS or not _passing(error, attempt):
                    raise self._warehouse.explained(error) from error
                self._pause(attempt)
            else:
                break
        if self._place is None:
            wanted = self._wanted
            of = f" of customer '{wanted.only}'" if wanted.only is not None else ""
            raise self._warehouse.refused(
                f"has no readings{of} from {wanted.floor} to before {wanted.ceiling}",
                "Check the query's conditions, and what fills the tables.",
            )

    def _spelled(self, rows: Rows) -> list[Reading]:
        return cast("list[Reading]", list(self._warehouse.spelled(self._names, rows)))

    def _pause(self, attempt: int) -> None:
        read, at = 0, ""
        if self._place:
            read, at = self._place.before + self._place.passed, f"; reading on at customer '{self._place.customer}'"
        _LOG.warning("  %s broke off after %s readings%s", self._warehouse.description, f"{read:,}", at)
        time.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))

    def _rows(self) -> Iterator[Rows]:
        """The rows that have not been read yet, over a new connection."""
        # Named cursors and bound statements need messages of the protocol that Redshift refuses; plain SQL it knows.
        engine = self._warehouse.engine(cursor_factory=ClientCursor).execution_options(
            isolation_level="REPEATABLE READ"
        )
        with engine.connect() as connection:
            self._warehouse.prepare(connection)
            table = self._table()
            customer = table.c[0]
            ordered = select(*table.c).order_by(*table.c)
            if self._wanted.only is not None:
                ordered = ordered.where(customer == _bound(self._wanted.only))
            if self._place is None:
                yield from _fetched(connection, ordered)
                return
            reached = _bound(self._place.customer)
            before = connection.scalar(select(func.count()).select_from(table).where(customer < reached))
            if before != self._place.before and self._wanted.only is None:
                raise self._changed(f"{self._place.before:,} readings of the first customers are now {before:,}")
            # Readings without a customer come last, and are to be complained about.
            rest = ordered.where(or_(customer >= reached, customer.is_(None)))
            yield from self._passed_over(_fetched(connection, rest), self._place)

    def _table(self) -> Subquery:
        """The query as a table of three columns."""
        query = text(f"{self._warehouse.query.strip().rstrip(';')}\n")  # a last line may be a comment
        try:
            for name, day in (("floor", self._wanted.floor), ("ceiling", self._wanted.ceiling)):
                query = query.bindparams(bindparam(name, day, Date()))
        except ArgumentError:
            raise self._warehouse.refused(
                f"is asked a query without :{name}, so that it would read too much",
                "Declare one with `WHERE timestamp >= :floor AND timestamp < :ceiling`, by the name of your column.",
            ) from None
        return query.columns(*map(column, self._names)).subquery("readings")

    def _passed_over(self, chunks: Iterator[Rows], place: _Place) -> Iterator[Rows]:
        """The rows after those that were read before."""
        remaining, digest = place.passed, 0
        for rows in chunks:
            again = rows[:remaining]
            if again:
                digest += sum(map(hash, self._spelled(again)))
                remaining -= len(again)
                if not remaining and digest != place.digest:
                    break
            if len(again) < len(rows):
                yield rows[len(again) :]
        if remaining or digest != place.digest:
            raise self._changed(f"the first {place.passed:,} readings of customer '{place.customer}' are others now")

    def _changed(self, what: str) -> Exception:
        return self._warehouse.refused(
            f"broke off, and has changed since: {what}",
            "Nothing was kept. Run the step again when what fills the tables has finished; a greater ceiling_days_ago "
            "leaves out the days that still change.",
        )


class _Bound(UserDefinedType[Any]):
    """A parameter without a cast, which the server takes to be of the type of what it is compared with."""

    cache_ok = True


def _bound(value: Any) -> BindParameter[Any]:
    return bindparam(None, value, _Bound())


class _Declare(Executable, ClauseElement):
    """Opens the cursor over a query."""

    inherit_cache = False

    def __init__(self, query: Select[Any]) -> None:
        self.query = query


@compiles(_Declare)
def _declare(element: _Declare, compiler: SQLCompiler, **options: Any) -> str:
    return f"DECLARE readings CURSOR FOR {compiler.process(element.query, **options)}"


def _fetched(connection: Connection, query: Select[Any]) -> Iterator[Rows]:
    connection.execute(_Declare(query))
    is_redshift = (connection.dialect.server_version_info or ()) < (8, 1)
    fetch = f"FETCH FORWARD {_REDSHIFT_ROWS if is_redshift else CHUNK_ROWS} FROM readings"
    while True:
        with connection.exec_driver_sql(fetch) as result:
            # psycopg's tuples: SQLAlchemy's rows would be made only to be taken apart, for a third of the time.
            rows = result.cursor.fetchall()
        if not rows:
            return
        yield rows


def _passing(error: StatementError, attempt: int) -> bool:
    """Whether a new connection may help: this one has broken off, or on the way back there is none yet."""
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or (attempt > 1 and getattr(error.orig, "sqlstate", None) is None)
