"""Serverless and asynchronous endpoints, and data capture: deployed, verified, and brought back from wrong answers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from common.deployment.capture import Capture
from common.deployment.modes import AsyncEndpoint, DeclaredEndpoint, ServerlessEndpoint
from common.deployment.rollout import AllAtOnce
from common.deployment.scaling import BacklogScaling
from common.errors import DeploymentError
from common.registry import Package
from common.steps.context import Context
from common.steps.invoke import invoke_model
from tests.functional.deployment.deployment_kit import (
    COLUMNS,
    ENDPOINT,
    ERRORS,
    ROWS,
    Project,
    eventually,
    on_call,
    trained,
)

SERVERLESS = ServerlessEndpoint(memory_mb=2048, max_concurrency=5)
ASYNC = AsyncEndpoint("ml.m5.large", AllAtOnce(bake_seconds=0), (ERRORS,), max_concurrent=2)
RECORD = dict(zip(COLUMNS, ROWS[0].tolist(), strict=True))


@contextmanager
def artifact_swapped(project: Project, package: Package, content: bytes) -> Iterator[None]:
    """Another artifact lies where the package's was, from the moment that the endpoint is updated on."""
    s3, key = project.account.client("s3"), package.artifact.split("/", 3)[3]

    def swap() -> None:
        s3.put_object(Bucket=project.account.bucket, Key=key, Body=content)

    with on_call(project.aws.sagemaker, "UpdateEndpoint", swap):
        yield


def invoked(project: Project, monkeypatch: pytest.MonkeyPatch, endpoint: DeclaredEndpoint, record: Any) -> int:
    """The number of the package that answers `models invoke`, where deploy.py declares that endpoint."""
    monkeypatch.setattr(type(project.model), "declaration", lambda *_: endpoint)
    [answer] = invoke_model(Context(project.aws, say=project.said.append), project.model, [record])
    return round(float(answer["prediction"]) / 100)


def failure(project: Project, package: Package, endpoint: DeclaredEndpoint) -> str:
    with pytest.raises(DeploymentError) as error:
        project.deploy(package, endpoint)
    assert project.live().in_service
    return str(error.value)


