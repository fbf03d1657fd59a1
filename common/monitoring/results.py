"""What has been found in the windows of a package, as the bucket keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from common.errors import MonitoringError
from common.monitoring.looked import FINDINGS, Looked
from common.monitoring.rules import Decision, Rule, WindowResult, decide
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
    return decide([WindowResult.of(each.id, each.findings) for each in windows], rule)


def _read(bucket: Bucket, key: str, content: bytes) -> Looked:
    try:
        return Looked.from_json(json.loads(content))
    except (ValueError, KeyError, TypeError) as error:
        raise MonitoringError(
            f"{bucket.uri(key)} is damaged: {error!r}.",
            "Delete it, and look at that window again with `models monitor`.",
        ) from error
