"""Declarations that cannot work are refused where they are written."""

from collections.abc import Callable

import pytest

from common.deployment.alarms import Alarm
from common.deployment.declare import Endpoint
from common.deployment.rollout import AllAtOnce, Canary, Linear, Rollout, deployment_config
from common.errors import UsageError


def test_two_alarms_that_would_share_a_name_are_refused() -> None:
    with pytest.raises(UsageError, match="same statistic of the same metric"):
        Endpoint("ml.m5.large", AllAtOnce(), (Alarm("ModelLatency", "p99", 1e5), Alarm("ModelLatency", "p99", 2e5)))


@pytest.mark.parametrize(
    "rollout", [lambda: AllAtOnce(-1), lambda: AllAtOnce(3601), lambda: Canary(10, 3601), lambda: Linear(10, 3600)]
)
def test_baking_times_that_sagemaker_refuses_are_refused(rollout: Callable[[], Rollout]) -> None:
    with pytest.raises(UsageError, match="is not possible"):
        rollout()


@pytest.mark.parametrize("seconds", [0, 10, 30, 90])
def test_alarm_periods_that_never_see_data_are_refused(seconds: int) -> None:
    with pytest.raises(UsageError, match="multiple of 60"):
        Alarm("ModelLatency", "p99", 1e5, period_seconds=seconds)


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
