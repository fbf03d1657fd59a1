"""Serverless and asynchronous endpoints, scaling and capture: what SageMaker takes, and what is refused before it is asked."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from common.deployment.alarms import Alarm, Metric
from common.deployment.capture import Capture
from common.deployment.declare import Endpoint
from common.deployment.live import Live
from common.deployment.modes import AsyncEndpoint, DeclaredEndpoint, ServerlessEndpoint, mode_of
from common.deployment.plan import CreateEndpoint, ReplaceFailedEndpoint, Wanted, describe_plan, next_action
from common.deployment.rollout import AllAtOnce, Canary, Rollout
from common.deployment.scaling import Autoscaling, BacklogScaling, Scaling, difference
from common.errors import DeploymentError, UsageError
from common.model import Model
from common.registry import Package

ALARM = Alarm("Invocation5XXErrors", "Sum", above=0)
AT_ONCE = AllAtOnce(bake_seconds=0)
TOPIC = "arn:aws:sns:eu-west-1:123456789012:answers"
REAL_TIME = Endpoint("ml.m5.large", AT_ONCE, (ALARM,))
SERVERLESS = ServerlessEndpoint(memory_mb=2048, max_concurrency=20)
ASYNC = AsyncEndpoint("ml.m5.large", AT_ONCE, (ALARM,), max_concurrent=4)
PACKAGE = Package("arn:package/7", 7, "Approved", datetime.now(UTC), "image", "s3://b/k", metadata={})
SESSION = botocore.session.get_session()


def scaled(at_least: int = 1, at_most: int = 4, per_instance: float = 100, **more: Any) -> Endpoint:
    return replace(REAL_TIME, scaling=Scaling(at_least, at_most, per_instance), **more)


def wanted(endpoint: DeclaredEndpoint, package: Package = PACKAGE) -> Wanted:
    return Wanted(Model("abalone", "", "rings", "regression"), package, endpoint)


def complaints(service: str, operation: str, request: Mapping[str, Any]) -> str:
    """What botocore's model of the service finds wrong with a request."""
    shape = SESSION.get_service_model(service).operation_model(operation).input_shape
    assert shape is not None
    return str(ParamValidator().validate(dict(request), shape).generate_report())


@pytest.mark.parametrize(
    "endpoint",
    [
        REAL_TIME,
        replace(REAL_TIME, capture=Capture(20)),
        SERVERLESS,
        replace(SERVERLESS, memory_mb=6144, max_concurrency=200, provisioned_concurrency=200),
        ASYNC,
        replace(ASYNC, success_topic=TOPIC, error_topic=TOPIC, max_concurrent=1000),
    ],
)
def test_every_declaration_is_what_sagemaker_takes(endpoint: DeclaredEndpoint) -> None:
    request = endpoint.request("abalone-model-7", "s3://bucket/abalone/capture")
    assert complaints("sagemaker", "CreateEndpointConfig", {"EndpointConfigName": "a", **request}) == ""
    assert mode_of(request) == endpoint.mode
    assert [variant["VariantName"] for variant in request["ProductionVariants"]] == ["AllTraffic"]
    assert [variant["ModelName"] for variant in request["ProductionVariants"]] == ["abalone-model-7"]


def test_answers_failures_and_captured_calls_lie_below_the_model_in_the_bucket() -> None:
    uri = "s3://bucket/abalone/capture"
    output = ASYNC.request("m", uri)["AsyncInferenceConfig"]["OutputConfig"]
    assert output["S3OutputPath"] == "s3://bucket/abalone/async/output"
    assert output["S3FailurePath"] == "s3://bucket/abalone/async/failure"
    capture = replace(REAL_TIME, capture=Capture(20)).request("m", uri)["DataCaptureConfig"]
    assert (capture["DestinationS3Uri"], capture["InitialSamplingPercentage"]) == (uri, 20)


def test_topics_are_told_only_where_they_are_declared() -> None:
    assert "NotificationConfig" not in ASYNC.request("m", "s3://b/m/capture")["AsyncInferenceConfig"]["OutputConfig"]
    told = replace(ASYNC, error_topic=TOPIC).request("m", "s3://b/m/capture")["AsyncInferenceConfig"]["OutputConfig"]
    assert told["NotificationConfig"] == {"ErrorTopic": TOPIC}


