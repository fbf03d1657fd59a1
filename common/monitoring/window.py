"""What the monitor looks at in one go: the live calls of some hours, or a partition that was scored in a batch. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from common.errors import UsageError


@dataclass(frozen=True)
class LiveWindow:
    """The calls that were answered from `since` to before `until`, in UTC and to the second."""

    since: datetime
    until: datetime

    @property
    def id(self) -> str:
        """`live-20261120T00-20261121T00`, by which its results are found."""
        whole = all(moment.minute == moment.second == 0 for moment in (self.since, self.until))
        pattern = "%Y%m%dT%H" if whole else "%Y%m%dT%H%M%S"
        return f"live-{self.since:{pattern}}-{self.until:{pattern}}"

    def __str__(self) -> str:
        return f"the calls from {self.since:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class BatchWindow:
    """A partition of a batch's input, e.g. `dt=2026-11-20`."""

    partition: str

    @property
    def id(self) -> str:
        """`batch-dt=2026-11-20`, by which its results are found: the partition, `eu/dt=1` as `eu,dt=1`."""
        return f"batch-{quote(self.partition, safe='/=+').replace('/', ',')}"

    def __str__(self) -> str:
        return f"the batch {self.partition}"


Window = LiveWindow | BatchWindow


def yesterday(now: datetime) -> LiveWindow:
    """The UTC day before the one of that moment."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return LiveWindow(today - timedelta(days=1), today)


def asked(since: str, until: str, now: datetime) -> LiveWindow:
    """The window that a person asks for; without `until` it lasts to this second.

    Args:
        since, until: ISO 8601; without an offset they are UTC.

    Raises:
        UsageError: one is no time, or the window has no length or is not over.
    """
    begin = _moment(since)
    now = now.astimezone(UTC)
    end = _moment(until) if until else now.replace(microsecond=0)
    if not begin < end <= now:
        raise UsageError(
            f"From {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC is no window that is over: it is {now:%Y-%m-%d %H:%M}.",
            "Let --since be before --until, and both be past.",
        )
    return LiveWindow(begin, end)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"'{text}' is no time.", "Write it as 2026-11-20 or 2026-11-20T07:30.") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).replace(microsecond=0)


def describe(window: Window) -> dict[str, Any]:
    """The window as JSON values."""
    if isinstance(window, BatchWindow):
        return {"id": window.id, "kind": "batch", "partition": window.partition}
    return {"id": window.id, "kind": "live", "since": window.since.isoformat(), "until": window.until.isoformat()}


def hours(since: datetime, until: datetime) -> list[str]:
    """The folders `yyyy/mm/dd/hh` that SageMaker files what happened in that time in."""
    hour, found = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0), []
    while hour < until:
        found.append(f"{hour:%Y/%m/%d/%H}")
        hour += timedelta(hours=1)
    return found
