"""A DeploymentConfig is checked against SageMaker's limits and becomes the steps that traffic takes."""

from typing import Any

import pytest

from common.local.api import ApiError
from common.local.hosting.policy import ALL_AT_ONCE, Rolling, Step, deployment_policy, refuse_excluded
from common.local.hosting.spec import FleetSpec, VariantSpec


def config(kind: str, wait: int = 60, alarms: tuple[str, ...] = (), **members: Any) -> dict[str, Any]:
    routing: dict[str, Any] = {"Type": kind, "WaitIntervalInSeconds": wait}
    routing |= {name: members.pop(name) for name in ("CanarySize", "LinearStepSize") if name in members}
    found: dict[str, Any] = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, **members}}
    if alarms:
        found["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in alarms]}
    return found


def rolling(size: dict[str, Any], wait: int = 60, **members: Any) -> dict[str, Any]:
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": wait, **members}}


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def instances(value: int) -> dict[str, Any]:
    return {"Type": "INSTANCE_COUNT", "Value": value}


def test_no_configuration_is_all_at_once_without_baking_or_alarms() -> None:
    assert deployment_policy(None, 1) == ALL_AT_ONCE


def test_all_at_once_bakes_once_with_all_traffic() -> None:
    assert deployment_policy(config("ALL_AT_ONCE", 300), 1).steps == (Step(100, 300),)


def test_canary_bakes_with_the_canary_and_then_with_all_traffic() -> None:
    policy = deployment_policy(config("CANARY", 120, CanarySize=percent(10)), 1)
    assert policy.steps == (Step(10, 120), Step(100, 120))


@pytest.mark.parametrize(
    ("step", "shares"),
    [(10, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]), (30, [30, 60, 90, 100]), (50, [50, 100])],
)
def test_linear_steps_add_up_to_all_traffic(step: int, shares: list[float]) -> None:
    policy = deployment_policy(config("LINEAR", 5, LinearStepSize=percent(step)), 1)
    assert [each.percent for each in policy.steps] == shares


def test_sizes_in_instances_are_shares_of_the_new_fleet() -> None:
    assert deployment_policy(config("CANARY", CanarySize=instances(1)), 4).steps[0].percent == 25
    linear = deployment_policy(config("LINEAR", LinearStepSize=instances(1)), 3)
    assert [round(each.percent) for each in linear.steps] == [33, 67, 100]


@pytest.mark.parametrize("fleet", range(2, 11))
def test_steps_of_one_instance_are_as_many_as_instances_and_end_with_all_traffic(fleet: int) -> None:
    steps = deployment_policy(config("LINEAR", LinearStepSize=instances(1)), fleet).steps
    assert (len(steps), steps[-1].percent) == (fleet, 100)


def test_alarms_termination_wait_and_time_limit_are_kept() -> None:
    policy = deployment_policy(
        config("ALL_AT_ONCE", 60, ("a", "b"), TerminationWaitInSeconds=90, MaximumExecutionTimeoutInSeconds=600), 1
    )
    assert (policy.alarms, policy.termination_wait_seconds, policy.maximum_seconds) == (("a", "b"), 90, 600)


def test_alarms_alone_guard_an_update_all_at_once() -> None:
    policy = deployment_policy({"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}}, 1)
    assert (policy.steps, policy.alarms) == (ALL_AT_ONCE.steps, ("a",))


@pytest.mark.parametrize(
    ("wrong", "size", "message"),
    [
        (config("CANARY"), 1, "CanarySize is required"),
        (config("LINEAR"), 1, "LinearStepSize is required"),
        (config("CANARY", CanarySize=percent(51)), 1, "at most 50 percent"),
        (config("CANARY", CanarySize=instances(1)), 1, "at most 50 percent"),
        (config("LINEAR", LinearStepSize=percent(51)), 1, "at most 50 percent"),
        (config("LINEAR", LinearStepSize=percent(9)), 1, "from 10 to 50 percent"),
        (config("LINEAR", LinearStepSize=instances(1)), 20, "from 10 to 50 percent"),
        (config("ALL_AT_ONCE", CanarySize=percent(10)), 1, "only valid for traffic routing type CANARY"),
        (config("CANARY", CanarySize=percent(10), LinearStepSize=percent(10)), 1, "only valid for .* LINEAR"),
        (config("ALL_AT_ONCE", alarms=("a", "a")), 1, "more than once"),
        (rolling(percent(4)), 40, "MaximumBatchSize must be from 5 to 50 percent"),
        (rolling(percent(51)), 4, "MaximumBatchSize must be from 5 to 50 percent"),
        (rolling(instances(3)), 4, "MaximumBatchSize must be from 5 to 50 percent of the variant's 4 instance"),
        (rolling(instances(1)), 1, "MaximumBatchSize must be from 5 to 50 percent"),
        (
            rolling(instances(1), RollbackMaximumBatchSize=instances(5)),
            4,
            "RollbackMaximumBatchSize must be from 0 to 100",
        ),
        (rolling(instances(1), 300, MaximumExecutionTimeoutInSeconds=1200), 4, "must be larger than the total waiting"),
        ({"RollingUpdatePolicy": {}, "BlueGreenUpdatePolicy": {}}, 1, "not both"),
    ],
)
def test_what_sagemaker_refuses_is_refused_with_the_reason(wrong: dict[str, Any], size: int, message: str) -> None:
    with pytest.raises(ApiError, match=message) as refused:
        deployment_policy(wrong, size)
    assert refused.value.code == "ValidationException"


@pytest.mark.parametrize(
    ("size", "fleet", "batch"),
    [(percent(50), 4, 2), (percent(50), 3, 1), (percent(33), 3, 1), (percent(5), 4, 1), (instances(2), 5, 2)],
)
def test_batches_are_rounded_down_to_whole_instances_but_never_to_none(
    size: dict[str, Any], fleet: int, batch: int
) -> None:
    policy = deployment_policy(rolling(size, 90), fleet)
    assert policy.rolling == Rolling(batch, rollback_batch=fleet, bake_seconds=90)  # a rollback brings all back at once


def test_a_rollback_in_batches_has_its_own_size() -> None:
    policy = deployment_policy(rolling(percent(50), RollbackMaximumBatchSize=percent(25)), 4)
    assert policy.rolling == Rolling(2, rollback_batch=1, bake_seconds=60)


def test_rolling_updates_are_refused_for_several_variants() -> None:
    one, two = (FleetSpec("c", tuple(VariantSpec(f"v{n}", (), 2, 1.0) for n in range(count))) for count in (1, 2))
    policy = deployment_policy(rolling(percent(50)), 2)
    refuse_excluded(policy, one, one)
    for fleets in ((one, two), (two, one)):
        with pytest.raises(ApiError, match="several production variants"):
            refuse_excluded(policy, *fleets)
    refuse_excluded(ALL_AT_ONCE, two)


@pytest.mark.parametrize(
    ("wait", "termination", "allowed"), [(300, 0, False), (250, 100, False), (250, 99, True), (299, 0, True)]
)
def test_the_time_limit_must_exceed_the_waits_together(wait: int, termination: int, allowed: bool) -> None:
    wanted = config(
        "CANARY",
        wait,
        CanarySize=percent(10),
        TerminationWaitInSeconds=termination,
        MaximumExecutionTimeoutInSeconds=600,
    )
    if allowed:
        assert deployment_policy(wanted, 1).maximum_seconds == 600
    else:
        with pytest.raises(ApiError, match="must be larger than the total waiting time"):
            deployment_policy(wanted, 1)
