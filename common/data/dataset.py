"""A model's dataset: declared once, checked, split, and written as the files that training reads."""

import hashlib
import io
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.data.formats import parse
from common.data.schema import Columns
from common.data.sources import Source
from common.data.split import Fractions, assign, digests
from common.errors import DataError

SETS = ("train", "validation", "test")


@dataclass(frozen=True)
class Prepared:
    """A dataset ready for upload."""

    files: dict[str, bytes]
    """`train`, `validation` and `test` as CSV: no header, label first, numbers only."""
    manifest: dict[str, Any]
    """What the files are: features in order, rows, digests, source, schema, fractions, warnings. JSON values only."""
    version: str
    """The data version: 16 hexadecimal digits that depend on the files and the features' names, and on nothing else."""


@dataclass(frozen=True)
class Dataset:
    """Where a model's rows come from, what they must look like, and how they become features.

    `features` maps checked rows (numbers as floats, categories as text) to one numeric column per feature. It must work
    on each row alone, since a prediction asks for one row. `key` names the columns that say which rows belong together
    (a customer, a machine) and therefore into one set; by default it is every column but the label, so that correcting a
    label moves no row.
    """

    source: Source
    columns: Columns
    features: Callable[[pd.DataFrame], pd.DataFrame]
    key: tuple[str, ...] = ()
    fractions: Fractions = field(default_factory=Fractions)

    def read(self) -> pd.DataFrame:
        """The source's rows as text, as yet unchecked.

        Raises:
            SourceError: the source cannot be read.
            DataError: what it holds is no table.
        """
        return parse(self.source.read(), self.columns)

    def encode(self, records: pd.DataFrame) -> pd.DataFrame:
        """Raw records as the numbers that the model takes; a label among them is dropped.

        Raises:
            DataError: the records are not what `columns` declares.
        """
        return self._encoded(self.columns.check(records, labelled=False).frame)

    def prepare(self, frame: pd.DataFrame) -> Prepared:
        """Check the rows, split them, and write the sets.

        The rows of a set are in the order of their digests: the same rows make the same files in whatever order they
        were gathered, and training sees them shuffled.

        Raises:
            DataError: the rows are not what is declared, a set has no rows, or nothing could be learnt from one.
        """
        checked = self.columns.check(frame)
        rows = checked.frame.reset_index(drop=True)
        inputs = rows.drop(columns=self.columns.label)
        encoded = self._encoded(inputs)
        order = digests(rows[list(self.key)] if self.key else inputs)
        table = pd.concat([rows[[self.columns.label]].astype(float), encoded], axis=1)
        lines = pd.Series(to_csv(table).decode().splitlines(), dtype=object)
        sets = assign(order, self.fractions)
        files = {name: _in_order(lines[sets == name], order[sets == name]) for name in SETS}
        for name, content in files.items():
            check_training_csv(content, name)
        sha256 = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        identity = {"label": self.columns.label, "features": list(encoded.columns), "sha256": sha256}
        version = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
        manifest = identity | {
            "version": version,
            "rows": {name: int((sets == name).sum()) for name in SETS},
            "source": self.source.description,
            "columns": self.columns.describe(),
            "key": list(self.key),
            "fractions": self.fractions._asdict(),
            "warnings": list(checked.warnings),
        }
        return Prepared(files, manifest, version)

    def _encoded(self, rows: pd.DataFrame) -> pd.DataFrame:
        encoded = _numeric(self.features(rows), rows)
        alone = _numeric(self.features(rows.iloc[:1]), rows.iloc[:1])
        if list(alone.columns) != list(encoded.columns) or not alone.equals(encoded.iloc[:1]):
            raise DataError(
                "The features of a row depend on the rows beside it, so that one record could not be predicted.",
                "In `features`, use the declared categories and constants, nothing computed over the rows.",
            )
        return encoded


def _numeric(encoded: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The features as floats; booleans become 0 and 1 here, before anything could write them as text."""
    if len(encoded) != len(rows) or not encoded.index.equals(rows.index):
        raise DataError("`features` lost or reordered rows.", "Return one row of features for each row given.")
    try:
        encoded = encoded.astype(float)
    except ValueError as error:
        raise DataError(f"`features` returned what is no number: {error}.", "Encode categories as numbers.") from error
    broken = [str(name) for name in encoded if not np.isfinite(encoded[name]).all()]
    if broken:
        raise DataError(f"`features` returned missing or infinite values in {', '.join(broken)}.", "Handle that case.")
    return encoded


def _in_order(lines: "pd.Series[str]", order: "pd.Series[int]") -> bytes:
    """The lines by their rows' digests; rows of equal digest by their text."""
    return "".join(f"{line}\n" for _, line in sorted(zip(order, lines, strict=True))).encode()


def to_csv(numbers: pd.DataFrame) -> bytes:
    """Headerless CSV that reads back as exactly these numbers; whole ones are written without a point."""
    values: Iterable[list[float]] = numbers.to_numpy(dtype=float).tolist()
    return "".join(",".join(_text(value) for value in row) + "\n" for row in values).encode()


def from_csv(content: bytes) -> npt.NDArray[np.float64]:
    """The rows of a file that `to_csv` wrote: rows × columns, the label first where the file has one."""
    return np.loadtxt(io.BytesIO(content), delimiter=",", ndmin=2)


def _text(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def check_training_csv(content: bytes, name: str = "train") -> None:
    """Refuse a file that XGBoost would read without a complaint, and learn nonsense from.

    The container reads a header as a row, and text as 0: labels written as `True` and `False` all become 0, and the
    job completes with a constant model.

    Raises:
        DataError: a header, textual booleans, anything else that is no finite number, lines of unequal length, no rows,
            or for the training set one and the same label in every row.
    """
    rows = [line.split(",") for line in content.decode("utf-8", "replace").splitlines()]
    problems = []
    width = len(rows[0]) if rows else 0
    ragged = [number for number, row in enumerate(rows, start=1) if len(row) != width]
    if ragged:
        problems.append(f"line {ragged[0]} has other than the {width} values of line 1 ({len(ragged)} such lines)")
    wrong = [(number, cell) for number, row in enumerate(rows, start=1) for cell in row if not _is_finite(cell)]
    if wrong and sum(number == 1 for number, _ in wrong) == width:
        problems.append(f"line 1 is a header ({','.join(rows[0])[:60]}), and none may be")
        wrong = wrong[width:]
    if wrong:
        number, cell = wrong[0]
        kind = "a textual boolean" if cell.strip().lower().rstrip(".") in ("true", "false") else "no finite number"
        problems.append(f"line {number} holds {cell!r}, {kind} ({len(wrong)} such values)")
    if len(rows) < 2:
        problems.append(f"{len(rows)} rows are too few")
    elif width < 2:
        problems.append("there is no feature beside the label")
    elif name == "train" and not wrong and len({float(row[0]) for row in rows if _is_finite(row[0])}) < 2:
        problems.append(f"the label is {rows[-1][0]} in every row: there is nothing to learn")
    if problems:
        raise DataError(
            "\n  - ".join([f"The {name} set cannot be trained from:", *problems]),
            "Training data are CSV without a header, label first, numbers only. Gather more or other rows.",
        )


def _is_finite(cell: str) -> bool:
    try:
        return "_" not in cell and math.isfinite(float(cell))
    except ValueError:
        return False
