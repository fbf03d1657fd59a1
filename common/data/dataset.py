"""A model's dataset: declared once, checked, split, and written as the files that training reads."""

import hashlib
import io
import json
import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.data.checks import check_sets
from common.data.formats import parse
from common.data.schema import Category, Columns, Number, Ratio
from common.data.sources import Source
from common.data.split import Fractions, assign, digests
from common.errors import DataError
from common.serving.inference import Encoder

SETS = ("train", "validation", "test")
_DIGEST = "row digest"


@dataclass(frozen=True)
class Prepared:
    """A dataset ready for upload."""

    files: dict[str, bytes]
    """By their names below the data version: `train/train.csv` and so on, the features as CSV without a header, label
    first, numbers only; `records/train.csv` and so on, the same rows as they came, with a header; `encoder.json`."""
    manifest: dict[str, Any]
    """What the files are: features in order, rows, digests, source, schema, fractions, warnings. JSON values only."""
    version: str
    """The data version: 16 hexadecimal digits that depend on the files and the label's name, and on nothing else."""


@dataclass(frozen=True)
class Dataset:
    """Where a model's rows come from, what they must look like, and how they become features.

    Every column but the label is a feature: numbers as they are, an indicator for each category. `derived` are further
    features. `key` names the columns that say which rows belong together (a customer, a machine) and therefore into one
    set, an ignored column perhaps; by default it is every column but the label, so that correcting a label moves no row.
    """

    source: Source
    columns: Columns
    derived: tuple[Ratio, ...] = ()
    key: tuple[str, ...] = ()
    fractions: Fractions = field(default_factory=Fractions)

    def __post_init__(self) -> None:
        numbers = {column.name for column in self.columns.inputs if isinstance(column, Number)}
        ratios = {name for ratio in self.derived for name in (ratio.numerator, ratio.denominator)}
        for what, wrong in (("key", set(self.key) - set(self.columns.names)), ("derived", ratios - numbers)):
            if wrong:
                raise DataError(
                    f"`{what}` names {', '.join(sorted(wrong))}, which `columns` does not have"
                    + (" as a number." if what == "derived" else "."),
                    f"Correct `{what}` in gather_data.py.",
                )

    def read(self) -> pd.DataFrame:
        """The source's rows as text, as yet unchecked.

        Raises:
            SourceError: the source cannot be read.
            DataError: what it holds is no table.
        """
        return parse(self.source.read(), self.columns)

    def prepare(self, frame: pd.DataFrame) -> Prepared:
        """Check the rows, split them, fit what turns them into features on the training rows, and write the sets.

        The rows of a set are in the order of their digests: the same rows make the same files in whatever order they
        were gathered, and training sees them shuffled.

        Raises:
            DataError: the rows are not what is declared, a set has no rows, or nothing could be learnt from one.
        """
        checked = self.columns.check(frame)
        order = digests(self._keys(checked.frame, frame)).to_numpy()
        sets = self._split(checked.frame.reset_index(drop=True), pd.Series(order))
        warnings = check_sets(self.columns, sets)
        encoder = fit_encoder(self.columns, self.derived, sets["train"])
        files = {"encoder.json": json.dumps(encoder.state(), sort_keys=True, indent=1).encode()}
        for name, rows in sets.items():
            files[f"{name}/{name}.csv"] = self._encoded(encoder, rows)
            files[f"records/{name}.csv"] = write_records(rows)
            check_training_csv(files[f"{name}/{name}.csv"], name)
        sha256 = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        identity = {"label": self.columns.label, "sha256": sha256}
        version = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
        manifest = identity | {
            "version": version,
            "features": encoder.names,
            "rows": {name: len(rows) for name, rows in sets.items()},
            "source": self.source.description,
            "columns": self.columns.describe(),
            "classes": list(self.columns.classes),
            "key": list(self.key),
            "fractions": self.fractions._asdict(),
            "warnings": [*checked.warnings, *warnings],
        }
        return Prepared(files, manifest, version)

    def _keys(self, rows: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
        """What says of each checked row which others it belongs to; an ignored column counts as it came."""
        if missing := sorted(set(self.key) - set(map(str, frame.columns))):
            raise DataError(
                f"The data have no column {', '.join(missing)}, which `key` names.", "Mend the source, or `key`."
            )
        names = list(self.key) or [column.name for column in self.columns.inputs]
        return pd.DataFrame({name: (rows if name in rows else frame.loc[rows.index])[name] for name in names})

    def _split(self, rows: pd.DataFrame, order: "pd.Series[int]") -> dict[str, pd.DataFrame]:
        """The rows of each set, ordered by digest; rows of equal digest by what they hold."""
        sets = assign(order, self.fractions)
        ordered = rows.assign(**{_DIGEST: order}).sort_values([_DIGEST, *rows.columns]).drop(columns=_DIGEST)
        return {name: ordered[sets[ordered.index] == name].reset_index(drop=True) for name in SETS}

    def _encoded(self, encoder: Encoder, rows: pd.DataFrame) -> bytes:
        features = encoder.encode(to_records(rows))
        return to_csv(np.column_stack([self.columns.targets(rows), features]))


def fit_encoder(columns: Columns, derived: tuple[Ratio, ...], train: pd.DataFrame) -> Encoder:
    """What turns records into features: the categories and medians of the training rows, and of no others.

    Raises:
        DataError: an optional number has no value in any training row.
    """
    categories, medians = {}, {}
    for column in columns.inputs:
        if isinstance(column, Category):
            categories[column.name] = column.values or tuple(sorted(set(train[column.name]) - {""}))
        elif column.optional:
            medians[column.name] = float(train[column.name].median())
            if math.isnan(medians[column.name]):
                raise DataError(f"'{column.name}' is empty in every training row.", "Declare it as Ignored.")
    return Encoder(columns.inputs, categories, medians, derived)


def to_records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Each row by the names of its columns, as JSON values: a missing number is None."""
    plain = rows.astype(object).where(rows.notna(), None)
    return [dict(zip(rows.columns, row, strict=True)) for row in plain.itertuples(index=False, name=None)]


def write_records(rows: pd.DataFrame) -> bytes:
    """Checked rows as CSV with a header: numbers as they read back exactly, missing values empty."""
    text = rows.copy()
    for name in rows.select_dtypes("number"):
        text[name] = ["" if math.isnan(value) else _text(value) for value in rows[name]]
    return text.to_csv(index=False, lineterminator="\n").encode()


def read_records(content: bytes, numbers: Collection[str]) -> pd.DataFrame:
    """The rows of a file that `write_records` wrote, in the types that it was given: the named columns are numbers."""
    frame = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    return frame.assign(**{name: [float(text or "nan") for text in frame[name]] for name in numbers})


def to_csv(numbers: npt.NDArray[np.float64]) -> bytes:
    """Headerless CSV that reads back as exactly these numbers; whole ones are written without a point."""
    return "".join(",".join(map(_text, row)) + "\n" for row in numbers.tolist()).encode()


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
            or one and the same label in every row.
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
    elif not wrong and len({float(row[0]) for row in rows if _is_finite(row[0])}) < 2:
        problems.append(f"the label is {rows[-1][0]} in every row: nothing can be learnt or measured")
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
