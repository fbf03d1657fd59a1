"""Parts hold whole customers and are digested as they are written; the data version depends on the rows only."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from common.data import parts
from common.data.extract import Reading, Wanted
from common.data.parts import write_parts
from common.errors import DataError

WANTED = Wanted("id", "at", "used", date(2023, 1, 1), date(2026, 1, 1))


@dataclass(frozen=True)
class Given:
    """A source that has these chunks."""

    chunks: Sequence[list[Reading]]
    description: str = "what a test gives"

    def readings(self, wanted: Wanted) -> Iterator[list[Reading]]:
        yield from self.chunks


def readings(*counts: int) -> list[Reading]:
    """So many readings of the customers a, b, …"""
    return [(chr(97 + n), f"2025-01-{day + 1:02}", str(day)) for n, count in enumerate(counts) for day in range(count)]


def chunked(rows: list[Reading], size: int) -> Given:
    return Given([rows[start : start + size] for start in range(0, len(rows), size)])


def written(source: Given, folder: Path) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    return write_parts(source, WANTED, folder, lambda _: None)


def content(folder: Path, part: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(gzip.decompress((folder / part).read_bytes()).decode(), newline="")))


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_part_is_cut_where_the_customer_changes_once_it_has_enough_rows(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_ROWS", 4)
    manifest = written(chunked(readings(3, 2, 1, 6, 1), size), tmp_path)
    found = [(p["name"], p["rows"], p["customers"], p["first"], p["last"]) for p in manifest["parts"]]
    assert found == [
        ("part-00000.csv.gz", 5, 2, "a", "b"),
        ("part-00001.csv.gz", 7, 2, "c", "d"),
        ("part-00002.csv.gz", 1, 1, "e", "e"),
    ]
    rows = [content(tmp_path, part["name"]) for part in manifest["parts"]]
    assert [part.pop(0) for part in rows] == [["customer", "timestamp", "value"]] * 3
    assert [tuple(row) for part in rows for row in part] == readings(3, 2, 1, 6, 1)
    assert (manifest["rows"], manifest["customers"]) == (13, 5)


def test_the_manifest_has_each_files_digest_and_says_what_was_asked(tmp_path: Path) -> None:
    manifest = written(chunked(readings(2, 2), 3), tmp_path)
    assert json.loads((tmp_path / "manifest.json").read_text()) == manifest
    [part] = manifest["parts"]
    file = (tmp_path / part["name"]).read_bytes()
    assert (part["sha256"], part["bytes"]) == (hashlib.sha256(file).hexdigest(), len(file))
    assert (manifest["floor"], manifest["ceiling"]) == ("2023-01-01", "2026-01-01")
    assert manifest["columns"] == {"customer": "id", "timestamp": "at", "value": "used"}
    assert manifest["source"] == "what a test gives"


def test_the_data_version_depends_on_the_rows_and_not_on_chunks_parts_or_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = readings(3, 2, 4)
    first = written(chunked(rows, 2), tmp_path / "first")
    again = written(chunked(rows, 5), tmp_path / "again")
    assert (tmp_path / "first/part-00000.csv.gz").read_bytes() == (tmp_path / "again/part-00000.csv.gz").read_bytes()
    monkeypatch.setattr(parts, "PART_ROWS", 1)
    smaller = written(chunked(rows, 2), tmp_path / "smaller")
    assert len(smaller["parts"]) == 3
    assert first["version"] == again["version"] == smaller["version"]
    changed = [*rows[:-1], ("c", "2025-01-04", "3.0")]
    assert written(chunked(changed, 2), tmp_path / "changed")["version"] != first["version"]


def test_text_of_any_kind_comes_through_as_it_was(tmp_path: Path) -> None:
    odd = ["a,b", 'a"b', "a\nb", " ä ", "../../etc", "'; DROP TABLE readings; --", "=1+1", "0"]
    rows = [(name, "when?", value) for name in odd for value in ("", "NaN", "1e400", "\r\n")]
    manifest = written(Given([rows]), tmp_path)
    assert [tuple(row) for row in content(tmp_path, "part-00000.csv.gz")[1:]] == rows
    assert manifest["customers"] == len(odd)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_customer_that_comes_back_is_refused_and_leaves_no_manifest(size: int, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="customer 'a' are not together") as caught:
        written(chunked([*readings(2, 2), ("a", "2025-02-01", "1")], size), tmp_path)
    assert caught.value.remedy
    assert not (tmp_path / "manifest.json").exists()


def test_a_reading_without_a_customer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Reading 3 has no customer"):
        written(Given([[*readings(2), ("", "2025-01-01", "1")]]), tmp_path)


def test_progress_is_told_every_few_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_PROGRESS_SECONDS", 0)
    told: list[str] = []
    write_parts(chunked(readings(2, 2), 2), WANTED, tmp_path, told.append)
    assert told == ["  2 readings of 1 customers so far", "  4 readings of 2 customers so far"]


def test_a_disk_that_takes_no_more_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be written to .*: No such file or directory") as caught:
        write_parts(chunked(readings(2), 2), WANTED, tmp_path / "gone", lambda _: None)
    assert "TMPDIR" in caught.value.remedy
    (tmp_path / "part-00000.csv.gz").symlink_to("/dev/full")
    with pytest.raises(DataError, match="No space left on device"):
        written(chunked(readings(2), 2), tmp_path)
    assert not (tmp_path / "manifest.json").exists()
