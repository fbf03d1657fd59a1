"""Raw records in, predictions out: how a record becomes features, and how a model answers for it.

This one module does it wherever it is done: when data are gathered, when a model is evaluated, and inside the endpoint. It
travels in every artifact as `code/inference.py`, where SageMaker's XGBoost image runs it in script mode; behind a shared
endpoint it is the container's own program, and the same for every model. Therefore it imports nothing of this repository
and nothing that the image lacks (Python 3.10, numpy, xgboost, flask, sagemaker_inference).

It is one file, long as it is: artifacts, shared endpoints and the jobs that read records each take it along under a name of
their own, so that a second file would have to be imported by another name in each of these places.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

try:
    from sagemaker_inference.errors import BaseInferenceToolkitError
except ImportError:  # anywhere but in the image

    class BaseInferenceToolkitError(Exception):  # type: ignore[no-redef]
        """An error with a status of its own; the multi-model server answers every other one with 500."""

        def __init__(self, status_code: int, message: str, phrase: str) -> None:
            super().__init__(message)
            self.status_code, self.message, self.phrase = status_code, message, phrase


if TYPE_CHECKING:
    from numpy.typing import NDArray

MODEL_FILE, STATE_FILE = "xgboost-model", "serving.json"
_FORMAT = 1
_BOOLEANS = frozenset({"true", "false", "true.", "false.", "yes", "no"})
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
_FAULTS_SHOWN = 5
_MANY = 32  # lines from which on whole columns are faster than record after record
_LARGEST = 3.4028234663852886e38  # of 32 bits, in which XGBoost computes and takes more for infinite

Record = Mapping[str, Any]
"""One row by the names of its columns; values are text or JSON values."""


class Fault(ValueError):
    """A value is not what its column declares; the message is the fault alone, e.g. `above 40`."""


class RequestError(BaseInferenceToolkitError):  # type: ignore[misc]
    """A request cannot be answered; `status_code` is the HTTP status that says whose fault it is."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(status, message, HTTPStatus(status).phrase)


@dataclass(frozen=True)
class Number:
    """A numeric column: finite, within inclusive bounds, whole where `integer` is set.

    `decimals` is the number of digits after the point that were measured; values are rounded to them, so that the
    representation noise of one copy of the data (0.10099999999999999 for 0.101) makes no other data version. An `optional`
    one may be empty, and counts as the median of the training rows then.
    """

    name: str
    at_least: float = -math.inf
    at_most: float = math.inf
    integer: bool = False
    decimals: int | None = None
    optional: bool = False

    def read(self, value: object) -> float:
        """The number that the value spells; NaN where an optional one is missing.

        Raises:
            Fault: it is missing, no number, infinite, fractional where a whole one is wanted, or out of bounds.
        """
        number = float(value) if isinstance(value, float) else self._spelled(_text(value))
        if math.isnan(number):
            if self.optional:
                return number
            raise Fault("missing")
        if abs(number) > _LARGEST:
            raise Fault("infinite")
        if self.integer and number % 1:
            raise Fault("not whole")
        if number < self.at_least:
            raise Fault(f"below {self.at_least:g}")
        if number > self.at_most:
            raise Fault(f"above {self.at_most:g}")
        return number if self.decimals is None else round(number, self.decimals)

    def read_all(self, cells: Sequence[str]) -> NDArray[np.float64]:
        """The same of many texts, to the bit. Raises Fault for one of them."""
        try:
            values = np.fromiter(map(float, cells), float, len(cells))
        except ValueError:
            values = np.full(1, np.nan)
        # false for NaN, too; where anything is unusual, each value is looked at by itself
        usual = ((values >= max(self.at_least, -_LARGEST)) & (values <= min(self.at_most, _LARGEST))).all()
        if not usual or (self.integer and np.mod(values, 1).any()) or "_" in "".join(cells):
            return np.array([self.read(cell) for cell in cells])
        return values if self.decimals is None else np.array([round(v, self.decimals) for v in values.tolist()])

    @staticmethod
    def _spelled(text: str) -> float:
        plain = text.lower()
        if plain in _MISSING:
            return math.nan
        if plain in _BOOLEANS:
            raise Fault("a boolean where a number is wanted")
        try:
            return float(text.replace("_", "?"))  # Python reads 1_000, which is a number in nobody's data
        except ValueError:
            raise Fault("no number") from None


