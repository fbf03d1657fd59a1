"""What an experiment makes of an endpoint, and when it may begin."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from common.deployment import Alarm, AllAtOnce, Endpoint
from common.deployment.capture import Capture
from common.deployment.hold import Hold
from common.deployment.live import PACKAGE_VARIABLE, Live
from common.deployment.modes import ServerlessEndpoint
from common.deployment.plan import Wanted
from common.errors import DeploymentError, ModelsError, RegistryError, UsageError
from common.experiments.plan import ab_test, kind_of, next_start, shadow_test
from common.model import Model
from common.registry import Package

MODEL = Model("abalone", "Shells", "rings", "regression")
ENDPOINT = Endpoint("ml.m5.large", AllAtOnce(), (Alarm("Invocation5XXErrors", "Sum", above=0),), instance_count=2)
URI = "s3://bucket/abalone/capture"


def package(version: int, status: str = "Approved", **metadata: str) -> Package:
    arn = f"arn:aws:sagemaker:eu-west-1:1:model-package/abalone/{version}"
    return Package(
        arn, version, status, datetime(2026, 1, 1, tzinfo=UTC), "image", f"s3://b/{version}", metadata=metadata
    )


SERVING = Wanted(MODEL, package(3), ENDPOINT)
SHADOW = shadow_test(SERVING, package(5, "PendingManualApproval"), 20, URI)
AB = ab_test(MODEL, ENDPOINT, [package(3), package(5)], [90, 10], URI)
IN_SERVICE = Live(status="InService", configuration=SERVING.configuration, package_arn=SERVING.package.arn)


def variant(name: str, model: str, weight: float, instances: int = 2) -> dict[str, Any]:
    return {
        "VariantName": name,
        "ModelName": model,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": instances,
        "InitialVariantWeight": weight,
    }


def test_a_shadow_stands_beside_what_serves_and_all_calls_are_captured() -> None:
    assert SHADOW.configuration.startswith("abalone-model-3-shadow-5-")
    assert kind_of(MODEL, SHADOW.configuration) == "shadow"
    assert SHADOW.request["ProductionVariants"] == [variant("AllTraffic", "abalone-model-3", 1.0)]
    assert SHADOW.request["ShadowProductionVariants"] == [variant("Shadow", "abalone-shadow-5", 0.2)]
    capture = SHADOW.request["DataCaptureConfig"]
    assert (capture["InitialSamplingPercentage"], capture["DestinationS3Uri"]) == (100, URI)
    environment = {PACKAGE_VARIABLE: package(5).arn}
    assert SHADOW.containers == {
        "abalone-shadow-5": {"Image": "image", "ModelDataUrl": "s3://b/5", "Environment": environment}
    }


def test_each_version_of_an_ab_test_is_a_variant_with_its_weight() -> None:
    assert kind_of(MODEL, AB.configuration) == "ab"
    assert AB.request["ProductionVariants"] == [
        variant("v3", "abalone-model-3", 90),
        variant("v5", "abalone-model-5", 10),
    ]
    assert AB.containers["abalone-model-5"] == {"ModelPackageName": package(5).arn}
    assert AB.words == "90 percent of the callers ask version 3 and 10 percent of the callers ask version 5"


def test_the_declared_sample_is_captured_and_the_instances_that_scaling_has_come_to_are_kept() -> None:
    declared = replace(ENDPOINT, capture=Capture(25))
    shadow = shadow_test(Wanted(MODEL, package(3), declared), package(5), 100, URI, instances=7)
    assert shadow.request["DataCaptureConfig"]["InitialSamplingPercentage"] == 25
    variants = [*shadow.request["ProductionVariants"], *shadow.request["ShadowProductionVariants"]]
    assert [each["InitialInstanceCount"] for each in variants] == [7, 7]


def test_names_depend_on_what_is_compared_and_how() -> None:
    others = [
        shadow_test(SERVING, package(5), 50, URI),
        shadow_test(SERVING, package(6), 20, URI),
        shadow_test(replace(SERVING, endpoint=replace(ENDPOINT, instance_count=3)), package(5), 20, URI),
        ab_test(MODEL, ENDPOINT, [package(3), package(5)], [50, 50], URI),
    ]
    assert len({SHADOW.configuration, AB.configuration, *(each.configuration for each in others)}) == 6
    assert shadow_test(SERVING, package(5), 20, URI).configuration == SHADOW.configuration
    longest = Model("a" * 24, "A", "x", "regression")
    name = shadow_test(Wanted(longest, package(12345), ENDPOINT), package(54321), 100, URI).configuration
    assert len(name) <= 63


def test_an_ordinary_configuration_is_for_no_experiment() -> None:
    for name in (SERVING.configuration, "abalone-model-3", "", "other-ab-01234567", "abalone-ab-0123456"):
        assert kind_of(MODEL, name) is None


def test_only_a_single_model_in_real_time_can_be_experimented_on() -> None:
    serverless = ServerlessEndpoint(memory_mb=2048, max_concurrency=5)
    with pytest.raises(UsageError, match="declared as ServerlessEndpoint, and SageMaker offers no shadow test there"):
        shadow_test(Wanted(MODEL, package(3), serverless), package(5), 100, URI)
    fleet = Model("energy", "Use", "kwh", "forecasting")
    with pytest.raises(UsageError, match="energy is a fleet of models, and SageMaker offers no A/B test there"):
        ab_test(fleet, ENDPOINT, [package(3), package(5)], [1, 1], URI)


def test_a_package_that_production_went_back_from_answers_nobody() -> None:
    back = package(5, rolled_back_at="2026-01-02", rolled_back_by="me", rolled_back_reason="wrong")
    with pytest.raises(RegistryError, match="Version 5 of abalone was rolled back; an A/B test answers real callers"):
        ab_test(MODEL, ENDPOINT, [package(3), back], [1, 1], URI)


@pytest.mark.parametrize(
    ("live", "step"),
    [
        (IN_SERVICE, "update"),
        (replace(IN_SERVICE, hold=Hold("r", "b", "a", "shadow")), "update"),  # what a killed start has left
        (replace(IN_SERVICE, status="Updating", pending=SHADOW.configuration), "wait"),
        (replace(IN_SERVICE, configuration=SHADOW.configuration), "nothing"),
    ],
)
def test_the_next_step_of_a_start_follows_from_what_is_live(live: Live, step: str) -> None:
    assert next_start(SHADOW, live) == step


@pytest.mark.parametrize(
    ("live", "told"),
    [
        (Live(), "abalone has no endpoint"),
        (replace(IN_SERVICE, hold=Hold("we measure", "me", "noon")), "held since noon by me: we measure"),
        (replace(IN_SERVICE, hold=Hold("3 and 5", "me", "noon", "ab")), "held by an A/B test since noon"),
        (replace(IN_SERVICE, configuration=AB.configuration), "An A/B test runs on abalone already"),
        (replace(IN_SERVICE, status="Updating", pending="abalone-model-4-0"), "is Updating, towards abalone-model-4-0"),
        (replace(IN_SERVICE, status="Failed"), "is Failed"),
        (replace(IN_SERVICE, rollback="abalone-model-2-0"), "interrupted before it was verified"),
    ],
)
def test_an_endpoint_that_cannot_be_changed_now_is_left_alone(live: Live, told: str) -> None:
    with pytest.raises(ModelsError, match=told) as refused:
        next_start(SHADOW, live)
    assert isinstance(refused.value, DeploymentError)
    assert refused.value.remedy
