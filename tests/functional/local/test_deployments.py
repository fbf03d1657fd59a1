"""UpdateEndpoint under constant load: real traffic shifts, real alarms, and always a fleet that serves."""

import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from common.local.api import ApiError
from tests.functional.local.hosting_kit import Load, Local, constant_load, eventually, open_local

ENDPOINT_BUSY = 'Cannot update in-progress endpoint "arn:aws:sagemaker:eu-west-1:{account}:endpoint/e".'


def blue_green(kind: str, wait: int, *alarms: str, size: int = 0, **members: Any) -> dict[str, Any]:
    """A DeploymentConfig; waits are seconds of AWS, a hundred times those that pass here."""
    routing: dict[str, Any] = {"Type": kind, "WaitIntervalInSeconds": wait}
    member = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}.get(kind)
    if member:
        routing[member] = {"Type": "CAPACITY_PERCENT", "Value": size}
    config: dict[str, Any] = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, **members}}
    if alarms:
        config["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in alarms]}
    return config


def baking_shares(local: Local, load: Load) -> list[float]:
    """Share of the new model `b` in each baking period of the update under way, as callers saw it."""
    seen: defaultdict[float, list[int]] = defaultdict(list)

    def settled() -> bool:
        answers = len(load.answers)
        description = local.describe()
        pending = description.get("PendingDeploymentSummary")
        if pending:
            [status] = pending["ProductionVariants"][0]["VariantStatus"]
            if status["Status"] == "Baking":
                seen[status["StartTime"]].append(answers)
        return bool(description["EndpointStatus"] == "InService")

    eventually(settled, "the update settles")
    periods = [load.answers[min(at) : max(at)] for _, at in sorted(seen.items())]
    return [period.count("b") / len(period) for period in periods]


@pytest.fixture
def load(local: Local) -> Iterator[Load]:
    """Constant load on endpoint `e`, which serves model `a`; models `b` and its configuration are there."""
    local.serving("a")
    local.model("b")
    local.config("b")
    with constant_load(local) as load:
        eventually(lambda: len(load.answers) > 20, "the load runs")
        yield load


def test_an_update_without_a_deployment_config_switches_all_traffic_and_fails_no_request(
    local: Local, load: Load
) -> None:
    old = local.process_ids()
    local.update("b")
    assert local.settled()["EndpointConfigName"] == "b"
    after = len(load.answers) + 4  # requests that were under way with the old fleet have been answered, but count later
    eventually(lambda: len(load.answers) > after + 50, "more requests")
    assert set(load.answers[after:]) == {"b"}
    assert not load.errors
    assert not any(_runs(process_id) for process_id in old)


def test_all_at_once_bakes_with_all_traffic_on_the_new_fleet(local: Local, load: Load) -> None:
    local.update("b", DeploymentConfig=blue_green("ALL_AT_ONCE", 50))
    [share] = baking_shares(local, load)
    assert share > 0.95
    assert not load.errors


def test_a_canary_gets_its_share_exactly_and_then_everything(local: Local, load: Load) -> None:
    local.update("b", DeploymentConfig=blue_green("CANARY", 70, size=10))
    canary, everything = baking_shares(local, load)
    assert canary == pytest.approx(0.10, abs=0.03)
    assert everything > 0.95
    assert not load.errors


def test_linear_shifts_step_by_step(local: Local, load: Load) -> None:
    local.update("b", DeploymentConfig=blue_green("LINEAR", 50, size=25))
    shares = baking_shares(local, load)
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1.0], abs=0.05)
    assert all(before < after for before, after in pairwise(shares))
    assert not load.errors


def test_the_pending_deployment_is_described_while_it_lasts(local: Local, load: Load) -> None:
    config = blue_green("CANARY", 50, size=10, TerminationWaitInSeconds=10)
    local.update("b", DeploymentConfig=config)
    during = local.describe()
    assert (during["EndpointStatus"], during["EndpointConfigName"]) == ("Updating", "a")
    assert during["PendingDeploymentSummary"]["EndpointConfigName"] == "b"
    after = local.settled()
    assert after["PendingDeploymentSummary"] is None
    assert (after["EndpointConfigName"], after["LastDeploymentConfig"]) == ("b", config)


