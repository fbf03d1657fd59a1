"""Which jobs run now: one at a time for each processor of this machine; the others wait for their turn."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from common.local.context import LocalAws

_POLL_SECONDS = 0.1
"""How often a job that waits asks whether it still shall; a processor that comes free is taken at once."""
_CLOSE_SECONDS = 10.0


class Runner:
    """The jobs of one local AWS. Each has a thread, which looks at `aws.closing` and kills its processes when it is set."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._slots = threading.Semaphore(os.cpu_count() or 1)
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        aws.on_close.append(self._close)

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Run a job in the background."""
        with self._lock:
            self._threads = {thread for thread in self._threads if thread.is_alive()}
            self._threads.add(self._aws.spawn(name, work))

    @contextmanager
    def slot(self, given_up: Callable[[], bool]) -> Iterator[bool]:
        """Wait for a processor, until `given_up` says no more; yields whether there is one, and gives it back after."""
        taken = False
        while not taken and not given_up():
            taken = self._slots.acquire(timeout=_POLL_SECONDS)
        try:
            yield taken
        finally:
            if taken:
                self._slots.release()

    def _close(self) -> None:
        for thread in list(self._threads):
            thread.join(_CLOSE_SECONDS)
