"""Which objects in the bucket a window is made of."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from common.monitoring.job import Files
from common.monitoring.window import hours
from common.storage import Bucket


def filed(bucket: Bucket, prefix: str, since: datetime, until: datetime) -> Files:
    """The files that SageMaker files below `<prefix>/yyyy/mm/dd/hh/`, of the hours of that time; a listing for each day."""
    wanted = set(hours(since, until))
    etags = {
        name: etag
        for day in dict.fromkeys(hour.rpartition("/")[0] for hour in sorted(wanted))
        for name, etag in _below(bucket, f"{prefix}/", day)
        if name.rpartition("/")[0] in wanted
    }
    return Files(bucket.uri(f"{prefix}/"), etags)


def _below(bucket: Bucket, prefix: str, day: str) -> Iterator[tuple[str, str]]:
    for name, (etag, _) in bucket.listing(f"{prefix}{day}/").items():
        if name.endswith(".jsonl"):
            yield f"{day}/{name}", etag


def live_files(
    bucket: Bucket, calls: str, truth: str, since: datetime, until: datetime, earliest: datetime
) -> tuple[Files, Files]:
    """(captured files, files of ground truth) of a window.

    The truth is that which has come in during the window; where there is any, captured files of before the window are
    among the others, for the predictions that it may be about.

    Args:
        calls, truth: the prefixes, without a slash at the end.
        earliest: no truth is about a prediction of before.
    """
    known = filed(bucket, truth, since, until)
    return filed(bucket, calls, min(earliest, since) if known else since, until), known
