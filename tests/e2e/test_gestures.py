"""Push, click, merge – from a git repository through the real YAML to what the endpoint answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from common.evaluation.golden import Golden
from common.local.pipeline.run import PipelineResult, Settings, play
from tests.accounts import Account
from tests.clones import Clone, packages, serving, training_jobs


class Project:
    """A repository, its CircleCI project, and the account that its jobs work in."""

    def __init__(self, aws: Account, folder: Path) -> None:
        self.aws = aws
        self.clone = Clone.create(folder)
        shared = {
            name: aws.env[name] for name in aws.env if not name.startswith(("AWS_ACCESS", "AWS_SECRET", "AWS_SESSION"))
        }
        role = f"arn:aws:iam::{aws.account}:role/circleci"
        contexts = {name: shared | {"AWS_ROLE_ARN": role} for name in ("train", "approve", "deploy")}
        self._settings = Settings(folder / "circleci", contexts, project={}, venv=Path(sys.prefix))

    def play(
        self,
        branch: str,
        *,
        click: bool = False,
        commit: str = "",
        parameters: Mapping[str, str | int] | None = None,
        wait_minutes: float = 1,
    ) -> PipelineResult:
        """Play the pipeline of a branch's tip, without the job that runs all tests.

        Args:
            wait_minutes: how long in-step waits for a deploy; 0 where none will come.
        """
        return play(
            self.clone.path,
            replace(self._settings, project={"IN_STEP_WAIT_MINUTES": str(wait_minutes)}),
            branch=branch,
            commit=commit,
            parameters=parameters,
            approve=lambda _: click,
            skip=("check",),
        )

    def push(self, branch: str, *, click: bool) -> str:
        """Push the branch, play its pipeline, and click or not; returns the ARN of the package that was registered."""
        self.clone.push(branch)
        assert self.play(branch, click=click).ok
        package = packages(self.aws)[-1]
        assert package["CustomerMetadataProperties"]["commit"] == self.clone.git("rev-parse", branch)
        assert package["ModelApprovalStatus"] == ("Approved" if click else "PendingManualApproval")
        return str(package["ModelPackageArn"])

    def train(self, *, approve: bool = True) -> str:
        """What the jobs of a push and a click do, without their pipeline, for tests of what comes after."""
        for step in ("train", "approve") if approve else ("train",):
            self.clone.succeed(self.aws, step, "abalone")
        return str(packages(self.aws)[-1]["ModelPackageArn"])

    def branch(self, name: str, **hyperparameters: float) -> None:
        """Start a branch at main that changes abalone."""
        self.clone.git("switch", "-qc", name, "main")
        self.change(**hyperparameters)

    def change(self, **hyperparameters: float) -> None:
        self.clone.tune(**hyperparameters)
        self.clone.commit(f"Set {hyperparameters}")

    def merge(self, branch: str, *how: str) -> None:
        """Bring the branch to main and push it."""
        self.clone.git("switch", "-q", "main")
        self.clone.git("merge", "-q", *how, branch)
        if "--squash" in how:
            self.clone.commit(f"{branch} (squashed)")
        self.clone.push("main")

    def predictions_are_those_of(self, package: str) -> bool:
        """Whether the endpoint answers the package's golden records as the trained model did."""
        facts = self.aws.client("sagemaker").describe_model_package(ModelPackageName=package)[
            "CustomerMetadataProperties"
        ]
        key = f"abalone/packages/{facts['source']}-{facts['data_version']}/golden.json"
        content = self.aws.client("s3").get_object(Bucket=self.aws.bucket, Key=key)["Body"].read()
        golden = Golden.from_json(content)
        answer = self.aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName="abalone", ContentType="application/json", Body=json.dumps(golden.records)
        )
        return not golden.mismatch(json.loads(answer["Body"].read())["predictions"])

    def endpoints(self) -> list[str]:
        return [endpoint["EndpointName"] for endpoint in self.aws.client("sagemaker").list_endpoints()["Endpoints"]]


@pytest.fixture
def project(aws: Account, tmp_path: Path) -> Project:
    return Project(aws, tmp_path)


def assert_red(result: PipelineResult, job: str, *phrases: str) -> None:
    assert result.job(job).status == "failed"
    for phrase in phrases:
        assert phrase in result.job(job).log


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
    assert [job.name for job in pushed.jobs] == ["check", "in-step"]
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
