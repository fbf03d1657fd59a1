"""A shadow variant gets copies of the traffic, and nothing that it does reaches a caller."""

import time
from collections import Counter

import pytest

from common.local.api import ApiError
from common.local.hosting import shadow
from tests.functional.local.hosting_kit import Local, constant_load, eventually


def start(local: Local, weight: float = 1.0, **behaviour: float) -> None:
    """Endpoint `e` with production model `a` and a shadow `b` of that behaviour."""
    local.model("a")
    local.model("b", **behaviour)
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.shadowed("ab", "a", "b", weight))
    assert local.settled()["EndpointStatus"] == "InService"


def test_a_share_of_the_requests_is_copied_and_only_production_answers(local: Local) -> None:
    start(local, weight=0.5)
    assert {local.invoke(b"1")[0] for _ in range(20)} == {b"a:1"}
    eventually(lambda: len(local.values("Invocations", "s")) == 10, "half of the requests are copied")
    assert len(local.values("Invocations")) == 20
    assert min(local.values("ModelLatency", "s")) > 0
    with pytest.raises(ApiError, match="Variant s not found"):
        local.invoke(TargetVariant="s")


def test_the_endpoint_describes_its_shadow_which_can_be_resized(local: Local) -> None:
    start(local)
    [summary] = local.describe()["ShadowProductionVariants"]
    assert (summary["VariantName"], summary["CurrentWeight"], summary["CurrentInstanceCount"]) == ("s", 1, 1)
    wanted = [{"VariantName": "s", "DesiredWeight": 0.0, "DesiredInstanceCount": 2}]
    local.do("UpdateEndpointWeightsAndCapacities", EndpointName="e", DesiredWeightsAndCapacities=wanted)
    [summary] = local.settled()["ShadowProductionVariants"]
    assert (summary["CurrentWeight"], summary["CurrentInstanceCount"]) == (0, 2)
    for _ in range(5):
        local.invoke()
    assert len(local.process_ids()) == 3
    assert local.values("Invocations", "s") == []


@pytest.mark.parametrize(("body", "status"), [(b"bad", 4), (b"crash", 5), (b"", 5)])
def test_what_fails_in_the_shadow_is_in_its_metrics_alone(local: Local, body: bytes, status: int) -> None:
    local.model("a", deaf=True)
    local.model("b", status=500)
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.shadowed("ab", "a", "b"))
    local.settled()
    assert local.invoke(body)[0] == b"a:" + body
    eventually(lambda: local.values(f"Invocation{status}XXErrors", "s") == [1], "the shadow's error is counted")
    assert local.values("Invocation4XXErrors") == local.values("Invocation5XXErrors") == [0]


def test_a_slow_shadow_slows_nobody_and_refuses_what_it_cannot_take(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "_WAITING", 4)
    start(local, seconds=3)
    began = time.perf_counter()
    for _ in range(40):
        local.invoke()
    assert time.perf_counter() - began < 3  # before the shadow's first answer
    eventually(lambda: len(local.values("Invocations", "s")) == 40, "all copies are accounted for")
    assert Counter(local.values("Invocation5XXErrors", "s")) == {0: 4, 1: 36}


def test_an_update_takes_the_shadow_away_without_failing_a_request(local: Local) -> None:
    start(local)
    local.model("c")
    with constant_load(local) as load:
        eventually(lambda: load.counts()["a"] > 20, "the first model answers")
        local.update(local.config("c"))
        assert "ShadowProductionVariants" not in local.settled()
        eventually(lambda: load.counts()["c"] > 20, "the second model answers")
    assert load.errors == []
    assert len(local.process_ids()) == 1


def test_a_shadow_that_does_not_come_up_fails_the_update_and_production_serves_on(local: Local) -> None:
    local.serving("a")
    local.model("b", exit=1)
    local.update(local.shadowed("ab", "a", "b"))
    settled = local.settled()
    assert settled["EndpointConfigName"] == "a"
    assert "container for production variant s did not pass the ping health check" in settled["FailureReason"]
    assert local.invoke()[0] == b"a:"
