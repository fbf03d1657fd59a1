"""What the columns of a model's data are, and whether given rows keep to it.

`Columns.check` reports every problem of the data in one message, each with the first offending values and their lines,
so that a file is mended in one go instead of one failure at a time.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from common.errors import DataError
from common.serving.inference import Category, Fault, Ignored, Number, Ratio

__all__ = ["Category", "Checked", "Column", "Columns", "Ignored", "Number", "Ratio"]

_EXAMPLES = 3


Column = Number | Category | Ignored


@dataclass(frozen=True)
class Checked:
    """Rows that keep to their schema: numbers as floats (NaN where missing), categories as text, in declared order."""

    frame: pd.DataFrame
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Columns:
    """The columns of a model's raw data in their order in files without a header; one of them is the label."""

    columns: tuple[Column, ...]
    label: str

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise DataError(f"A column is declared twice: {', '.join(self.names)}.", "Give every column its own name.")
        numbers = [name for name in self.names if re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", name, re.IGNORECASE)]
        if numbers:
            raise DataError(
                f"A column is called {numbers[0]}: a line of values could be taken for a header.",
                "Give it a name that is no number.",
            )
        label = next((column for column in self.used if column.name == self.label), None)
        if label is None:
            raise DataError(
                f"The label '{self.label}' is none of the columns {', '.join(self.names)}.",
                "Declare the label as a column, too.",
            )
        if label.optional or (isinstance(label, Category) and len(label.values) != 2):
            raise DataError(
                f"The label '{self.label}' must be a number or a category of two values, and never be empty.",
                'Declare e.g. Category("churned", ("no", "yes")): the second value is the one that is predicted.',
            )

    @property
    def names(self) -> tuple[str, ...]:
        """All names in declared order, the label's among them."""
        return tuple(column.name for column in self.columns)

    @property
    def used(self) -> tuple[Number | Category, ...]:
        """The columns that are not ignored, the label's among them."""
        return tuple(column for column in self.columns if not isinstance(column, Ignored))

    @property
    def inputs(self) -> tuple[Number | Category, ...]:
        """What a prediction is made from: the columns that are neither ignored nor the label."""
        return tuple(column for column in self.used if column.name != self.label)

    @property
    def classes(self) -> tuple[str, ...]:
        """The label's two names, the negative one first; empty where the label is a number."""
        label = next(column for column in self.used if column.name == self.label)
        return label.values if isinstance(label, Category) else ()

    def targets(self, rows: pd.DataFrame) -> "pd.Series[float]":
        """The label of checked rows as a number: itself, or 0 and 1 for the label's two names."""
        if self.classes:
            return (rows[self.label] == self.classes[1]).astype(float)
        return rows[self.label].astype(float)

    def describe(self) -> list[dict[str, Any]]:
        """The declarations as JSON values, for the manifest; bounds that are not set are left out."""
        described = []
        for column in self.columns:
            given = {f.name: getattr(column, f.name) for f in fields(column)}
            told = {f.name: given[f.name] for f in fields(column) if given[f.name] not in (f.default, {})}
            described.append({"kind": type(column).__name__.lower()} | told)
        return described

    def check(self, frame: pd.DataFrame) -> Checked:
        """Convert raw rows (text or typed) to the declared types, without the columns to be ignored.

        The message counts by the frame's index, whose name says what it counts (`line`, `row`).

        Raises:
            DataError: names every problem: missing, unexpected or repeated columns, no rows, a header among the rows,
                values that are missing, no numbers, textual booleans, infinite, fractional, out of bounds or of no
                declared category, a constant label.
        """
        problems = _column_problems(frame, [c.name for c in self.used], set(self.names))
        present = [column for column in self.used if list(frame.columns).count(column.name) == 1]
        headers = _header_rows(frame, [column.name for column in present])
        if headers.any():
            problems.append(f"the header is repeated among the data at {_where(frame.index[headers])}")
        rows = frame[~headers]
        if rows.empty:
            problems.append("there are no rows")
        converted = {}
        for column in present:
            converted[column.name], found = _convert(column, rows[column.name])
            problems += [f"column '{column.name}': {text}" for text in found]
        typed = pd.DataFrame(converted, index=rows.index)
        if self.label in typed and len(typed) > 1 and typed[self.label].nunique(dropna=False) == 1:
            problems.append(f"the label '{self.label}' is {typed[self.label].iloc[0]} in every row")
        if problems:
            raise DataError(
                "\n  - ".join(["The data are not what the model declares:", *problems]),
                "Mend the source, or the columns that gather_data.py declares if the data are right.",
            )
        repeated = int(typed.duplicated().sum())
        return Checked(typed, (f"{repeated} rows repeat another row",) if repeated else ())


def _column_problems(frame: pd.DataFrame, wanted: Sequence[str], ignored: Iterable[str]) -> list[str]:
    given = [str(name) for name in frame.columns]
    missing = [name for name in wanted if name not in given]
    extra = [name for name in dict.fromkeys(given) if name not in wanted and name not in ignored]
    repeated = [name for name in dict.fromkeys(given) if given.count(name) > 1]
    found = (("missing", missing), ("unexpected", extra), ("repeated", repeated))
    return [f"{what} columns: {', '.join(names)}" for what, names in found if names]


def _header_rows(frame: pd.DataFrame, names: Sequence[str]) -> "pd.Series[bool]":
    """Rows that spell the columns' own names, as two CSV files pasted together leave them."""
    header = pd.Series(bool(names), index=frame.index)
    for name in names:
        header &= pd.Series([str(value).strip() == name for value in frame[name]], index=frame.index)
    return header


def _convert(column: Number | Category, values: "pd.Series[Any]") -> tuple["pd.Series[Any]", list[str]]:
    """The column's values in its type, and a line for each kind of fault."""
    typed: list[Any] = []
    faulty: dict[str, list[int]] = {}
    for position, value in enumerate(values):
        try:
            typed.append(column.read(value))
        except Fault as fault:
            typed.append(None)
            faulty.setdefault(str(fault), []).append(position)
    lines = []
    for what, positions in faulty.items():
        examples = ", ".join(repr(str(values.iloc[position]).strip()) for position in positions[:_EXAMPLES])
        lines.append(
            f"{what} in {len(positions)} of {len(values)} rows: {examples} at {_where(values.index[positions])}"
        )
    kind = float if isinstance(column, Number) else object
    return pd.Series(typed, index=values.index, dtype=kind), lines


def _where(rows: pd.Index) -> str:
    """`line 7, 9`: the rows as the index counts them."""
    return f"{rows.name or 'row'} {', '.join(str(row) for row in rows[:_EXAMPLES])}" + (
        ", …" if len(rows) > _EXAMPLES else ""
    )
