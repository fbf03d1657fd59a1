import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from common.data.extract import InVpc, Readings
from common.data.sources import LocalFile
from common.errors import DataError


def declared(**changes: Any) -> Readings:
    columns = {"customer": "id", "timestamp": "at", "value": "used"}
    window: dict[str, Any] = {"floor": date(2023, 1, 1), "ceiling_days_ago": 2, "at_least": 0, "at_most": 1000}
    return Readings(source=LocalFile(Path("readings.csv")), **{**columns, **window, **changes})


def at(monkeypatch: pytest.MonkeyPatch, utc: str) -> None:
    """Let the clock show this moment."""
    moment = time.strptime(utc, "%Y-%m-%dT%H:%M")
    monkeypatch.setattr(time, "gmtime", lambda *_: moment)


@pytest.mark.parametrize(
    ("now", "days", "ceiling"),
    [
        ("2026-11-21T00:00", 2, date(2026, 11, 19)),
        ("2026-11-21T23:59", 2, date(2026, 11, 19)),
        ("2026-11-21T12:00", 0, date(2026, 11, 21)),
        ("2024-03-01T12:00", 1, date(2024, 2, 29)),
        ("2025-01-01T12:00", 1, date(2024, 12, 31)),
    ],
)
def test_the_ceiling_is_so_many_days_before_today(
    now: str, days: int, ceiling: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, now)
    assert declared(ceiling_days_ago=days).wanted().ceiling == ceiling


def test_a_floor_that_is_not_before_the_ceiling_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, "2023-01-03T12:00")
    with pytest.raises(DataError, match="no day from 2023-01-01 on that is before 2023-01-01, 2 days ago"):
        declared().wanted()
    assert declared(ceiling_days_ago=1).wanted().ceiling == date(2023, 1, 2)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ceiling_days_ago": -1}, "asks for readings of the future"),
        ({"at_least": 1000}, "at least 1000 and at most 1000"),
        ({"at_least": float("nan")}, "at least nan"),
    ],
)
def test_a_declaration_that_can_never_be_met_is_refused(changes: dict[str, float], told: str) -> None:
    with pytest.raises(DataError, match=told):
        declared(**changes)


def test_a_vpc_without_subnets_or_security_groups_is_refused() -> None:
    for subnets, groups in (((), ("sg-1",)), (("subnet-1",), ())):
        with pytest.raises(DataError, match="names no subnets or no security groups"):
            InVpc("ml.m5.large", subnets, groups)
