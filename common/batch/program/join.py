"""The second processing program of a batch: records and the transform's answers in, rows with both out.

The transform answers with the number of the line that each answer is for. A part whose answers are not for its records, one
by one, ends the program: no row is ever given another one's prediction.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from .prepare import LINE
from .shares import each

VERSION = "package_version"


def main(arguments: Sequence[str] | None = None) -> None:
    """Join all parts; exits with another code than 0 when a part's answers are not for its records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prepared", type=Path, required=True, help="folder of prepared.json")
    parser.add_argument("--records", type=Path, help="folder of the prepared records, where there are any")
    parser.add_argument("--answers", type=Path, help="folder of what the transform answered to them")
    parser.add_argument("--rejected", type=Path, help="folder of the rejected records, where there are any")
    parser.add_argument("--output", type=Path, required=True, help="folder of the rows, and of the rejected")
    parser.add_argument("--report", type=Path, required=True, help="folder of joined.json")
    parser.add_argument("--version", type=int, required=True, help="of the package that answered")
    parser.add_argument("--format", choices=("parquet", "csv"), required=True)
    given = parser.parse_args(arguments)
    prepared = json.loads((given.prepared / "prepared.json").read_text())
    for folder in (given.output, given.report):
        folder.mkdir(parents=True, exist_ok=True)
    work = partial(
        join_part,
        records=given.records,
        answers=given.answers,
        output=given.output,
        fields=prepared["answers"],
        version=given.version,
        suffix=given.format,
    )
    parts = each(work, [part["name"] for part in prepared["parts"] if part["records"]])
    if given.rejected:
        shutil.copytree(given.rejected, given.output / "_rejected")
    written = {path.relative_to(given.output).as_posix(): path.stat().st_size for path in given.output.rglob("*.*")}
    (given.report / "joined.json").write_text(json.dumps({"parts": parts, "files": written}, indent=1))
    print(f"{sum(part['rows'] for part in parts):,} rows with predictions")  # noqa: T201 - the job's log


def join_part(
    name: str, *, records: Path, answers: Path, output: Path, fields: Sequence[str], version: int, suffix: str
) -> dict[str, Any]:
    """Write the rows of one part."""
    rows = pq.read_table(records / f"{name}.parquet")
    answered = _answers(answers / f"{name}.csv.out", fields)
    if not rows[LINE].equals(answered[LINE]):
        sys.exit(
            f"{name}: the answers are not for its records: {len(rows)} records, {len(answered)} answers, "
            f"lines {rows[LINE][:3].to_pylist()}…, answers for {answered[LINE][:3].to_pylist()}…"
        )
    for field in fields:
        rows = rows.append_column(field, answered[field])
    rows = rows.append_column(VERSION, pa.array([version] * len(rows), pa.int32()))
    path = output / f"{name}.{suffix}"
    if suffix == "parquet":
        pq.write_table(rows, path)
    else:
        pyarrow.csv.write_csv(rows, path)
    return {"name": path.name, "rows": len(rows)}


def _answers(path: Path, fields: Sequence[str]) -> pa.Table:
    """The answers of a part by the numbers of their lines; blank lines, as between payloads, are passed over."""
    types = {LINE: pa.int64()} | {field: pa.string() if field == "label" else pa.float64() for field in fields}
    return pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(use_threads=False, column_names=list(types)),
        convert_options=pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=False),
    )
