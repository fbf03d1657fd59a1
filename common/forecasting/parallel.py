"""Work on many parts in as many processes as there are processors; each process takes one part at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from .readings import DamagedPart

Item = TypeVar("Item")


class Stopped(Exception):
    """The platform asked this program to end; what was begun has been finished."""


class Failed(Exception):
    """The work on an item has failed; the log says why."""


class _Stop:
    """Whether SIGTERM has come; handed on to the processes that were started."""

    def __init__(self) -> None:
        self.asked = False
        self.processes: list[Any] = []

    def __call__(self, *_: object) -> None:
        self.asked = True
        for process in self.processes:
            with suppress(ValueError, AttributeError, AssertionError):  # not started yet, or not by this process
                process.terminate()


def for_each(work: Callable[[Item], None], items: Sequence[Item]) -> None:
    """Do the work for each item.

    The items are dealt out beforehand: no queue, so that a process which is killed leaves none behind that waits for it.

    Raises:
        Stopped: SIGTERM came before all was done; no item is left half done.
        Failed: the work on an item raised an exception, or its process was killed. The other items have been worked on.
    """
    stop = _Stop()
    before = signal.signal(signal.SIGTERM, stop)
    try:
        count = max(1, min(len(items), len(os.sched_getaffinity(0))))
        fork = multiprocessing.get_context("fork")
        shares = [items[number::count] for number in range(count)]
        processes = [fork.Process(target=_work, args=(work, share, stop, os.getpid())) for share in shares]
        for process in processes:
            process.start()
            stop.processes.append(process)
        if stop.asked:  # before some of them could be told
            stop()
        for process in processes:
            process.join()
    finally:
        signal.signal(signal.SIGTERM, before)
    failed = [process.exitcode for process in processes if process.exitcode]
    if stop.asked:
        raise Stopped
    if failed:
        killed = f": killed by signal {-failed[0]}, as when memory runs out" if failed[0] < 0 else ""
        raise Failed(f"{len(failed)} of {count} processes failed{killed}")


def _work(work: Callable[[Item], None], items: Sequence[Item], stop: _Stop, parent: int) -> None:
    stop.processes = []
    failed = False
    for item in items:
        if stop.asked or os.getppid() != parent:
            return
        try:
            work(item)
        except DamagedPart as error:
            failed = True
            _complain(f"{item}: {error}")
        except Exception:
            failed = True
            _complain(f"{item}:\n{traceback.format_exc()}")
    if failed:
        sys.exit(1)


def say(line: str) -> None:
    """One line of the job's log."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _complain(text: str) -> None:
    """Standard error, whose end is the reason that SageMaker gives for a failed training job."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
