"""The three gestures over four accounts, with the credentials that CircleCI's contexts give to jobs, and nothing else."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from common.local.accounts.layout import CircleCi, Place, environments, four_accounts
from common.local.accounts.make import make
from common.local.accounts.sessions import session
from common.local.pipeline.project import origin
from tests.accounts import Account
from tests.clones import Clone, answer, packages, serving, training_jobs
from tests.e2e.pipeline_repo import statuses
from tests.e2e.project import Project, assert_red

RECORD = {"sex": "M", "length": 0.455, "diameter": 0.365, "height": 0.095, "whole_weight": 0.514, "shucked_weight": 0.2245,
          "viscera_weight": 0.101, "shell_weight": 0.15}  # fmt: skip
SKIPPED = {"check": "skipped", "audit": "skipped", "in-step": "skipped"}


class Company(Project):
    """A project whose environments are four accounts."""

    def __init__(self, url: str, folder: Path) -> None:
        clone = Clone.create(folder)
        start = uuid.uuid4().int % 10**11
        ids = (f"{start:012d}", f"{start + 1:012d}", f"{start + 2:012d}", f"{start + 3:012d}")
        made = four_accounts(CircleCi(origin(clone.path)), ("abalone",), accounts=ids, name=f"models-{start}")
        keys = make(url, made)
        (clone.path / "environments.json").write_text(json.dumps(environments(made, keys), indent=2))
        clone.edit(".circleci/dynamic_config.yml", r"staging: \{type: boolean, default: false\}",
                   "staging: {type: boolean, default: true}")  # fmt: skip
        clone.commit("Work in four accounts")
        clone.push("main")
        super().__init__(Account(url, made.registry.account), folder, clone=clone, organisation=made)
        self.dev, self.registry, self.staging, self.production = made.places

    def account(self, place: Place) -> Account:
        return Account(self.aws.url, place.account)

    def as_role(self, place: Place, role: str, branch: str) -> boto3.Session:
        """A session of a role with the identity of a job of that branch."""
        repository = self.organisation.circleci.repository
        return session(self.aws.url, place.role(role), repository, f"refs/heads/{branch}")

    def client(self, place: Place, role: str, branch: str, service: str) -> Any:
        return self.as_role(place, role, branch).client(service, endpoint_url=self.aws.url)  # type: ignore[call-overload]

    def folders(self, place: Place) -> set[str]:
        """The folders of abalone that lie in the bucket of an environment."""
        s3 = self.account(place).client("s3")
        listed = s3.list_objects_v2(Bucket=place.bucket, Prefix="abalone/", Delimiter="/").get("CommonPrefixes", [])
        return {each["Prefix"].split("/")[1] for each in listed}

    def endpoints_of(self, place: Place) -> list[str]:
        found = self.account(place).client("sagemaker").list_endpoints()["Endpoints"]
        return [endpoint["EndpointName"] for endpoint in found]


@pytest.fixture
def company(aws_url: str, tmp_path: Path) -> Company:
    return Company(aws_url, tmp_path)


def refusal(error: pytest.ExceptionInfo[ClientError]) -> str:
    return f"{error.value.response['Error']['Code']}: {error.value.response['Error']['Message']}"


def test_one_package_is_trained_in_dev_registered_in_the_registry_and_deployed_to_staging_then_to_production(
    company: Company,
) -> None:
    company.branch("feature", max_depth=3)
    package = company.push("feature", click=True)
    assert package.split(":")[4] == company.registry.account
    assert [training_jobs(company.account(place)) != [] for place in company.organisation.places] == [
        True,
        False,
        False,
        False,
    ]
    assert [company.endpoints_of(place) for place in company.organisation.places] == [[], [], [], []]

    company.merge("feature", "--squash")
    merged = company.play("main", skip=("check", "audit", "in-step"))
    assert statuses(merged) == SKIPPED | {
        "deploy-abalone-to-staging": "success",
        "deploy-abalone-to-production": "success",
    }
    assert [company.endpoints_of(place) for place in company.organisation.places] == [[], [], ["abalone"], ["abalone"]]
    assert serving(company.account(company.staging)) == serving(company.account(company.production)) == package
    [registered] = packages(company.aws)
    facts = registered["CustomerMetadataProperties"]
    assert facts["deployed_at@staging"] <= facts["deployed_at@production"]
    [container] = registered["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"].startswith(f"s3://{company.registry.bucket}/abalone/packages/")

    assert company.folders(company.dev) == {"training"}
    assert company.folders(company.registry) == {"data", "sources", "packages"}
    assert company.folders(company.staging) == set()
    assert company.folders(company.production) <= {"capture"}
    asked = company.client(company.production, "deploy", "main", "sagemaker-runtime").invoke_endpoint(
        EndpointName="abalone", ContentType="application/json", Accept="application/json", Body=json.dumps(RECORD)
    )
    assert json.loads(asked["Body"].read())["predictions"] == [
        answer(company.account(company.production), "abalone", RECORD)
    ]


def test_a_branch_gets_no_other_role_and_no_other_object_than_those_of_its_model(company: Company) -> None:
    for place, role in ((company.production, "deploy"), (company.staging, "deploy"), (company.production, "operate")):
        with pytest.raises(ClientError) as denied:
            company.as_role(place, role, "feature").client("sts", endpoint_url=company.aws.url).get_caller_identity()
        assert refusal(denied) == "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"
    s3 = company.client(company.dev, "train-abalone", "feature", "s3")
    s3.put_object(Bucket=company.registry.bucket, Key="abalone/packages/a/report.html", Body=b"its own")
    for bucket, key in (
        (company.registry.bucket, "churn/packages/a/report.html"),
        (company.dev.bucket, "abalone/monitoring/1/findings.json"),
        (company.production.bucket, "abalone/capture/a.jsonl"),
    ):
        with pytest.raises(ClientError) as denied:
            s3.put_object(Bucket=bucket, Key=key, Body=b"")
        assert refusal(denied).startswith("AccessDenied: ")


@pytest.mark.long
def test_an_artifact_that_was_exchanged_after_the_click_reaches_neither_staging_nor_production(
    company: Company,
) -> None:
    company.branch("feature", max_depth=3)
    company.push("feature", click=True)
    [registered] = packages(company.aws)
    bucket, _, key = (
        registered["InferenceSpecification"]["Containers"][0]["ModelDataUrl"].removeprefix("s3://").partition("/")
    )
    s3 = company.client(company.dev, "train-abalone", "rogue", "s3")  # who may register for a model can write there
    s3.put_object(Bucket=bucket, Key=key, Body=s3.get_object(Bucket=bucket, Key=key)["Body"].read() + b"\0")

    company.merge("feature", "--squash")
    merged = company.play("main", skip=("check", "audit", "in-step"))
    assert_red(merged, "deploy-abalone-to-staging", key)
    assert merged.job("deploy-abalone-to-production").status == "blocked"
    assert [company.endpoints_of(place) for place in company.organisation.places] == [[], [], [], []]
