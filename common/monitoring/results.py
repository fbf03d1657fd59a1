"""What has been found in the windows of a package, as the bucket keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from common.errors import MonitoringError
from common.monitoring.looked import FINDINGS, Looked
from common.monitoring.rules import Decision, Rule, WindowResult, decide
from common.monitoring.window import LiveWindow, yesterday
from common.storage import Bucket, Layout

_READERS = 8


def looked_at(bucket: Bucket, model: str, version: int, window: str) -> Looked | None:
    """The results of one window; None where there are none.

    Raises:
        MonitoringError: they are damaged.
    """
    key = Layout(model).monitoring(version, f"{window}/{FINDINGS}")
    content = bucket.read(key)
    return None if content is None else _read(bucket, key, content)


def history(bucket: Bucket, model: str, version: int) -> list[Looked]:
    """Every window of a package that was looked at, the oldest first. A window whose job failed has no findings.

    Raises:
        MonitoringError: the results of a window are damaged.
    """
    prefix = Layout(model).monitoring(version, "")
    keys = [prefix + name for name in bucket.listing(prefix) if name.endswith(f"/{FINDINGS}")]

    def read(key: str) -> Looked | None:
        content = bucket.read(key)
        return None if content is None else _read(bucket, key, content)

    with ThreadPoolExecutor(_READERS) as pool:
        found = [each for each in pool.map(read, keys) if each is not None]
    return sorted(found, key=lambda each: (each.ends, each.id))


def decision(windows: Iterable[Looked], rule: Rule) -> Decision:
    """Whether these windows of one package, the oldest first, are a reason to retrain."""
    return decide([WindowResult.of(each.id, each.findings) for each in apart(windows)], rule)


def apart(windows: Iterable[Looked]) -> list[Looked]:
    """The windows without those that share their time with another: an odd hour that is looked at thrice is one.

    Of such the days count that a schedule looks at, of others the longest.
    """
    windows = list(windows)
    kept: list[tuple[datetime, datetime]] = []
    for since, until in sorted(
        filter(None, map(_time, windows)), key=lambda time: (not _is_day(*time), time[0] - time[1])
    ):
        if all(until <= begin or end <= since for begin, end in kept):
            kept.append((since, until))
    return [window for window in windows if _time(window) in (None, *kept)]


def _is_day(since: datetime, until: datetime) -> bool:
    return LiveWindow(since, until) == yesterday(until)


def _time(looked: Looked) -> tuple[datetime, datetime] | None:
    """Since when, until when; None of a batch, whose records are in no other window."""
    if looked.kind == "batch":
        return None
    since, until = (datetime.fromisoformat(looked.window[end]) for end in ("since", "until"))
    return since, until


def _read(bucket: Bucket, key: str, content: bytes) -> Looked:
    try:
        return Looked.from_json(json.loads(content))
    except (ValueError, KeyError, TypeError) as error:
        raise MonitoringError(
            f"{bucket.uri(key)} is damaged: {error!r}.",
            "Delete it, and look at that window again with `./models monitor`.",
        ) from error
