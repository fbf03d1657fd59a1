"""A window that was looked at, as `findings.json` keeps it, and the names of the files around it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from common.monitoring.findings import Findings

FINDINGS, REPORT = "findings.json", "report.html"
RESULTS = ("statistics.json", "constraint_violations.json", FINDINGS)
"""What the job writes about a window."""
FOLDERS = ("plan", "reference", "encoder", "baseline", "calls", "truth", "batch", "answers", "results")
"""What the job's program is told where to find, or to write."""
BASELINE_STATISTICS, BASELINE_CONSTRAINTS = "baseline/statistics.json", "baseline/constraints.json"
BASELINE_PREDICTIONS = "baseline/predictions.csv"
"""What travels with a package to compare production with; the last has the score and the truth of each test record."""


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
