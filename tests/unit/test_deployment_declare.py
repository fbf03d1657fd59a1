"""Declarations that cannot work are refused where they are written."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.deployment.alarms import Alarm
from common.deployment.rollout import AllAtOnce, Canary, Linear, Rolling, Rollout, baking_seconds, deployment_config
from common.errors import UsageError


@pytest.mark.parametrize(
    "rollout",
    [
        lambda: AllAtOnce(-1),
        lambda: AllAtOnce(3601),
        lambda: Canary(10, 3601),
        lambda: Linear(10, 3600),
        lambda: Rolling(5, 676),
    ],
)
def test_baking_times_that_sagemaker_refuses_are_refused(rollout: Callable[[], Rollout]) -> None:
    with pytest.raises(UsageError, match="is not possible"):
        rollout()


@pytest.mark.parametrize("seconds", [0, 10, 30, 90])
def test_alarm_periods_that_never_see_data_are_refused(seconds: int) -> None:
    with pytest.raises(UsageError, match="multiple of 60"):
        Alarm("ModelLatency", "p99", 1e5, period_seconds=seconds)


@pytest.mark.parametrize(
    ("rollout", "said"),
    [
        (lambda: Rolling(4), "Batches of 4 %"),
        (lambda: Rolling(51), "Batches of 51 %"),
        (lambda: Rolling(10, rollback_percent=4), "in batches of 4 %"),
        (lambda: Rolling(10, rollback_percent=101), "in batches of 101 %"),
    ],
)
def test_batches_that_sagemaker_refuses_are_refused(rollout: Callable[[], Rollout], said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        rollout()
    assert error.value.remedy


@given(st.integers(5, 50), st.integers(0, 675), st.integers(2, 400))
def test_a_rolling_update_leaves_time_for_every_batch_of_a_fleet_of_any_size(
    percent: int, bake: int, instances: int
) -> None:
    rollout = Rolling(percent, bake)
    batches = -(-instances // max(1, instances * percent // 100))
    assert batches <= rollout.most_batches
    update = deployment_config(rollout, ["a"])["RollingUpdatePolicy"]
    assert 600 <= update["MaximumExecutionTimeoutInSeconds"] <= 28800
    assert update["MaximumExecutionTimeoutInSeconds"] > batches * bake
    assert baking_seconds(rollout, instances) == batches * bake


@pytest.mark.parametrize(
    "rollout", [AllAtOnce(0), AllAtOnce(3600), Canary(50, 3600), Linear(50, 3600), Linear(10, 2700), Linear(30, 60)]
)
def test_the_time_limit_of_a_deploy_is_more_than_its_waits(rollout: Rollout) -> None:
    policy = deployment_config(rollout, ["a"])
    update = policy["BlueGreenUpdatePolicy"]
    routing, limit = update["TrafficRoutingConfiguration"], update["MaximumExecutionTimeoutInSeconds"]
    step = routing.get("LinearStepSize", {}).get("Value", 50 if routing["Type"] == "CANARY" else 100)
    assert 600 <= limit <= 28800
    assert limit > -(-100 // step) * routing["WaitIntervalInSeconds"] + update["TerminationWaitInSeconds"]
