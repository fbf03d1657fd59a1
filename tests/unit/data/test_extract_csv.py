"""Readings out of a CSV file: its three columns, streamed, whatever stands beside them."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from common.data import csv_readings
from common.data.extract import Reading, Wanted
from common.data.sources import LocalFile
from common.errors import DataError, SourceError

WANTED = Wanted("id", "at", "used", date(2023, 1, 1), date(2026, 1, 1))


def read(content: bytes, folder: Path, wanted: Wanted = WANTED) -> list[Reading]:
    (folder / "readings.csv").write_bytes(content)
    return [row for chunk in LocalFile(folder / "readings.csv").readings(wanted) for row in chunk]


def test_the_columns_are_found_by_name_among_others(tmp_path: Path) -> None:
    content = '\ufeffused,note,id,at\n1.50,x,a,2025-01-01\n\n,"y,\n","b,c",soon\n'.encode()
    assert read(content, tmp_path) == [("a", "2025-01-01", "1.50"), ("b,c", "soon", "")]


def test_a_file_is_taken_whole_whatever_the_dates(tmp_path: Path) -> None:
    content = b"id,at,used\na,1999-01-01,1\na,2099-01-01,2\n"
    assert [row[1] for row in read(content, tmp_path)] == ["1999-01-01", "2099-01-01"]


def test_one_customer_can_be_picked_out(tmp_path: Path) -> None:
    wanted = Wanted("id", "at", "used", WANTED.floor, WANTED.ceiling, only="b")
    content = b"id,at,used\na,t,1\nb,t,2\nb,t,3\nc,t,4\n"
    assert [row[2] for row in read(content, tmp_path, wanted)] == ["2", "3"]
    with pytest.raises(DataError, match="no readings of customer 'b'"):
        read(b"id,at,used\na,t,1\n", tmp_path, wanted)


def test_a_large_file_comes_in_chunks_cut_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_readings, "_CHUNK_ROWS", 100)
    content = "id,at,used\n" + "".join(f"ä{n},t,{n}\n" for n in range(1050))

    def pieces() -> Iterator[bytes]:
        encoded = content.encode()
        yield from (encoded[start : start + 7] for start in range(0, len(encoded), 7))

    chunks = list(csv_readings.csv_readings(pieces(), "a file", WANTED))
    assert [len(chunk) for chunk in chunks] == [100] * 10 + [50]
    assert [row for chunk in chunks for row in chunk] == [(f"ä{n}", "t", str(n)) for n in range(1050)]


def test_blank_lines_end_nothing_however_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_readings, "_CHUNK_ROWS", 3)
    blanks = b"\n" * 10
    assert [row[2] for row in read(b"id,at,used\na,t,1\n" + blanks + b"a,t,2\n" + blanks, tmp_path)] == ["1", "2"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "has not one column each named id, at, used"),
        (b"id,at,usage\n", "has not one column each named used; its header is: id, at, usage"),
        (b"id,at,used,id\na,t,1,b\n", "has not one column each named id;"),
        (b"id,at,used\n", "has no readings"),
        (b"id,at,used\na,t,1\nb,t\n", "a row of 2 fields under a header of 3: b,t"),
        (b"id,at,used\na,t,1,5\n", "a row of 4 fields"),
        (b"id,at,used\na,t,\xff\n", "no CSV in UTF-8"),
        (b'id,at,used\na,t,"1\n', "no CSV in UTF-8: unexpected end of data"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_what_is_wrong(content: bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=told) as caught:
        read(content, tmp_path)
    assert caught.value.remedy


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        list(LocalFile(tmp_path / "readings.csv").readings(WANTED))
