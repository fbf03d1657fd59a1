"""Several hosts that train one model: xgboost's collective, led by the first host that has data.

The hosts find each other at `MASTER_ADDR` and `MASTER_PORT`, where algo-1 listens. They meet twice: all of them, to tell
who has data, then those that have.
"""

import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from common.local.containers.base import AlgorithmError, log
from common.local.containers.lean import import_xgboost

_MEETING_SECONDS = 60.0


@contextmanager
def cluster(hosts: Sequence[str], current: str, has_data: bool) -> Iterator[bool]:
    """Connect the hosts that have data; yields whether this one is the master, which logs and saves the model.

    A host without data ends here, successfully, as in the image.

    Raises:
        AlgorithmError: no host has data, or the hosts do not meet within a minute.
    """
    if len(hosts) == 1:
        yield True
        return
    hosts = sorted(hosts)
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    with _meeting(hosts, current, address, port) as collective:
        told = [collective.broadcast(has_data if host == current else None, rank) for rank, host in enumerate(hosts)]
    members = [host for host, has in zip(hosts, told, strict=True) if has]
    if not members:
        raise AlgorithmError("No hosts received training data.")
    if not has_data:
        log(f"Host {current} does not have data in every channel and is not used in distributed training.")
        sys.exit(0)
    if len(members) == 1:
        yield True
        return
    with _meeting(members, current, address, port + 1):
        yield current == members[0]


@contextmanager
def _meeting(hosts: Sequence[str], current: str, address: str, port: int) -> Iterator[Any]:
    """xgboost's collective over these hosts, ranked in their order."""
    import_xgboost()
    from xgboost import collective
    from xgboost.tracker import RabitTracker

    tracker = None
    if current == hosts[0]:
        tracker = RabitTracker(n_workers=len(hosts), host_ip=address, port=port, sortby="task")
        tracker.start()
    deadline = time.monotonic() + _MEETING_SECONDS
    settings: dict[str, Any] = {
        "dmlc_tracker_uri": address,
        "dmlc_tracker_port": port,
        "dmlc_task_id": f"{hosts.index(current):04d}",
        "dmlc_timeout": int(_MEETING_SECONDS),
        "dmlc_retry": 0,  # xgboost's own waits grow to seconds
    }
    while True:
        try:
            with warnings.catch_warnings(action="ignore"):  # each failed attempt, until the master listens
                collective.init(**settings)
            break
        except Exception as error:
            if time.monotonic() > deadline:
                raise AlgorithmError(f"host {current} does not reach {hosts[0]}: {error}") from error
            time.sleep(0.1)  # a bare TCP probe instead would confuse the master's protocol
    try:
        yield collective
    finally:
        collective.finalize()
        if tracker is not None:
            tracker.wait_for(timeout=5)
