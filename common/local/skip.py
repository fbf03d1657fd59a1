"""Asks a running local AWS for its time, and lets it skip some."""

import json
import re
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

from common.errors import ModelsError, UsageError
from common.local.daemon import Running, status

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST_SECONDS = 600.0
"""A year of a schedule to the minute is half a million events."""


def running_on(state: Path) -> Running:
    """The local AWS of a state folder.

    Raises:
        ModelsError: none runs there.
    """
    running = status(state)
    if running is None:
        raise ModelsError(f"No local AWS runs on {state}.", "Start it: `./models local up --detach`.")
    return running


def local_time(running: Running) -> datetime:
    """The time there."""
    with urllib.request.urlopen(f"{running.url}/_local/health", timeout=_LONGEST_SECONDS) as answer:  # noqa: S310 - ours
        return _time(answer.read())


def skip(running: Running, by: timedelta) -> datetime:
    """Skip time; the one after that. What was due meanwhile has been sent."""
    body = json.dumps({"advance": by.total_seconds()}).encode()
    with urllib.request.urlopen(f"{running.url}/_local/clock", body, timeout=_LONGEST_SECONDS) as answer:  # noqa: S310
        return _time(answer.read())


def _time(body: bytes) -> datetime:
    return datetime.fromtimestamp(json.loads(body)["time"], UTC)


def span(text: str) -> timedelta:
    """`90m`, `6h` or `1d`.

    Raises:
        UsageError: it is no such time.
    """
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if not found:
        raise UsageError(f"{text!r} is no time to skip.", "Give a whole number and its unit: 30s, 90m, 6h, 1d.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