def test_an_alarm_during_baking_brings_the_old_model_back(local: Local) -> None:
    local.serving("a")
    local.model("b", status=500)
    local.put_alarm("errors")
    with constant_load(local) as load:
        config = local.config("b")
        local.update(config, DeploymentConfig=blue_green("CANARY", 1000, "errors", size=30))
        after = local.settled()
        alarmed = local.alarm_state("errors")
        failed, answered = len(load.errors), len(load.answers)
        eventually(lambda: len(load.answers) > answered + 50, "more requests")
        # Requests that the canary was answering when it was rolled back may still be counted, one for each caller.
        assert len(load.errors) <= failed + 4
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", "a")
    assert "errors" in after["FailureReason"]
    assert alarmed == "ALARM"
    assert failed > 0
    assert set(load.answers) == {"a"}


def test_an_alarm_set_by_hand_rolls_back_and_no_request_fails(local: Local, load: Load) -> None:
    local.put_alarm("by-hand")
    local.update("b", DeploymentConfig=blue_green("LINEAR", 500, "by-hand", size=50))
    eventually(lambda: "b" in load.answers, "the new fleet gets traffic")
    local.aws.services.set_alarm_state(local.account, "eu-west-1", "by-hand", "ALARM", "a drill")
    after = local.settled()
    assert (after["EndpointConfigName"], "by-hand" in after["FailureReason"]) == ("a", True)
    answered = len(load.answers) + 4
    eventually(lambda: len(load.answers) > answered + 50, "more requests")
    assert set(load.answers[answered:]) == {"a"}
    assert not load.errors


def test_an_alarm_that_goes_back_to_ok_by_itself_once_the_metrics_say_so(local: Local, load: Load) -> None:
    local.put_alarm("by-hand")
    local.aws.services.set_alarm_state(local.account, "eu-west-1", "by-hand", "ALARM", "a drill")
    eventually(lambda: local.alarm_state("by-hand") == "OK", "evaluated again")


