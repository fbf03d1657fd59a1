"""The time on the local AWS: this machine's, and what was skipped of it, so that a month of schedules takes a moment.

One clock for the process: what tells AWS's time asks `now`. What measures how long something took, or waits, does not.
"""

import threading
import time

_lock = threading.Lock()
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
        ValueError: the number is negative, or none at all.
    """
    global _skipped
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"time goes forward only, not by {seconds} s")
    with _lock:
        _skipped += seconds
    return now()
