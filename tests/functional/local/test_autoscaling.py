"""Application Auto Scaling: its API, its errors, and instance counts that follow the load."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from common.local.api import AUTOSCALING, Answer, ApiError, Call
from common.local.autoscaling.operations import resume
from common.local.autoscaling.targets import DIMENSION
from common.local.sagemaker import endpoints
from tests.functional.local.hosting_kit import REGION, Local, eventually, open_local

VARIANT = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/e/variant/v1", "ScalableDimension": DIMENSION}
TRACK = "TargetTrackingScalingPolicyConfiguration"
TRACKING = {
    "TargetValue": 10.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    "ScaleInCooldown": 60,
    "ScaleOutCooldown": 60,
}


def do(local: Local, name: str, **request: Any) -> Answer:
    return AUTOSCALING[name](Call(local.aws, local.account, REGION, {**VARIANT, **request}))


def register(local: Local, low: int = 1, high: int = 4) -> Answer:
    return do(local, "RegisterScalableTarget", MinCapacity=low, MaxCapacity=high)


def track(local: Local, name: str = "follow", **changes: Any) -> Answer:
    return do(
        local,
        "PutScalingPolicy",
        PolicyName=name,
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=TRACKING | changes,
    )


def refused(action: Callable[[], Any]) -> ApiError:
    with pytest.raises(ApiError) as error:
        action()
    return error.value


def count(local: Local) -> int:
    [variant] = local.describe()["ProductionVariants"]
    found: int = variant["CurrentInstanceCount"]
    return found


def activities(local: Local) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = do(local, "DescribeScalingActivities")["ScalingActivities"]
    return found


def test_instances_follow_a_load_step_up_and_down_again(local: Local) -> None:
    local.serving("a")
    register(local)
    track(local)
    began = time.monotonic()
    while count(local) < 3:  # some 30 requests in each scaled minute (0.6 s): three times what one instance is to have
        local.invoke()
        time.sleep(0.02)
        assert time.monotonic() - began < 60
    assert len(local.process_ids()) == 2  # what this machine runs of it
    eventually(lambda: count(local) == 1, "scaled in", 40)
    eventually(lambda: len(local.process_ids()) == 1, "one process")
    eventually(lambda: activities(local)[0]["StatusCode"] == "Successful", "activity settles")
    last, *_, first = activities(local)
    assert first["Description"].startswith("Setting desired instance count to ")
    assert "AlarmHigh" in first["Cause"]
    assert "triggered policy follow" in first["Cause"]
    assert last["Description"] == "Setting desired instance count to 1."
    assert last["StatusMessage"] == (
        "Successfully set desired instance count to 1. Change successfully fulfilled by sagemaker."
    )
    assert "AlarmLow" in last["Cause"]


def steps(local: Local) -> None:
    """A step policy, and the alarm `waiting` on the metric `Depth` above 5 that names it."""
    policy = do(
        local,
        "PutScalingPolicy",
        PolicyName="steps",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "Cooldown": 6000,
            "StepAdjustments": [
                {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 10, "ScalingAdjustment": 1},
                {"MetricIntervalLowerBound": 10, "ScalingAdjustment": 2},
            ],
        },
    )
    assert policy["Alarms"] == []
    local.put_alarm(
        "waiting",
        namespace="Mine",
        metric_name="Depth",
        threshold=5,
        dimensions=[],
        period=100,
        treat_missing_data="ignore",
        alarm_actions=[policy["PolicyARN"]],
    )


def put_depth(local: Local, value: float) -> None:
    local.aws.services.put_metric(local.account, REGION, "Mine", "Depth", {}, [value])


def test_a_step_policy_acts_on_an_alarm_that_names_it(local: Local) -> None:
    local.serving("a")
    register(local)
    steps(local)
    put_depth(local, 7)
    eventually(lambda: count(local) == 2, "one step")
    put_depth(local, 60)
    eventually(lambda: count(local) == 3, "the larger step counts from where the cooldown began")


def test_registering_with_a_higher_minimum_starts_instances_once_there_is_a_policy(local: Local) -> None:
    local.serving("a")
    register(local, low=2)
    track(local)
    eventually(lambda: count(local) == 2 and activities(local)[0]["StatusCode"] == "Successful", "minimum is kept")
    assert activities(local)[0]["Cause"] == "minimum capacity was set to 2"


@pytest.mark.long
def test_what_is_suspended_does_not_scale_until_that_is_lifted(local: Local) -> None:
    local.serving("a")
    bounds = {"MinCapacity": 1, "MaxCapacity": 3}
    do(local, "RegisterScalableTarget", **bounds, SuspendedState={"DynamicScalingOutSuspended": True})
    steps(local)
    put_depth(local, 7)
    eventually(lambda: local.alarm_state("waiting") == "ALARM", "the alarm fires")
    for _ in range(3):  # as often as scaling looks, and once more
        put_depth(local, 7)
        time.sleep(0.2)
    assert activities(local) == []
    assert local.alarm_state("waiting") == "ALARM"
    do(local, "RegisterScalableTarget", **bounds, SuspendedState={"DynamicScalingOutSuspended": False})
    put_depth(local, 7)
    eventually(lambda: count(local) == 2, "one step")


def test_scaling_goes_on_after_a_restart(local: Local) -> None:
    local.serving("a")
    register(local)
    steps(local)
    local.aws.close()
    local.aws = open_local(local.aws.root)
    endpoints.resume(local.aws)
    resume(local.aws)
    put_depth(local, 7)
    eventually(lambda: count(local) == 2, "one step")


def test_target_tracking_makes_alarms_and_takes_them_away_again(local: Local) -> None:
    local.serving("a")
    arn = register(local)["ScalableTargetARN"]
    first = track(local)
    high, low = local.aws.services.alarms(local.account, REGION, [alarm["AlarmName"] for alarm in first["Alarms"]])
    assert high.name.startswith("TargetTracking-endpoint/e/variant/v1-AlarmHigh-")
    assert (high.metric, high.statistic, high.threshold, high.evaluation_periods) == (
        "InvocationsPerInstance",
        "Sum",
        10,
        3,
    )
    assert (low.comparison, low.threshold, low.evaluation_periods) == ("LessThanThreshold", 9, 15)
    again = track(local, DisableScaleIn=True)
    assert (again["PolicyARN"], len(again["Alarms"])) == (first["PolicyARN"], 1)
    assert local.aws.services.alarms(local.account, REGION, [high.name, low.name]) == []
    [described] = do(local, "DescribeScalingPolicies", PolicyNames=["follow"])["ScalingPolicies"]
    assert described["TargetTrackingScalingPolicyConfiguration"]["DisableScaleIn"]
    [target] = do(local, "DescribeScalableTargets", ResourceIds=[VARIANT["ResourceId"]])["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"], target["ScalableTargetARN"]) == (1, 4, arn)
    do(local, "DeleteScalingPolicy", PolicyName="follow")
    assert local.aws.services.alarms(local.account, REGION, [again["Alarms"][0]["AlarmName"]]) == []
    assert do(local, "DescribeScalingPolicies")["ScalingPolicies"] == []


def test_deregistering_and_deleting_the_endpoint_leave_no_policy_and_no_alarm(local: Local) -> None:
    local.serving("a")
    leaving: list[Callable[[], Any]] = [
        lambda: do(local, "DeregisterScalableTarget"),
        lambda: local.do("DeleteEndpoint", EndpointName="e"),
    ]
    alarms = []
    for leave in leaving:
        register(local)
        alarms += [alarm["AlarmName"] for alarm in track(local)["Alarms"]]
        leave()
        assert do(local, "DescribeScalableTargets")["ScalableTargets"] == []
        assert do(local, "DescribeScalingPolicies")["ScalingPolicies"] == []
    assert local.aws.services.alarms(local.account, REGION, alarms) == []


def test_a_scaled_variant_keeps_its_instance_type_until_it_is_deregistered(local: Local) -> None:
    local.serving("a")
    register(local)
    larger = local.config("larger", "a")
    document = local.aws.store.get(local.scope, "endpoint-config", larger) or {}
    document["ProductionVariants"][0]["InstanceType"] = "ml.m5.4xlarge"
    local.aws.store.put(local.scope, "endpoint-config", larger, document)
    error = refused(lambda: local.update(larger))
    assert error.code == "ValidationException"
    assert "must be deregistered as scalable targets" in error.message
    desired = [{"VariantName": "v1", "DesiredInstanceCount": 2}]
    local.do("UpdateEndpointWeightsAndCapacities", EndpointName="e", DesiredWeightsAndCapacities=desired)
    assert local.settled()["EndpointStatus"] == "InService"
    do(local, "DeregisterScalableTarget")
    local.update(larger)
    assert local.settled()["EndpointConfigName"] == "larger"


@pytest.mark.parametrize(
    ("name", "members", "says"),
    [
        ("RegisterScalableTarget", {"MinCapacity": 1}, "MinCapacity and MaxCapacity are required"),
        ("RegisterScalableTarget", {"MinCapacity": 2, "MaxCapacity": 1}, "cannot be less than minimum"),
        ("RegisterScalableTarget", {"MinCapacity": 0, "MaxCapacity": 1}, "real-time endpoint cannot be less than 1"),
        ("RegisterScalableTarget", {"ResourceId": "endpoint/e/variant/x", "MinCapacity": 1, "MaxCapacity": 1}, "not found"),
        ("RegisterScalableTarget", {"ResourceId": "e"}, "Unsupported resource ID"),
        ("RegisterScalableTarget", {"ServiceNamespace": "ecs"}, "scales sagemaker only"),
        ("RegisterScalableTarget", {"ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency"}, "scales by"),
        ("DeregisterScalableTarget", {}, "No scalable target found for service namespace: sagemaker"),
        ("PutScalingPolicy", {"PolicyName": "p", "PolicyType": "StepScaling"}, "No scalable target found"),
        ("DeleteScalingPolicy", {"PolicyName": "p"}, "No scaling policy found"),
        ("DescribeScalableTargets", {"NextToken": "x"}, "Invalid NextToken"),
    ],
)  # fmt: skip
def test_what_is_refused(local: Local, name: str, members: dict[str, Any], says: str) -> None:
    local.model("a")
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("a"))
    error = refused(lambda: do(local, name, **members))
    codes = {"No": "ObjectNotFoundException", "In": "InvalidNextTokenException"}
    assert error.code == codes.get(says[:2], "ValidationException")
    assert says in error.message


@pytest.mark.parametrize(
    ("kind", "config", "says"),
    [
        ("PredictiveScaling", {}, "policy types"),
        ("TargetTrackingScaling", {}, "needs TargetTrackingScalingPolicyConfiguration"),
        ("TargetTrackingScaling", {TRACK: {"TargetValue": 1.0}}, "Exactly one"),
        ("TargetTrackingScaling", {TRACK: TRACKING}, "Only one TargetTrackingScaling"),
        ("TargetTrackingScaling", {TRACK: TRACKING | {"TargetValue": 0.0}}, "greater than zero"),
        ("StepScaling", {"StepScalingPolicyConfiguration": {}}, "AdjustmentType"),
        ("StepScaling", {"StepScalingPolicyConfiguration": {"AdjustmentType": "ExactCapacity"}}, "At least one"),
    ],
)  # fmt: skip
def test_policies_that_are_refused(local: Local, kind: str, config: dict[str, Any], says: str) -> None:
    local.model("a")
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("a"))
    register(local)
    track(local, "first")
    error = refused(lambda: do(local, "PutScalingPolicy", PolicyName="p", PolicyType=kind, **config))
    assert (error.code, says in error.message) == ("ValidationException", True), error.message


@pytest.mark.parametrize(("kind", "says"), [("ml.t2.medium", "it is burstable"), (None, "it is serverless")])
def test_variants_that_cannot_be_scaled(local: Local, kind: str | None, says: str) -> None:
    local.model("a")
    config = local.config("a") if kind else local.serverless("a")
    if kind:
        document = local.aws.store.get(local.scope, "endpoint-config", config) or {}
        document["ProductionVariants"][0]["InstanceType"] = kind
        local.aws.store.put(local.scope, "endpoint-config", config, document)
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=config)
    assert says in refused(lambda: register(local)).message
