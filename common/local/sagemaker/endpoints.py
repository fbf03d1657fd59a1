"""Endpoints: create, describe, list, update with a deployment configuration, resize, delete."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from common.local.api import Answer, Call, operation, validation_error
from common.local.autoscaling.targets import check_instance_types, deregister_endpoint
from common.local.containers import UnknownImage, resolved
from common.local.context import LocalAws
from common.local.hosting.asynchronous import AsyncQueues
from common.local.hosting.capture import CaptureSpec
from common.local.hosting.host import Hosting
from common.local.hosting.lifecycle import KIND, create, delete, resize, restore, roll_back_interrupted, start, update
from common.local.hosting.policy import deployment_policy, refuse_excluded
from common.local.hosting.spec import FleetSpec, VariantSpec, refuse_unsupported, variant_spec
from common.local.hosting.telemetry import Origin
from common.local.roles.passing import check_key_for_volumes
from common.local.sagemaker.endpoint_configs import endpoint_config
from common.local.sagemaker.models import model
from common.local.sagemaker.resources import list_page, set_tags
from common.local.store import Document


@operation
def create_endpoint(call: Call) -> Answer:
    """Start an endpoint's fleet; the endpoint is `InService` when all instances are healthy, else `Failed`."""
    name = call.request["EndpointName"]
    arn = call.arn(KIND, name)
    spec = _resolved(call)
    config = call.request.get("DeploymentConfig")
    _check_deployment(call, config, spec)
    now = time.time()
    with call.aws.store.transaction():
        if call.aws.store.get(call.scope, KIND, name) is not None:
            raise validation_error(f'Cannot create already existing endpoint "{arn}".')
        document = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": spec.config_name,
            "EndpointStatus": "Creating",
            "CreationTime": now,
            "LastModifiedTime": now,
            "Fleet": spec.to_json(),
        }
        call.aws.store.put(call.scope, KIND, name, document | ({"LastDeploymentConfig": config} if config else {}))
        set_tags(call, arn, call.request.get("Tags", []))
    if spec.async_config:
        call.aws.part(AsyncQueues).open(Origin(call.account, call.region, name), spec)
    _work(call, create)
    return {"EndpointArn": arn}


@operation
def describe_endpoint(call: Call) -> Answer:
    """Describe an endpoint: status, what serves, what is being deployed, and why the last change failed."""
    document = _existing(call)
    pending = document.get("Pending", {})
    spec = FleetSpec.from_json(pending.get("Old", document["Fleet"]))
    desired = FleetSpec.from_json(pending["Fleet"] if pending.get("Resize") else document["Fleet"])
    status = document["EndpointStatus"]
    phase = {"Creating": "Creating", "Deleting": "Deleting"}.get(status, "Updating" if pending.get("Resize") else None)
    since = pending.get("StartTime", document["LastModifiedTime"])
    return document | {
        **_summaries(spec, desired, phase, since, started=status not in ("Creating", "Failed")),
        "DataCaptureConfig": spec.capture and spec.capture.summary(),
        "AsyncInferenceConfig": spec.async_config,
        "PendingDeploymentSummary": _pending_summary(pending) if pending and not pending.get("Resize") else None,
    }


@operation
def list_endpoints(call: Call) -> Answer:
    """List endpoints, by name, time or status."""
    documents = call.aws.store.list(call.scope, KIND)
    page = list_page(call, documents, name="EndpointName", status="EndpointStatus", descending=True)
    return {"Endpoints": page.items, "NextToken": page.next_token}


@operation
def update_endpoint(call: Call) -> Answer:
    """Deploy a new endpoint configuration: a fleet beside the old one, or batches in its place; rollback on alarms."""
    with call.aws.store.transaction():
        document = _settled(call)
        deployment = _deployment_config(call, document)
        spec = _retained(call, document, _resolved(call))
        _same_kind(call, FleetSpec.from_json(document["Fleet"]), spec)
        if deployment:
            _same_variants(FleetSpec.from_json(document["Fleet"]), spec)
        _check_deployment(call, deployment, FleetSpec.from_json(document["Fleet"]), spec)
        _begin(call, "Updating", {"Fleet": spec.to_json(), "DeploymentConfig": deployment})
    _work(call, update)
    return {"EndpointArn": document["EndpointArn"]}


@operation
def update_endpoint_weights_and_capacities(call: Call) -> Answer:
    """Change the weights and instance counts of an endpoint's variants, in place."""
    with call.aws.store.transaction():
        document = _settled(call)
        spec = _resized(document, call.request["DesiredWeightsAndCapacities"])
        _begin(call, "Updating", {"Fleet": spec.to_json(), "Resize": True})
    _work(call, resize)
    return {"EndpointArn": document["EndpointArn"]}


@operation
def delete_endpoint(call: Call) -> Answer:
    """Delete an endpoint: it takes no more requests, answers those under way, and is gone when its processes are."""
    with call.aws.store.transaction():
        document = _existing(call)
        _refuse_in_progress(document)
        _begin(call, "Deleting", None)
        deregister_endpoint(call, document["EndpointName"])
    call.aws.part(AsyncQueues).close(call.scope, document["EndpointName"])
    _work(call, delete)
    return {}


