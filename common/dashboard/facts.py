"""What the dashboard shows, as it was collected. Plain values: the page is made from them without AWS."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from common.batch.manifest import Manifest
from common.deployment.live import Live
from common.model import Model
from common.monitoring.declare import Monitor
from common.monitoring.findings import Findings, Quality
from common.monitoring.looked import Looked
from common.operations.cost import Running
from common.registry import APPROVED, PENDING, Package
from common.steps.due import Due


@dataclass(frozen=True)
class Firing:
    """A CloudWatch alarm in the state ALARM.

    Attributes:
        model: the model that it is tagged with.
        reason: CloudWatch's own words.
    """

    model: str
    name: str
    since: datetime
    reason: str


@dataclass(frozen=True)
class Window:
    """What the monitor found in one stretch of live data, or in one batch.

    Attributes:
        name: the window in words: `2026-11-20`, `2026-11-20 06:00 to 2026-11-20 12:00` or `batch dt=2026-11-20`.
        end: when the last of its data came in.
        looked: what is kept of it.
        uri: of its `findings.json`.
    """

    name: str
    end: datetime
    looked: Looked
    uri: str

    @property
    def findings(self) -> Findings:
        return self.looked.findings

    @classmethod
    def of(cls, looked: Looked, uri: str) -> Window:
        """The window as it was looked at.

        Raises:
            TypeError, ValueError: the findings hold what cannot be shown.
        """
        findings = looked.findings
        if findings.quality is not None and not isinstance(findings.quality, Quality):
            raise TypeError(f"{findings.quality!r} is no quality")
        quality = findings.quality.metrics[findings.quality.metric] if findings.quality else None
        estimates = [quality.before, quality.now] if quality else []
        _require_numbers(
            looked.rows, looked.version, *(test.effect for test in findings.tests),
            *(number for each in estimates for number in (each.value, each.low, each.high)),
        )  # fmt: skip
        _require_texts(
            *findings.features,
            *(text for test in findings.tests for text in (test.feature, test.kind, test.words)),
            *(text for violation in findings.violations for text in (violation.feature_name, violation.description)),
            *([findings.quality.words] if findings.quality else []),
        )
        return cls(_name(looked.window), _moment(looked.ends), looked, uri)


@dataclass(frozen=True)
class Scored:
    """A partition of a model's batches that was scored.

    Attributes:
        version: of the package that scored it.
        rows: with a prediction.
        rejected: rows set aside.
        reason: the most frequent one; empty where none was set aside.
        uri: of its manifest.
    """

    partition: str
    version: int
    ended: datetime
    rows: int
    rejected: int
    reason: str
    uri: str

    @classmethod
    def of(cls, manifest: Manifest, uri: str) -> Scored:
        """The partition that the manifest tells of.

        Raises:
            ValueError: the manifest holds what cannot be shown.
        """
        _require_numbers(manifest.package_version, manifest.records, manifest.rejected, *manifest.reasons.values())
        reason = max(manifest.reasons, key=lambda each: manifest.reasons[each], default="")
        return cls(
            str(manifest.partition), manifest.package_version, _moment(manifest.scored_at), manifest.records,
            manifest.rejected, reason, uri,
        )  # fmt: skip


def _name(window: Mapping[str, Any]) -> str:
    if "partition" in window:
        return f"batch {window['partition']}"
    since, until = _moment(window["since"]), _moment(window["until"])
    if until - since == timedelta(days=1) and since.hour == since.minute == 0:
        return f"{since:%Y-%m-%d}"
    return f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}"


def _moment(text: str) -> datetime:
    """The time, in UTC, where it names no other offset.

    Raises:
        ValueError: it is no time.
    """
    time = datetime.fromisoformat(text)
    try:
        return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
    except OverflowError as error:  # the first or last day of all
        raise ValueError(f"{text} is no time") from error


def _require_numbers(*values: object) -> None:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{value!r} is no number")


def _require_texts(*values: object) -> None:
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"{value!r} is no text")


@dataclass(frozen=True)
class ModelFacts:
    """Everything of one model.

    Attributes:
        metric: the one that its gate decides by.
        endpoint: the name of the one that it serves behind.
        packages: newest first.
        older: how many packages there are that are not listed.
        live: None where nobody can tell; `problem` says why.
        problem: why the endpoint is not in step with main; empty where it is.
        held: who keeps it from being in step, and why; empty where nobody does.
        monitor: what the model declares of its monitoring; None where it declares none.
        due: whether it is to be trained again, and why or why not; None where nobody watches it, or nothing serves.
        windows: newest first.
        batches: newest first.
        earlier_windows, earlier_batches: how many there are that are not listed.
        unreadable: what lies in the bucket and tells nothing, and why.
        running: what costs money by the hour now.
    """

    model: Model
    metric: str
    endpoint: str
    packages: tuple[Package, ...]
    older: int
    live: Live | None
    serving: Package | None
    problem: str
    held: str
    monitor: Monitor | None = None
    due: Due | None = None
    windows: tuple[Window, ...] = ()
    batches: tuple[Scored, ...] = ()
    earlier_windows: int = 0
    earlier_batches: int = 0
    unreadable: tuple[str, ...] = ()
    alarms: tuple[Firing, ...] = ()
    running: tuple[Running, ...] = ()

    @property
    def waiting(self) -> tuple[Package, ...]:
        """Packages that wait for a click: those newer than what serves, newest first."""
        return tuple(package for package in self.packages if package.status == PENDING and self._is_news(package))

    @property
    def ready(self) -> tuple[Package, ...]:
        """Approved packages that were never deployed: those newer than what serves, newest first."""
        return tuple(
            package
            for package in self.packages
            if package.status == APPROVED and not package.deployed_at and self._is_news(package)
        )

    def _is_news(self, package: Package) -> bool:
        return self.serving is None or package.version > self.serving.version


@dataclass(frozen=True)
class Facts:
    """Everything that the page shows.

    Attributes:
        commit: of main, as far as the checkout knows.
        others: what runs of models that this checkout does not have.
        other_alarms: those of such models, or tagged with none.
    """

    at: datetime
    region: str
    bucket: str
    commit: str
    models: tuple[ModelFacts, ...]
    others: tuple[Running, ...] = ()
    other_alarms: tuple[Firing, ...] = ()
