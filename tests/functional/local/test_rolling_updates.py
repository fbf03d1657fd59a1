"""Rolling updates under constant load: batch by batch to the new fleet, and back from the middle of it."""

from collections.abc import Iterator
from typing import Any

import pytest

from common.local.api import ApiError
from common.local.hosting import lifecycle
from common.local.hosting.deployment import Phase
from common.local.hosting.host import Hosting
from common.local.hosting.spec import FleetSpec
from common.local.hosting.telemetry import Origin
from tests.functional.local.hosting_kit import Load, Local, constant_load, eventually

Counts = tuple[int, int]
"""Instances of the old fleet and of the new one, as DescribeEndpoint tells them."""


def rolling(wait: int, *alarms: str, batch: int = 1, back: dict[str, Any] | None = None) -> dict[str, Any]:
    """A DeploymentConfig; waits are seconds of AWS, a hundred times those that pass here."""
    size = {"Type": "INSTANCE_COUNT", "Value": batch}
    config: dict[str, Any] = {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": wait}}
    if back:
        config["RollingUpdatePolicy"]["RollbackMaximumBatchSize"] = back
    if alarms:
        config["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in alarms]}
    return config


def watched(local: Local, load: Load) -> dict[Counts, list[str]]:
    """Who answered in each baking period of the update under way, by the instances that there were in it."""
    seen: dict[Counts, list[int]] = {}

    def settled() -> bool:
        answered, description = len(load.answers), local.describe()
        if pending := description.get("PendingDeploymentSummary"):
            [old], [new] = description["ProductionVariants"], pending["ProductionVariants"]
            if new["VariantStatus"][0]["Status"] == "Baking" and description["EndpointStatus"] == "Updating":
                counts = old["CurrentInstanceCount"], new["CurrentInstanceCount"]
                seen.setdefault(counts, []).append(answered)
        return bool(description["EndpointStatus"] == "InService")

    eventually(settled, "the update settles")
    return {counts: load.answers[min(at) : max(at)] for counts, at in seen.items()}


@pytest.fixture
def load(local: Local) -> Iterator[Load]:
    """Constant load on endpoint `e`, where four instances serve model `a`; model `b` has as many in its configuration."""
    for name in ("a", "b"):
        local.model(name)
        local.config(name, instances=4)
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName="a")
    assert local.settled()["EndpointStatus"] == "InService"
    with constant_load(local) as load:
        eventually(lambda: len(load.answers) > 20, "the load runs")
        yield load


def test_batches_replace_one_another_and_traffic_follows_them(local: Local, load: Load) -> None:
    local.update("b", DeploymentConfig=rolling(60))
    seen = watched(local, load)
    assert list(seen) == [(4, 1), (3, 2), (2, 3), (1, 4)]  # never more than one beyond the fleet
    shares = [answers.count("b") / len(answers) for answers in seen.values()]
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1.0], abs=0.06)
    after = local.describe()
    assert (after["EndpointConfigName"], after["ProductionVariants"][0]["CurrentInstanceCount"]) == ("b", 4)
    assert not load.errors
    answered = len(load.answers) + 4
    eventually(lambda: len(load.answers) > answered + 50, "more requests")
    assert set(load.answers[answered:]) == {"b"}


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, int, int]]:
    """What DescribeEndpoint can show of the updates, each with the instances of the old and the new fleet."""
    found: list[tuple[str | None, int, int]] = []
    enter = lifecycle._enter

    def noting(hosting: Hosting, origin: Origin, phase: Phase | None, old: FleetSpec, new: FleetSpec) -> None:
        found.append((phase, old.instances, new.instances))
        enter(hosting, origin, phase, old, new)

    monkeypatch.setattr(lifecycle, "_enter", noting)
    return found


def test_the_last_batch_is_what_is_left_and_fleets_may_differ_in_size(
    local: Local, load: Load, steps: list[tuple[str | None, int, int]]
) -> None:
    local.update(local.config("more", "b", instances=5), DeploymentConfig=rolling(20, batch=2))
    assert local.settled()["ProductionVariants"][0]["CurrentInstanceCount"] == 5
    assert [counts for phase, *counts in steps if phase == Phase.BAKING] == [[4, 2], [3, 4], [1, 5]]
    assert not load.errors


