"""What a job of the monitor reads: captured calls, a batch's input, ground truth, and the training set.

It runs in the container, and needs of this repository what travels with it only; see `common.monitoring.job.code_files`.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.experiments.outcomes import Answer, Truth, read_answers, read_truth
from common.monitoring.checks import Outcomes
from common.serving.inference import Encoder, Record, RequestError, parse

MOST_ROWS = 200_000
"""As many records of a window are compared; of more, a sample. A difference that matters shows in far fewer."""
_CHUNK_ROWS = 50_000


@dataclass
class Thinned:
    """A uniform sample of rows that come in parts: those with the smallest of the random numbers that all rows are dealt.

    Attributes:
        rows: how many there were.
    """

    most: int = MOST_ROWS
    seed: int = 0
    rows: int = 0
    _parts: list[pd.DataFrame] = field(default_factory=list)
    _drawn: list[NDArray[np.float64]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)

    def add(self, part: pd.DataFrame) -> None:
        """Take the rows of a part into account."""
        if part.empty:
            return
        self.rows += len(part)
        self._parts.append(part)
        self._drawn.append(self._random.random(len(part)))
        if sum(map(len, self._parts)) > 2 * self.most:
            self._thin()

    @property
    def frame(self) -> pd.DataFrame:
        """The sample, at most `most` rows in the order in which they came."""
        self._thin()
        return self._parts[0] if self._parts else pd.DataFrame()

    def _thin(self) -> None:
        if not self._parts:
            return
        rows, drawn = pd.concat(self._parts, ignore_index=True), np.concatenate(self._drawn)
        if len(rows) > self.most:
            kept = np.sort(np.argpartition(drawn, self.most)[: self.most])
            rows, drawn = rows.iloc[kept].reset_index(drop=True), drawn[kept]
        self._parts, self._drawn = [rows], [drawn]


@dataclass(frozen=True)
class Captured:
    """What captured calls of a window hold.

    Attributes:
        frame: the raw records of the requests, or a sample of them.
        rows: how many records there were.
        predictions: of the window's answers.
        outcomes: the predictions whose truth is known, also those of before the window; None where there are none.
        unreadable: calls whose request is none that the model answers.
    """

    frame: pd.DataFrame
    rows: int
    predictions: NDArray[np.float64]
    outcomes: Outcomes | None
    unreadable: int


def read_captured(folder: Path, encoder: Encoder, since: str, until: str, serves_since: str, truth: Truth) -> Captured:
    """The captured calls in a folder.

    Args:
        since, until: of the window, as `inferenceTime` is written. Calls from before it are read for their answers only.
        serves_since: what was answered before was answered by another package, and is left out.
        truth: of their answers those are kept that it is about: weeks of calls would fill the memory.
    """
    records, inside, known = Thinned(), list[float](), list[Answer]()
    unreadable, since = 0, max(since, serves_since)
    for path in sorted(folder.rglob("*.jsonl")):
        lines = _lines(path)
        answers = [answer for answer in read_answers(lines) if serves_since <= answer.at < until]
        inside += [value for answer in answers if answer.at >= since for value in answer.predictions]
        known += [answer for answer in answers if answer.event in truth]
        found, faulty = _requests(lines, encoder, since, until)
        records.add(pd.DataFrame(found))
        unreadable += faulty
    predictions = np.array(inside, dtype=float)
    return Captured(records.frame, records.rows, predictions, outcomes(known, truth), unreadable)


def _lines(path: Path) -> list[str]:
    """The lines of a file; unlike `splitlines`, not parted where a text of JSON holds another separator (U+2028)."""
    return path.read_text(encoding="utf-8", errors="replace").split("\n")


def _requests(lines: Iterable[str], encoder: Encoder, since: str, until: str) -> tuple[list[Record], int]:
    """The records of the requests between these times, and how many requests are none."""
    found: list[Record] = []
    unreadable = 0
    for line in filter(str.strip, lines):
        try:
            event = json.loads(line)
            if not since <= event["eventMetadata"]["inferenceTime"] < until:
                continue
            given = event["captureData"]["endpointInput"]
            body = base64.b64decode(given["data"]) if given["encoding"] == "BASE64" else given["data"]
            found += parse(body, given["observedContentType"], encoder)
        except (ValueError, KeyError, TypeError, AttributeError, RequestError):
            unreadable += 1
    return found, unreadable


def read_ground_truth(folder: Path, names: Mapping[str, str], classes: tuple[str, ...]) -> Truth:
    """The ground truth in a folder, by event id; of two for one event that of the later file.

    Args:
        names: what the files are called in messages.

    Raises:
        DataError: a line is not in SageMaker's format.
    """
    truth: dict[str, tuple[float, ...]] = {}
    for path in sorted(folder.rglob("*.jsonl")):
        name = path.relative_to(folder).as_posix()
        truth |= read_truth(names.get(name, name), _lines(path), classes)
    return truth


def outcomes(answers: Iterable[Answer], truth: Truth) -> Outcomes | None:
    """The predictions whose truth is known; None where there are none. A truth that has another length tells nothing."""
    pairs = [
        pair
        for answer in answers
        if len(known := truth.get(answer.event, ())) == len(answer.predictions)
        for pair in zip(answer.predictions, known, strict=True)
    ]
    table = np.array(pairs, dtype=float).reshape(-1, 2)
    return Outcomes(table[:, 0], table[:, 1]) if pairs else None


def read_batch(folder: Path, columns: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """The raw records of a batch's input, or a sample of them, and how many there are.

    Of CSV files, rows with another number of values than the header are left out: they were rejected, too.

    Args:
        columns: the names of those that are wanted, and are all that is kept where a file has them.
    """
    records = Thinned()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".csv", ".jsonl"):
            for part in _csv(path) if path.suffix == ".csv" else _json_lines(path):
                once = part.loc[:, ~part.columns.duplicated()]
                records.add(once[[name for name in columns if name in once]])
    return records.frame, records.rows


def _csv(path: Path) -> Iterator[pd.DataFrame]:
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        header = _fields(next(lines, ""))
        # Line by line, as a transform splits: a quote that is never closed spoils one record, and not all that follow.
        records = (fields for line in lines if line.strip() and len(fields := _fields(line)) == len(header))
        while rows := list(islice(records, _CHUNK_ROWS)):
            yield pd.DataFrame(rows, columns=header, dtype=object)


def _fields(line: str) -> list[str]:
    line, fields = line.rstrip("\r\n"), list[str]()
    with suppress(csv.Error):  # a field that is too long
        fields = next(csv.reader([line], skipinitialspace=True), []) if '"' in line else line.split(",")
    return [field.strip() for field in fields]


def _json_lines(path: Path) -> Iterator[pd.DataFrame]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        rows: list[dict[str, Any]] = []
        for line in lines:
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict):
                rows.append(row)
            if len(rows) == _CHUNK_ROWS:
                yield pd.DataFrame(rows)
                rows = []
        yield pd.DataFrame(rows)


def read_predictions(folder: Path, column: str) -> NDArray[np.float64]:
    """The predictions of a batch: that column of all its parts, Parquet or CSV."""
    parts = [
        pd.read_parquet(path, columns=[column]) if path.suffix == ".parquet" else pd.read_csv(path, usecols=[column])
        for path in sorted(folder.glob("part-*"))
    ]
    return np.concatenate([part[column].to_numpy(dtype=float) for part in parts]) if parts else np.empty(0)


def read_reference(content: bytes) -> pd.DataFrame:
    """The training records as text, as `common.data.dataset.write_records` wrote them."""
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)


def read_pairs(content: bytes) -> Outcomes:
    """The baseline's predictions of the test records, each with its truth."""
    table = np.loadtxt(io.BytesIO(content), delimiter=",", ndmin=2)
    return Outcomes(table[:, 0], table[:, 1])
