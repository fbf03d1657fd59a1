"""Every declaration × every fault: the old or the new package serves, the command tells the truth, and a rerun converges.

The cells are generated from what can be declared and from `faults.FAULTS`. `make test` runs every other fault with one
declaration, `make test-long` each with all of them.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from common.deployment.modes import DeclaredEndpoint
from common.registry import Package
from common.steps import failures_explained
from tests.accounts import Account
from tests.functional.deployment.declarations import baking, declarations, name_of
from tests.functional.deployment.deployment_kit import Project, constant_load, eventually
from tests.functional.deployment.faults import FAULTS, RECORDS, Cell, Fault, as_called
from tests.functional.deployment.test_interrupted_deploys import in_step, interrupted

SLOW_BAKING = 3600
"""Seconds of AWS's time, a thousandth of which passes: enough for callers to meet a slow model, and alarms to see it."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended, as its caller sees it."""

    code: int
    message: str


def deploy(project: Project, package: Package, endpoint: DeclaredEndpoint) -> Outcome:
    """Deploy as the command does. What is not explained, such as a defect of ours, is raised."""
    written, code = io.StringIO(), 0
    with contextlib.redirect_stderr(written):
        try:
            with failures_explained():
                project.deploy(package, endpoint)
        except SystemExit as exit_status:
            code = int(exit_status.code or 0)
    return Outcome(code, " ".join(written.getvalue().split()))


def require_truth(project: Project, outcome: Outcome, wanted: Package, endpoint: DeclaredEndpoint) -> None:
    """What the command said is what is: 0 exactly if the wanted package serves, verified; else what, and a way on."""
    live = project.settled() if project.live().exists else project.live()
    problem = in_step(project, wanted, endpoint)
    if outcome.code == 0:
        assert not problem
        assert project.answers() == wanted.version
        return
    assert problem, f"it serves, and the command says: {outcome.message}"
    assert (outcome.code, outcome.message[:6]) == (1, "Error:")
    assert "→" in outcome.message, f"no remedy: {outcome.message}"
    for configuration in re.findall(r"(\S+-model-\S+) serves", outcome.message.partition("→")[0]):
        assert live.configuration == configuration


def play(project: Project, fault: Fault, endpoint: DeclaredEndpoint) -> None:
    """One cell of the matrix."""
    quick, slow = endpoint, fault.declared(baking(endpoint, SLOW_BAKING) if fault.slowly else endpoint)
    ends, says = fault.expected(endpoint)
    one, two = project.package(1), fault.package(project, 2)
    project.deploy(one, quick)
    with contextlib.ExitStack() as stack:
        load = stack.enter_context(constant_load(project)) if fault.loaded else None
        if load:
            eventually(lambda: len(load.answers) > 2, "the load runs")
        with fault.inject(Cell(project, two, slow)):
            outcome = deploy(project, two, slow)
            require_truth(project, outcome, two, slow)
            assert (outcome.code == 0) == (not says), outcome.message
            assert re.search(says, outcome.message), outcome.message
            live = project.live()
            assert ends == (project.answers() if live.exists and live.status != "Failed" else 0)
        if fault.code and says:
            again = deploy(project, two, slow)
            require_truth(project, again, two, slow)
            assert re.search(says, again.message), again.message
            assert project.answers() == 1
    good = project.package(3) if fault.code else two
    rerun = deploy(project, good, quick)
    assert rerun.code == 0, rerun.message
    require_truth(project, rerun, good, quick)
    assert load is None or fault.harms or not load.errors


ALL = declarations()
GUARDED = [endpoint for endpoint in ALL if endpoint.alarms]
SAMPLE = [(fault, GUARDED if fault.unguarded else ALL) for fault in FAULTS if not fault.elsewhere]
LEAN = [(fault, among[number % len(among)]) for number, (fault, among) in enumerate(SAMPLE[::2])]
WHOLE = [(fault, endpoint) for fault in FAULTS for endpoint in ALL if (fault, endpoint) not in LEAN]


def _named(cells: list[tuple[Fault, DeclaredEndpoint]]) -> list[object]:
    return [pytest.param(*cell, id=f"{cell[0].name}, {name_of(cell[1])}") for cell in cells]


@pytest.mark.parametrize(("fault", "endpoint"), _named(LEAN))
def test_a_fault_ends_in_a_package_that_serves_a_true_message_and_a_rerun_that_converges(
    project: Project, fault: Fault, endpoint: DeclaredEndpoint
) -> None:
    play(project, fault, endpoint)


@pytest.mark.long
@pytest.mark.parametrize(("fault", "endpoint"), _named(WHOLE))
def test_so_does_every_other_cell_of_the_matrix(project: Project, fault: Fault, endpoint: DeclaredEndpoint) -> None:
    play(project, fault, endpoint)


