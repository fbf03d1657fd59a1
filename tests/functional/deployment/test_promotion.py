"""From staging to production: the same package, once staging has verified it; each environment notes its own deployments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from common.errors import RegistryError
from common.registry import Registry
from common.settings import Run
from common.steps.context import Context
from common.steps.deploy import deploy_model
from common.steps.live import champion
from tests.functional.deployment.deployment_kit import ENDPOINT, Project
from tests.functional.deployment.test_reruns_and_sweep import context_of

NAMES = ("dev", "staging", "production")


def context(project: Project, environment: str) -> Context:
    """An environment that shares account and endpoint with the others: what tells them apart are the names that they note."""
    deploys = "production" if environment == "dev" else environment
    own: dict[str, Any] = {
        "environment": environment,
        "deploys": deploys,
        "answers_here": environment == "production",
        "others": NAMES,
    }
    aws = project.another_process()
    after = "staging" if environment == "production" else ""
    vars(aws)["settings"] = replace(aws.settings, after=after, **own)
    return replace(context_of(project), aws=aws)


def registry(project: Project, environment: str) -> Registry:
    return Registry(context(project, environment).aws, project.model)


def deploy(project: Project, environment: str, version: int) -> None:
    deploy_model(context(project, environment), project.model, ENDPOINT, version=version)


def test_production_takes_what_staging_has_verified_and_nothing_else(project: Project) -> None:
    one = project.package(1)
    with pytest.raises(RegistryError, match="Version 1 of abalone was not verified in staging") as refused:
        deploy(project, "production", 1)
    assert "the job deploy-abalone-to-staging" in refused.value.remedy
    assert not project.live().exists

    deploy(project, "staging", 1)
    noted = project.registry.describe(one.arn).metadata
    assert noted["deployed_as@staging"] == project.live().configuration
    assert "deployed_at" not in noted
    assert registry(project, "staging").describe(one.arn).deployed_at == noted["deployed_at@staging"]
    assert not registry(project, "production").describe(one.arn).deployed_at
    assert champion(context(project, "dev"), project.model) is None

    deploy(project, "production", 1)
    assert {"deployed_at@staging", "deployed_at@production"} <= project.registry.describe(one.arn).metadata.keys()
    found = champion(context(project, "dev"), project.model)
    assert found is not None
    assert found.arn == one.arn


def test_what_was_taken_back_in_staging_goes_no_further(project: Project) -> None:
    one, two = project.package(1), project.package(2)
    deploy(project, "staging", 1)
    deploy(project, "staging", 2)
    staging = registry(project, "staging")
    staging.mark_rolled_back(staging.describe(two.arn), Run("tester"), "too old", one)
    assert registry(project, "production").describe(two.arn).rolled_back == ""
    with pytest.raises(RegistryError, match="or was taken back there"):
        deploy(project, "production", 2)
    staging.unmark_rolled_back(staging.describe(two.arn))
    deploy(project, "production", 2)
    assert project.answers() == 2


def test_what_answers_callers_is_what_was_deployed_there_last(project: Project) -> None:
    one, two = project.package(1), project.package(2)
    production = registry(project, "production")
    for package, moment in ((one, "2026-01-03"), (two, "2026-01-02")):
        project.aws.sagemaker.update_model_package(
            ModelPackageArn=package.arn,
            CustomerMetadataProperties={"deployed_at@production": moment, "deployed_at@staging": "2026-02-01"},
        )
    last = production.deployed_last()
    assert last is not None
    assert last.arn == one.arn
