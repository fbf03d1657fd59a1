"""The processing program: what it writes of raw parts, and how it refuses what is none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from common.forecasting.checks import Limits
from common.forecasting.parallel import Failed, for_each
from common.forecasting.readings import DamagedPart, read_part
from common.forecasting.split import main, split_part

ROWS = [f"{customer},2024-01-{day:02d}T00:00:00,{day % 7}" for customer in ("8", "9") for day in range(1, 31)]
HEADER = "customer,timestamp,value"


def write(folder: Path, name: str, rows: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(gzip.compress("\n".join([*rows, ""]).encode()))
    return folder / name


def split(folder: Path, *arguments: str) -> None:
    folders = [f"--{name}={folder / name}" for name in ("input", "customers", "index")]
    main([*folders, *arguments])


def test_each_raw_part_becomes_a_part_and_an_index(tmp_path: Path) -> None:
    odd = [f"odd,2024-01-{day:02d},-3" for day in range(1, 31)]
    write(tmp_path / "input", "part-00000.csv.gz", [HEADER, *ROWS])
    write(tmp_path / "input", "part-00001.csv.gz", [HEADER, *odd])
    split(tmp_path, "--at-least=0", "--at-most=1000", "--ceiling=2026-01-01")
    found = list(read_part((tmp_path / "customers/part-00000.csv.gz").read_bytes()))
    assert [(series.customer, len(series.days)) for series in found] == [("8", 30), ("9", 30)]
    index = json.loads((tmp_path / "index/part-00000.json").read_text())
    assert index["customers"]["8"]["offset"] == 0
    assert index["customers"]["9"]["offset"] == index["customers"]["8"]["length"]
    assert (index["customers"]["9"]["first"], index["customers"]["9"]["last"]) == ("2024-01-01", "2024-01-30")
    empty = json.loads((tmp_path / "index/part-00001.json").read_text())
    assert (empty["customers"], list(empty["set_aside"])) == ({}, ["odd"])
    assert (tmp_path / "customers/part-00001.csv.gz").read_bytes() == b""


def test_the_bounds_and_the_least_rows_are_those_that_were_given(tmp_path: Path) -> None:
    write(tmp_path / "input", "part-00000.csv.gz", [HEADER, *ROWS])
    split(tmp_path, "--at-least=-5", "--at-most=5.5")
    aside = json.loads((tmp_path / "index/part-00000.json").read_text())["set_aside"]
    assert aside["8"] == "a value above 5.5 in 4 of 30 readings; the highest is 6"
    split(tmp_path, "--least-rows=31")
    aside = json.loads((tmp_path / "index/part-00000.json").read_text())["set_aside"]
    assert aside["8"] == "30 readings, and at least 31 are needed"
    split(tmp_path, "--ceiling=2024-01-29")
    aside = json.loads((tmp_path / "index/part-00000.json").read_text())["set_aside"]
    assert aside["8"].startswith("a time in the future in 2 of 30 readings: the last is of 2024-01-30")


def test_a_host_without_parts_has_nothing_to_do(tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    split(tmp_path)
    assert list((tmp_path / "customers").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            gzip.compress(b"customer,timestamp\n8,2024-01-01\n"),
            "the columns are customer, timestamp, not customer, timesta",
        ),
        (gzip.compress(b""), "the part cannot be read: No columns"),
        (gzip.compress(b"customer,timestamp,value\n8,2024-01-01,1\n")[:-4], "the part cannot be read: "),
        (b"customer,timestamp,value\n8,2024-01-01,1\n", "the part cannot be read: Not a gzipped file"),
    ],
    ids=["columns", "empty", "truncated", "no gzip"],
)
def test_what_is_no_raw_part_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "part-00000.csv.gz").write_bytes(content)
    with pytest.raises(DamagedPart, match=message):
        split_part(tmp_path / "part-00000.csv.gz", customers=tmp_path, index=tmp_path, limits=Limits())


def test_a_damaged_part_ends_the_program_after_the_others_are_done(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "input", "part-00000.csv.gz", [HEADER, *ROWS])
    write(tmp_path / "input", "part-00001.csv.gz", ["id,when,what"])
    with pytest.raises(SystemExit, match=r"1 of [12] processes failed"):
        split(tmp_path)
    assert "part-00001.csv.gz: the columns are id, when, what" in capfd.readouterr().err
    assert (tmp_path / "index/part-00000.json").exists()


def test_work_that_raises_fails_with_a_traceback_in_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Failed, match="1 of 1 processes failed"):
        for_each(lambda item: [][item], [7])
    assert "IndexError" in capfd.readouterr().err
