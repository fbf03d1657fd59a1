"""What the benchmarks share: a local AWS of their own, paired timing, and load on servers."""

import http.client
import os
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from common.local.account import prepare_account, variables
from common.local.daemon import Running, down, up
from common.local.pipeline.project import origin

Ask = Callable[[], object]
"""One request, and its answer."""

IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:3.2-0"


@contextmanager
def local_aws() -> Iterator[Running]:
    """A local AWS with bucket and role, which this process uses until the end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        started: list[Running] = []
        up(Path(scratch), port=0, detach=True, time_scale=0.005, announce=started.append)
        before = dict(os.environ)
        try:
            prepare_account(started[0], origin(Path.cwd()), ())
            os.environ.update(variables(started[0]))
            yield started[0]
        finally:
            os.environ.clear()
            os.environ.update(before)
            down(Path(scratch))


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


def compare(
    concurrency: int, candidates: Mapping[str, Callable[[], Ask]], yardstick: str, seconds: float = 2.0, rounds: int = 3
) -> None:
    """Load servers in turn; print rate and latency of each, and the median ratio of its rate to the yardstick's.

    Each of `concurrency` threads calls the candidate for its connection once, and what that gives for each request.
    """
    measured: dict[str, list[list[float]]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, connect in candidates.items():
            measured[name].append(_load(concurrency, connect, seconds))
    for name, latencies in measured.items():
        p50, p99 = (statistics.median(float(np.percentile(each, q)) * 1000 for each in latencies) for q in (50, 99))
        rate = statistics.median(len(each) / seconds for each in latencies)
        ratio = statistics.median(len(a) / len(b) for a, b in zip(latencies, measured[yardstick], strict=True))
        print(
            f"  concurrency {concurrency}  {name:<27} {rate:6.0f} requests/s   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   "
            + ("yardstick" if name == yardstick else f"{ratio:.2f} × {yardstick}")
        )


def _load(concurrency: int, connect: Callable[[], Ask], seconds: float) -> list[float]:
    """Ask from several threads for a while; the seconds that each answer took."""
    latencies: list[float] = []
    deadline = time.perf_counter() + seconds

    def worker() -> None:
        ask = connect()
        while (started := time.perf_counter()) < deadline:
            ask()
            latencies.append(time.perf_counter() - started)

    threads = [threading.Thread(target=worker) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_ready(port: int) -> None:
    """Wait until the server on a port answers its ping.

    Raises:
        RuntimeError: it does not within half a minute.
    """
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", "/ping")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the server did not start")
