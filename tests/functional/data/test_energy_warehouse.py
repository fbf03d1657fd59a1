"""The made-up customers of the energy model in a real PostgreSQL: what comes out of it is what the generator itself gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from common.data.extract import Reading, ReadingsSource
from common.data.warehouse import Warehouse
from energy_model.consumers import KINDS, Generated, copy_into, kinds
from energy_model.gather_data import DATA, QUERY
from tests.functional.data.conftest import Postgres

GENERATED = Generated(customers=40, seed=2026)


@pytest.fixture(scope="module")
def filled(postgres: Postgres) -> Iterator[Postgres]:
    assert set(kinds(range(GENERATED.customers), GENERATED.seed)) == set(KINDS)
    rows = copy_into(postgres.url, GENERATED)
    assert rows == len(rows_of(GENERATED))
    yield postgres
    postgres.run("DROP TABLE readings")


def rows_of(source: ReadingsSource, only: str | None = None) -> list[Reading]:
    return [row for chunk in source.readings(DATA.wanted(only)) for row in chunk]


def test_the_declared_query_gives_the_generated_rows(filled: Postgres) -> None:
    assert rows_of(Warehouse(filled.url, QUERY)) == rows_of(GENERATED)


def test_one_customer_comes_alone(filled: Postgres) -> None:
    assert rows_of(Warehouse(filled.url, QUERY), "7") == rows_of(GENERATED, "7") != []


def test_a_table_that_is_there_already_is_left_as_it_is(filled: Postgres) -> None:
    with pytest.raises(psycopg.errors.DuplicateTable):
        copy_into(filled.url, replace(GENERATED, customers=1))
    assert len(rows_of(Warehouse(filled.url, QUERY))) == len(rows_of(GENERATED))