def test_the_digest_changes_with_what_the_configuration_holds_and_with_nothing_else() -> None:
    assert replace(SERVERLESS, keep=9).digest() == SERVERLESS.digest()
    assert replace(SERVERLESS, memory_mb=3072).digest() != SERVERLESS.digest()
    assert replace(SERVERLESS, provisioned_concurrency=1).digest() != SERVERLESS.digest()
    assert replace(ASYNC, rollout=AllAtOnce(60)).digest() == ASYNC.digest()
    assert replace(ASYNC, max_concurrent=5).digest() != ASYNC.digest()
    assert replace(ASYNC, error_topic=TOPIC).digest() != ASYNC.digest()
    assert replace(REAL_TIME, capture=Capture(10)).digest() != REAL_TIME.digest()
    # A changed scaling moves no traffic: it is put beside the endpoint.
    assert scaled(at_most=4).digest() == scaled(at_most=9).digest() == REAL_TIME.digest()


@pytest.mark.parametrize(
    ("declare", "says"),
    [
        (lambda: ServerlessEndpoint(512, 1), "512 MB of memory"),
        (lambda: ServerlessEndpoint(1536, 1), "1536 MB of memory"),
        (lambda: ServerlessEndpoint(7168, 1), "1024, 2048, 3072, 4096, 5120, 6144 MB"),
        (lambda: ServerlessEndpoint(1024, 0), "1 to 200"),
        (lambda: ServerlessEndpoint(1024, 201), "1 to 200"),
        (lambda: ServerlessEndpoint(1024, 5, provisioned_concurrency=6), "0 .* to 5"),
        (lambda: ServerlessEndpoint(1024, 5, provisioned_concurrency=-1), "provisioned_concurrency of -1"),
        (lambda: ServerlessEndpoint(1024, 5, keep=1), "keep=1"),
        (lambda: replace(ASYNC, max_concurrent=0), "1 to 1000"),
        (lambda: replace(ASYNC, max_concurrent=1001), "1 to 1000"),
        (lambda: replace(ASYNC, success_topic="answers"), "no SNS topic"),
        (lambda: replace(ASYNC, error_topic="arn:aws:sqs:eu-west-1:123456789012:q"), "no SNS topic"),
        (lambda: replace(ASYNC, alarms=()), "no alarms"),
        (lambda: replace(ASYNC, keep=1), "keep=1"),
        (lambda: replace(ASYNC, rollout=Canary(10)), "two instances"),
        (lambda: Capture(-1), "0 to 100"),
        (lambda: Capture(101), "0 to 100"),
        (lambda: Scaling(0, 3, 10), "only asynchronous endpoints to zero"),
        (lambda: Scaling(3, 2, 10), "between 3 and 2"),
        (lambda: BacklogScaling(-1, 2, 10), "between -1 and 2"),
        (lambda: BacklogScaling(0, 0, 10), "between 0 and 0"),
        (lambda: Scaling(1, 2, 0), "invocations_per_instance=0"),
        (lambda: BacklogScaling(0, 2, -1), "backlog_per_instance=-1"),
        (lambda: Scaling(1, 2, 10, scale_in_cooldown_seconds=-1), "cooldown of -1 s"),
        (lambda: scaled(at_least=2, instance_count=1), "instance_count from 2 to 4"),
        (lambda: scaled(instance_count=5), "instance_count from 1 to 4"),
        (lambda: scaled(instance_type="ml.t2.medium"), "burstable"),
        (lambda: scaled(rollout=Canary(10), instance_count=2), "two instances, and 1"),
        (lambda: replace(ASYNC, scaling=BacklogScaling(0, 2, 5), instance_count=3), "from 1 to 2"),
    ],
)
def test_what_sagemaker_would_refuse_later_is_refused_where_it_is_declared(
    declare: Callable[[], object], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        declare()


@pytest.mark.parametrize("metric", ["Invocations", "OverheadLatency"])
def test_alarms_that_never_see_data_of_an_asynchronous_endpoint_are_refused(metric: Metric) -> None:
    with pytest.raises(UsageError, match=f"{metric} of an asynchronous endpoint would never see data"):
        replace(ASYNC, alarms=(Alarm(metric, "Average", above=1),))


@pytest.mark.parametrize("rollout", [Canary(10), AllAtOnce(0)])
def test_a_scaled_endpoint_that_keeps_two_instances_can_shift_by_parts(rollout: Rollout) -> None:
    assert scaled(at_least=2, instance_count=2, rollout=rollout).rollout == rollout


def test_serverless_endpoints_have_no_guardrails() -> None:
    assert (SERVERLESS.rollout, SERVERLESS.alarms, wanted(SERVERLESS).alarm_names) == (None, (), [])
    plan = " ".join(describe_plan(wanted(SERVERLESS), Live("InService", configuration="old", mode="serverless")))
    assert "at once, as serverless endpoints are" in plan


@pytest.mark.parametrize(
    ("endpoint", "live"),
    [(SERVERLESS, "real time"), (ASYNC, "real time"), (REAL_TIME, "asynchronous"), (ASYNC, "serverless")],
)
def test_a_change_of_mode_is_refused_in_the_plan(endpoint: DeclaredEndpoint, live: Any) -> None:
    for status in ("InService", "Updating", "UpdateRollbackFailed"):
        with pytest.raises(
            DeploymentError, match=f"is {live}, and deploy.py declares it {endpoint.mode}.*\n.*teardown"
        ):
            describe_plan(wanted(endpoint), Live(status, configuration="old", mode=live))
    assert next_action(wanted(endpoint), Live()) == CreateEndpoint()
    assert next_action(wanted(endpoint), Live("Failed", mode=live)) == ReplaceFailedEndpoint()


@pytest.mark.parametrize("endpoint", [SERVERLESS, ASYNC])
def test_a_fleet_is_served_in_real_time_only(endpoint: DeclaredEndpoint) -> None:
    fleet = replace(PACKAGE, metadata={"fleet": "s3://b/energy/models/"})
    with pytest.raises(DeploymentError, match=f"is a fleet, and its endpoint is declared {endpoint.mode}"):
        next_action(wanted(endpoint, fleet), Live())


@pytest.mark.parametrize("scaling", [Scaling(1, 4, 100), BacklogScaling(1, 4, 5), BacklogScaling(0, 4, 5)])
def test_every_scaling_is_what_application_auto_scaling_takes(scaling: Scaling | BacklogScaling) -> None:
    where = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/a/variant/AllTraffic",
             "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}  # fmt: skip
    for name, policy in scaling.autoscaling("abalone").policies.items():
        assert complaints("application-autoscaling", "PutScalingPolicy", {**where, "PolicyName": name, **policy}) == ""


def test_only_an_endpoint_that_may_have_no_instances_is_woken() -> None:
    assert list(BacklogScaling(0, 4, 5).autoscaling("abalone").policies) == ["abalone-scaling", "abalone-wake"]
    assert list(BacklogScaling(1, 4, 5).autoscaling("abalone").policies) == ["abalone-scaling"]


def test_what_a_deploy_does_about_scaling_follows_from_what_is_declared_and_what_is_there() -> None:
    declared = Scaling(1, 4, 100).autoscaling("abalone")
    assert difference(None, None) == ""
    assert difference(None, declared) == "end the scaling, which is declared no more"
    assert difference(declared, None) == "scale between 1 and 4 instances"
    for changed in (Scaling(2, 4, 100), Scaling(1, 5, 100), Scaling(1, 4, 99), Scaling(1, 4, 100, 60)):
        assert difference(declared, changed.autoscaling("abalone"))
    [(name, policy)] = declared.policies.items()
    kind = "TargetTrackingScalingPolicyConfiguration"
    told = {**policy, kind: {**policy[kind], "DisableScaleIn": False}}  # as AWS answers it, with what was left out
    assert difference(declared, Autoscaling(1, 4, {name: told, "somebody's": {}})) == ""
