"""Churn's rows out of a warehouse are those of the file: the same data version, or the same refusals."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from churn_model.customers import Generated
from churn_model.gather_data import COLUMNS, DATA
from common.data.formats import parse
from common.errors import DataError
from tests.functional.data.conftest import Postgres

TABLE = """\
CREATE TABLE customers (
    id bigint GENERATED ALWAYS AS IDENTITY, state char(2), account_length integer, area_code integer,
    international_plan boolean, voice_mail_plan boolean, voice_mails integer,
    day_minutes double precision, day_calls integer, evening_minutes numeric(9, 6), evening_calls integer,
    night_minutes double precision, night_calls smallint, international_minutes double precision, international_calls integer,
    service_calls integer, churned boolean
)"""
ROWS = Generated(rows=600)


@pytest.fixture
def warehouse(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """A warehouse with the rows, in another order than the file, and one customer whose end is open."""
    postgres.run("DROP TABLE IF EXISTS customers")
    postgres.run(TABLE)
    rows = parse(ROWS.read(), COLUMNS)
    columns = [column.name for column in COLUMNS.used]
    booleans = {"yes": True, "no": False, "True.": True, "False.": False}
    values = [[booleans.get(text, text) for text in row] for row in rows[columns].to_numpy()[::-1].tolist()]
    with psycopg.connect(postgres.url) as connection, connection.cursor() as cursor:
        marks = ", ".join(["%s"] * len(columns))
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'customers' ORDER BY ordinal_position OFFSET 1"
        )
        names = ", ".join(name for (name,) in cursor)
        cursor.executemany(f"INSERT INTO customers ({names}) VALUES ({marks})", [*values, [*values[0][:-1], None]])  # noqa: S608
    monkeypatch.setenv("CHURN_SOURCE", postgres.url)
    yield postgres
    postgres.run("DROP TABLE customers")


def test_the_same_rows_by_warehouse_and_by_file_are_the_same_data_version(
    warehouse: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_warehouse = DATA.prepare(DATA.read())
    (tmp_path / "churn.txt").write_bytes(ROWS.read())
    monkeypatch.setenv("CHURN_SOURCE", str(tmp_path / "churn.txt"))
    by_file = DATA.prepare(DATA.read())
    assert by_warehouse.version == by_file.version
    assert by_warehouse.manifest["source"].startswith("postgresql://127.0.0.1:")


@pytest.mark.parametrize("column", ["international_plan", "service_calls"])
def test_a_value_that_the_warehouse_lacks_is_refused_as_missing(warehouse: Postgres, column: str) -> None:
    warehouse.run(f"UPDATE customers SET {column} = NULL WHERE id = 7")  # noqa: S608
    name = {"international_plan": "Int'l Plan", "service_calls": "CustServ Calls"}[column]
    with pytest.raises(DataError, match=rf"column '{name}': missing in 1 of 600 rows: '' at line \d+"):
        DATA.prepare(DATA.read())