def test_a_serverless_endpoint_is_deployed_without_guardrails_and_verified(project: Project) -> None:
    one, two = project.package(1), project.package(2)
    assert project.deploy(one, SERVERLESS)
    assert project.answers() == 1
    assert not project.deploy(one, SERVERLESS)
    assert project.deploy(two, SERVERLESS)
    assert project.answers() == 2
    endpoint = project.account.client("sagemaker").describe_endpoint(EndpointName="abalone")
    assert "LastDeploymentConfig" not in endpoint
    assert endpoint["ProductionVariants"][0]["CurrentServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    assert project.account.client("cloudwatch").describe_alarms()["MetricAlarms"] == []


@pytest.mark.long
def test_a_serverless_endpoint_that_answers_wrongly_returns_to_the_package_before(project: Project) -> None:
    project.deploy(project.package(1), SERVERLESS)
    two = project.package(2)
    with artifact_swapped(project, two, trained(3)[0]):
        said = failure(project, two, SERVERLESS)
    assert "10 of 10 records differ" in said
    assert "Rolled back: abalone-model-1-" in said
    assert project.answers() == 1


@pytest.mark.long
def test_a_serverless_endpoint_that_does_not_start_keeps_the_package_before(project: Project) -> None:
    """No alarms guard it, and none are asked for: without names, CloudWatch would answer with all of the account."""
    project.deploy(project.package(1), SERVERLESS)
    project.account.client("cloudwatch").put_metric_alarm(
        AlarmName="somebody-else", Namespace="N", MetricName="M", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=0, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    project.account.client("cloudwatch").set_alarm_state(AlarmName="somebody-else", StateValue="ALARM", StateReason="x")
    said = failure(project, project.package(2, image="an-image-that-nobody-can-run:1"), SERVERLESS)
    assert "did not happen" in said
    assert "somebody-else" not in said
    assert project.answers() == 1


def test_an_asynchronous_endpoint_is_verified_and_invoked_through_the_bucket(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = project.package(1), project.package(2)
    assert project.deploy(one, ASYNC)
    assert not project.deploy(one, ASYNC)
    assert invoked(project, monkeypatch, ASYNC, RECORD) == 1
    assert project.deploy(two, ASYNC)
    assert invoked(project, monkeypatch, ASYNC, RECORD) == 2
    told = next(line for line in project.said if line.startswith("the answer is"))
    assert f"s3://{project.account.bucket}/abalone/async/output/" in told
    with pytest.raises(DeploymentError, match=r"The model failed: .*\n.*abalone/async/failure/"):
        invoked(project, monkeypatch, ASYNC, {"length": "not a number"})


def test_an_asynchronous_endpoint_that_answers_wrongly_returns_to_the_package_before(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.deploy(project.package(1), ASYNC)
    two = project.package(2)
    with artifact_swapped(project, two, trained(3)[0]):
        said = failure(project, two, ASYNC)
    assert "10 of 10 records differ" in said
    assert "Rolled back: abalone-model-1-" in said
    assert invoked(project, monkeypatch, ASYNC, RECORD) == 1


@pytest.mark.long
def test_an_asynchronous_endpoint_that_leaves_a_failure_returns_to_the_package_before(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.deploy(project.package(1), ASYNC)
    two = project.package(2)
    with artifact_swapped(project, two, trained(2, ("other", "columns", "entirely"))[0]):
        said = failure(project, two, ASYNC)
    assert "it answers with an error" in said
    assert "Rolled back: abalone-model-1-" in said
    assert invoked(project, monkeypatch, ASYNC, RECORD) == 1


@pytest.mark.long
def test_an_asynchronous_endpoint_that_never_answers_returns_to_the_package_before(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.deploy(project.package(1), ASYNC)
    two = project.package(2)
    monkeypatch.setattr("common.deployment.asynchronous.PATIENCE_SECONDS", 1)

    def take_the_instance_away() -> None:
        counts = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}]
        sagemaker = project.account.client("sagemaker")
        sagemaker.update_endpoint_weights_and_capacities(EndpointName="abalone", DesiredWeightsAndCapacities=counts)
        assert project.settled().instances == 0

    with (
        on_call(project.aws.runtime, "InvokeEndpointAsync", take_the_instance_away),
        pytest.raises(DeploymentError, match=r"neither answered nor failed within .* Rolled back: abalone-model-1-"),
    ):
        project.deploy(two, ASYNC)
    assert project.live().instances == 1


@pytest.mark.long
def test_a_deploy_wakes_an_asynchronous_endpoint_that_has_no_instances(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep = replace(ASYNC, scaling=BacklogScaling(at_least=0, at_most=2, backlog_per_instance=5))
    one, two = project.package(1), project.package(2)
    project.deploy(one, asleep)
    # A backlog of nothing takes the instance away; the next request, and be it the golden one, brings it back.
    eventually(lambda: project.settled().instances == 0, "the endpoint has no instances")
    project.account.client("cloudwatch").delete_alarms(AlarmNames=["abalone-wake"])
    assert project.deploy(one, asleep)  # puts the alarm again before it asks
    eventually(lambda: project.settled().instances == 0, "the endpoint has no instances again")
    assert project.deploy(two, asleep)
    assert invoked(project, monkeypatch, asleep, RECORD) == 2
    project.settled()
    assert project.deploy(two, replace(asleep, scaling=BacklogScaling(at_least=1, at_most=2, backlog_per_instance=5)))
    policies = project.aws.autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert [policy["PolicyName"] for policy in policies] == ["abalone-scaling"]
    assert not project.aws.cloudwatch.describe_alarms(AlarmNames=["abalone-wake"])["MetricAlarms"]


def test_the_mode_of_an_endpoint_that_serves_is_not_changed(project: Project) -> None:
    one = project.package(1)
    project.deploy(one)
    before = project.documents()
    assert "is real time, and deploy.py declares it asynchronous" in failure(project, one, ASYNC)
    assert project.documents() == before
    assert project.answers() == 1


def test_captured_calls_lie_below_the_model_as_text(project: Project) -> None:
    one = project.package(1)
    project.deploy(one)
    captured = replace(ENDPOINT, capture=Capture(percent=100))
    assert project.deploy(one, captured)  # a changed capture is a change of the endpoint configuration
    assert project.answers() == 1
    s3 = project.account.client("s3")

    def records() -> list[dict[str, Any]]:
        found = s3.list_objects_v2(Bucket=project.account.bucket, Prefix="abalone/capture/abalone/AllTraffic/")
        bodies = [s3.get_object(Bucket=project.account.bucket, Key=each["Key"]) for each in found.get("Contents", [])]
        return [json.loads(line) for body in bodies for line in body["Body"].read().decode().splitlines()]

    found = eventually(lambda: [each["captureData"] for each in records()], "calls are captured")
    told = [each for each in found if each["endpointInput"]["data"] == json.dumps(RECORD)]
    assert told
    assert round(json.loads(told[0]["endpointOutput"]["data"])["predictions"][0]["prediction"] / 100) == 1