@pytest.mark.parametrize(
    "behaviour", [{"exit": 3}, {"healthy": False}], ids=["the container ends", "the container never answers its ping"]
)
def test_a_new_fleet_that_does_not_become_healthy_is_rolled_back_silently(
    local: Local, load: Load, behaviour: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.local.hosting.fleet.STARTUP_FLOOR_SECONDS", 0.5)
    local.model("b", **behaviour)
    local.aws.time_scale = 0.0001
    local.update("b")
    after = local.settled()
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", "a")
    assert after["FailureReason"] == (
        "The primary container for production variant v1 did not pass the ping health check. Please check CloudWatch "
        "logs for this endpoint."
    )
    assert set(load.answers) == {"a"}
    assert not load.errors


def test_the_failure_of_one_update_is_forgotten_by_the_next(local: Local, load: Load) -> None:
    local.model("bad", exit=1)
    local.update(local.config("bad"))
    assert "FailureReason" in local.settled()
    local.update("b")
    after = local.settled()
    assert (after["EndpointConfigName"], after.get("FailureReason")) == ("b", None)


def test_an_update_that_breaks_down_halfway_leaves_all_traffic_with_the_old_model(
    local: Local, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[str]:
        raise OSError("No space left on device")

    old = local.process_ids()
    with monkeypatch.context() as patched:
        patched.setattr("common.local.hosting.alarm_watch.AlarmWatch.in_alarm", broken)
        local.update("b", DeploymentConfig=blue_green("CANARY", 100, size=50))
        settled = local.settled()
    assert settled["EndpointStatus"] == "UpdateRollbackFailed"
    assert "No space left on device" in settled["FailureReason"]
    answered = len(load.answers) + 4
    eventually(lambda: len(load.answers) > answered + 50, "more requests")
    assert set(load.answers[answered:]) == {"a"}
    assert local.process_ids() == old
    assert not load.errors


def test_a_deployment_over_its_time_limit_is_rolled_back(
    local: Local, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.local.hosting.deployment.STARTUP_FLOOR_SECONDS", 0)
    local.aws.time_scale = 0.001
    limits = blue_green("ALL_AT_ONCE", 599, MaximumExecutionTimeoutInSeconds=600)  # a millisecond to start the fleet
    local.update("b", DeploymentConfig=limits)
    after = local.settled()
    assert after["EndpointConfigName"] == "a"
    assert after["FailureReason"] == "The deployment took longer than its MaximumExecutionTimeoutInSeconds."
    assert not load.errors


def test_of_two_updates_at_once_exactly_one_wins(local: Local, load: Load) -> None:
    local.model("c")
    local.config("c")
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def update(config: str) -> None:
        start.wait()
        try:
            local.update(config, DeploymentConfig=blue_green("ALL_AT_ONCE", 30))
            outcomes.append(config)
        except ApiError as error:
            outcomes.append(error.message)

    threads = [threading.Thread(target=update, args=(config,)) for config in ("b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused, won = sorted(outcomes)
    assert refused == ENDPOINT_BUSY.format(account=local.account)
    assert local.settled()["EndpointConfigName"] == won
    assert not load.errors


def test_an_endpoint_in_the_middle_of_an_update_is_neither_updated_nor_resized_nor_deleted(
    local: Local, load: Load
) -> None:
    local.update("b", DeploymentConfig=blue_green("ALL_AT_ONCE", 50))
    weights = [{"VariantName": "v1", "DesiredWeight": 2.0}]
    for name, members in (
        ("UpdateEndpoint", {"EndpointConfigName": "b"}),
        ("UpdateEndpointWeightsAndCapacities", {"DesiredWeightsAndCapacities": weights}),
        ("DeleteEndpoint", {}),
    ):
        with pytest.raises(ApiError) as refused:
            local.do(name, EndpointName="e", **members)
        assert refused.value.message == ENDPOINT_BUSY.format(account=local.account)
    assert local.settled()["EndpointConfigName"] == "b"


def test_alarms_that_do_not_exist_and_other_variant_names_are_refused(local: Local, load: Load) -> None:
    with pytest.raises(ApiError, match="Could not find the alarms of AutoRollbackConfiguration: nobody"):
        local.update("b", DeploymentConfig=blue_green("ALL_AT_ONCE", 0, "nobody"))
    with pytest.raises(ApiError, match="same variant names"):
        local.update(local.config("two", "a", "b"), DeploymentConfig=blue_green("ALL_AT_ONCE", 0))
    assert local.describe()["EndpointStatus"] == "InService"


def test_an_alarm_that_is_deleted_during_baking_rolls_back(local: Local, load: Load) -> None:
    local.put_alarm("errors")
    local.update("b", DeploymentConfig=blue_green("ALL_AT_ONCE", 1000, "errors"))
    eventually(lambda: "b" in load.answers, "the new fleet gets traffic")
    from moto.backends import get_backend

    get_backend("cloudwatch")[local.account]["eu-west-1"].delete_alarms(["errors"])
    assert local.settled()["EndpointConfigName"] == "a"


def test_the_last_deployment_config_can_be_used_again(local: Local, load: Load) -> None:
    config = blue_green("ALL_AT_ONCE", 1)
    local.update("b", DeploymentConfig=config)
    local.settled()
    local.update("a", RetainDeploymentConfig=True)
    assert local.settled()["LastDeploymentConfig"] == config
    with pytest.raises(ApiError, match="together with RetainDeploymentConfig"):
        local.update("b", RetainDeploymentConfig=True, DeploymentConfig=config)


def test_retained_variant_properties_outlive_the_update_except_those_excluded(local: Local) -> None:
    local.serving("a")
    local.do(
        "UpdateEndpointWeightsAndCapacities",
        EndpointName="e",
        DesiredWeightsAndCapacities=[{"VariantName": "v1", "DesiredWeight": 3.0, "DesiredInstanceCount": 2}],
    )
    local.settled()
    local.model("b")
    local.update(
        local.config("b"),
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredWeight"}],
    )
    [variant] = local.settled()["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (2, 1)


def test_retained_weights_that_leave_no_traffic_to_anybody_are_refused(local: Local) -> None:
    local.model("a")
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("aa", "a", "a"))
    local.settled()
    local.do(
        "UpdateEndpointWeightsAndCapacities",
        EndpointName="e",
        DesiredWeightsAndCapacities=[{"VariantName": "v1", "DesiredWeight": 0.0}],
    )
    local.settled()
    with pytest.raises(ApiError, match="weight above zero"):
        local.update(local.config("only-v1", "a"), RetainAllVariantProperties=True)
    assert local.describe()["EndpointStatus"] == "InService"


def test_a_restart_in_the_middle_of_an_update_serves_the_old_model_again(local: Local) -> None:
    from common.local.sagemaker.endpoints import resume

    local.serving("a")
    local.model("b")
    local.update(local.config("b"), DeploymentConfig=blue_green("CANARY", 3000, size=50))
    eventually(lambda: local.invoke()[0] == b"b:", "the canary answers")
    old = local.process_ids()
    local.aws.close()
    assert not any(_runs(process_id) for process_id in old)

    again = Local(open_local(local.aws.root), local.account)
    try:
        resume(again.aws)
        assert {again.invoke()[0] for _ in range(20)} == {b"a:"}  # the first one waits for the worker
        description = again.describe()
        assert (description["EndpointStatus"], description["EndpointConfigName"]) == ("InService", "a")
        assert "interrupted" in description["FailureReason"]
        again.update("b")
        assert again.settled()["EndpointConfigName"] == "b"
    finally:
        again.aws.close()


def _runs(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True
