"""Serverless variants: processes come with requests and go without them, and what they cannot do is refused."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from common.local.api import ApiError
from common.local.hosting.host import Hosting
from tests.functional.local.hosting_kit import IMAGE, REGION, Local, constant_load, eventually

VARIANT = {"VariantName": "v1", "ModelName": "a", "InitialVariantWeight": 1.0}
LIMITS = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}


def serving(local: Local, behaviour: dict[str, Any] | None = None, **limits: int) -> None:
    """Endpoint `e` in service, with the instance that showed that the model can be stood up."""
    local.model("a", **(behaviour or {}))
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.serverless("a", **limits))
    assert local.settled()["EndpointStatus"] == "InService"


def refused(local: Local, **request: Any) -> str:
    with pytest.raises(ApiError) as error:
        local.do("CreateEndpointConfig", EndpointConfigName="c", **request)
    assert error.value.code == "ValidationException"
    return error.value.message


def test_an_idle_variant_has_no_process_and_the_next_request_starts_one(local: Local) -> None:
    serving(local)
    [first] = local.process_ids()
    eventually(lambda: local.process_ids() == [], "idle")
    assert local.describe()["EndpointStatus"] == "InService"
    assert local.invoke(b"1")[0] == b"a:1"
    [second] = local.process_ids()
    assert second != first
    local.aws.part(Hosting).telemetry.flush()
    dimensions = {"EndpointName": "e", "VariantName": "v1"}
    [setup] = local.aws.services.metric_values(
        local.account, REGION, "AWS/SageMaker", "ModelSetupTime", dimensions, 0, 1e12
    )
    assert setup[1] > 1000  # µs


def test_requests_beyond_the_concurrency_are_throttled_and_those_within_are_answered(local: Local) -> None:
    serving(local, {"seconds": 0.5}, MaxConcurrency=3)
    together = threading.Barrier(6)

    def call() -> str:
        together.wait()
        try:
            return local.invoke(b"1")[0].decode()
        except ApiError as error:
            return f"{error.status} {error.code}: {error.message}"

    with ThreadPoolExecutor(6) as pool:
        answers = sorted(pool.map(lambda _: call(), range(6)))
    assert answers == ["400 ThrottlingException: Rate exceeded"] * 3 + ["a:1"] * 3
    assert len(local.process_ids()) == 2  # what this machine runs of a variant
    assert local.invoke(b"2")[0] == b"a:2"


def test_provisioned_concurrency_keeps_processes_warm(local: Local) -> None:
    serving(local, ProvisionedConcurrency=1)
    warm = local.process_ids()
    time.sleep(4)  # an idle process ends after 3 s of this AWS
    assert local.process_ids() == warm


def test_a_description_has_the_serverless_configuration_and_no_instances(local: Local) -> None:
    serving(local)
    [variant] = local.describe()["ProductionVariants"]
    assert (variant["CurrentServerlessConfig"], variant["DesiredServerlessConfig"]) == (LIMITS, LIMITS)
    assert not {"CurrentInstanceCount", "DesiredInstanceCount"} & set(variant)


def test_an_update_switches_without_a_failed_request_and_takes_no_guardrails(local: Local) -> None:
    serving(local)
    local.model("b")
    local.serverless("b")
    policy = {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}}
    with pytest.raises(ApiError, match="do not support deployment guardrails"):
        local.update("b", DeploymentConfig={"BlueGreenUpdatePolicy": policy})
    with constant_load(local) as load:
        local.update("b")
        assert local.settled()["EndpointConfigName"] == "b"
        assert local.invoke()[0] == b"b:"
    assert load.errors == []
    assert set(load.answers) == {"a", "b"}


def test_a_model_that_cannot_be_stood_up_fails_the_endpoint(local: Local) -> None:
    local.model("a", exit=1)
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.serverless("a"))
    described = local.settled()
    assert described["EndpointStatus"] == "Failed"
    assert (
        "Unable to successfully stand up your model within the allotted 180 second timeout"
        in described["FailureReason"]
    )


def test_a_cold_start_that_fails_is_a_model_error_and_the_endpoint_serves_on(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving(local)
    eventually(lambda: local.process_ids() == [], "idle")
    artifact = local.aws.services.read_object(local.account, f"models-{local.account}", "a.tar.gz")
    local.put_object("a.tar.gz", b"damaged")
    with pytest.raises(ApiError) as error:
        local.invoke(b"1")
    assert (error.value.code, error.value.status) == ("ModelError", 424)
    local.put_object("a.tar.gz", artifact)
    assert local.invoke(b"1")[0] == b"a:1"


def test_an_endpoint_on_instances_does_not_become_serverless_and_a_serverless_one_is_not_resized(local: Local) -> None:
    local.serving("a")
    with pytest.raises(ApiError, match="cannot be updated to a serverless one"):
        local.update(local.serverless("less", "a"))
    local.do("CreateEndpoint", EndpointName="less", EndpointConfigName="less")
    local.settled("less")
    desired = [{"VariantName": "v1", "DesiredInstanceCount": 2}]
    with pytest.raises(ApiError, match="does not resize serverless variants"):
        local.do("UpdateEndpointWeightsAndCapacities", EndpointName="less", DesiredWeightsAndCapacities=desired)


@pytest.mark.parametrize(
    ("limits", "more", "says"),
    [
        ({"MemorySizeInMB": 1500}, {}, "multiple of 1024"),
        ({"ProvisionedConcurrency": 6}, {}, "less than or equal to MaxConcurrency"),
        ({}, {"DataCaptureConfig": {"EnableCapture": True}}, "do not support data capture"),
        (
            {},
            {"ShadowProductionVariants": [{**VARIANT, "VariantName": "s", "ServerlessConfig": LIMITS}]},
            "multiple variants",
        ),
        ({}, {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b/o"}}}, "not supported for serverless"),
    ],
)
def test_configurations_that_are_refused(local: Local, limits: dict[str, int], more: dict[str, Any], says: str) -> None:
    local.model("a")
    variant = {**VARIANT, "ServerlessConfig": LIMITS | limits}
    assert says in refused(local, ProductionVariants=[variant], **more)


@pytest.mark.parametrize(
    ("containers", "model", "says"),
    [
        (2, {}, "inference pipelines"),
        (1, {"EnableNetworkIsolation": True}, "network isolation"),
        (1, {"VpcConfig": {"Subnets": ["subnet-1"]}}, "VPC"),
    ],
)
def test_models_that_cannot_be_serverless(local: Local, containers: int, model: dict[str, Any], says: str) -> None:
    local.model_from("a", *[{"Image": IMAGE}] * containers)
    document = local.aws.store.get(local.scope, "model", "a") or {}
    local.aws.store.put(local.scope, "model", "a", document | model)
    with pytest.raises(ApiError, match=f"Serverless variants do not support {says}"):
        local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.serverless("a"))
