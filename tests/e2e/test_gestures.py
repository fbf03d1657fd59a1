"""Push, click, merge – from a git repository through the real YAML to what the endpoint answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.accounts import Account
from tests.clones import packages, serving, training_jobs
from tests.e2e.project import Project, assert_red


@pytest.fixture
def project(aws: Account, tmp_path: Path) -> Project:
    return Project(aws, tmp_path)


@pytest.mark.long
def test_squash_deploys_what_the_branch_trained_although_a_rival_is_newer_and_revert_brings_back_the_one_before(
    project: Project,
) -> None:
    first = project.train()
    project.clone.succeed(project.aws, "deploy", "abalone")
    project.branch("feature", max_depth=3)
    wanted = project.push("feature", click=True)
    project.branch("rival", max_depth=2)
    rival = project.train()
    assert len({first, wanted, rival}) == 3
    project.merge("feature", "--squash")
    jobs = training_jobs(project.aws)

    merged = project.play("main")
    assert (merged.job("deploy-abalone").status, merged.job("in-step").status) == ("success", "success")
    assert serving(project.aws) == wanted
    assert project.predictions_are_those_of(wanted)
    assert not project.predictions_are_those_of(rival)

    project.clone.git("revert", "--no-edit", "HEAD")
    project.clone.push("main")
    reverted = project.play("main")
    assert reverted.ok
    assert serving(project.aws) == first
    assert project.predictions_are_those_of(first)
    assert training_jobs(project.aws) == jobs


@pytest.mark.long
def test_merge_commit_deploys_the_second_push_which_alone_was_approved(project: Project) -> None:
    project.branch("feature", max_depth=3)
    project.train(approve=False)
    project.change(max_depth=4)
    second = project.push("feature", click=True)
    project.merge("feature", "--no-ff")
    assert project.play("main").ok
    assert serving(project.aws) == second
    assert project.predictions_are_those_of(second)


@pytest.mark.long
def test_rebase_of_several_commits_deploys_what_the_branch_trained(project: Project) -> None:
    project.branch("feature", max_depth=3)
    project.change(min_child_weight=10)
    wanted = project.push("feature", click=True)
    project.clone.git("switch", "-q", "main")
    (project.clone.path / "README.md").write_text("Main has moved on.\n")
    project.clone.commit()
    project.clone.git("rebase", "-q", "main", "feature")
    project.merge("feature", "--ff-only")
    assert project.play("main").ok
    assert serving(project.aws) == wanted


@pytest.mark.long
def test_rebase_that_ends_with_documentation_is_red_until_it_is_deployed_by_hand(project: Project) -> None:
    """Path filtering sees the last commit of a fast-forward push only."""
    project.branch("feature", max_depth=3)
    (project.clone.path / "README.md").write_text("What the change is good for.\n")
    project.clone.commit()
    wanted = project.train()
    project.merge("feature", "--ff-only")
    pushed = project.play("main", wait_minutes=0)
    assert [job.name for job in pushed.jobs] == ["check", "audit", "in-step"]
    assert_red(pushed, "in-step", "abalone: version 1 is not deployed", "action=deploy")
    assert project.play("main", parameters={"action": "deploy", "model": "abalone"}).ok
    assert serving(project.aws) == wanted


def test_without_a_click_the_deploy_is_red_and_nothing_is_deployed(project: Project) -> None:
    project.branch("feature", max_depth=3)
    project.train(approve=True)
    project.change(max_depth=4)
    project.push("feature", click=False)
    project.merge("feature", "--squash")
    merged = project.play("main", wait_minutes=0)
    assert_red(merged, "deploy-abalone", "is not approved", "Click request-deployment", "(branch feature")
    assert_red(merged, "in-step", "no approved package of main's source")
    assert project.endpoints() == []


@pytest.mark.long
def test_merge_of_a_branch_behind_main_is_red_until_the_combination_is_trained(project: Project) -> None:
    project.branch("feature", max_depth=3)
    project.train()
    project.clone.git("switch", "-q", "main")
    project.clone.edit("common/evaluation/golden.py", "GOLDEN_ROWS = 10", "GOLDEN_ROWS = 11")
    project.clone.commit("Move on")
    project.merge("feature", "--no-ff")
    merged = project.play("main", wait_minutes=0)
    assert_red(
        merged, "deploy-abalone", "No package of abalone was ever trained", "action=train, model=abalone on main"
    )
    assert project.endpoints() == []

    mended = project.play("main", click=True, parameters={"action": "train", "model": "abalone"})
    assert mended.ok
    assert serving(project.aws) == packages(project.aws)[-1]["ModelPackageArn"]


@pytest.mark.long
def test_an_older_main_is_refused_and_a_rollback_is_undone_by_nothing_but_a_newer_package(project: Project) -> None:
    first = project.train()
    project.clone.succeed(project.aws, "deploy", "abalone")
    old = project.clone.git("rev-parse", "main")
    project.change(max_depth=3)
    second = project.train()
    project.clone.push("main")
    project.clone.succeed(project.aws, "deploy", "abalone")

    rerun = project.play("main", commit=old)
    assert_red(rerun, "deploy-abalone", "holds another abalone than main", "the newer commit deploys it")
    assert serving(project.aws) == second

    assert project.play("main", parameters={"action": "rollback", "model": "abalone"}).ok
    assert serving(project.aws) == first
    assert project.predictions_are_those_of(first)
    (project.clone.path / "README.md").write_text("Anything.\n")
    project.clone.git("commit", "-qam", "Anything")
    project.clone.push("main")
    unrelated = project.play("main", wait_minutes=0)
    assert unrelated.ok
    assert "held: version 2 was rolled back at" in unrelated.job("in-step").log
    assert_red(
        project.play("main", parameters={"action": "deploy", "model": "abalone"}),
        "deploy",
        "Version 2 of abalone was rolled back at",
        "nothing was changed",
    )
    assert serving(project.aws) == first
