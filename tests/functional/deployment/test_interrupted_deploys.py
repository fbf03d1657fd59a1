"""A deploy may be killed at any moment: what served serves on, `status` says so, and the next deploy ends the work."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Literal

import pytest

from common.aws import Aws
from common.deployment.declare import Endpoint
from common.deployment.modes import DeclaredEndpoint
from common.deployment.rollout import AllAtOnce, Canary, Linear, Rollout
from common.registry import Package
from common.steps.status import why_not_in_step
from tests.functional.deployment.deployment_kit import ENDPOINT, Project, constant_load, cut_off


def in_step(project: Project, package: Package, endpoint: DeclaredEndpoint = ENDPOINT) -> str:
    """What `models status` says is wrong when main holds that package and that declaration."""
    live, wanted = project.live(), project.wanted(package, endpoint)
    serving = project.registry.describe(live.package_arn) if live.package_arn else None
    return why_not_in_step(wanted.package, serving, live, wanted.configuration)


class Interruption:
    """Raises KeyboardInterrupt in place of the n-th call to AWS, counted from 0.

    Unless `every_read`, reads in a row count as one: whichever of them is the last, AWS is left in the same state.
    """

    def __init__(self, at: int, every_read: bool) -> None:
        self.at = at
        self.every_read = every_read
        self.calls: list[str] = []

    def __call__(self, model: Any, **_: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # a part of a download; interrupts reach the main thread only
        reads = ("Describe", "List", "Get")
        if not self.every_read and self.calls and self.calls[-1].startswith(reads) and model.name.startswith(reads):
            return
        self.calls.append(model.name)
        if len(self.calls) == self.at + 1:
            raise KeyboardInterrupt


@contextmanager
def interrupted(
    aws: Aws, at: int, every_read: bool = False, moment: Literal["before-call", "after-call"] = "before-call"
) -> Iterator[Interruption]:
    """Interrupt that call; `after-call` when AWS has done what it was asked, and nobody hears of it."""
    interruption = Interruption(at, every_read)
    clients = (aws.sagemaker, aws.runtime, aws.s3, aws.cloudwatch)
    for client in clients:
        client.meta.events.register(moment, interruption)
    try:
        yield interruption
    finally:
        for client in clients:
            client.meta.events.unregister(moment, interruption)


def interrupt_everywhere(project: Project, endpoint: Endpoint, *, every_read: bool) -> set[str]:
    """Interrupt a deploy at its first call, the next one at its second, and so on until one comes through.

    Returns:
        The calls that were interrupted.
    """
    packages = {1: project.package(1), 2: project.package(2)}
    project.deploy(packages[1], endpoint)
    sagemaker = project.account.client("sagemaker")
    seen: set[str] = set()
    with constant_load(project) as load:
        for at in count():
            old, new = (1, 2) if at % 2 == 0 else (2, 1)
            try:
                with interrupted(project.aws, at, every_read) as interruption:
                    project.deploy(packages[new], endpoint)
            except KeyboardInterrupt:
                seen.add(interruption.calls[-1])
            else:
                break
            live = project.settled()
            serving = project.answers()
            assert live.package_arn == packages[serving].arn
            problem = in_step(project, packages[new], endpoint)
            assert problem or not live.rollback
            assert live.rollback.startswith(f"abalone-model-{old}-") or serving == old or not problem
            project.deploy(packages[new], endpoint)
            assert project.answers() == new
            assert not in_step(project, packages[new], endpoint)
            assert (
                project.wanted(packages[new], endpoint).package.metadata["deployed_as"] == project.live().configuration
            )
            # The next round creates model and configuration anew.
            sagemaker.delete_endpoint_config(EndpointConfigName=project.wanted(packages[old], endpoint).configuration)
            sagemaker.delete_model(ModelName=f"abalone-model-{old}")
    assert not load.errors
    return seen


CHANGES = {
    "DescribeEndpoint", "CreateModel", "CreateEndpointConfig", "PutMetricAlarm", "AddTags", "UpdateEndpoint",
    "InvokeEndpoint", "UpdateModelPackage", "DeleteTags",
}  # fmt: skip


@pytest.mark.long
def test_a_deploy_interrupted_at_any_call_to_aws_is_finished_by_the_next_one(project: Project) -> None:
    assert interrupt_everywhere(project, ENDPOINT, every_read=False) >= CHANGES


@pytest.mark.long
@pytest.mark.parametrize("rollout", [AllAtOnce(0), Canary(10, 200), Linear(25, 200)], ids=lambda r: type(r).__name__)
def test_every_rollout_interrupted_at_every_single_call_is_finished_by_the_next_one(
    project: Project, rollout: Rollout
) -> None:
    after_the_wait = {"InvokeEndpoint", "UpdateModelPackage", "DeleteTags"}  # how many calls it takes differs each time
    seen = interrupt_everywhere(project, replace(ENDPOINT, instance_count=2, rollout=rollout), every_read=True)
    assert seen >= CHANGES - after_the_wait


@pytest.mark.parametrize("operation", ["CreateModel", "CreateEndpoint", "InvokeEndpoint", "UpdateModelPackage"])
def test_a_first_deploy_that_is_interrupted_is_finished_by_the_next_one(project: Project, operation: str) -> None:
    package = project.package(1)
    client = project.aws.runtime if operation == "InvokeEndpoint" else project.aws.sagemaker
    with cut_off(client, operation):
        project.deploy(package)
    project.deploy(package)
    assert project.answers() == 1
    assert not in_step(project, package)


@pytest.mark.parametrize(
    ("operation", "problem"),
    [
        pytest.param("CreateModel", "version 1 serves, main's is version 2", marks=pytest.mark.long),
        pytest.param("UpdateEndpoint", "version 1 serves, main's is version 2", marks=pytest.mark.long),
        pytest.param(
            "DescribeEndpoint-3",
            "the endpoint is Updating|interrupted before it was verified",
            marks=pytest.mark.long,
        ),
        ("InvokeEndpoint", "interrupted before it was verified"),
    ],
)
def test_a_killed_deploy_process_leaves_a_state_that_is_told_and_finished(
    project: Project, operation: str, problem: str
) -> None:
    one, two = project.package(1), project.package(2)
    project.deploy(one)
    with constant_load(project) as load:
        killed = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("killed_deploy.py")), project.account.url,
             project.account.account, two.arn, operation],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=False,
        )  # fmt: skip
        assert killed.returncode == -signal.SIGKILL
        told = in_step(project, two)
        assert re.search(problem, told), told
        assert project.answers() in (1, 2)
        assert project.deploy(two) or operation == "InvokeEndpoint"
    assert not load.errors
    assert not in_step(project, two)
    assert project.answers() == 2
