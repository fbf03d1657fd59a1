"""The plan of a deploy: every state of an endpoint leads to one action, and nothing that serves is ever in its way."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.deployment.alarms import Alarm
from common.deployment.declare import Endpoint
from common.deployment.live import Live, package_of
from common.deployment.modes import ServerlessEndpoint
from common.deployment.plan import (
    CHANGING,
    CreateEndpoint,
    NothingToDo,
    ReplaceFailedEndpoint,
    UpdateEndpoint,
    WaitForEndpoint,
    Wanted,
    describe_plan,
    next_action,
    to_sweep,
)
from common.deployment.rollout import AllAtOnce, Canary, Linear, Rolling, Rollout, deployment_config, why_refused
from common.errors import DeploymentError, UsageError
from common.model import Model
from common.registry import Package

MODEL = Model("abalone", "", "rings", "regression")
ALARM = Alarm("Invocation5XXErrors", "Sum", above=0)
ENDPOINT = Endpoint("ml.t2.medium", Canary(10), (ALARM,), instance_count=2)


def package(version: int, deployed_at: str = "") -> Package:
    metadata = {"deployed_at": deployed_at} if deployed_at else {}
    arn = f"arn:aws:sagemaker:eu-west-1:123456789012:model-package/abalone/{version}"
    return Package(arn, version, "Approved", datetime.now(UTC), "image", "s3://b/k", metadata=metadata)


WANTED = Wanted(MODEL, package(7), ENDPOINT)


def test_names_follow_from_package_and_declaration() -> None:
    assert WANTED.model_name == "abalone-model-7"
    assert WANTED.configuration == f"abalone-model-7-{ENDPOINT.digest()}"
    assert WANTED.alarm_names == ["abalone-Invocation5XXErrors-Sum"]


def test_a_fleet_is_made_from_the_parts_of_its_package_and_names_it() -> None:
    plain = package(7)
    metadata = {"fleet": "s3://b/energy/fleets/f/models/", "customers": "1000"}
    fleet = replace(plain, metadata=metadata, environment={"SAGEMAKER_PROGRAM": "inference.py"})
    wanted = replace(WANTED, package=fleet)
    assert WANTED.container == {"ModelPackageName": plain.arn}
    assert wanted.container == {
        "Image": "image",
        "Mode": "MultiModel",
        "ModelDataUrl": "s3://b/energy/fleets/f/models/",
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "MODEL_PACKAGE_ARN": plain.arn},
    }
    assert package_of(wanted.container) == package_of(WANTED.container) == plain.arn
    assert package_of({"Image": "somebody's"}) == ""
    steps = describe_plan(wanted, Live())
    assert steps[0].startswith("check the 1000 customers' models of version 7 in s3://b/energy/fleets/f/models/")
    assert steps[1].startswith("multi-model model abalone-model-7")


def test_the_digest_changes_with_what_the_configuration_holds_and_with_nothing_else() -> None:
    assert replace(ENDPOINT, instance_type="ml.m5.large").digest() != ENDPOINT.digest()
    assert replace(ENDPOINT, instance_count=3).digest() != ENDPOINT.digest()
    another = replace(ENDPOINT, rollout=AllAtOnce(), alarms=(ALARM, Alarm("ModelLatency", "p99", 1)), keep=9)
    assert another.digest() == ENDPOINT.digest()


@pytest.mark.parametrize(
    ("live", "action"),
    [
        (Live(), CreateEndpoint()),
        (Live("InService", configuration=WANTED.configuration), NothingToDo()),
        (Live("InService", configuration="abalone-model-6-x"), UpdateEndpoint("abalone-model-6-x")),
        (Live("UpdateRollbackFailed", configuration="abalone-model-6-x"), UpdateEndpoint("abalone-model-6-x")),
        (Live("Failed", configuration="abalone-model-6-x"), ReplaceFailedEndpoint()),
        (Live("Updating", configuration="a", pending="b"), WaitForEndpoint("Updating", "b")),
        (Live("Creating", configuration="a"), WaitForEndpoint("Creating", "a")),
    ],
)
def test_each_state_of_the_endpoint_leads_to_one_action(live: Live, action: object) -> None:
    assert next_action(WANTED, live) == action


def test_a_state_that_only_a_person_can_mend_is_an_error() -> None:
    with pytest.raises(DeploymentError, match="OutOfService"):
        next_action(WANTED, Live("OutOfService"))


@given(st.sampled_from([*CHANGING, "", "InService", "Failed", "UpdateRollbackFailed"]), st.text(max_size=5))
def test_an_endpoint_that_serves_is_never_replaced(status: str, configuration: str) -> None:
    action = next_action(WANTED, Live(status, configuration=configuration))
    if status in ("InService", "Updating", "RollingBack", "UpdateRollbackFailed", "SystemUpdating"):
        assert not isinstance(action, ReplaceFailedEndpoint | CreateEndpoint)


@pytest.mark.parametrize("live", [Live(), Live("InService", configuration="old"), Live("Failed"), Live("Updating")])
def test_every_plan_can_be_printed(live: Live) -> None:
    assert all(describe_plan(WANTED, live))


def test_the_plan_names_the_shift_of_traffic() -> None:
    assert "canary of 10 % for 300 s" in " ".join(describe_plan(WANTED, Live("InService", configuration="old")))


@given(st.lists(st.integers(0, 30), unique=True, max_size=12), st.integers(2, 5), st.data())
def test_the_sweep_keeps_what_serves_and_the_last_deployed(days: list[int], keep: int, data: st.DataObject) -> None:
    deployed = [package(version, f"2026-01-{day + 1:02}T00:00:00") for version, day in enumerate(days, start=1)]
    serving = data.draw(st.sampled_from([p.arn for p in deployed])) if deployed else ""
    swept = to_sweep(deployed, serving, keep)
    kept = [p for p in deployed if p not in swept]
    assert serving not in [p.arn for p in swept]
    assert len(kept) >= min(keep, len(deployed))
    newest_swept = max((p.metadata["deployed_at"] for p in swept), default="")
    assert all(p.metadata["deployed_at"] > newest_swept for p in kept if p.arn != serving)


@pytest.mark.parametrize(
    ("rollout", "kind", "total"),
    [(AllAtOnce(100), "ALL_AT_ONCE", 100), (Canary(5, 200), "CANARY", 400), (Linear(30, 100), "LINEAR", 400)],
)
def test_the_rollout_in_sagemakers_form(rollout: Rollout, kind: str, total: int) -> None:
    config = deployment_config(rollout, ["one"])
    policy = config["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"]["Type"] == kind
    assert policy["MaximumExecutionTimeoutInSeconds"] > total
    assert config["AutoRollbackConfiguration"] == {"Alarms": [{"AlarmName": "one"}]}


def test_a_rolling_update_in_sagemakers_form() -> None:
    assert deployment_config(Rolling(25, 120, rollback_percent=50), ["one"]) == {
        "RollingUpdatePolicy": {
            "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 25},
            "WaitIntervalInSeconds": 120,
            "MaximumExecutionTimeoutInSeconds": 8 * (120 + 600),
            "RollbackMaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "one"}]},
    }


def test_a_rollout_without_alarms_that_could_guard_it_names_none() -> None:
    assert "AutoRollbackConfiguration" not in deployment_config(AllAtOnce(), [])


@pytest.mark.parametrize("rollout", [AllAtOnce(), Canary(10), Linear(10), Rolling(10)])
def test_traffic_is_shifted_between_variants_of_the_same_names_only(rollout: Rollout) -> None:
    endpoint = replace(ENDPOINT, rollout=rollout)
    live = Live("InService", configuration="old", variants=("AllTraffic",))
    assert next_action(replace(WANTED, endpoint=endpoint), live) == UpdateEndpoint("old")
    for variants in (("v6", "v7"), ("blue",), ("AllTraffic", "v7")):
        with pytest.raises(DeploymentError, match=r"serves the variants .*(same names only|several variants)") as error:
            next_action(replace(WANTED, endpoint=endpoint), replace(live, variants=variants))
        assert error.value.remedy


def test_a_way_back_without_guardrails_leads_to_any_variants() -> None:
    back = replace(WANTED, instead_of="old")
    assert next_action(back, Live("InService", configuration="old", variants=("v6", "v7"))) == UpdateEndpoint("old")


@pytest.mark.parametrize(("old", "new"), [(["a", "b"], ["a", "b"]), (["a", "b"], ["a"]), (["a"], ["a", "b"])])
def test_a_rolling_update_of_several_variants_is_refused(old: list[str], new: list[str]) -> None:
    assert "several variants" in why_refused(Rolling(50), old, new)
    assert bool(why_refused(Linear(50), old, new)) == (old != new)


def test_what_cannot_be_guarded_is_refused_when_it_is_declared() -> None:
    with pytest.raises(UsageError, match=r"on ml\.inf1\.xlarge cannot be guarded"):
        replace(ENDPOINT, instance_type="ml.inf1.xlarge")
    with pytest.raises(UsageError, match="A rolling rollout needs two instances, and 1 is declared"):
        replace(ENDPOINT, rollout=Rolling(50), instance_count=1)
    with pytest.raises(UsageError, match="declares 11 alarms"):
        replace(ENDPOINT, alarms=tuple(Alarm("ModelLatency", f"p{n}", above=1) for n in range(11)))
    with pytest.raises(TypeError, match="rollout"):
        ServerlessEndpoint(memory_mb=2048, max_concurrency=5, rollout=Canary(10))  # type: ignore[call-arg]


def test_what_sagemaker_would_refuse_is_refused_when_it_is_declared() -> None:
    with pytest.raises(UsageError, match="canary of 60 %"):
        Canary(60)
    with pytest.raises(UsageError, match="Steps of 5 %"):
        Linear(5)
    with pytest.raises(UsageError, match="never rolls back"):
        replace(ENDPOINT, alarms=())
    with pytest.raises(UsageError, match="below 2"):
        replace(ENDPOINT, keep=1)
    with pytest.raises(UsageError, match="A linear rollout needs two instances, and 1 is declared"):
        replace(ENDPOINT, rollout=Linear(50), instance_count=1)
