"""Work on many items in as many processes as there are processors."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def each(work: Callable[[Item], Made], items: Sequence[Item]) -> list[Made]:
    """What the work makes of each item, in order.

    The items are dealt out beforehand: no queue, so that a process which is killed leaves none behind that waits for it.

    Raises:
        SystemExit: a process failed, and has said why, or was killed.
    """
    count = max(1, min(len(items), len(os.sched_getaffinity(0))))
    fork = multiprocessing.get_context("fork")
    shares: list[Iterator[Made]] = []
    for number in range(count):
        receiving, sending = fork.Pipe(duplex=False)
        # A daemon ends with this program: another one may wait for somebody who takes what it has to tell.
        process = fork.Process(target=_work, args=(work, items[number::count], sending, os.getpid()), daemon=True)
        process.start()
        sending.close()
        shares.append(_received(receiving, process))
    return [next(shares[number % count]) for number in range(len(items))]


def _work(work: Callable[[Item], Made], items: Sequence[Item], sending: Connection, parent: int) -> None:
    for item in items:
        if os.getppid() != parent:
            sys.exit("the program that started this process is gone")
        sending.send(work(item))


def _received(receiving: Connection, process: Any) -> Iterator[Any]:
    while True:
        try:
            made = receiving.recv()
        except EOFError:
            process.join()
            sys.exit(
                f"a process was killed by signal {-process.exitcode}, as when memory runs out"
                if process.exitcode < 0
                else "a process failed; what it said stands above"
            )
        yield made
