"""A repository with its CircleCI project, in which tests push, click, merge and let schedules run."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from common.evaluation.golden import Golden
from common.local.account import mapped_contexts, plain_contexts
from common.local.accounts.layout import CircleCi, Organisation, one_account
from common.local.accounts.make import make
from common.local.pipeline.config import Value
from common.local.pipeline.project import origin
from common.local.pipeline.run import PipelineResult, Settings, play
from common.local.play import models_of
from tests.accounts import Account
from tests.clones import Clone, packages


class Project:
    """A repository, its CircleCI project, and the account that its jobs work in."""

    def __init__(
        self,
        aws: Account,
        folder: Path,
        variables: Mapping[str, str] | None = None,
        clone: Clone | None = None,
        organisation: Organisation | None = None,
    ) -> None:
        """A project.

        Args:
            aws: the account in which packages are registered; without an `organisation` everything is done there.
            variables: further ones of the project, which every job gets.
            clone: the repository, a new one by default.
            organisation: the accounts that it works in, which `make` has made, by the `environments.json` that is committed.
        """
        self.aws = aws
        self._variables = dict(variables or {})
        self.clone = clone or Clone.create(folder)
        self.organisation = organisation or self._one_account()
        contexts = (mapped_contexts if organisation else plain_contexts)(aws.url, self.organisation)
        self.topic = self.organisation.serving.topic
        self._settings = Settings(folder / "circleci", contexts, project={}, venv=Path(sys.prefix))

    def _one_account(self) -> Organisation:
        circleci, models = CircleCi(origin(self.clone.path)), models_of(self.clone.path, "main")
        made = one_account(self.aws.account, self.aws.bucket, circleci, models)
        make(self.aws.url, made)
        return made

    def play(
        self,
        branch: str,
        *,
        click: bool = False,
        commit: str = "",
        parameters: Mapping[str, Value] | None = None,
        wait_minutes: float = 1,
        skip: Collection[str] = ("check", "audit"),
    ) -> PipelineResult:
        """Play the pipeline of a branch's tip, without the jobs that run all tests and audit what is installed.

        Args:
            wait_minutes: how long in-step waits for a deploy; 0 where none will come.
        """
        return play(
            self.clone.path,
            replace(self._settings, project=self._variables | {"IN_STEP_WAIT_MINUTES": str(wait_minutes)}),
            branch=branch,
            commit=commit,
            parameters=parameters,
            approve=lambda _: click,
            skip=skip,
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


def assert_red(result: PipelineResult, job: str, *phrases: str) -> None:
    assert result.job(job).status == "failed"
    for phrase in phrases:
        assert phrase in result.job(job).log
