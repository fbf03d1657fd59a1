"""Readings out of a real PostgreSQL: in order, within their dates, in chunks, and inert whatever their customers are called."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine import Engine

from common.data import cursor
from common.data.extract import Reading, Wanted
from common.data.parts import write_parts
from common.data.warehouse import Warehouse
from common.errors import DataError, SourceError
from tests.functional.data.conftest import PASSWORD, Postgres

QUERY = "SELECT customer_id, timestamp, consumption FROM readings WHERE timestamp >= :floor AND timestamp < :ceiling"
FLOOR, CEILING = date(2023, 1, 1), date(2025, 12, 1)


@pytest.fixture
def warehouse(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """A warehouse whose table has other columns, too; chunks of 100 rows."""
    monkeypatch.setattr(cursor, "CHUNK_ROWS", 100)
    fill(postgres, "integer", "timestamp")
    yield postgres
    postgres.run("DROP TABLE IF EXISTS readings")


def fill(postgres: Postgres, customer: str, timestamp: str, *rows: tuple[object, ...]) -> None:
    """Make the table anew, with these rows."""
    postgres.run("DROP TABLE IF EXISTS readings")
    postgres.run(
        f"CREATE TABLE readings (meter text, timestamp {timestamp}, consumption float8, customer_id {customer})"
    )
    with psycopg.connect(postgres.url) as connection:
        connection.cursor().executemany("INSERT INTO readings VALUES ('m', %s, %s, %s)", rows)


def wanted(only: str | None = None, **changes: Any) -> Wanted:
    names = {"customer": "customer_id", "timestamp": "timestamp", "value": "consumption"}
    return Wanted(**{**names, "floor": FLOOR, "ceiling": CEILING, "only": only, **changes})


def read(postgres: Postgres, query: str = QUERY, **changes: Any) -> list[Reading]:
    return [row for chunk in Warehouse(postgres.url, query).readings(wanted(**changes)) for row in chunk]


def complaint(postgres: Postgres, query: str = QUERY, **changes: Any) -> str:
    """What the source says when it fails: never the password, always a remedy."""
    with pytest.raises(SourceError) as caught:
        read(postgres, query, **changes)
    assert caught.value.remedy
    told = f"{caught.value} {caught.value.__cause__}"
    assert PASSWORD not in told
    assert "s3cr" not in told
    return str(caught.value)


def test_readings_come_by_customer_and_time_in_chunks_whatever_the_order_of_the_table(warehouse: Postgres) -> None:
    warehouse.run(
        "INSERT INTO readings SELECT 'm', timestamp '2024-01-01' + n % 50 * interval '1 day', n, n / 50 "
        "FROM generate_series(0, 999) AS n ORDER BY md5(n::text)"
    )
    chunks = list(Warehouse(warehouse.url, f"{QUERY};  ").readings(wanted()))
    assert [len(chunk) for chunk in chunks] == [100] * 10
    rows = [row for chunk in chunks for row in chunk]
    assert rows == sorted(rows, key=lambda row: (int(row[0]), row[1]))
    assert rows[51] == ("1", "2024-01-02T00:00:00", "51.0")


def test_the_physical_order_of_the_rows_is_not_the_data_version(warehouse: Postgres, tmp_path: Path) -> None:
    versions = set()
    for n, order in enumerate(("n", "n DESC", "md5(n::text)")):
        warehouse.run("TRUNCATE readings")
        # each customer has two readings at a time, of which two days are the same
        rows = "SELECT 'm', timestamp '2024-01-01' + n / 2 % 10 * interval '1 day', n % 3, n / 20 FROM generate_series(0, 399) n"
        warehouse.run(f"INSERT INTO readings {rows} ORDER BY {order}")
        (tmp_path / str(n)).mkdir()
        source = Warehouse(warehouse.url, QUERY)
        versions.add(write_parts(source, wanted(), tmp_path / str(n), lambda _: None)["version"])
    assert len(versions) == 1


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz"])
def test_the_floor_is_included_and_the_ceiling_is_not_both_at_midnight_utc(warehouse: Postgres, kind: str) -> None:
    days = ("2022-12-31 23:59:59.999999", "2023-01-01 00:00", "2025-11-30 23:59:59.999999", "2025-12-01 00:00")
    fill(warehouse, "integer", kind, *((f"{day}{'+00' if kind == 'timestamptz' else ''}", 1, 0) for day in days))
    zone = "+00:00" if kind == "timestamptz" else ""
    assert [row[1] for row in read(warehouse)] == [f"2023-01-01T00:00:00{zone}", f"2025-11-30T23:59:59.999999{zone}"]


def test_times_with_a_zone_are_compared_and_spelled_in_utc_whatever_the_users_zone(warehouse: Postgres) -> None:
    moments = ("2022-12-31 19:00-05", "2022-12-31 18:59-05", "2025-11-30 20:00-05", "2025-11-30 18:59-05")
    fill(warehouse, "integer", "timestamptz", *((moment, 1, 0) for moment in moments))
    warehouse.run("ALTER ROLE ada SET timezone = 'America/New_York'")
    try:
        assert [row[1] for row in read(warehouse)] == ["2023-01-01T00:00:00+00:00", "2025-11-30T23:59:00+00:00"]
    finally:
        warehouse.run("ALTER ROLE ada RESET timezone")


def test_missing_and_odd_values_come_as_they_are_and_are_judged_later(warehouse: Postgres) -> None:
    day = "2024-01-01"
    odd = [(day, None, 1), (day, -5, 1), (day, float("nan"), 1), (day, float("inf"), 1), (day, 1e300, 1)]
    fill(warehouse, "integer", "date", *odd)
    assert [row[1:] for row in read(warehouse)] == [
        (day, "-5.0"), (day, "1e+300"), (day, "inf"), (day, "nan"), (day, ""),
    ]  # fmt: skip


ODD_IDS = [
    "'; DROP TABLE readings; --",
    '"; DROP TABLE readings; --',
    "1 OR 1=1",
    "\\'; SELECT 1",
    "%s",
    ":floor",
    "ä \n",
    "{}",
]


def test_customers_with_names_of_any_kind_are_read_and_asked_for_as_names(warehouse: Postgres) -> None:
    fill(warehouse, "text", "timestamp", *(("2024-01-01", 1, odd) for odd in [*ODD_IDS, "plain"]))
    assert sorted(row[0] for row in read(warehouse)) == sorted([*ODD_IDS, "plain"])
    for odd in ODD_IDS:
        assert [row[0] for row in read(warehouse, only=odd)] == [odd]
    for attack in ("' OR '1'='1", "plain' --", "plain'; DROP TABLE readings; --"):
        assert "has no readings of customer" in complaint(warehouse, only=attack)
    assert len(read(warehouse)) == len(ODD_IDS) + 1


@pytest.mark.parametrize("attack", ["0 OR 1=1", "0; DROP TABLE readings", "0) OR (1=1", "0' OR '1'='1", "0--", ""])
def test_an_attack_on_a_number_is_no_number(warehouse: Postgres, attack: str) -> None:
    fill(warehouse, "integer", "timestamp", ("2024-01-01", 1, 0), ("2024-01-01", 1, 1))
    assert "invalid input syntax for type integer" in complaint(warehouse, only=attack)
    assert [row[0] for row in read(warehouse, only="1")] == ["1"]
    assert len(read(warehouse)) == 2


def test_an_attack_by_a_date_is_no_date(warehouse: Postgres) -> None:
    fill(warehouse, "integer", "timestamp", ("2024-01-01", 1, 0))
    for attack in ("2020-01-01' OR '1'='1", "2020-01-01'; DROP TABLE readings; --"):
        for name in ("floor", "ceiling"):
            assert "invalid input syntax for type date" in complaint(warehouse, **{name: attack})
    assert len(read(warehouse)) == 1


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT * FROM readings WHERE timestamp < :ceiling", "is asked a query without :floor"),
        ("SELECT * FROM readings WHERE timestamp >= :floor", "is asked a query without :ceiling"),
        (f"{QUERY} AND meter = :meter", "a value is required for bind parameter 'meter'"),
        (QUERY.replace("consumption", "usage"), 'column "usage" does not exist'),
        (QUERY.replace("customer_id,", "customer_id AS id,"), "column readings.customer_id does not exist"),
        (QUERY.replace(", timestamp", ", interval '1 day' AS timestamp"), "column 'timestamp' that no cell can hold"),
        (f"{QUERY}); DROP TABLE readings; --", "syntax error"),
        (f"DROP TABLE readings; {QUERY}", "syntax error"),
        (QUERY.replace("consumption", "lo_create(0) AS consumption"), "read-only transaction"),
        ("", "the model declares none"),
    ],
)
def test_a_query_that_cannot_work_is_told_with_what_is_wrong(warehouse: Postgres, query: str, told: str) -> None:
    fill(warehouse, "integer", "timestamp", ("2024-01-01", 1, 0))
    assert told in complaint(warehouse, query)
    assert len(read(warehouse)) == 1


def test_a_warehouse_without_readings_between_the_dates_is_told(warehouse: Postgres) -> None:
    fill(warehouse, "integer", "timestamp", ("2022-12-31", 1, 0), ("2025-12-01", 1, 0))
    assert "has no readings from 2023-01-01 to before 2025-12-01" in complaint(warehouse)


def test_readings_without_a_customer_are_told(warehouse: Postgres, tmp_path: Path) -> None:
    fill(warehouse, "integer", "timestamp", ("2024-01-01", 1, None), ("2024-01-01", 1, 7))
    with pytest.raises(DataError, match="Reading 2 has no customer"):
        write_parts(Warehouse(warehouse.url, QUERY), wanted(), tmp_path, lambda _: None)


def test_a_query_that_takes_too_long_is_given_up_at_once(warehouse: Postgres) -> None:
    source = Warehouse(warehouse.url, QUERY.replace("FROM", ", pg_sleep(9) FROM"), statement_seconds=0.1)
    fill(warehouse, "integer", "timestamp", ("2024-01-01", 1, 0))
    with pytest.raises(SourceError, match="took too long"):
        list(source.readings(wanted()))


def test_redshift_is_spoken_to_in_the_words_that_it_knows(warehouse: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    # It reports PostgreSQL 8.0.2; has no standard_conforming_strings, prepared cursors or hstore; of a cluster of one node
    # it gives at most 1,000 rows at a time.
    monkeypatch.setattr(PGDialect, "_get_server_version_info", lambda *_: (8, 0, 2))
    warehouse.run("INSERT INTO readings SELECT 'm', '2024-01-01', n, n FROM generate_series(1, 2500) AS n")
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        chunks = list(Warehouse(warehouse.url, QUERY).readings(wanted()))
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert [len(chunk) for chunk in chunks] == [1000, 1000, 500]
    own = [
        statement
        for statement in statements
        if not statement.startswith(("select pg_catalog.version", "select current_"))
    ]
    assert [statement.split("FROM")[0].split("(")[0].split("SELECT")[0].strip() for statement in own] == [
        "SET timezone TO 'UTC'", "SET statement_timeout TO 600000", "DECLARE readings CURSOR FOR", *["FETCH FORWARD 1000"] * 4,
    ]  # fmt: skip
