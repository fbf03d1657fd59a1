"""What the bucket holds of an experiment: captured answers of a variant, and ground truth."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from common.experiments.outcomes import Answer, Truth, read_answers, read_truth
from common.model import Model
from common.storage import Bucket, Layout

_READERS = 8
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def captured_answers(bucket: Bucket, model: Model, variant: str, since: datetime) -> list[Answer]:
    """The answers of a variant of the model's endpoint since that moment, in order."""
    prefix = f"{Layout(model.name).capture()}/{model.name}/{variant}"
    begin = since.astimezone(UTC).strftime(_FORMAT)
    answers: list[Answer] = []
    for _, lines in _files(bucket, prefix, since):
        answers += [answer for answer in read_answers(lines) if answer.at >= begin]
    return sorted(answers, key=lambda answer: answer.at)


def ground_truth(bucket: Bucket, model: Model, since: datetime) -> Truth:
    """The ground truth of requests since that moment, by event id; of two for one event the later file's.

    Raises:
        DataError: a file is not in SageMaker's format.
    """
    truth: dict[str, tuple[float, ...]] = {}
    classes = model.declaration("gather_data", "DATA").columns.classes
    for key, lines in _files(bucket, Layout(model.name).truth(), since):
        truth |= read_truth(bucket.uri(key), lines, classes)
    return truth


def _files(bucket: Bucket, prefix: str, since: datetime) -> Iterator[tuple[str, list[str]]]:
    """(key, lines) of every file below `<prefix>/yyyy/mm/dd/hh/` from that hour on, in order of their keys."""
    first = f"{prefix}/{since.astimezone(UTC):%Y/%m/%d/%H}"
    keys = [key for day in _days(since) for key in _below(bucket, f"{prefix}/{day:%Y/%m/%d}/") if key >= first]

    def read(key: str) -> tuple[str, list[str]]:
        return key, (bucket.read(key) or b"").decode(errors="replace").splitlines()

    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(keys), _READERS):  # as many files in memory as are read at once
            yield from pool.map(read, keys[start : start + _READERS])


def _below(bucket: Bucket, prefix: str) -> list[str]:
    return sorted(prefix + name for name in bucket.listing(prefix) if name.endswith(".jsonl"))


def _days(since: datetime) -> Iterator[datetime]:
    day = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    # Truth is filed under the hour of its request or a later one; a clock that is ahead of AWS's is a day ahead at most.
    while day <= datetime.now(UTC) + timedelta(days=1):
        yield day
        day += timedelta(days=1)
