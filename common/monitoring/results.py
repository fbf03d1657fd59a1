"""What has been found in the windows of a package, as the bucket keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from common.errors import MonitoringError
from common.monitoring.findings import Findings
from common.monitoring.rules import Decision, Rule, WindowResult, decide
from common.storage import Bucket, Layout

FINDINGS, REPORT = "findings.json", "report.html"
RESULTS = ("statistics.json", "constraint_violations.json", FINDINGS)
"""What the job writes about a window."""
BASELINE_STATISTICS, BASELINE_CONSTRAINTS = "baseline/statistics.json", "baseline/constraints.json"
BASELINE_PREDICTIONS = "baseline/predictions.csv"
"""What travels with a package to compare production with; the last has the score and the truth of each test record."""
_READERS = 8


@dataclass(frozen=True)
class Looked:
    """A window that was looked at.

    Attributes:
        kind: `live` or `batch`.
        ends: when the last of its data came in, ISO 8601 in UTC; windows are ordered by it.
        rows: records in it; the findings may go by a sample of them.
        version: of the package that answered.
        inputs: digest of what was looked at, and how.
        window: the window as JSON values: since and until, or the partition.
    """

    id: str
    kind: str
    ends: str
    rows: int
    version: int
    inputs: str
    window: dict[str, Any]
    findings: Findings

    def to_json(self) -> dict[str, Any]:
        """The content of `findings.json`: the findings, and what they are of as `window`."""
        about = {"id": self.id, "kind": self.kind, "ends": self.ends, "rows": self.rows, "version": self.version}
        return {**self.findings.to_json(), "window": {**self.window, **about, "inputs": self.inputs}}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Looked:
        window = document["window"]
        known = {name: window[name] for name in ("id", "kind", "ends", "rows", "version", "inputs")}
        return cls(**known, window=window, findings=Findings.from_json(document))


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