@dataclass(frozen=True)
class Category:
    """A column of names. With `values`, each is one of them, exactly as spelled; without, the training rows' are learnt.

    A learnt column may meet a category that no training row had: it is encoded as none of those that are known. An
    `optional` one may be empty, and is encoded likewise. `codes` says which value each number stands for where the data
    come as libsvm, which knows numbers only.
    """

    name: str
    values: tuple[str, ...] = ()
    codes: Mapping[int, str] = field(default_factory=dict)
    optional: bool = False

    def read(self, value: object) -> str:
        """The category; empty where an optional one is missing.

        Raises:
            Fault: it is missing, or none of the declared values.
        """
        text = _text(value)
        if text in self.values:
            return text
        if text.lower() in _MISSING:
            if self.optional:
                return ""
            raise Fault("missing")
        if self.values:
            raise Fault(f"none of {', '.join(self.values)}")
        return text


@dataclass(frozen=True)
class Ignored:
    """A column that the source has, and that is neither stored nor used: a name, a phone number."""

    name: str


@dataclass(frozen=True)
class Ratio:
    """A feature: one number over another; 0 where the denominator is 0, and never beyond what XGBoost can take."""

    numerator: str
    denominator: str

    @property
    def name(self) -> str:
        return f"{self.numerator} / {self.denominator}"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        raise Fault("neither text nor a number")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a category that JSON or a data frame has made a number: 415.0
    return str(value).strip()