def alarm_when(local: Local, old_instances: int) -> None:
    """Set off the alarm `by-hand` when so many old instances are left."""
    eventually(
        lambda: local.describe()["ProductionVariants"][0]["CurrentInstanceCount"] == old_instances, "old instances go"
    )
    local.aws.services.set_alarm_state(local.account, "eu-west-1", "by-hand", "ALARM", "a drill")


@pytest.mark.parametrize(
    ("back", "way"),
    [(None, [(2, 3), (4, 3)]), ({"Type": "INSTANCE_COUNT", "Value": 1}, [(2, 3), (3, 1), (4, 1)])],
    ids=["all at once", "one by one"],
)
def test_an_alarm_in_the_middle_brings_the_old_instances_back(
    local: Local,
    load: Load,
    steps: list[tuple[str | None, int, int]],
    back: dict[str, Any] | None,
    way: list[Counts],
) -> None:
    local.put_alarm("by-hand")
    local.update("b", DeploymentConfig=rolling(50, "by-hand", back=back))
    alarm_when(local, old_instances=2)
    after = local.settled()
    assert [counts for phase, *counts in steps if phase is None] == [list(counts) for counts in way]
    assert (after["EndpointConfigName"], "by-hand" in after["FailureReason"]) == ("a", True)
    assert after["ProductionVariants"][0]["CurrentInstanceCount"] == 4
    assert "b" in load.answers
    assert not load.errors
    answered = len(load.answers) + 4
    eventually(lambda: len(load.answers) > answered + 50, "more requests")
    assert set(load.answers[answered:]) == {"a"}


def test_a_first_batch_that_does_not_start_leaves_the_old_fleet_whole(
    local: Local, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.local.hosting.fleet.STARTUP_FLOOR_SECONDS", 0.5)
    local.model("bad", exit=1)
    local.update(local.config("bad", instances=4), DeploymentConfig=rolling(10))
    after = local.settled()
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", "a")
    assert "ping health check" in after["FailureReason"]
    assert set(load.answers) == {"a"}
    assert not load.errors


@pytest.mark.long
def test_a_way_back_that_fails_is_said_and_what_is_left_of_the_old_fleet_serves(local: Local, load: Load) -> None:
    local.put_alarm("by-hand")
    local.update("b", DeploymentConfig=rolling(150, "by-hand"))
    eventually(
        lambda: local.describe()["ProductionVariants"][0]["CurrentInstanceCount"] == 2, "half of the fleet is new"
    )
    local.put_object("a.tar.gz", b"no archive")
    alarm_when(local, old_instances=1)
    after = local.settled()
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("UpdateRollbackFailed", "a")
    assert "by-hand. The way back failed, too: " in after["FailureReason"]
    assert after["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    answered = len(load.answers) + 4
    eventually(lambda: len(load.answers) > answered + 20, "more requests")
    assert set(load.answers[answered:]) == {"a"}
    local.update("b", DeploymentConfig=rolling(5, batch=2))
    assert local.settled()["EndpointConfigName"] == "b"
    assert not load.errors


def test_a_rolling_update_of_several_variants_is_refused(local: Local) -> None:
    local.model("a")
    two = local.config("two", "a", "a")
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=two)
    local.settled()
    with pytest.raises(ApiError, match="several production variants"):
        local.update(two, DeploymentConfig=rolling(10))
    assert local.describe()["EndpointStatus"] == "InService"


def test_nothing_of_either_fleet_is_left_after_rolling_back_and_forth(local: Local, load: Load) -> None:
    for config in ("b", "a"):
        local.update(config, DeploymentConfig=rolling(5, batch=2))
        assert local.settled()["EndpointConfigName"] == config
    running = local.aws.part(Hosting).live(local.scope, "e")
    assert running is not None
    assert len(local.process_ids()) == 2
    assert not load.errors
