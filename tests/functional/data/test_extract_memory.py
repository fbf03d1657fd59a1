"""An extract of any size needs the memory of a few chunks, the upload included."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.accounts import Account
from tests.clones import Clone
from tests.functional.data.conftest import Postgres
from tests.functional.data.test_extract import fill

MEBIBYTE = 2**10  # in the kB of /proc
GATHER = """
import re, runpy, sys
from common.data import cursor
cursor.CHUNK_ROWS = {chunk}
sys.argv = ["gather_data", "--refresh"]
runpy.run_module("energy_model.gather_data", run_name="__main__")
print(re.search("VmHWM:.*", open("/proc/self/status").read())[0])
"""


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.create(tmp_path, ("abalone", "energy"))


def peak(clone: Clone, aws: Account, postgres: Postgres, rows: int, chunk: int = 20_000) -> float:
    """MiB that the step needs at most to gather so many readings, 1,000 of each customer."""
    fill(postgres, "integer", "timestamp")
    try:
        values = "NULL, timestamp '2023-01-01' + n % 1000 * interval '1 day', random() * 1000, n / 1000"
        postgres.run(f"INSERT INTO readings SELECT {values} FROM generate_series(0, {rows - 1}) AS n")  # noqa: S608
        process = clone.start(aws, "-c", GATHER.format(chunk=chunk), ENERGY_SOURCE=postgres.url)
        printed, _ = process.communicate(timeout=900)
    finally:
        postgres.run("DROP TABLE readings")
    assert process.returncode == 0, printed
    assert f"({rows:,} readings of {rows // 1000:,} customers" in printed
    found = re.search(r"VmHWM:\s+(\d+) kB", printed)
    assert found
    return int(found[1]) / MEBIBYTE


@pytest.mark.long
def test_more_readings_need_no_more_memory(clone: Clone, aws: Account, postgres: Postgres) -> None:
    few, many = (peak(clone, aws, postgres, rows) for rows in (50_000, 300_000))
    assert many < 200
    assert many - few < 30  # 250,000 rows at once would be 150 more


@pytest.mark.long
def test_ten_million_readings_are_gathered_within_500_mib(clone: Clone, aws: Account, postgres: Postgres) -> None:
    found = peak(clone, aws, postgres, 10_000_000)
    assert found < 500


@pytest.mark.long
def test_the_measure_sees_a_million_rows_that_are_held_at_once(clone: Clone, aws: Account, postgres: Postgres) -> None:
    assert peak(clone, aws, postgres, 1_000_000, chunk=1_000_000) > 350