def resume(aws: LocalAws) -> None:
    """After a restart: endpoints serve again with what was deployed; an interrupted update counts as rolled back."""
    hosting = aws.part(Hosting)
    for scope, name, document in aws.store.everywhere(KIND):
        account, _, region = scope.partition("/")
        origin = Origin(account, region, name)
        status = document["EndpointStatus"]
        if status in ("Creating", "Deleting"):
            start(hosting, origin, create if status == "Creating" else delete)
        elif status != "Failed":
            if status in ("Updating", "RollingBack"):
                roll_back_interrupted(hosting, origin)
            hosting.open(origin)
            start(hosting, origin, restore)


def _work(call: Call, task: Callable[[Hosting, Origin], None]) -> None:
    start(call.aws.part(Hosting), Origin(call.account, call.region, call.request["EndpointName"]), task)


def _existing(call: Call) -> Document:
    name = call.request["EndpointName"]
    document = call.aws.store.get(call.scope, KIND, name)
    if document is None:
        raise validation_error(f'Could not find endpoint "{call.arn(KIND, name)}".')
    return document


def _settled(call: Call) -> Document:
    """The endpoint, if it can be updated."""
    document = _existing(call)
    _refuse_in_progress(document)
    if document["EndpointStatus"] == "Failed":
        raise validation_error(
            f'Cannot update endpoint "{document["EndpointArn"]}" because its status is Failed. Delete the endpoint and '
            "create it again."
        )
    return document


def _refuse_in_progress(document: Document) -> None:
    if document["EndpointStatus"] not in ("InService", "Failed", "UpdateRollbackFailed"):
        raise validation_error(f'Cannot update in-progress endpoint "{document["EndpointArn"]}".')


def _begin(call: Call, status: str, pending: dict[str, Any] | None) -> None:
    now = time.time()
    call.aws.store.update(
        call.scope,
        KIND,
        call.request["EndpointName"],
        EndpointStatus=status,
        LastModifiedTime=now,
        FailureReason=None,
        Pending=pending and pending | {"StartTime": now},
    )


def _resolved(call: Call) -> FleetSpec:
    """The fleet that the request's endpoint configuration describes."""
    name = call.request["EndpointConfigName"]
    config = endpoint_config(call, name)
    refuse_unsupported(config)
    for variant in [*config["ProductionVariants"], *config.get("ShadowProductionVariants", [])]:
        if config.get("KmsKeyId"):
            check_key_for_volumes(call, config["KmsKeyId"], model(call, variant["ModelName"]).get("ExecutionRoleArn"))
    production, shadows = (
        tuple(variant_spec(each, model(call, each["ModelName"])) for each in config.get(kind, ()))
        for kind in ("ProductionVariants", "ShadowProductionVariants")
    )
    capture = config.get("DataCaptureConfig")
    return _checked(
        FleetSpec(
            name,
            production,
            next(iter(shadows), None),
            capture and CaptureSpec.from_config(capture),
            config.get("AsyncInferenceConfig"),
        )
    )


def _checked(spec: FleetSpec) -> FleetSpec:
    if not any(variant.weight > 0 for variant in spec.variants):
        raise validation_error("At least one production variant must have a weight above zero.")
    if spec.async_config and any(container.multi_model for each in spec.variants for container in each.containers):
        raise validation_error(
            "Asynchronous endpoints have no multi-model containers: InvokeEndpointAsync names no model."
        )
    if not spec.async_config and any(variant.instances < 1 for variant in spec.all_variants):
        raise validation_error("A real-time variant needs at least one instance.")
    return spec


def _deployment_config(call: Call, document: Document) -> dict[str, Any] | None:
    given: dict[str, Any] | None = call.request.get("DeploymentConfig")
    if not call.request.get("RetainDeploymentConfig"):
        return given
    if given is not None:
        raise validation_error("DeploymentConfig cannot be given together with RetainDeploymentConfig.")
    return document.get("LastDeploymentConfig")


def _check_deployment(call: Call, config: dict[str, Any] | None, *fleets: FleetSpec) -> None:
    """Refuse a policy that the last of these fleets cannot come by, in the place of the one before it."""
    if config and any(fleet.is_serverless for fleet in fleets):
        raise validation_error(
            "Serverless endpoints do not support deployment guardrails; leave DeploymentConfig away."
        )
    policy = deployment_policy(config, fleets[-1].instances)
    refuse_excluded(policy, *fleets)
    existing = {alarm.name for alarm in call.aws.services.alarms(call.account, call.region, policy.alarms)}
    missing = [name for name in policy.alarms if name not in existing]
    if missing:
        # A guard that does not exist would let a bad package through in silence.
        raise validation_error(f"Could not find the alarms of AutoRollbackConfiguration: {', '.join(missing)}.")


