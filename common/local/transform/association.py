"""`DataProcessing`: what of the input goes to the model, and how its answer is put beside the input.

The model's answer to a payload of several records has a line for each of them, in order. One record of JSON may be answered
by any one value.
"""

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.local.transform.filters import Filter, FilterError, parse

CSV, JSON, JSON_LINES = "text/csv", "application/json", "application/jsonlines"
_INPUT, _OUTPUT = "SageMakerInput", "SageMakerOutput"


class Mismatch(Exception):
    """Input or answer are not what the data processing needs; the message is what the data log says."""


@dataclass(frozen=True)
class Association(ABC):
    """How the records of one type are filtered and joined."""

    given: Filter
    kept: Filter
    joins: bool
    is_split: bool
    """Whether a payload is made of lines, each a record; otherwise it is one."""

    def sent(self, payload: bytes) -> bytes:
        """What of a payload the model gets. Raises Mismatch."""
        if self.given.keeps_all:
            return payload
        try:
            return self._sent(self._records(payload))
        except (ValueError, csv.Error) as error:
            raise Mismatch(f"InputFilter: {error}") from error

    def associated(self, payload: bytes, answer: bytes) -> bytes:
        """What is kept of a payload and the model's answer. Raises Mismatch."""
        if self.kept.keeps_all and not self.joins:
            return answer
        records = self._records(payload)
        answers = self._answers(answer, len(records))
        if len(answers) != len(records):
            raise Mismatch(
                f"Fail to join data: {len(records)} records were sent, and {len(answers)} lines were answered."
            )
        try:
            return self._associated(records, answers)
        except (ValueError, csv.Error) as error:
            raise Mismatch(f"Fail to join data: {error}") from error

    @abstractmethod
    def _records(self, payload: bytes) -> list[bytes]:
        """The records of a payload."""

    @abstractmethod
    def _answers(self, answer: bytes, records: int) -> list[bytes]:
        """What was answered for each of so many records."""

    @abstractmethod
    def _sent(self, records: Sequence[bytes]) -> bytes:
        """The filtered records. Raises ValueError."""

    @abstractmethod
    def _associated(self, records: Sequence[bytes], answers: Sequence[bytes]) -> bytes:
        """The filtered and joined records. Raises ValueError."""


class Rows(Association):
    """Of CSV: each row is an array of texts, and the answer's cells follow its own."""

    def _records(self, payload: bytes) -> list[bytes]:
        return _lines(payload)

    def _answers(self, answer: bytes, _records: int) -> list[bytes]:
        return _lines(answer)

    def _sent(self, records: Sequence[bytes]) -> bytes:
        return _chosen(records, self.given)

    def _associated(self, records: Sequence[bytes], answers: Sequence[bytes]) -> bytes:
        joined = [b"%s,%s" % pair for pair in zip(records, answers, strict=True)] if self.joins else answers
        return b"\n".join(joined) if self.kept.keeps_all else _chosen(joined, self.kept)


class Values(Association):
    """Of JSON: the answer becomes a member of the record's object, or stands beside what is none."""

    def _records(self, payload: bytes) -> list[bytes]:
        return _lines(payload) if self.is_split else [payload]

    def _answers(self, answer: bytes, records: int) -> list[bytes]:
        return _lines(answer) if records > 1 else [answer]

    def _sent(self, records: Sequence[bytes]) -> bytes:
        return b"\n".join(_dumped(self.given.of_value(json.loads(record))) for record in records)

    def _associated(self, records: Sequence[bytes], answers: Sequence[bytes]) -> bytes:
        kept = (self._joined(record, answer) for record, answer in zip(records, answers, strict=True))
        return b"\n".join(_dumped(self.kept.of_value(value)) for value in kept)

    def _joined(self, record: bytes, answer: bytes) -> Any:
        output = json.loads(answer)
        if not self.joins:
            return output
        value = json.loads(record)
        return (value if isinstance(value, dict) else {_INPUT: value}) | {_OUTPUT: output}


def association(job: Mapping[str, Any]) -> Association | None:
    """How the job associates answers with its input; None where it does not.

    Raises:
        FilterError: it asks for what is not supported; the message says what.
    """
    processing = job.get("DataProcessing", {})
    given, kept = (parse(processing.get(member, "$")) for member in ("InputFilter", "OutputFilter"))
    joins = processing.get("JoinSource", "None") == "Input"
    if given.keeps_all and kept.keeps_all and not joins:
        return None
    content, accept = (
        kind.partition(";")[0].strip().lower()
        for kind in (job["TransformInput"].get("ContentType", ""), job["TransformOutput"].get("Accept", ""))
    )
    if content != accept or content not in (CSV, JSON, JSON_LINES):
        raise FilterError(
            f"DataProcessing needs ContentType and Accept to be both one of {CSV}, {JSON}, {JSON_LINES}, "
            f"not {content or 'none'} and {accept or 'none'}."
        )
    is_split = job["TransformInput"].get("SplitType", "None") == "Line"
    is_assembled = job["TransformOutput"].get("AssembleWith", "None") == "Line"
    if (is_split or content == CSV) and not (is_split and is_assembled):
        raise FilterError(
            f"DataProcessing of {CSV} needs SplitType Line, and with that AssembleWith Line: without it, the last record of one "
            "payload and the first of the next become one line."
        )
    if content == CSV:
        given.require_csv()
        kept.require_csv()
        return Rows(given, kept, joins, is_split)
    return Values(given, kept, joins, is_split or content == JSON_LINES)


def _lines(text: bytes) -> list[bytes]:
    return [line for line in text.replace(b"\r\n", b"\n").split(b"\n") if line and not line.isspace()]


def _chosen(rows: Sequence[bytes], by: Filter) -> bytes:
    """What a filter chooses of rows of CSV, which are read as such only where a cell may be quoted."""
    if not any(b'"' in row for row in rows):
        return b"\n".join(b",".join(cells) for cells in by.of_rows(row.split(b",") for row in rows))
    read = list(csv.reader([row.decode() for row in rows], strict=True))
    if len(read) < len(rows):
        raise ValueError("a quoted cell does not end on its line")
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerows(by.of_rows(read))
    return target.getvalue().removesuffix("\n").encode()


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
