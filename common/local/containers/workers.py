"""Several processes behind one port, as the images have one for each processor: Python computes in one thread at a time."""

import os
import sys
import traceback
from collections.abc import Callable

from common.local.containers.base import log

_FAILED_TO_BOOT = 3
"""The exit code of a worker that could not begin, for which nothing is gained by starting another."""


def keep(count: int, begin: Callable[[], Callable[[], None]]) -> None:
    """Run so many processes until this one is killed, another for each that ends.

    Args:
        begin: called in each process; what it returns is the work, which does not end.

    Raises:
        SystemExit: `begin` failed in one; its log says why.
    """
    for _ in range(count):
        _fork(begin)
    while True:
        process, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        if code == _FAILED_TO_BOOT:
            raise SystemExit("A worker failed to boot.")
        log(f"Worker {process} ended with exit status {code}; another is started.")
        _fork(begin)


def _fork(begin: Callable[[], Callable[[], None]]) -> None:
    if os.fork():
        return
    code = _FAILED_TO_BOOT
    try:
        work = begin()
        code = 1
        work()
    except SystemExit as end:
        log(str(end.code))
    except BaseException:
        log(traceback.format_exc())
    finally:
        sys.stdout.flush()
        os._exit(code)