def _same_kind(call: Call, old: FleetSpec, new: FleetSpec) -> None:
    """An update keeps what an endpoint is: asynchronous or not, on instances, and of which type where it is scaled."""
    if bool(old.async_config) != bool(new.async_config):
        raise validation_error(
            "An endpoint cannot be updated from real-time to asynchronous inference or back; create another one."
        )
    if new.is_serverless and not old.is_serverless:
        raise validation_error("An endpoint on instances cannot be updated to a serverless one; create another one.")
    before, after = ({variant.name: variant.instance_type for variant in spec.variants} for spec in (old, new))
    check_instance_types(call, call.request["EndpointName"], before, after)


def _same_variants(old: FleetSpec, new: FleetSpec) -> None:
    before, after = ({variant.name for variant in spec.variants} for spec in (old, new))
    if before != after:
        raise validation_error(
            "An update with a DeploymentConfig needs the same variant names in the old and the new endpoint "
            f"configuration: {', '.join(sorted(before))} became {', '.join(sorted(after))}."
        )


def _retained(call: Call, document: Document, spec: FleetSpec) -> FleetSpec:
    """The new fleet with the instance counts, weights and data capture that serve now, where the request keeps them."""
    if not call.request.get("RetainAllVariantProperties"):
        return spec
    excluded = {each["VariantPropertyType"] for each in call.request.get("ExcludeRetainedVariantProperties", [])}
    serving = FleetSpec.from_json(document["Fleet"])
    keep_counts, keep_weights, keep_capture = (
        kind not in excluded for kind in ("DesiredInstanceCount", "DesiredWeight", "DataCaptureConfig")
    )
    retained = spec.changed(
        {variant.name: variant.instances for variant in serving.all_variants if keep_counts},
        {variant.name: variant.weight for variant in serving.all_variants if keep_weights},
    )
    return _checked(replace(retained, capture=serving.capture) if keep_capture else retained)


def _resized(document: Document, wanted: list[dict[str, Any]]) -> FleetSpec:
    """The endpoint's fleet with the weights and instance counts of `DesiredWeightsAndCapacities`."""
    spec = FleetSpec.from_json(document["Fleet"])
    names = [each["VariantName"] for each in wanted]
    for unknown in set(names) - {variant.name for variant in spec.all_variants}:
        raise validation_error(f'Endpoint "{document["EndpointArn"]}" has no variant {unknown}.')
    if len(set(names)) < len(names):
        raise validation_error("A variant is named more than once in DesiredWeightsAndCapacities.")
    if spec.is_serverless:
        raise validation_error("This local AWS does not resize serverless variants; update the endpoint instead.")
    if any("ServerlessUpdateConfig" in each for each in wanted):
        raise validation_error("ServerlessUpdateConfig is only valid for serverless variants.")
    counts = {each["VariantName"]: each["DesiredInstanceCount"] for each in wanted if "DesiredInstanceCount" in each}
    weights = {each["VariantName"]: each["DesiredWeight"] for each in wanted if "DesiredWeight" in each}
    return _checked(spec.changed(counts, weights))


def _pending_summary(pending: dict[str, Any]) -> dict[str, Any]:
    spec = FleetSpec.from_json(pending["Fleet"])
    there = FleetSpec.from_json(pending.get("New", pending["Fleet"]))
    phase = pending.get("Phase", "Creating")
    since = pending.get("PhaseTime", pending["StartTime"])
    return {
        "EndpointConfigName": spec.config_name,
        "StartTime": pending["StartTime"],
        **_summaries(there, spec, phase, since, started="New" in pending),
    }


def _summaries(
    spec: FleetSpec, desired: FleetSpec, phase: str | None, since: float, started: bool
) -> dict[str, list[dict[str, Any]]]:
    summaries = [
        _summary(now, then, phase, since, started)
        for now, then in zip(spec.all_variants, desired.all_variants, strict=True)
    ]
    production = len(spec.variants)
    shadows = {"ShadowProductionVariants": summaries[production:]} if spec.shadow else {}
    return {"ProductionVariants": summaries[:production], **shadows}


def _image(image: str, since: float) -> dict[str, Any]:
    try:
        return {"SpecifiedImage": image, "ResolvedImage": resolved(image), "ResolutionTime": since}
    except UnknownImage:  # what it starts with fails
        return {"SpecifiedImage": image}


def _summary(now: VariantSpec, then: VariantSpec, phase: str | None, since: float, started: bool) -> dict[str, Any]:
    """One variant."""
    summary: dict[str, Any] = {
        "VariantName": now.name,
        "DeployedImages": [_image(each.image, since) for each in now.containers],
        "CurrentWeight": now.weight,
        "DesiredWeight": then.weight,
        **_capacity(now, then, started),
    }
    if phase is not None:
        summary["VariantStatus"] = [{"Status": phase, "StartTime": since}]
    return summary


def _capacity(now: VariantSpec, then: VariantSpec, started: bool) -> dict[str, Any]:
    """A variant's size: serverless ones have no instances that anybody sees."""
    if now.serverless:
        return {"CurrentServerlessConfig": now.serverless, "DesiredServerlessConfig": then.serverless}
    return {"CurrentInstanceCount": now.instances if started else 0, "DesiredInstanceCount": then.instances}
