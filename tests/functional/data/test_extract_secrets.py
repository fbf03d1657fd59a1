"""A warehouse whose login is a secret of AWS Secrets Manager, and what becomes of the password: nothing, anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from common.data import cursor
from common.data.sources import from_url
from common.errors import SourceError
from tests.accounts import Account
from tests.functional.data.conftest import PASSWORD, Postgres
from tests.functional.data.test_extract import QUERY, fill, wanted


@pytest.fixture
def account(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The test's account, as this process's own."""
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    return aws


@pytest.fixture
def warehouse(postgres: Postgres) -> Iterator[Postgres]:
    fill(postgres, "integer", "timestamp", ("2024-01-01", 1.5, 8))
    yield postgres
    postgres.run("DROP TABLE readings")


def keep(account: Account, text: str) -> str:
    """Keep a secret; its ARN."""
    return str(account.client("secretsmanager").create_secret(Name="energy/warehouse", SecretString=text)["ARN"])


def login(postgres: Postgres, **changes: object) -> str:
    """As RDS writes it."""
    own = {"username": "ada", "password": PASSWORD, "engine": "postgres", "host": "127.0.0.1"}
    return json.dumps(own | {"port": postgres.port, "dbname": "telco"} | changes)


def complaint(url: str) -> str:
    with pytest.raises(SourceError) as caught:
        list(from_url(url, QUERY).readings(wanted()))
    assert caught.value.remedy
    told = f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"
    assert PASSWORD not in told
    assert "s3cr" not in told
    return str(caught.value)


def test_a_login_is_fetched_by_name_or_arn_in_either_form(account: Account, warehouse: Postgres) -> None:
    arn = keep(account, login(warehouse))
    for name in ("energy/warehouse", arn):
        source = from_url(f"secretsmanager://{name}", QUERY)
        assert list(source.readings(wanted())) == [[("8", "2024-01-01T00:00:00", "1.5")]]
        assert source.description == f"the warehouse of the secret {name}"
    account.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=f"{warehouse.url}\n")
    assert list(source.readings(wanted())) == [[("8", "2024-01-01T00:00:00", "1.5")]]
    assert (
        b"8,2024-01-01T00:00:00"
        in from_url(f"secretsmanager://{arn}", "SELECT customer_id, timestamp FROM readings").read()
    )


def test_parameters_after_the_secrets_name_are_the_warehouses(account: Account, warehouse: Postgres) -> None:
    keep(account, login(warehouse))
    assert "does not support SSL" in complaint("secretsmanager://energy/warehouse?sslmode=require")
    assert "has the parameters hostaddr" in complaint("secretsmanager://energy/warehouse?hostaddr=192.0.2.1")


@pytest.mark.parametrize(
    "text",
    [
        "s3cr3t",
        "{",
        '["s3cr3t"]',
        '{"password": "s3cr3t"}',
        '{"username": "s3cr3t", "password": 1, "host": "h", "port": "s3cr3t", "dbname": "d"}',
    ],
)
def test_a_secret_that_names_no_warehouse_is_refused_and_never_shown(text: str, account: Account) -> None:
    keep(account, text)
    assert "The secret energy/warehouse names no warehouse" in complaint("secretsmanager://energy/warehouse")


def test_a_secret_that_is_not_there_is_told(account: Account) -> None:
    assert "The secret nobody cannot be read" in complaint("secretsmanager://nobody")
    assert "names no secret" in complaint("secretsmanager://")


def test_a_login_that_the_warehouse_refuses_is_told_without_it(account: Account, warehouse: Postgres) -> None:
    keep(account, login(warehouse, password="s3cr3t"))
    assert "refuses the login" in complaint("secretsmanager://energy/warehouse")


def test_a_break_tells_nothing_of_the_login(
    account: Account, warehouse: Postgres, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cursor, "_FIRST_PAUSE_SECONDS", 0.01)
    keep(account, login(warehouse))
    readings = from_url(
        "secretsmanager://energy/warehouse", QUERY.replace("FROM", ", pg_terminate_backend(pg_backend_pid()) FROM")
    )
    with pytest.raises(SourceError, match="broke off"):
        list(readings.readings(wanted()))
    assert len(caplog.messages) == 4
    assert "s3cr" not in caplog.text
