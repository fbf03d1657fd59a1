"""The time on the local AWS: this machine's, and what was skipped of it, so that a month of schedules takes a moment.

One clock for the process: what tells AWS's time asks `now`. What measures how long something took, or waits, does not.
"""

import threading
import time
from datetime import UTC, datetime

_lock = threading.Lock()
_END = datetime(2200, 1, 1, tzinfo=UTC).timestamp()
"""No schedule is due later, and soon after that no date can be written."""
_skipped = 0.0


def now() -> float:
    """Epoch seconds."""
    return time.time() + _skipped


def skipped() -> float:
    """By how many seconds it is ahead of this machine's clock."""
    return _skipped


def advance(seconds: float) -> float:
    """Skip that many seconds; the time after that. Time never goes back.

    Raises:
        ValueError: the number is negative, or none at all, or leads to the year 2200.
    """
    global _skipped
    with _lock:
        if not (seconds >= 0 and now() + seconds < _END):
            raise ValueError(f"time goes forward only, and not to the year 2200, so not by {seconds} s")
        _skipped += seconds
    return now()
