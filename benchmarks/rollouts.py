"""50 deploys over all rollouts and ways of inference, while callers keep asking the endpoint.

Each declaration gets an endpoint that goes to and fro between two packages. Callers ask at a fixed rate, and latency counts
from when a request was due, so that one slow answer does not hide those that had to wait for it. "after" begins when the
deploy command has ended; an answer of the old package to a request that was sent from there on is a wrong one. The
yardstick is the same load on the same endpoint before its first update. Ends with an error when a request fails or an answer
is wrong: every package here is a good one, so that no fault is left that AWS itself would hand to a caller.
"""

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from benchmarks.kit import local_aws
from common.deployment.modes import DeclaredEndpoint
from common.model import Model
from tests.accounts import Account
from tests.functional.deployment.declarations import declarations, name_of
from tests.functional.deployment.deployment_kit import Project, asking

DEPLOYS = 50
RATE = 20.0
"""Requests a second, of all callers together."""
CALLERS = 4
QUIET_SECONDS = 0.6
"""How long the load is watched before and after each deploy."""
YARDSTICK_SECONDS = 3.0
FIRST, SECOND = 1, 2
"""The packages that the endpoints go to and fro between."""
PHASES = ("no deploys", "before", "during", "after")


@dataclass(frozen=True)
class Asked:
    """One request: when it was due, sent and answered, in seconds, and the package that answered; 0 when it failed."""

    due: float
    sent: float
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
            sent = time.perf_counter()
            try:
                package = self.ask()
            except Exception as error:  # whatever it is, the caller has no answer, and asks again
                package = 0
                self.failures.append(f"{type(error).__name__}: {error}")
            self.asked.append(Asked(due, sent, time.perf_counter(), package))
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


@dataclass(frozen=True)
class Switch:
    """One deploy: when it began and ended, in seconds, and the package that it brought."""

    began: float
    ended: float
    package: int


@dataclass
class Figures:
    """Of one declaration: all requests and deploys under the load, and when each phase was."""

    asked: list[Asked]
    switches: list[Switch]
    yardstick: tuple[float, float]

    @property
    def failed(self) -> int:
        return sum(not each.package for each in self.asked)

    @property
    def wrong(self) -> int:
        return sum(each.package not in {0, *self._possible(each)} for each in self.asked)

    def _possible(self, each: Asked) -> set[int]:
        """The packages that may answer: what served when it was sent, and what was being deployed until it was answered."""
        over = [switch.package for switch in self.switches if switch.ended <= each.sent]
        during = {s.package for s in self.switches if s.began < each.answered and each.sent < s.ended}
        return {over[-1] if over else FIRST} | during

    def latencies(self, phase: str) -> list[float]:
        """Seconds from when each request of a phase was due to its answer."""
        spans = {
            "no deploys": [self.yardstick],
            "before": [(switch.began - QUIET_SECONDS, switch.began) for switch in self.switches],
            "during": [(switch.began, switch.ended) for switch in self.switches],
            "after": [(switch.ended, switch.ended + QUIET_SECONDS) for switch in self.switches],
        }[phase]
        return [
            each.answered - each.due
            for each in self.asked
            if each.package and any(begin <= each.due < end for begin, end in spans)
        ]


def main() -> None:
    kinds = declarations()
    shares = [DEPLOYS // len(kinds) + (number < DEPLOYS % len(kinds)) for number in range(len(kinds))]
    print(f"  {sum(shares)} deploys; {RATE:g} requests/s; p50 and p99 in ms")
    print(f"  {'':40}" + "".join(f"{phase:>18}" for phase in PHASES) + "   deploys   failed   wrong")
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
    requests = sum(len(figures.asked) for figures in measured.values())
    print(f"  {requests:,} requests, {failed} failed, {wrong} answers of the wrong package")
    if failed or wrong:
        raise SystemExit(1)


def deploys_under_load(project: Project, kind: DeclaredEndpoint, deploys: int) -> Figures:
    """That many deploys to and fro between two packages of one endpoint, which is gone afterwards."""
    packages, switches = {number: project.package(number) for number in (FIRST, SECOND)}, []
    project.deploy(packages[FIRST], kind)
    try:
        with load_on(project) as load:
            time.sleep(QUIET_SECONDS)  # connections, caches
            calm = time.perf_counter()
            time.sleep(YARDSTICK_SECONDS)
            yardstick = (calm, time.perf_counter())
            for number in range(deploys):
                new = FIRST if number % 2 else SECOND
                time.sleep(QUIET_SECONDS)
                began = time.perf_counter()
                project.deploy(packages[new], kind)
                switches.append(Switch(began, time.perf_counter(), new))
                time.sleep(QUIET_SECONDS)
    finally:
        project.remove_endpoint()
    for text in load.failures[:3]:
        print(f"  {name_of(kind)}: {text}")
    return Figures(load.asked, switches, yardstick)


def _line(name: str, figures: Figures) -> str:
    columns = []
    for phase in PHASES:
        p50, p99 = np.percentile(figures.latencies(phase), [50, 99]) * 1000
        columns.append(f"{p50:9.1f}{p99:9.1f}")
    deploy = f"{len(figures.switches)} × {statistics.median(s.ended - s.began for s in figures.switches):.1f} s"
    return f"  {name:40}" + "".join(columns) + f" {deploy:>9} {figures.failed:8} {figures.wrong:7}"


if __name__ == "__main__":
    main()
