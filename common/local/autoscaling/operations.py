"""The operations of Application Auto Scaling on the variants of endpoints."""

import time
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from common.local.api import Answer, ApiError, Call, autoscaling_operation, validation_error
from common.local.autoscaling.autoscaler import Autoscaler
from common.local.autoscaling.policies import alarms_of, check_policy
from common.local.autoscaling.targets import (
    ACTIVITY,
    DIMENSION,
    NAMESPACE,
    POLICY,
    TARGET,
    drop_policy,
    drop_target,
    policies_of,
    variant_of,
)
from common.local.context import LocalAws
from common.local.hosting.lifecycle import KIND
from common.local.hosting.spec import FleetSpec
from common.local.store import Document

_MEMBERS = ("ServiceNamespace", "ResourceId", "ScalableDimension")
_ROLE = (
    "arn:aws:iam::{}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)
_PAGE = 50


@autoscaling_operation
def register_scalable_target(call: Call) -> Answer:
    """Make a variant a scalable target, or change the bounds of one that is."""
    request = call.request
    resource_id = _resource_id(call)
    with call.aws.store.transaction():
        existing = call.aws.store.get(call.scope, TARGET, resource_id)
        document = (existing or _new_target(call)) | {key: value for key, value in request.items() if key != "RoleARN"}
        _check_target(call, document)
        call.aws.store.put(call.scope, TARGET, resource_id, document)
    call.aws.part(Autoscaler)
    return {"ScalableTargetARN": document["ScalableTargetARN"]}


@autoscaling_operation
def deregister_scalable_target(call: Call) -> Answer:
    """End the scaling of a variant; its policies and their alarms go, too. The instance count stays as it is."""
    drop_target(call.aws, call.scope, _registered(call)["ResourceId"])
    return {}


@autoscaling_operation
def describe_scalable_targets(call: Call) -> Answer:
    """List scalable targets."""
    _check_namespace(call)
    wanted = call.request.get("ResourceIds")
    targets = [each for each in call.aws.store.list(call.scope, TARGET) if not wanted or each["ResourceId"] in wanted]
    return _page(call, "ScalableTargets", targets)


@autoscaling_operation
def put_scaling_policy(call: Call) -> Answer:
    """Create or replace a policy of a scalable target: target tracking, with alarms of its own, or steps."""
    request = call.request
    target = _registered(call)
    with call.aws.store.transaction():
        others = policies_of(call.aws, call.scope, target["ResourceId"])
        existing = next((each for each in others if each["PolicyName"] == request["PolicyName"]), None)
        check_policy(request, [each for each in others if each is not existing])
        policy = request | {
            "PolicyARN": existing["PolicyARN"] if existing else _policy_arn(call),
            "CreationTime": existing["CreationTime"] if existing else time.time(),
            "Alarms": [],
        }
        if existing:
            drop_policy(call.aws, call.scope, existing)
        for alarm in alarms_of(policy):
            arn = call.aws.services.put_alarm(call.account, call.region, alarm)
            policy["Alarms"].append({"AlarmName": alarm.name, "AlarmARN": arn})
        call.aws.store.put(call.scope, POLICY, f"{policy['ResourceId']}|{policy['PolicyName']}", policy)
    return policy


@autoscaling_operation
def delete_scaling_policy(call: Call) -> Answer:
    """Delete a policy and the alarms that it made."""
    resource_id, name = _resource_id(call), call.request["PolicyName"]
    with call.aws.store.transaction():
        policy = call.aws.store.get(call.scope, POLICY, f"{resource_id}|{name}")
        if policy is None:
            raise _not_found(call, "scaling policy", f", policy name: {name}")
        drop_policy(call.aws, call.scope, policy)
    return {}


@autoscaling_operation
def describe_scaling_policies(call: Call) -> Answer:
    """List scaling policies."""
    names = call.request.get("PolicyNames")
    policies = _of_resource(call, call.aws.store.list(call.scope, POLICY))
    return _page(call, "ScalingPolicies", [each for each in policies if not names or each["PolicyName"] in names])


@autoscaling_operation
def describe_scaling_activities(call: Call) -> Answer:
    """List what scaling has done, the latest first."""
    activities = _of_resource(call, call.aws.store.list(call.scope, ACTIVITY))
    return _page(call, "ScalingActivities", list(activities)[::-1])


def resume(aws: LocalAws) -> None:
    """After a restart: go on scaling."""
    if aws.store.everywhere(TARGET):
        aws.part(Autoscaler)


def _resource_id(call: Call) -> str:
    _check_namespace(call)
    if call.request["ScalableDimension"] != DIMENSION:
        raise validation_error(f"The local AWS scales by {DIMENSION} only, not by {call.request['ScalableDimension']}.")
    return variant_of(call.request["ResourceId"]).resource_id


def _check_namespace(call: Call) -> None:
    if call.request["ServiceNamespace"] != NAMESPACE:
        raise validation_error(f"The local AWS scales {NAMESPACE} only, not {call.request['ServiceNamespace']}.")


def _registered(call: Call) -> Document:
    """The scalable target that the request names."""
    target = call.aws.store.get(call.scope, TARGET, _resource_id(call))
    if target is None:
        raise _not_found(call, "scalable target")
    return target


def _not_found(call: Call, what: str, more: str = "") -> ApiError:
    namespace, resource, dimension = (call.request[member] for member in _MEMBERS)
    return ApiError(
        "ObjectNotFoundException",
        f"No {what} found for service namespace: {namespace}, resource ID: {resource}, scalable dimension: {dimension}{more}",
    )


def _new_target(call: Call) -> Document:
    if "MinCapacity" not in call.request or "MaxCapacity" not in call.request:
        raise validation_error("MinCapacity and MaxCapacity are required to register a new scalable target.")
    suspended = dict.fromkeys(
        ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended"), False
    )
    return {
        "RoleARN": _ROLE.format(call.account),
        "CreationTime": time.time(),
        "SuspendedState": suspended,
        "ScalableTargetARN": f"arn:aws:application-autoscaling:{call.region}:{call.account}:scalable-target/{uuid4().hex}",
    }


def _check_target(call: Call, target: Document) -> None:
    endpoint, name = variant_of(target["ResourceId"])
    document = call.aws.store.get(call.scope, KIND, endpoint)
    spec = FleetSpec.from_json(document["Fleet"]) if document else None
    variant = next((each for each in spec.variants if each.name == name), None) if spec else None
    if spec is None or variant is None:
        raise validation_error(f"SageMaker endpoint or variant not found: {target['ResourceId']}")
    if variant.instance_type is None:
        raise validation_error(f"The instance count of {target['ResourceId']} cannot be scaled: it is serverless.")
    if variant.instance_type.startswith("ml.t"):
        raise validation_error(
            f"Autoscaling is not supported for instance type {variant.instance_type}: it is burstable."
        )
    low, high = target["MinCapacity"], target["MaxCapacity"]
    if high < low:
        raise validation_error("Maximum capacity cannot be less than minimum capacity")
    least = 0 if spec.async_config else 1
    if low < least or high < 1:
        kind = "asynchronous" if spec.async_config else "real-time"
        raise validation_error(f"Minimum capacity of a variant of this {kind} endpoint cannot be less than {least}.")


def _policy_arn(call: Call) -> str:
    request = call.request
    return (
        f"arn:aws:autoscaling:{call.region}:{call.account}:scalingPolicy:{uuid4()}:"
        f"resource/{NAMESPACE}/{request['ResourceId']}:policyName/{request['PolicyName']}"
    )


def _of_resource(call: Call, documents: Iterable[Document]) -> list[Document]:
    _check_namespace(call)
    wanted = call.request.get("ResourceId")
    return [each for each in documents if wanted in (None, each["ResourceId"])]


def _page(call: Call, member: str, found: list[Document]) -> dict[str, Any]:
    token = call.request.get("NextToken", "0")
    if not token.isdecimal():
        raise ApiError("InvalidNextTokenException", "Invalid NextToken.")
    end = int(token) + min(call.request.get("MaxResults", _PAGE), _PAGE)
    return {member: found[int(token) : end], "NextToken": str(end) if end < len(found) else None}
