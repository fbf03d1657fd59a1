"""What the benchmarks share: a local AWS of their own, and paired timing."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from common.local.account import contexts, prepare_account
from common.local.daemon import Running, down, up

IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:3.2-0"


@contextmanager
def local_aws() -> Iterator[Running]:
    """A local AWS with bucket and role, which this process uses until the end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        started: list[Running] = []
        up(Path(scratch), port=0, detach=True, time_scale=0.005, announce=started.append)
        before = dict(os.environ)
        try:
            prepare_account(started[0])
            os.environ.update(environment(started[0]))
            yield started[0]
        finally:
            os.environ.clear()
            os.environ.update(before)
            down(Path(scratch))


def environment(running: Running) -> dict[str, str]:
    """The variables by which a person's process uses the local AWS."""
    shared = {name: value for name, value in contexts(running)["deploy"].items() if name != "AWS_ROLE_ARN"}
    return {**shared, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "eu-west-1"}


def paired(runs: int, **candidates: Callable[[], object]) -> dict[str, list[float]]:
    """Seconds of each candidate, run in turn, after one turn that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(runs + 1):
        for name, run in candidates.items():
            started = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def table(seconds: Mapping[str, list[float]], yardstick: str) -> None:
    """Print the median of each candidate and its ratio to the yardstick, pair by pair."""
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(values, seconds[yardstick], strict=True))
        beside = "yardstick" if name == yardstick else f"{ratio:.2f} × {yardstick}"
        print(f"  {name:<28} {statistics.median(values):8.3f} s   {beside}")