@dataclass(frozen=True)
class Cut:
    """A deploy of that package that ends at a call to AWS, counted from 0."""

    package: int
    call: int
    moment: Literal["before-call", "after-call"]


CUTS = st.builds(Cut, st.sampled_from([1, 2]), st.integers(0, 30), st.sampled_from(["before-call", "after-call"]))
UNSHRUNK = [Phase.explicit, Phase.reuse, Phase.generate]
"""An example takes seconds: a long one that is told at once helps more than a short one in an hour."""


@contextlib.contextmanager
def project_of_its_own(aws_url: str) -> Iterator[Project]:
    """A project in a fresh account: examples of one test must not see each other's."""
    account = Account(aws_url, f"{uuid.uuid4().int % 10**12:012d}")
    account.client("s3").create_bucket(
        Bucket=account.bucket, CreateBucketConfiguration={"LocationConstraint": account.region}
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in account.env.items():
            patch.setenv(name, value)
        project = Project(account)
        try:
            yield project
        finally:
            project.remove_endpoint()


def interrupt(aws_url: str, endpoint: DeclaredEndpoint, cuts: list[Cut], last: int) -> None:
    """Deploys that are cut off, one after the other, and then one that is not: something serves always, the last one wins."""
    with project_of_its_own(aws_url) as project:
        packages = {number: project.package(number) for number in (1, 2)}
        project.deploy(packages[1], endpoint)
        with constant_load(project) as load:
            for cut in cuts:
                with (
                    contextlib.suppress(KeyboardInterrupt),
                    interrupted(project.aws, cut.call, every_read=True, moment=cut.moment),
                ):
                    project.deploy(packages[cut.package], endpoint)
                assert project.answers() in packages
            outcome = deploy(project, packages[last], endpoint)
        assert outcome.code == 0, outcome.message
        require_truth(project, outcome, packages[last], endpoint)
        assert not load.errors


@settings(max_examples=3, phases=UNSHRUNK)
@given(endpoint=st.sampled_from(ALL), cuts=st.lists(CUTS, min_size=1, max_size=2), last=st.sampled_from([1, 2]))
def test_deploys_interrupted_at_any_calls_are_finished_by_the_next_one(
    aws_url: str, endpoint: DeclaredEndpoint, cuts: list[Cut], last: int
) -> None:
    interrupt(aws_url, endpoint, cuts, last)


@pytest.mark.long
@settings(max_examples=150, phases=UNSHRUNK)
@given(endpoint=st.sampled_from(ALL), cuts=st.lists(CUTS, min_size=1, max_size=4), last=st.sampled_from([1, 2]))
def test_many_more_interrupted_deploys_are_finished_by_the_next_one(
    aws_url: str, endpoint: DeclaredEndpoint, cuts: list[Cut], last: int
) -> None:
    interrupt(aws_url, endpoint, cuts, last)


def killed_at_change(project: Project, package: Package, endpoint: DeclaredEndpoint, nth: int) -> str:
    """Kill the process of a deploy right before its n-th change; which call that was, empty when it makes fewer."""
    program = Path(__file__).with_name("killed_anywhere.py")
    account = project.account
    done = subprocess.run(
        [sys.executable, str(program), account.url, account.account, package.arn, name_of(endpoint), str(nth)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == (-signal.SIGKILL if done.stdout else 0)
    return done.stdout.strip()


@pytest.mark.long
@pytest.mark.parametrize("endpoint", ALL, ids=name_of)
def test_a_process_killed_before_any_change_leaves_a_state_that_is_told_and_finished(
    project: Project, endpoint: DeclaredEndpoint
) -> None:
    packages = {1: project.package(1), 2: project.package(2)}
    project.deploy(packages[1], endpoint)
    sagemaker = project.account.client("sagemaker")
    killed: list[str] = []
    with constant_load(project) as load:
        for nth in itertools.count(1):
            old, new = (1, 2) if nth % 2 else (2, 1)
            call = killed_at_change(project, packages[new], endpoint, nth)
            if not call:
                break
            killed.append(call)
            project.settled()
            assert project.answers() in packages
            assert in_step(project, packages[new], endpoint)
            outcome = deploy(project, packages[new], endpoint)
            assert outcome.code == 0, outcome.message
            require_truth(project, outcome, packages[new], endpoint)
            # The next round creates model and configuration anew.
            sagemaker.delete_endpoint_config(EndpointConfigName=project.wanted(packages[old], endpoint).configuration)
            sagemaker.delete_model(ModelName=f"abalone-model-{old}")
    assert {"CreateModel", "CreateEndpointConfig", "AddTags", "UpdateEndpoint"} <= set(killed)
    assert {as_called(name, endpoint) for name in RECORDS} <= set(killed)
    assert not load.errors
