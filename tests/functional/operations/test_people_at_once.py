"""Several people, each a process of their own, deploy, roll back and approve at the same moment.

Whatever the order: one consistent end, everybody who succeeded is told the truth, and who is refused learns by whom.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from common.registry import APPROVED, REJECTED
from tests.functional.deployment.deployment_kit import Project, constant_load


@dataclass(frozen=True)
class Told:
    """How a person's command ended."""

    ok: bool
    text: str


def at_once(project: Project, *actions: str) -> list[Told]:
    """Let processes do these, e.g. `deploy 3`, at the same moment; what each was told, in the same order."""
    command = [
        sys.executable,
        "-m",
        "tests.functional.operations.somebody",
        project.account.url,
        project.account.account,
    ]
    pipes: dict[str, Any] = {**dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE), "text": True}
    processes: list[Any] = [
        subprocess.Popen([*command, *action.split()], env=os.environ | project.account.env, **pipes)
        for action in actions
    ]
    for process in processes:  # all have imported what they need before the first begins
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    told = []
    for process in processes:
        out, error = process.communicate(timeout=120)
        assert "Traceback" not in error, error
        told.append(Told(process.returncode == 0, out + error))
    return told


def consistent(project: Project) -> int:
    """The version that serves, verified and with nothing left to do."""
    live = project.settled()
    package = project.registry.describe(live.package_arn)
    assert (live.rollback, package.metadata["deployed_as"]) == ("", live.configuration)
    assert project.answers() == package.version
    return package.version


@pytest.mark.long
def test_a_deploy_and_a_rollback_and_approvals_at_once(project: Project) -> None:
    for number in (1, 2):
        project.deploy(project.package(number))
    project.package(3)
    project.package(4, approved=False)
    with constant_load(project) as load:
        deployed, back, *approved = at_once(project, "deploy 3", "rollback 2", "approve 4", "approve 4")
    assert not load.errors
    assert all(each.ok for each in approved)
    assert project.registry.version(4).status == APPROVED
    match consistent(project):
        case 3:
            assert deployed.ok, deployed.text
            # Either it came before the deploy, or it was refused, with who deploys.
            assert back.ok or "CircleCI user deploy3 since" in back.text, back.text
        case 1:
            assert back.ok, back.text
            # Either it came before the rollback, which found it verified, or it was told who overtook it.
            assert deployed.ok or "CircleCI user rollback2 since" in deployed.text, deployed.text
        case 2:  # the deploy had ended before the rollback began, which went back from it
            assert (deployed.ok, back.ok) == (True, True)
        case other:
            pytest.fail(f"version {other} serves")


@pytest.mark.long
def test_a_rerun_of_the_bad_packages_deploy_never_undoes_the_rollback_of_that_moment(project: Project) -> None:
    for number in (1, 2):
        project.deploy(project.package(number))
    one, another, deployed = at_once(project, "rollback 2", "rollback 2", "deploy 2")
    assert one.ok, one.text
    assert another.ok, another.text
    assert consistent(project) == 1
    assert deployed.ok or "Version 2 of abalone was rolled back" in deployed.text or "rollback2 since" in deployed.text
    assert project.registry.version(2).metadata["rolled_back_to"] == "1"


@pytest.mark.long
def test_of_an_approval_and_a_rejection_at_once_the_last_word_stands_and_nobody_is_told_otherwise(
    project: Project,
) -> None:
    project.package(1, approved=False)
    approved, rejected = at_once(project, "approve 1", "reject 1")
    status = project.registry.version(1).status
    winner, loser = (approved, rejected) if status == APPROVED else (rejected, approved)
    assert winner.ok, winner.text
    assert status in (APPROVED, REJECTED)
    # The other one came first, or learns of it.
    assert loser.ok or "Somebody else decided on version 1" in loser.text or "is rejected: Rejected by" in loser.text
