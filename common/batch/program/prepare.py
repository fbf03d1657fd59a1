"""The first processing program of a batch: raw records in, those that a transform can score out, the others set aside.

Of each piece of an input file it writes, with the same number in the name,

    todo/part-00000.csv           what the transform is given: the line's number, then the inputs in the model's order
    records/part-00000.parquet    keys and inputs in their types, and which line of which file each record is
    rejected/part-00000.jsonl     file, line, reason and (the beginning of) the record itself of every other record

and `prepared.json` last, which counts them all. Memory: a piece's records in Parquet's terms, and some thousand lines as text.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib
import json
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from .lines import Piece, first_line, lines, pieces
from .records import Bad, Chunk, Field, Input, Reader, Take
from .shares import each

if TYPE_CHECKING:
    from .records import Values

FILE, LINE = "input_file", "input_line"
RESERVED = (FILE, LINE, "prediction", "probability", "label", "package_version")
"""Columns of the output that say what a record's own cannot."""
_CHUNK_LINES = 8_192


class Task(NamedTuple):
    """A piece of an input file, and how its lines are taken apart."""

    number: int
    path: Path
    piece: Piece
    take: Take | Bad
    has_header: bool

    @property
    def name(self) -> str:
        return f"part-{self.number:05}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prepare all files of the input folder; exits with another code than 0 when that is impossible."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, required=True, help="folder of *.csv and *.jsonl")
    parser.add_argument("--model", type=Path, required=True, help="folder of the package's model.tar.gz")
    parser.add_argument("--digest", required=True, help="SHA-256 of the package's model.tar.gz")
    parser.add_argument("--output", type=Path, required=True, help="folder of what is written")
    parser.add_argument("--piece-bytes", type=int, required=True)
    parser.add_argument("--key", action="append", default=[], metavar="COLUMN")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        inference, state = _package(given.model / "model.tar.gz", given.digest, Path(folder))
    prepared = prepare(given.input, given.output, Reader.of(inference, state, given.key), given.piece_bytes)
    prepared["answers"] = ["probability", "label"] if state["labels"] else ["prediction"]
    (given.output / "prepared.json").write_text(json.dumps(prepared, indent=1))
    print(f"{prepared['records']:,} records can be scored, {prepared['rejected']:,} cannot")  # noqa: T201 - the job's log


def prepare(folder: Path, output: Path, reader: Reader, piece_bytes: int) -> dict[str, Any]:
    """Write the parts of every file of the folder; what `prepared.json` tells of them."""
    if taken := sorted(set(reader.names) & set(RESERVED)):
        sys.exit(f"the output has columns {', '.join(taken)} of its own: rename those of the records")
    for name in ("todo", "records", "rejected"):
        (output / name).mkdir(parents=True, exist_ok=True)
    named = (path for path in folder.iterdir() if not path.name.startswith(("_", ".")))  # see `partitions`
    files = sorted(path for path in named if path.suffix in (".csv", ".jsonl"))
    tasks = list(_tasks(files, reader, piece_bytes))
    parts = each(partial(_prepare_part, reader=reader, output=output), tasks)
    reasons = sum((Counter(part.pop("reasons")) for part in parts), Counter[str]())
    return {
        "files": [_counted(path, [part for part in parts if part["file"] == path.name]) for path in files],
        "records": sum(part["records"] for part in parts),
        "rejected": sum(part["rejected"] for part in parts),
        "reasons": dict(reasons.most_common(20)),
        "parts": parts,
    }


def _tasks(files: Sequence[Path], reader: Reader, piece_bytes: int) -> Iterator[Task]:
    number = 0
    for path in files:
        has_header = path.suffix == ".csv"
        take = reader.taking(first_line(path) if has_header else None)
        for piece in pieces(path, piece_bytes):
            yield Task(number, path, piece, take, has_header and piece.first_line == 1)
            number += 1


def _counted(path: Path, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counts = {name: sum(part[name] for part in parts) for name in ("lines", "blank", "records", "rejected")}
    return {
        "name": path.name,
        "bytes": path.stat().st_size,
        "headers": int(path.suffix == ".csv" and bool(parts)),
    } | counts


def _prepare_part(task: Task, reader: Reader, output: Path) -> dict[str, Any]:
    """Write the files of a piece; those that would hold nothing are left out."""
    counts = Counter({"lines": int(task.has_header), "blank": 0, "records": 0, "rejected": 0})
    reasons: Counter[str] = Counter()
    batches = []
    todo, rejected = output / "todo" / f"{task.name}.csv", output / "rejected" / f"{task.name}.jsonl"
    with todo.open("w", newline="", encoding="utf-8") as sent, rejected.open("w", encoding="utf-8") as aside:
        writer = csv.writer(sent, lineterminator="\n")
        for chunk in _chunks(task, reader):
            writer.writerows(zip(chunk.lines, *chunk.texts, strict=True))
            for line, reason, record in chunk.rejected:
                told = {"file": task.path.name, "line": line, "reason": reason, "record": record}
                aside.write(json.dumps(told) + "\n")
                reasons[reason] += 1
            batches.append(_batch(task.path.name, chunk, reader))
            counts.update(blank=chunk.blank, records=len(chunk.lines), rejected=len(chunk.rejected))
    counts["lines"] += counts["blank"] + counts["records"] + counts["rejected"]
    if counts["records"]:
        pq.write_table(pa.Table.from_batches(batches), output / "records" / f"{task.name}.parquet")
    else:
        todo.unlink()
    if not counts["rejected"]:
        rejected.unlink()
    return {"name": task.name, "file": task.path.name, "reasons": reasons} | dict(counts)


def _chunks(task: Task, reader: Reader) -> Iterator[Chunk]:
    numbered = lines(task.path, task.piece)
    if task.has_header:
        next(numbered)
    while some := list(islice(numbered, _CHUNK_LINES)):
        yield reader.read(some, task.take)


def _batch(file: str, chunk: Chunk, reader: Reader) -> pa.RecordBatch:
    fields: tuple[Field, ...] = (*reader.keys, *reader.inputs)
    columns = {field.name: _array(field, values) for field, values in zip(fields, chunk.values, strict=True)}
    where = {FILE: pa.array([file] * len(chunk.lines), pa.string()), LINE: pa.array(chunk.lines, pa.int64())}
    return pa.RecordBatch.from_pydict(where | columns)


def _array(field: Field, values: Values) -> pa.Array:
    if not (isinstance(field, Input) and field.is_number):
        return pa.array(values, pa.string())
    numbers = pa.array(values, pa.float64(), from_pandas=True)  # by which NaN is missing
    return numbers.cast(pa.int64()) if field.is_whole else numbers


def _package(archive: Path, digest: str, folder: Path) -> tuple[ModuleType, dict[str, Any]]:
    """The code of a package that reads records, and its state: of the very archive that was approved, since it is run."""
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != digest:
        sys.exit(
            f"{archive.name} is not the artifact that was approved: its SHA-256 is {found}, registered is {digest}"
        )
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    sys.path.insert(0, str(folder / "code"))
    return importlib.import_module("inference"), json.loads((folder / "serving.json").read_text())
