"""Reading the published forms of tabular data: CSV with a header, CSV without one, and libsvm.

Everything is read as text: what a value means is the schema's to say, which can then name the very text that is wrong.
"""

import csv
import io
import re
from collections.abc import Iterator

import pandas as pd

from common.data.schema import Category, Column, Columns
from common.errors import DataError

_LIBSVM = re.compile(r"\S+(\s+\d+:\S+)+\s*(#.*)?")
_REMEDY = "Give UTF-8 text: comma-separated with or without a header, or libsvm."


def parse(content: bytes, columns: Columns) -> pd.DataFrame:
    """The rows as text, indexed by their line in the file.

    A first line that holds a declared name, or no number at all, is a header; without a header the columns are taken in
    declared order. libsvm is recognised by its `index:value` pairs.

    Raises:
        DataError: not UTF-8 text, broken quoting, or lines with too few or too many values; every such line is named.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"The data are not UTF-8 text (byte {error.start}).", _REMEDY) from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    if _LIBSVM.fullmatch(first.strip()):
        lines, header = _libsvm_lines(text, columns), list(columns.names)
    else:
        lines, header = list(_csv_lines(text)), list(columns.names)
        if lines and _is_header(lines[0][1], columns):
            header = lines.pop(0)[1]
    ragged = [f"line {line} has {len(cells)}" for line, cells in lines if len(cells) != len(header)]
    if ragged:
        shown = "; ".join(ragged[:5]) + ("; …" if len(ragged) > 5 else "")
        raise DataError(f"{len(ragged)} lines do not have the {len(header)} values of a row: {shown}.", _REMEDY)
    index = pd.Index([line for line, _ in lines], name="line")
    return pd.DataFrame([cells for _, cells in lines], index=index, columns=header, dtype=object)


def _csv_lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line it ends on; blank lines are none."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise DataError(f"Line {reader.line_num} is no CSV: {error}.", _REMEDY) from error


def _is_header(cells: list[str], columns: Columns) -> bool:
    return bool(set(cells) & set(columns.names)) or not any(_is_number(cell) for cell in cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _libsvm_lines(text: str, columns: Columns) -> list[tuple[int, list[str]]]:
    """Rows of `label index:value …` with indices from 1 over the columns that are not the label; an index left out is 0."""
    inputs = [column for column in columns.columns if column.name != columns.label]
    features = {str(index): column for index, column in enumerate(inputs, start=1)}
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        label, *pairs = line.split("#")[0].split() or [""]
        if not label:
            continue
        values = dict(pair.partition(":")[::2] for pair in pairs)
        for index in values.keys() - features.keys():
            raise DataError(f"Line {number} has index {index!r}; the features are 1 to {len(features)}.", _REMEDY)
        cells = {column.name: _decoded(column, values.get(index, "0")) for index, column in features.items()}
        rows.append((number, [label if name == columns.label else cells[name] for name in columns.names]))
    return rows


def _decoded(column: Column, value: str) -> str:
    """The category that a code stands for; an unknown code stays as it is, for the schema to refuse with its line."""
    if not isinstance(column, Category):
        return value
    return {str(code): category for code, category in column.codes.items()}.get(value.removesuffix(".0"), value)
