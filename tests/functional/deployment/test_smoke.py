"""`models smoke`: the endpoint that serves is asked as its callers ask it, and must answer as the trained model did."""

import pytest

from common.deployment.modes import DeclaredEndpoint
from common.errors import DeploymentError
from common.steps.context import Context
from common.steps.smoke import smoke_test
from tests.functional.deployment.deployment_kit import ENDPOINT, Project, trained
from tests.functional.deployment.test_modes import ASYNC, SERVERLESS


def smoked(project: Project, monkeypatch: pytest.MonkeyPatch, endpoint: DeclaredEndpoint = ENDPOINT) -> str:
    """What `models smoke` prints where deploy.py declares that endpoint."""
    monkeypatch.setattr(type(project.model), "declaration", lambda *_: endpoint)
    said: list[str] = []
    smoke_test(Context(project.aws, say=said.append), project.model)
    return "\n".join(said)


@pytest.mark.parametrize(
    "endpoint",
    [ENDPOINT, pytest.param(SERVERLESS, marks=pytest.mark.long), ASYNC],
    ids=["real time", "serverless", "asynchronous"],
)
def test_an_endpoint_that_serves_its_package_passes(
    project: Project, monkeypatch: pytest.MonkeyPatch, endpoint: DeclaredEndpoint
) -> None:
    with pytest.raises(DeploymentError, match="There is no endpoint abalone"):
        smoked(project, monkeypatch, endpoint)
    project.deploy(project.package(1), endpoint)
    said = smoked(project, monkeypatch, endpoint)
    assert "abalone: version 1 behind the endpoint abalone" in said
    asked = [line.split("  ")[0] for line in said.splitlines() if line.endswith("  as it should be")]
    assert asked == ["JSON, 1 record", "JSON, 10 records", "CSV, 1 record", "CSV, 10 records", "JSON, a bad record"]


def test_an_endpoint_that_answers_otherwise_fails_by_name(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The golden predictions are those of package 2, the artifact is package 1's: no deploy of ours lets that serve."""
    package, sagemaker = project.package(1, artifact=trained(1)[0], golden=trained(2)[1]), project.aws.sagemaker
    sagemaker.create_model(
        ModelName="by-hand",
        PrimaryContainer={"ModelPackageName": package.arn},
        ExecutionRoleArn=project.account.env["SAGEMAKER_EXECUTION_ROLE_ARN"],
    )
    sagemaker.create_endpoint_config(EndpointConfigName="by-hand", **ENDPOINT.request("by-hand", ""))
    sagemaker.create_endpoint(EndpointName="abalone", EndpointConfigName="by-hand")
    project.settled()
    with pytest.raises(DeploymentError) as failed:
        smoked(project, monkeypatch)
    assert "The endpoint abalone does not pass the smoke test with abalone version 1: JSON, 1 record" in str(
        failed.value
    )
    assert "(and 3 more of 5 requests)" in str(failed.value)
    assert "Deploy this package no further" in failed.value.remedy
