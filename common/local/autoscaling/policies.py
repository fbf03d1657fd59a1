"""Scaling policies: what is refused, and the CloudWatch alarms that target tracking makes for itself."""

from typing import Any
from uuid import uuid4

from common.local.api import validation_error
from common.local.autoscaling.scaling import check_steps
from common.local.autoscaling.targets import variant_of
from common.local.services import Alarm
from common.local.store import Document

PREDEFINED_METRIC = "SageMakerVariantInvocationsPerInstance"
TRACKING, STEPS = "TargetTrackingScalingPolicyConfiguration", "StepScalingPolicyConfiguration"

_CONFIGURATIONS = {"TargetTrackingScaling": TRACKING, "StepScaling": STEPS}

_PERIOD_SECONDS = 60
_HIGH_PERIODS, _LOW_PERIODS = 3, 15
_LOW_SHARE = 0.9
"""As on AWS: three minutes above the target scale out, fifteen minutes below 90 % of it scale in."""


def check_policy(request: dict[str, Any], others: list[Document]) -> None:
    """Raise ApiError (`ValidationException`) for a policy that the service refuses beside the target's `others`."""
    kind = request.get("PolicyType")
    if kind not in _CONFIGURATIONS:
        raise validation_error(f"The local AWS supports the policy types {' and '.join(_CONFIGURATIONS)}, not {kind}.")
    if _CONFIGURATIONS[kind] not in request or set(_CONFIGURATIONS.values()) <= set(request):
        raise validation_error(f"A policy of type {kind} needs {_CONFIGURATIONS[kind]} and no other configuration.")
    if kind == "StepScaling":
        _check_steps(request[STEPS])
    else:
        _check_tracking(request[TRACKING], others)


def _check_steps(config: dict[str, Any]) -> None:
    if "AdjustmentType" not in config:
        raise validation_error("AdjustmentType must be specified.")
    wrong = check_steps(config.get("StepAdjustments", []))
    if wrong:
        raise validation_error(wrong)


def _check_tracking(config: dict[str, Any], others: list[Document]) -> None:
    predefined, custom = config.get("PredefinedMetricSpecification"), config.get("CustomizedMetricSpecification")
    if (predefined is None) == (custom is None):
        raise validation_error(
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification is needed."
        )
    if config["TargetValue"] <= 0:
        raise validation_error("TargetValue must be greater than zero.")
    if predefined and predefined["PredefinedMetricType"] != PREDEFINED_METRIC:
        raise validation_error(
            f"The local AWS supports the predefined metric {PREDEFINED_METRIC}, not {predefined['PredefinedMetricType']}."
        )
    if custom and not {"MetricName", "Namespace", "Statistic"} <= set(custom):
        raise validation_error(
            "The local AWS needs MetricName, Namespace and Statistic of a CustomizedMetricSpecification."
        )
    for other in others:
        if _metric(other.get(TRACKING, {})) == (predefined or custom):
            raise validation_error("Only one TargetTrackingScaling policy for a given metric specification is allowed.")


def _metric(config: dict[str, Any]) -> dict[str, Any] | None:
    return config.get("PredefinedMetricSpecification") or config.get("CustomizedMetricSpecification")


def alarms_of(policy: Document) -> list[Alarm]:
    """The alarms that a new policy brings along: one to scale out and one to scale in; none of a step policy."""
    if TRACKING not in policy:
        return []
    config = policy[TRACKING]
    high = _alarm(policy, "High", "GreaterThanThreshold", config["TargetValue"], _HIGH_PERIODS)
    if config.get("DisableScaleIn"):
        return [high]
    return [high, _alarm(policy, "Low", "LessThanThreshold", config["TargetValue"] * _LOW_SHARE, _LOW_PERIODS)]


def _alarm(policy: Document, side: str, comparison: str, threshold: float, periods: int) -> Alarm:
    endpoint, variant = variant_of(policy["ResourceId"])
    metric = policy[TRACKING].get("CustomizedMetricSpecification") or {
        "Namespace": "AWS/SageMaker",
        "MetricName": "InvocationsPerInstance",
        "Statistic": "Sum",
        "Dimensions": [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}],
    }
    return Alarm(
        name=f"TargetTracking-{policy['ResourceId']}-Alarm{side}-{uuid4()}",
        state="OK",
        namespace=metric["Namespace"],
        metric=metric["MetricName"],
        dimensions={each["Name"]: each["Value"] for each in metric.get("Dimensions", [])},
        statistic=metric["Statistic"],
        extended_statistic=None,
        period=_PERIOD_SECONDS,
        evaluation_periods=periods,
        datapoints_to_alarm=periods,
        comparison=comparison,
        threshold=threshold,
        missing_data="missing",
        actions=(policy["PolicyARN"],),
    )
