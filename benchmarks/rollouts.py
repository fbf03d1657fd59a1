"""50 deploys over all rollouts and ways of inference, while callers keep asking the endpoint.

Each declaration gets an endpoint that goes to and fro between two packages. Callers ask at a fixed rate, whether or not
earlier answers have come, and latency counts from when a request was due. "after" begins when the deploy command has ended;
from there on an answer of the other package is a wrong one. The yardstick is the same load on the same endpoint before its
first update. Exits with an error when a request fails or an answer is wrong: every package here is a good one, so that no
fault is left that AWS itself would hand to a caller.
"""

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from botocore.exceptions import ClientError

from benchmarks.kit import local_aws
from common.deployment.modes import DeclaredEndpoint
from common.model import Model
from tests.accounts import Account
from tests.functional.deployment.declarations import declarations, name_of
from tests.functional.deployment.deployment_kit import Project, Unanswered, asking

DEPLOYS = 50
RATE = 40.0
"""Requests a second, of all callers together."""
CALLERS = 4
QUIET_SECONDS = 0.6
"""How long the load is watched before and after each deploy."""
YARDSTICK_SECONDS = 3.0
PHASES = ("no deploys", "before", "during", "after")


@dataclass(frozen=True)
class Asked:
    """One request: when it was due and answered, in seconds, and the package that answered; 0 when it failed."""

    due: float
    answered: float
    package: int


@dataclass
class Load:
    """What the callers saw, and the clock by which they ask."""

    ask: Callable[[], int]
    asked: list[Asked] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def call(self, first: float) -> None:
        """One caller: its requests are due every `CALLERS / RATE` seconds."""
        due = first
        while not self.ended.wait(max(0.0, due - time.perf_counter())):
            try:
                package = self.ask()
            except (ClientError, Unanswered) as error:
                package = 0
                self.failures.append(str(error))
            self.asked.append(Asked(due, time.perf_counter(), package))
            due += CALLERS / RATE


@contextmanager
def load_on(project: Project) -> Iterator[Load]:
    """Constant requests to the project's endpoint until the block ends."""
    load, began = Load(asking(project.account, project.model.name)), time.perf_counter()
    callers = [threading.Thread(target=load.call, args=[began + number / RATE]) for number in range(CALLERS)]
    for caller in callers:
        caller.start()
    try:
        yield load
    finally:
        load.ended.set()
        for caller in callers:
            caller.join()


@dataclass
class Figures:
    """Of one declaration: seconds of all answers by phase, and of the deploys, and what went wrong."""

    latencies: dict[str, list[float]] = field(default_factory=lambda: {phase: [] for phase in PHASES})
    deploys: list[float] = field(default_factory=list)
    failed: int = 0
    wrong: int = 0

    def add(self, phase: str, asked: list[Asked], expected: set[int]) -> None:
        self.latencies[phase] += [each.answered - each.due for each in asked if each.package]
        self.failed += sum(not each.package for each in asked)
        self.wrong += sum(each.package not in {0, *expected} for each in asked)


def main() -> None:
    kinds = declarations()
    shares = [DEPLOYS // len(kinds) + (number < DEPLOYS % len(kinds)) for number in range(len(kinds))]
    print(f"  {sum(shares)} deploys; {RATE:g} requests/s; p50 and p99 in ms")
    print(f"  {'':24}" + "".join(f"{phase:>17}" for phase in PHASES) + "   deploys   failed   wrong")
    with local_aws() as running:
        measured = {}
        for number, (kind, share) in enumerate(zip(kinds, shares, strict=True)):
            account = Account(running.url, f"{number + 1:012d}")
            account.client("s3").create_bucket(
                Bucket=account.bucket, CreateBucketConfiguration={"LocationConstraint": account.region}
            )
            os.environ.update(account.env)
            project = Project(account, Model("rollouts", "A model of the benchmarks", "rings", "regression"))
            measured[name_of(kind)] = figures = deploys_under_load(project, kind, share)
            print(_line(name_of(kind), figures), flush=True)
    failed, wrong = (sum(getattr(each, what) for each in measured.values()) for what in ("failed", "wrong"))
    requests = sum(len(each) for figures in measured.values() for each in figures.latencies.values())
    print(f"  {requests:,} answers, {failed} failed requests, {wrong} answers of the wrong package")
    if failed or wrong:
        raise SystemExit(1)


def deploys_under_load(project: Project, kind: DeclaredEndpoint, deploys: int) -> Figures:
    """That many deploys to and fro between two packages of one endpoint, which is gone afterwards."""
    packages, figures = {number: project.package(number) for number in (1, 2)}, Figures()
    project.deploy(packages[1], kind)
    try:
        with load_on(project) as load:
            time.sleep(QUIET_SECONDS)  # connections, caches
            moments = [time.perf_counter()]
            time.sleep(YARDSTICK_SECONDS)
            for number in range(deploys):
                moments.append(time.perf_counter())
                time.sleep(QUIET_SECONDS)
                moments.append(time.perf_counter())
                project.deploy(packages[2 if number % 2 == 0 else 1], kind)
                moments.append(time.perf_counter())
                time.sleep(QUIET_SECONDS)
            moments.append(time.perf_counter())
    finally:
        project.remove_endpoint()
    for text in load.failures[:3]:
        print(f"  {name_of(kind)}: {text}")
    _sort(load.asked, moments, figures)
    return figures


def _sort(asked: list[Asked], moments: list[float], figures: Figures) -> None:
    """Put each request into the phase in which it was due; `moments` are the phases' ends, in turn.

    A request that was due before a deploy may be answered while it runs, by either package.
    """
    old, new = 1, 2
    figures.add("no deploys", [each for each in asked if moments[0] <= each.due < moments[1]], {old})
    for start in range(1, len(moments) - 1, 3):
        before, begun, ended, over = moments[start : start + 4]
        figures.add("before", [each for each in asked if before <= each.due < begun], {old})
        figures.add("during", [each for each in asked if begun <= each.due < ended], {old, new})
        figures.add("after", [each for each in asked if ended <= each.due < over], {new})
        figures.deploys.append(ended - begun)
        old, new = new, old


def _line(name: str, figures: Figures) -> str:
    columns = [
        f"{np.percentile(values, 50) * 1000:8.1f} {np.percentile(values, 99) * 1000:8.1f}"
        for values in figures.latencies.values()
    ]
    deploy = f"{len(figures.deploys)} × {statistics.median(figures.deploys):.1f} s"
    return f"  {name:24}" + "".join(columns) + f" {deploy:>9} {figures.failed:8} {figures.wrong:7}"


if __name__ == "__main__":
    main()
