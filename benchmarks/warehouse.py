"""Readings out of a PostgreSQL into parts on disk, beside `pandas.read_sql` of the same rows and its `to_csv`.

Each runs in a process of its own, whose time and peak memory are shown: the extract, which streams, reads a small and a large
table; pandas reads the large one, into memory first.
"""

import statistics
import subprocess
import sys
import time
from typing import Final

from common.local.postgres import Postgres, postgres

_FEW, _MANY = 100_000, 1_000_000
_RUNS: Final = 3
_QUERY = "SELECT customer_id, timestamp, consumption FROM {} WHERE timestamp >= {} AND timestamp < {}"
_EXTRACT = """
import sys, tempfile
from datetime import date
from pathlib import Path
from common.data.extract import Wanted
from common.data.parts import write_parts
from common.data.sources import from_url

wanted = Wanted("customer_id", "timestamp", "consumption", date(2023, 1, 1), date(2026, 1, 1))
with tempfile.TemporaryDirectory() as folder:
    write_parts(from_url(*sys.argv[1:3]), wanted, Path(folder), lambda _: None)
"""
_PANDAS = """
import sys, tempfile
import pandas
from sqlalchemy import create_engine

engine = create_engine(sys.argv[1].replace("postgresql:", "postgresql+psycopg:"))
with tempfile.TemporaryDirectory() as folder:
    rows = pandas.read_sql(sys.argv[2] + " ORDER BY customer_id, timestamp, consumption", engine)
    rows.to_csv(folder + "/part.csv.gz", index=False, compression={"method": "gzip", "compresslevel": 4})
"""
_PEAK = """
import re
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


def main() -> None:
    with postgres() as server:
        for table, rows in (("few", _FEW), ("many", _MANY)):
            server.run(f"CREATE TABLE {table} (customer_id integer, timestamp timestamp, consumption double precision)")
            server.run(
                f"INSERT INTO {table} SELECT n / 1000, timestamp '2023-01-01' + n % 1000 * interval '1 day', "  # noqa: S608
                f"(random() * 100000)::integer / 100.0 FROM generate_series(0, {rows - 1}) AS n"
            )
        streamed = _QUERY.format("{}", ":floor", ":ceiling")
        whole = _QUERY.format("{}", "'2023-01-01'", "'2026-01-01'")
        candidates = {
            f"extract of {_MANY:,} rows": (_EXTRACT, streamed.format("many"), _MANY),
            f"pandas, {_MANY:,} rows": (_PANDAS, whole.format("many"), _MANY),
            f"extract of {_FEW:,} rows": (_EXTRACT, streamed.format("few"), _FEW),
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
        for _ in range(_RUNS):
            for name, (program, query, _rows) in candidates.items():
                found[name].append(_measured(server, program, query))
        for name, (_program, _text, rows) in candidates.items():
            seconds, memory = (statistics.median(values) for values in zip(*found[name], strict=True))
            print(f"  {name:<28} {seconds:6.2f} s {rows / seconds:10,.0f} rows/s   peak {memory:6.0f} MiB")


def _measured(server: Postgres, program: str, query: str) -> tuple[float, float]:
    """(seconds, peak MiB) of a process, its start included."""
    started = time.perf_counter()
    command = [sys.executable, "-c", program + _PEAK, server.url, query]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return time.perf_counter() - started, int(printed) / 2**10


if __name__ == "__main__":
    main()
