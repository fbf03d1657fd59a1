"""The processing program: raw readings in, each customer's clean ones out, with an index of where each lies.

Every host has its share of the raw parts (`customer,timestamp,value` with a header; a customer's rows are all in one part)
and makes of each a part of the same name, and an index:

    {"customers": {id: {"offset", "length", "rows", "first", "last"}}, "set_aside": {id: reason}, "counts": {…}}
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import zlib
from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from .checks import Checked, Limits, check_customers
from .parallel import Failed, Stopped, for_each, say
from .readings import DamagedPart, encode_customer, iso_time

_COLUMNS = ["customer", "timestamp", "value"]
_STOPPED_EXIT_CODE = 143


def main(arguments: Sequence[str] | None = None) -> None:
    """Split this host's parts; exits with another code than 0 when one cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, required=True, help="folder of the raw parts")
    parser.add_argument("--customers", type=Path, required=True, help="folder of the parts that are written")
    parser.add_argument("--index", type=Path, required=True, help="folder of their indices")
    parser.add_argument("--at-least", type=float, default=-math.inf)
    parser.add_argument("--at-most", type=float, default=math.inf)
    parser.add_argument("--ceiling", type=date.fromisoformat, help="the first day that lies in the future")
    parser.add_argument("--least-rows", type=int, default=Limits.least_rows)
    given = parser.parse_args(arguments)
    ceiling = (given.ceiling - date(1970, 1, 1)).days if given.ceiling else math.inf
    limits = Limits(given.at_least, given.at_most, ceiling, given.least_rows)
    parts = sorted(given.input.glob("part-*.csv.gz"))
    say(f"{len(parts)} parts to split")
    for folder in (given.customers, given.index):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        for_each(partial(split_part, customers=given.customers, index=given.index, limits=limits), parts)
    except Stopped:
        sys.exit(_STOPPED_EXIT_CODE)
    except Failed as error:
        sys.exit(str(error))


def split_part(raw: Path, *, customers: Path, index: Path, limits: Limits) -> None:
    """Check the customers of a raw part, and write those that pass, and the index of all.

    Raises:
        DamagedPart: it cannot be read.
    """
    checked = check_customers(*_read(raw), limits)
    (customers / raw.name).write_bytes(b"".join(members := [encode_customer(series) for series in checked.series]))
    (index / f"{raw.name.partition('.')[0]}.json").write_text(json.dumps(_index(checked, members), sort_keys=True))
    say(
        f"{raw.name}: {checked.counts['rows']} rows, {len(checked.series)} customers, "
        f"{len(checked.set_aside)} set aside"
    )


def _read(raw: Path) -> tuple[Any, Any, Any]:
    """Customers, timestamps and values, as text."""
    try:
        table = pd.read_csv(raw, dtype=object, keep_default_na=False, na_filter=False)
    except (OSError, EOFError, ValueError, zlib.error) as error:  # pandas' own errors are ValueErrors
        raise DamagedPart(f"the part cannot be read: {error}") from error
    if list(table.columns) != _COLUMNS:
        raise DamagedPart(f"the columns are {', '.join(map(str, table.columns))}, not {', '.join(_COLUMNS)}")
    customers, timestamps, values = (table[name].to_numpy() for name in _COLUMNS)
    return customers, timestamps, values


def _index(checked: Checked, members: Sequence[bytes]) -> dict[str, Any]:
    entries, offset = {}, 0
    for series, member in zip(checked.series, members, strict=True):
        entries[series.customer] = {
            "offset": offset,
            "length": len(member),
            "rows": len(series.days),
            "first": iso_time(float(series.days[0])),
            "last": iso_time(float(series.days[-1])),
        }
        offset += len(member)
    return {"customers": entries, "set_aside": checked.set_aside, "counts": checked.counts}