@dataclass(frozen=True)
class Encoder:
    """How records become features, as fitted on the training rows.

    Attributes:
        columns: every column but the label, in declared order.
        categories: the known categories of each category column; each becomes an indicator.
        medians: of each optional number, what stands for a missing one.
        ratios: further features.
    """

    columns: tuple[Number | Category, ...]
    categories: Mapping[str, tuple[str, ...]]
    medians: Mapping[str, float]
    ratios: tuple[Ratio, ...] = ()

    @property
    def names(self) -> list[str]:
        """The features in order; an indicator is called `State=CA`."""
        names: list[str] = []
        for column in self.columns:
            known = self.categories.get(column.name)
            names += [column.name] if known is None else [f"{column.name}={category}" for category in known]
        return names + [ratio.name for ratio in self.ratios]

    def origin(self) -> list[str]:
        """For each feature the column that it comes from; a ratio stands for itself."""
        columns = [c.name for c in self.columns for _ in self.categories.get(c.name, ("",))]
        return columns + [ratio.name for ratio in self.ratios]

    def encode(self, records: Sequence[Record]) -> NDArray[np.float64]:
        """The features of each record: rows × features. Fields that are no column are passed over.

        Raises:
            RequestError: names the faults of the records, counted from 1.
        """
        rows = np.zeros((len(records), len(self.names)))
        faults: list[str] = []
        for number, (row, record) in enumerate(zip(rows, records, strict=True), start=1):
            values = dict(self._read(record, number, faults))
            if not faults:
                self._fill(row, values)
        if faults:
            more = f" (and {len(faults) - _FAULTS_SHOWN} more)" if len(faults) > _FAULTS_SHOWN else ""
            raise RequestError("; ".join(faults[:_FAULTS_SHOWN]) + more)
        return rows

    def encode_columns(self, columns: Mapping[str, Sequence[str]], count: int) -> NDArray[np.float64]:
        """The same, to the bit, for `count` records that are given by column, as texts.

        Raises:
            Fault, KeyError: there is a fault; `encode` says in which record.
        """
        rows = np.zeros((count, len(self.names)))
        numbers: dict[str, NDArray[np.float64]] = {}
        position = 0
        for column in self.columns:
            cells = columns[column.name]
            if isinstance(column, Number):
                values = numbers[column.name] = column.read_all(cells)
                values[np.isnan(values)] = self.medians.get(column.name, math.nan)
                rows[:, position] = values
                position += 1
            else:
                known = self.categories[column.name]
                place = {category: index for index, category in enumerate(known)}
                places = {cell: place.get(column.read(cell), -1) for cell in set(cells)}
                found = np.fromiter(map(places.__getitem__, cells), np.intp, count)
                rows[np.flatnonzero(found >= 0), position + found[found >= 0]] = 1
                position += len(known)
        for ratio in self.ratios:
            above, below = numbers[ratio.numerator], numbers[ratio.denominator]
            with np.errstate(all="ignore"):
                rows[:, position] = np.where(below == 0, 0, np.clip(above / below, -_LARGEST, _LARGEST))
            position += 1
        return rows

    def _read(self, record: Record, number: int, faults: list[str]) -> Iterator[tuple[str, Any]]:
        for column in self.columns:
            if column.name not in record:
                faults.append(f"record {number}, {column.name}: there is no such field")
                continue
            given = record[column.name]
            try:
                yield column.name, column.read(given)
            except Fault as fault:
                faults.append(f"record {number}, {column.name}: {fault}: {str(given)[:40]!r}")

    def _fill(self, row: NDArray[np.float64], values: dict[str, Any]) -> None:
        position = 0
        for column in self.columns:
            value = values[column.name]
            if isinstance(column, Number):
                if math.isnan(value):
                    value = values[column.name] = self.medians[column.name]
                row[position] = value
                position += 1
            else:
                known = self.categories[column.name]
                if value in known:
                    row[position + known.index(value)] = 1
                position += len(known)
        for ratio in self.ratios:
            below = values[ratio.denominator]
            row[position] = min(max(values[ratio.numerator] / below, -_LARGEST), _LARGEST) if below else 0
            position += 1

    def state(self) -> dict[str, Any]:
        """The encoder as JSON values; bounds that are not set are left out, since JSON knows no infinity."""
        columns = [
            {"kind": type(c).__name__} | {k: v for k, v in asdict(c).items() if v not in (math.inf, -math.inf)}
            for c in self.columns
        ]
        return {
            "columns": columns,
            "categories": {name: list(known) for name, known in self.categories.items()},
            "medians": dict(self.medians),
            "ratios": [asdict(ratio) for ratio in self.ratios],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Encoder:
        """The encoder that `state` describes."""
        columns = [_column(dict(described)) for described in state["columns"]]
        categories = {name: tuple(known) for name, known in state["categories"].items()}
        return cls(tuple(columns), categories, dict(state["medians"]), tuple(Ratio(**r) for r in state["ratios"]))


def _column(described: dict[str, Any]) -> Number | Category:
    if described.pop("kind") == "Number":
        return Number(**described)
    codes = {int(code): value for code, value in described.pop("codes").items()}
    return Category(**described | {"values": tuple(described["values"]), "codes": codes})


@dataclass(frozen=True)
class Predictor:
    """A trained model and all that it needs to answer for raw records.

    Attributes:
        labels: what a negative and a positive answer are called; empty for a regression.
        threshold: the probability from which an answer is positive.
    """

    booster: Any
    encoder: Encoder
    labels: tuple[str, ...] = ()
    threshold: float = 0.5

    @classmethod
    def load(cls, folder: Path) -> Predictor:
        """The model of an unpacked artifact.

        Raises:
            ValueError: its state was written by a release whose format this one does not know, or is damaged.
        """
        import xgboost

        state = json.loads((folder / STATE_FILE).read_text())
        if state["format"] != _FORMAT:
            raise ValueError(f"{STATE_FILE} has format {state['format']}, this code reads {_FORMAT}")
        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(bytearray((folder / MODEL_FILE).read_bytes()))
        return cls(booster, Encoder.from_state(state["encoder"]), tuple(state["labels"]), state["threshold"])

    def state(self) -> dict[str, Any]:
        """What `load` reads beside the booster, as JSON values."""
        described = {"labels": list(self.labels), "threshold": self.threshold}
        return {"format": _FORMAT, "encoder": self.encoder.state(), **described}

    def scores(self, records: Sequence[Record]) -> NDArray[np.float64]:
        """For each record the predicted value, or the probability that its label is the positive one.

        Raises:
            RequestError: a record is not what the columns declare.
        """
        return self.score_rows(self.encoder.encode(records))

    def score_rows(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same for rows of features."""
        import xgboost

        matrix = xgboost.DMatrix(rows, nthread=1)
        return np.asarray(self.booster.predict(matrix, validate_features=False), dtype=float)

    def answers(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        """`{"prediction": 9.53}` or `{"probability": 0.83, "label": "True."}` for each record.

        Raises:
            RequestError: a record is not what the columns declare.
        """
        return self.named(self.scores(records))

    def named(self, scores: NDArray[np.float64]) -> list[dict[str, Any]]:
        """The same for scores."""
        names = ("probability", "label") if self.labels else ("prediction",)
        return [dict(zip(names, values, strict=True)) for values in self.told(scores)]

    def told(self, scores: NDArray[np.float64]) -> Iterator[tuple[Any, ...]]:
        """The values alone of each answer."""
        labels = self.labels
        return ((s, labels[s >= self.threshold]) if labels else (s,) for s in scores.tolist())


def parse(content: str | bytes, content_type: str, encoder: Encoder) -> list[Record]:
    """The records of a request.

    JSON is one object, a list of them, or `{"instances": [...]}`. CSV has a header, or else every column but the label in
    declared order.

    Raises:
        RequestError: it is neither, or holds no records.
    """
    return _records(*_body(content, content_type), encoder)


def _records(kind: str, text: str, encoder: Encoder) -> list[Record]:
    try:
        records = _json_records(text) if kind == "application/json" else _csv_records(*_csv_lines(text, encoder))
    except (ValueError, RecursionError, csv.Error) as error:
        raise RequestError(f"the body is no {kind}: {error}") from error
    if not records:
        raise RequestError("the body holds no records")
    return records


def features(content: str | bytes, content_type: str, encoder: Encoder) -> NDArray[np.float64]:
    """The features of a request's records: what `encode` makes of what `parse` finds, of a large CSV by whole columns.

    Raises:
        RequestError: as both of them.
    """
    kind, text = _body(content, content_type)
    if kind == "text/csv" and text.count("\n") >= _MANY:
        with suppress(ValueError, KeyError, csv.Error):  # what is wrong, and where, is told below
            names, lines = _csv_lines(text, encoder)
            return encoder.encode_columns(dict(zip(names, zip(*lines, strict=True), strict=True)), len(lines))
    return encoder.encode(_records(kind, text, encoder))


def _body(content: str | bytes, content_type: str) -> tuple[str, str]:
    """Type and text of a request's body."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in ("application/json", "text/csv"):
        raise RequestError(f"{content_type} is not supported: send application/json or text/csv", 415)
    text = (content.decode(errors="replace") if isinstance(content, bytes) else content).removeprefix("\ufeff")
    if "\ufffd" in text:  # the image, too, puts it for what it cannot decode; it would make an unseen category
        raise RequestError(f"the body is no {kind}: it is not UTF-8")
    return kind, text


def _json_records(text: str) -> list[Record]:
    found = json.loads(text)
    if isinstance(found, dict) and set(found) == {"instances"}:
        found = found["instances"]
    records = [found] if isinstance(found, dict) else found
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise RequestError('records are JSON objects: {"column": value, …}, or a list of such')
    return records


def _csv_lines(text: str, encoder: Encoder) -> tuple[list[str], list[list[str]]]:
    """The names of the columns, and the cells of each line as they stand."""
    plain = text.split("\n")
    reader: Iterable[list[str]] = (line.split(",") for line in plain)  # six times as fast
    if any(special in text for special in '"\r\0') or max(map(len, plain)) > csv.field_size_limit():
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    # a line of commas is a record that lacks everything: without it, the answers would belong to other lines
    lines = [line for line in reader if len(line) > 1 or "".join(line).strip()]
    names = [column.name for column in encoder.columns]
    if lines and {cell.strip() for cell in lines[0]} & set(names):
        names = [cell.strip() for cell in lines.pop(0)]
        if len(set(names)) < len(names):
            raise RequestError(f"the header names a column twice: {', '.join(names)}")
    return names, lines


def _csv_records(names: Sequence[str], lines: Sequence[Sequence[str]]) -> list[Record]:
    for number, line in enumerate(lines, start=1):
        if len(line) != len(names):
            raise RequestError(f"record {number} has {len(line)} values, {len(names)} are wanted: {', '.join(names)}")
    return [dict(zip(names, map(str.strip, line), strict=True)) for line in lines]


def model_fn(model_dir: str) -> Predictor:
    """What the image calls once: load the model of the unpacked artifact."""
    return Predictor.load(Path(model_dir))


def transform_fn(model: Predictor, content: str | bytes, content_type: str | None, accept: str) -> Any:
    """What the image calls for each request: answers in JSON, or CSV with a line for each record.

    A request that cannot be answered gets its status and `{"error": …}`; behind a shared endpoint, where the server answers
    for what is raised, the message alone.
    """
    try:
        kind = _accepted(accept)
        scores = model.score_rows(features(content, content_type or "application/json", model.encoder))
    except RequestError as error:
        if os.environ.get("SAGEMAKER_MULTI_MODEL") == "true":
            raise  # that server knows no responses of Flask's
        from flask import Response  # the image's own server for one model; an exception would become a 500

        told = json.dumps({"error": error.message})
        return Response(told, status=error.status_code, mimetype="application/json")
    if kind == "application/json":
        return json.dumps({"predictions": model.named(scores)}), kind
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerows(model.told(scores))
    return target.getvalue(), kind


def _accepted(accept: str) -> str:
    kind = "application/json" if accept in ("", "*/*") else accept.partition(";")[0].strip().lower()
    if kind not in ("application/json", "text/csv"):
        raise RequestError(f"{accept} cannot be answered: accept application/json or text/csv", 406)
    return kind
