"""Asks a running local AWS for its time, and lets it skip some."""

import json
import re
import urllib.error
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
    """The time there.

    Raises:
        ModelsError: it does not answer.
    """
    return _asked(f"{running.url}/_local/health")


def skip(running: Running, by: timedelta) -> datetime:
    """Skip time; the one after that. What was due meanwhile has been sent.

    Raises:
        ModelsError: it does not answer, or does not skip so much.
    """
    return _asked(f"{running.url}/_local/clock", json.dumps({"advance": by.total_seconds()}).encode())


def _asked(url: str, body: bytes | None = None) -> datetime:
    try:
        with urllib.request.urlopen(url, body, timeout=_LONGEST_SECONDS) as answer:  # noqa: S310 - ours
            return datetime.fromtimestamp(json.loads(answer.read())["time"], UTC)
    except urllib.error.HTTPError as error:
        raise UsageError(f"The local AWS refuses: {json.loads(error.read())['message']}") from error
    except OSError as error:
        raise ModelsError(
            f"The local AWS does not answer: {error}", "Its log is server.log in the folder of its state."
        ) from error


def span(text: str) -> timedelta:
    """`90m`, `6h` or `1d`.

    Raises:
        UsageError: it is no such time.
    """
    found = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if not found:
        raise UsageError(f"{text!r} is no time to skip.", "Give a whole number and its unit: 30s, 90m, 6h, 1d.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
