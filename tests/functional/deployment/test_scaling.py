"""Autoscaling in the course of deploys: put once the endpoint serves, kept, out of the way, restored, and removed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from common.deployment.declare import Endpoint
from common.deployment.rollout import AllAtOnce
from common.deployment.scaling import Scaling
from common.errors import DeploymentError
from common.model import Model
from common.steps.deploy import deploy_model
from common.steps.experiments import start_ab
from common.steps.status import model_status
from tests.functional.deployment.deployment_kit import (
    ERRORS,
    Project,
    constant_load,
    cut_off,
    eventually,
    on_call,
    trained,
)
from tests.functional.deployment.experiment_kit import context
from tests.functional.deployment.test_reruns_and_sweep import Main, context_of

RESOURCE = "endpoint/abalone/variant/AllTraffic"
WHERE: Any = {"ServiceNamespace": "sagemaker", "ResourceId": RESOURCE,
              "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}  # fmt: skip
SCALED = Endpoint(
    "ml.m5.large", AllAtOnce(bake_seconds=0), (ERRORS,), scaling=Scaling(1, 4, invocations_per_instance=6e6)
)
"""The target is far above what a test can ask: nothing scales out by itself."""
FIXED = replace(SCALED, scaling=None)
LARGER = replace(SCALED, instance_type="ml.m5.xlarge")


def autoscaling(project: Project) -> Any:
    return project.account.client("application-autoscaling")


def bounds(project: Project) -> tuple[int, int] | None:
    """What the endpoint scales between, where it does."""
    found = autoscaling(project).describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[RESOURCE])
    targets = [(each["MinCapacity"], each["MaxCapacity"]) for each in found["ScalableTargets"]]
    return targets[0] if targets else None


def policies(project: Project) -> list[str]:
    found = autoscaling(project).describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=RESOURCE)
    return sorted(each["PolicyName"] for each in found["ScalingPolicies"])


def scaled_to(project: Project, count: int) -> None:
    """Bring the endpoint to so many instances, as scaling does, and keep it from another change meanwhile."""
    autoscaling(project).register_scalable_target(**WHERE, SuspendedState={"DynamicScalingInSuspended": True})
    project.account.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName="abalone",
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": count}],
    )
    eventually(lambda: project.live().in_service and project.live().instances == count, f"{count} instances")


def grow(project: Project) -> None:
    """Begin to add an instance, as scaling does."""
    counts = [{"VariantName": "AllTraffic", "DesiredInstanceCount": project.live().instances + 1}]
    sagemaker = project.account.client("sagemaker")
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="abalone", DesiredWeightsAndCapacities=counts)


@contextmanager
def calls(project: Project) -> Iterator[list[str]]:
    """The calls that change the autoscaling meanwhile, by these clients."""
    made: list[str] = []
    events = project.aws.autoscaling.meta.events

    def note(model: Any, **_: Any) -> None:
        if not model.name.startswith("Describe"):
            made.append(model.name)

    events.register("before-call.application-auto-scaling", note)
    try:
        yield made
    finally:
        events.unregister("before-call.application-auto-scaling", note)


def test_scaling_is_put_once_the_endpoint_serves_changed_beside_it_and_removed(project: Project) -> None:
    one = project.package(1)

    def planned(endpoint: Endpoint) -> str:
        project.said.clear()
        deploy_model(context_of(project), project.model, endpoint, plan=True, version=1)
        return " ".join(project.said)

    assert "scale between 1 and 4 instances" in planned(SCALED)
    with calls(project) as made:
        assert project.deploy(one, SCALED)
        configuration = project.live().configuration
        assert made == ["RegisterScalableTarget", "PutScalingPolicy"]
        assert (bounds(project), policies(project)) == ((1, 4), ["abalone-scaling"])
        assert "scal" not in planned(SCALED)
        assert not project.deploy(one, SCALED)
        assert len(made) == 2
    assert project.deploy(one, replace(SCALED, scaling=Scaling(1, 6, invocations_per_instance=6e6)))
    assert bounds(project) == (1, 6)
    assert "end the scaling, which is declared no more" in planned(FIXED)

    def no_such_alarm() -> None:  # as CloudWatch's reference allows it to answer
        raise ClientError({"Error": {"Code": "ResourceNotFound", "Message": "no such alarm"}}, "DeleteAlarms")

    with on_call(project.aws.cloudwatch, "DeleteAlarms", no_such_alarm):
        assert project.deploy(one, FIXED)
    assert (bounds(project), policies(project)) == (None, [])
    assert not project.deploy(one, FIXED)
    assert project.live().configuration == configuration


class OfPackageOne(Main):
    """A checkout whose source is that of package 1."""

    def main(self) -> str:
        return "main"

    def source(self, model: Model, revision: str = "HEAD") -> str:
        return f"{1:016x}"


def test_an_endpoint_whose_scaling_is_not_what_is_declared_is_not_in_step(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Model, "declaration", lambda *_: SCALED)
    context = replace(context_of(project), checkout=OfPackageOne())
    one = project.package(1)
    project.deploy(one, SCALED)
    assert model_status(context, project.model).problem == ""
    grow(project)
    assert project.live().status == "Updating"
    assert model_status(context, project.model).problem == ""
    project.settled()
    autoscaling(project).deregister_scalable_target(**WHERE)
    assert model_status(context, project.model).problem == "a deploy would scale between 1 and 4 instances"
    project.deploy(one, SCALED)
    assert model_status(context, project.model).in_step


def test_a_deploy_keeps_the_instances_that_scaling_has_come_to(project: Project) -> None:
    project.deploy(project.package(1), SCALED)
    scaled_to(project, 2)
    with constant_load(project) as load, calls(project) as made:
        assert project.deploy(project.package(2), SCALED)
    assert (load.errors, made) == ([], [])
    assert (project.answers(), project.live().instances) == (2, 2)
    three_at_least = replace(SCALED, instance_count=3, scaling=Scaling(3, 4, invocations_per_instance=6e6))
    assert project.deploy(project.package(3), three_at_least)  # two are no longer enough
    assert (project.live().instances, bounds(project)) == (3, (3, 4))


def test_another_instance_type_is_deployed_beside_a_scaling_that_would_forbid_it(project: Project) -> None:
    one = project.package(1)
    project.deploy(one, SCALED)
    with calls(project) as made:
        assert project.deploy(one, LARGER)
    assert made == ["DeregisterScalableTarget", "RegisterScalableTarget", "PutScalingPolicy"]
    assert (bounds(project), policies(project)) == ((1, 4), ["abalone-scaling"])


@pytest.mark.long
def test_a_deploy_with_another_instance_type_that_fails_scales_what_serves_as_before(project: Project) -> None:
    project.deploy(project.package(1), SCALED)
    scaled_to(project, 2)
    two = project.package(2)
    s3, key = project.account.client("s3"), two.artifact.split("/", 3)[3]

    def swap() -> None:
        s3.put_object(Bucket=project.account.bucket, Key=key, Body=trained(3)[0])

    changed = replace(LARGER, scaling=Scaling(1, 8, invocations_per_instance=6e6))
    with on_call(project.aws.sagemaker, "UpdateEndpoint", swap), pytest.raises(DeploymentError, match="Rolled back"):
        project.deploy(two, changed)
    assert (bounds(project), policies(project)) == ((1, 4), ["abalone-scaling"])
    assert (project.answers(), project.live().instances) == (1, 2)
    assert "  scaling between 1 and 4 instances again" in project.said


@pytest.mark.long
def test_an_update_that_aws_refuses_leaves_what_serves_scaled_or_says_that_it_is_not(project: Project) -> None:
    one, two = project.package(1), project.package(2)
    project.deploy(one, SCALED)

    def refuse() -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "UpdateEndpoint")

    with on_call(project.aws.sagemaker, "UpdateEndpoint", refuse), pytest.raises(ClientError, match="Rate exceeded"):
        project.deploy(two, LARGER)
    assert (bounds(project), project.answers()) == ((1, 4), 1)
    with (
        on_call(project.aws.sagemaker, "UpdateEndpoint", refuse),
        on_call(project.aws.autoscaling, "RegisterScalableTarget", refuse),
        pytest.raises(ClientError, match="UpdateEndpoint"),
    ):
        project.deploy(two, LARGER)
    assert "  warning: scaling could not be registered again: Rate exceeded" in project.said
    assert bounds(project) is None
    assert project.deploy(one, SCALED)
    assert bounds(project) == (1, 4)


@pytest.mark.long
def test_an_ab_test_that_cannot_begin_leaves_what_serves_scaled_and_free(project: Project) -> None:
    project.deploy(project.package(1), SCALED)
    project.package(2)

    def refuse() -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "UpdateEndpoint")

    with on_call(project.aws.sagemaker, "UpdateEndpoint", refuse), pytest.raises(ClientError, match="Rate exceeded"):
        start_ab(context(project), project.model, SCALED, [1, 2], [])
    assert (bounds(project), policies(project)) == ((1, 4), ["abalone-scaling"])
    assert project.live().hold is None


def test_a_deploy_that_is_killed_while_it_changes_scaling_is_continued(project: Project) -> None:
    one = project.package(1)
    project.deploy(one, SCALED)
    for operation in ("DeregisterScalableTarget", "RegisterScalableTarget", "PutScalingPolicy"):
        with cut_off(project.aws.autoscaling, operation):
            project.deploy(one, LARGER)
        project.settled()
    assert project.deploy(one, LARGER)
    assert (bounds(project), policies(project)) == ((1, 4), ["abalone-scaling"])
    assert not project.deploy(one, LARGER)


@pytest.mark.long
def test_scaling_that_is_at_work_is_waited_for_and_is_no_deploy(project: Project) -> None:
    one = project.package(1)
    project.deploy(one, SCALED)
    grow(project)
    assert not project.deploy(one, SCALED)
    began: list[int] = []

    def once() -> None:
        if not began:
            began.append(1)
            grow(project)

    with on_call(project.aws.sagemaker, "UpdateEndpoint", once):
        assert project.deploy(project.package(2), SCALED)
    assert project.answers() == 2


def test_scaling_that_somebody_made_by_hand_is_left_alone(project: Project) -> None:
    project.deploy(project.package(1), FIXED)
    autoscaling(project).register_scalable_target(**WHERE, MinCapacity=1, MaxCapacity=2)
    tracking = {
        "TargetValue": 6e6,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    }
    autoscaling(project).put_scaling_policy(
        **WHERE,
        PolicyName="by-hand",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )
    with calls(project) as made:
        assert project.deploy(project.package(2), FIXED)
    assert (made, bounds(project), policies(project)) == ([], (1, 2), ["by-hand"])
