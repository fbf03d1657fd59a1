"""What the columns of a model's data are, and whether given rows keep to it.

`Columns.check` reports every problem of the data in one message, each with the first offending values and their lines,
so that a file is mended in one go instead of one failure at a time.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import pandas as pd

from common.errors import DataError

_EXAMPLES = 3
_BOOLEANS = frozenset({"true", "false", "true.", "false.", "yes", "no"})
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})


@dataclass(frozen=True)
class Number:
    """A numeric column: finite, within inclusive bounds, whole where `integer` is set.

    `decimals` is the number of digits after the point that were measured; values are rounded to them, so that the
    representation noise of one copy of the data (0.10099999999999999 for 0.101) makes no other data version.
    """

    name: str
    at_least: float = -math.inf
    at_most: float = math.inf
    integer: bool = False
    decimals: int | None = None


@dataclass(frozen=True)
class Category:
    """A column of which every value is one of `values`, exactly as spelled.

    `codes` says which value each number stands for where the data come as libsvm, which knows numbers only.
    """

    name: str
    values: tuple[str, ...]
    codes: Mapping[int, str] = field(default_factory=dict)


Column = Number | Category


@dataclass(frozen=True)
class Checked:
    """Rows that keep to their schema: numbers as floats, categories as text, columns in declared order."""

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
        if self.label not in self.names:
            raise DataError(
                f"The label '{self.label}' is none of the columns {', '.join(self.names)}.",
                "Declare the label as a column, too.",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """All names in declared order, the label's among them."""
        return tuple(column.name for column in self.columns)

    def describe(self) -> list[dict[str, Any]]:
        """The declarations as JSON values, for the manifest; bounds that are not set are left out."""
        described = []
        for column in self.columns:
            given = {f.name: getattr(column, f.name) for f in fields(column)}
            told = {f.name: given[f.name] for f in fields(column) if given[f.name] not in (f.default, {})}
            described.append({"kind": type(column).__name__.lower()} | told)
        return described

    def check(self, frame: pd.DataFrame, *, labelled: bool = True) -> Checked:
        """Convert raw rows (text or typed) to the declared types.

        Without `labelled` the rows are records to predict for: a label may be among them and is dropped, and duplicates
        are nobody's concern. The message counts by the frame's index, whose name says what it counts (`line`, `row`).

        Raises:
            DataError: names every problem: missing, unexpected or repeated columns, no rows, a header among the rows,
                values that are missing, no numbers, textual booleans, infinite, fractional, out of bounds or of no
                declared category, a constant label.
        """
        wanted = [column for column in self.columns if labelled or column.name != self.label]
        problems = _column_problems(frame, [c.name for c in wanted], () if labelled else (self.label,))
        present = [column for column in wanted if list(frame.columns).count(column.name) == 1]
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
        if labelled and self.label in typed and len(typed) > 1 and typed[self.label].nunique(dropna=False) == 1:
            problems.append(f"the label '{self.label}' is {typed[self.label].iloc[0]} in every row")
        if problems:
            raise DataError(
                "\n  - ".join(["The data are not what the model declares:", *problems]),
                "Mend the source, or the columns that gather_data.py declares if the data are right.",
            )
        repeated = int(typed.duplicated().sum()) if labelled else 0
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


def _convert(column: Column, values: "pd.Series[Any]") -> tuple["pd.Series[Any]", list[str]]:
    """The column's values in its type, and what is wrong with them."""
    text = pd.Series([str(value).strip() for value in values], index=values.index, dtype=object)
    missing = text.str.lower().isin(_MISSING) | values.isna()
    if isinstance(column, Category):
        missing &= ~text.isin(column.values)
        return text, _tell(
            text,
            {
                "missing": missing,
                f"none of {', '.join(column.values)}": ~text.isin(column.values),
            },
        )
    boolean = text.str.lower().isin(_BOOLEANS)
    number = pd.Series([_number(value) for value in text], index=values.index, dtype=float)
    problems = _tell(
        text,
        {
            "missing": missing,
            "a boolean where a number is wanted": boolean,
            "no number": number.isna(),
            "infinite": number.abs() == math.inf,
            "not whole": (number % 1 != 0) & column.integer,
            f"below {column.at_least:g}": number < column.at_least,
            f"above {column.at_most:g}": number > column.at_most,
        },
    )
    return number if column.decimals is None else number.round(column.decimals), problems


def _number(text: str) -> float:
    """The number that the text spells, NaN where it spells none; Python's `1_000` is none in anybody's data."""
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


def _tell(text: "pd.Series[Any]", faults: Mapping[str, "pd.Series[bool]"]) -> list[str]:
    """A line for each kind of fault; a value that has several is told for the first only."""
    told = pd.Series(False, index=text.index)
    lines = []
    for what, faulty in faults.items():
        fresh = text[faulty & ~told]
        told |= faulty
        if not fresh.empty:
            values = ", ".join(repr(value) for value in fresh[:_EXAMPLES])
            lines.append(f"{what} in {len(fresh)} of {len(text)} rows: {values} at {_where(fresh.index)}")
    return lines


def _where(rows: pd.Index) -> str:
    """`line 7, 9`: the rows as the index counts them."""
    return f"{rows.name or 'row'} {', '.join(str(row) for row in rows[:_EXAMPLES])}" + (
        ", …" if len(rows) > _EXAMPLES else ""
    )
