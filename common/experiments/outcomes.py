"""Captured answers and ground truth, from the lines of SageMaker's files. Pure functions.

The formats are those of Model Monitor: Capture Data, and Ingest Ground Truth Labels and Merge Them With Predictions, in the
SageMaker developer guide. A truth belongs to the captured call whose `inferenceId` is its `eventId`; where the caller sent
none, to the one whose `eventId` it is.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import DataError
from common.evaluation.golden import score
from common.experiments.assignment import unit_of

Truth = Mapping[str, tuple[float, ...]]
"""By event id the true value of each record of the request: 0 or 1 in a classification."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One captured call that was answered with predictions.

    Attributes:
        request: equal where two variants answered a copy of one request: its inference id, or a digest of its body.
        event: what the ground truth of the call names.
        unit: what counts as one independent observation, e.g. all requests of a caller's key.
        at: when, ISO 8601 in UTC, to the second.
        predictions: a value or the probability of the positive class, for each record of the request.
        labels: what the model called each record; empty in a regression.
    """

    request: str
    event: str
    unit: str
    at: str
    predictions: tuple[float, ...]
    labels: tuple[str, ...] = ()


def read_answers(lines: Iterable[str]) -> list[Answer]:
    """The answers in a captured file; lines that hold none are left out, e.g. errors that the model answered with."""
    answers = []
    for line in lines:
        try:
            answers.append(_answer(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return answers


def _answer(event: Mapping[str, Any]) -> Answer:
    captured, metadata = event["captureData"], event["eventMetadata"]
    given = metadata.get("inferenceId", "")
    request = given or hashlib.sha256(captured["endpointInput"]["data"].encode()).hexdigest()
    predictions, labels = _predictions(captured["endpointOutput"])
    return Answer(
        request=request,
        event=given or metadata["eventId"],
        unit=unit_of(given or metadata["eventId"]),
        at=metadata["inferenceTime"],
        predictions=predictions,
        labels=labels,
    )


def _predictions(output: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """The predictions, and the labels, of an answer of `common/serving/inference.py`.

    Raises:
        ValueError, KeyError, TypeError: it holds none.
    """
    text = base64.b64decode(output["data"]).decode() if output["encoding"] == "BASE64" else output["data"]
    if output["observedContentType"].partition(";")[0] == "text/csv":
        rows = [row for row in csv.reader(io.StringIO(text)) if row]
        return tuple(float(row[0]) for row in rows), tuple(row[1] for row in rows if len(row) > 1)
    found = json.loads(text)["predictions"]
    return tuple(map(score, found)), tuple(answer["label"] for answer in found if "label" in answer)


def read_truth(name: str, lines: Iterable[str], classes: tuple[str, ...]) -> dict[str, tuple[float, ...]]:
    """The ground truth in a file.

    Args:
        name: the file's, for messages.
        classes: what the negative and the positive label are called; empty in a regression.

    Raises:
        DataError: a line is not in SageMaker's format, or its value is none of the labels and no number.
    """
    truth: dict[str, tuple[float, ...]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
            data, event = document["groundTruthData"], document["eventMetadata"]["eventId"]
            truth[event] = tuple(_value(text, classes) for text in _values(data["data"], data["encoding"]))
        except (ValueError, KeyError, TypeError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise DataError(
                f"{name}, line {number}, is no ground truth: {reason}.",
                'A line is {"groundTruthData": {"data": "1", "encoding": "CSV"}, "eventMetadata": {"eventId": "…"}, '
                '"eventVersion": "0"}; docs/experiments.md says more. Correct or delete the file.',
            ) from error
    return truth


def _values(data: Any, encoding: str) -> list[str]:
    if encoding == "JSON":
        found = json.loads(data) if isinstance(data, str) else data
        return [str(value) for value in (found if isinstance(found, list) else [found])]
    if encoding == "BASE64":
        data = base64.b64decode(data).decode()
    return [cell.strip() for row in csv.reader(io.StringIO(data)) for cell in row]


def _value(text: str, classes: tuple[str, ...]) -> float:
    if text in classes:
        return float(classes.index(text))
    value = float(text)
    if classes and value not in (0, 1):
        raise ValueError(f"{text} is neither 0 nor 1, nor {' or '.join(classes)}")
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is no value")
    return value
