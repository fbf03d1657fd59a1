"""What AWS has now: the endpoint of a model, what it serves, and what it is changing to. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing
from common.deployment.declare import Mode
from common.deployment.hold import Hold, hold_on
from common.deployment.modes import mode_of
from common.model import Model

ROLLBACK_TAG = "rollback-configuration"
"""Tag of an endpoint configuration that is not verified yet: the configuration to return to.

It is the configuration that carries it, not the endpoint, so that a deploy which removes it after its verification never
takes the way back from another one that has begun meanwhile.
"""

CHANGED_BY_TAG, CHANGED_AT_TAG = "changed-by", "changed-at"
"""Tags of an endpoint configuration: who began to bring it to the endpoint last, and when (ISO 8601 in UTC)."""

PACKAGE_VARIABLE = "MODEL_PACKAGE_ARN"
"""Variable of a multi-model container: its package, from which SageMaker can make no multi-model model itself."""


@dataclass(frozen=True)
class Live:
    """The endpoint of a model as it stands.

    Attributes:
        status: SageMaker's `EndpointStatus`; empty when there is no endpoint.
        configuration: the endpoint configuration that serves.
        configuration_arn: its ARN, or empty where somebody has deleted it by hand; the endpoint serves on.
        pending: the configuration that an update under way leads to, or empty.
        package_arn: the package that serves, or empty when the model was not made from one.
        model_name: the SageMaker model that serves.
        rollback: the configuration to return to when the one that serves cannot be verified; empty after verification.
        failure: SageMaker's reason for the last failure, if it gives one.
        hold: who keeps the endpoint as it is, and why; None where deploys may change it.
        changed: who began the change that is under way, or the last one, and when, in words; empty where nobody noted it.
        mode: how the endpoint is asked; None where its configuration is gone.
        instances: how many the variant that serves shall have now, which autoscaling may change at any moment.
        variants: the names of the production variants.
    """

    status: str = ""
    configuration: str = ""
    configuration_arn: str = ""
    pending: str = ""
    model_name: str = ""
    package_arn: str = ""
    rollback: str = ""
    failure: str = ""
    hold: Hold | None = None
    changed: str = field(default="", compare=False)
    mode: Mode | None = None
    instances: int = field(default=0, compare=False)
    variants: tuple[str, ...] = ()

    @property
    def exists(self) -> bool:
        return bool(self.status)

    @property
    def leads_to(self) -> str:
        """The configuration that serves once nothing is under way any more, if all goes well."""
        return self.pending or self.configuration

    @property
    def scales(self) -> bool:
        """Whether only the number of its instances is being changed, by which the endpoint is `Updating`, too."""
        return self.status == "Updating" and self.leads_to == self.configuration

    @property
    def in_service(self) -> bool:
        return self.status == "InService"


def observe(aws: Aws, model: Model) -> Live:
    """The endpoint of the model, what it serves, and how it came to that."""
    endpoint = describe_endpoint(aws, model.name)
    if endpoint is None:
        return Live()
    name = endpoint.get("EndpointConfigName", "")
    pending = endpoint.get("PendingDeploymentSummary", {}).get("EndpointConfigName", "")
    configuration, tags = _configuration(aws, name)
    led_by = _configuration(aws, pending)[1] if pending else tags
    model_name = configuration["ProductionVariants"][0].get("ModelName", "") if configuration else ""
    return Live(
        status=endpoint["EndpointStatus"],
        configuration=name,
        configuration_arn=configuration["EndpointConfigArn"] if configuration else "",
        pending=pending,
        model_name=model_name,
        package_arn=_package_arn(aws, model_name) if model_name else "",
        rollback=tags.get(ROLLBACK_TAG, ""),
        failure=endpoint.get("FailureReason", ""),
        hold=_hold(aws, endpoint["EndpointArn"]),
        changed=f"by {led_by[CHANGED_BY_TAG]} since {led_by.get(CHANGED_AT_TAG, '?')}"
        if CHANGED_BY_TAG in led_by
        else "",
        mode=mode_of(configuration) if configuration else None,
        instances=sum(variant.get("DesiredInstanceCount", 0) for variant in endpoint.get("ProductionVariants", [])),
        variants=tuple(variant["VariantName"] for variant in endpoint.get("ProductionVariants", [])),
    )


def _hold(aws: Aws, endpoint_arn: str) -> Hold | None:
    try:
        return hold_on(aws, endpoint_arn)
    except ClientError as error:
        if is_missing(error):  # deleted since it was described
            return None
        raise


def describe_endpoint(aws: Aws, name: str) -> Mapping[str, Any] | None:
    try:
        return aws.sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise


def _configuration(aws: Aws, name: str) -> tuple[Mapping[str, Any], dict[str, str]]:
    """An endpoint configuration and its tags; both empty where somebody has deleted it by hand."""
    try:
        description = aws.sagemaker.describe_endpoint_config(EndpointConfigName=name)
        tags = aws.sagemaker.list_tags(ResourceArn=description["EndpointConfigArn"])["Tags"]
    except ClientError as error:
        if is_missing(error):
            return {}, {}
        raise
    return description, {tag["Key"]: tag["Value"] for tag in tags}


def _package_arn(aws: Aws, model_name: str) -> str:
    """The package that a model was made from; empty where there is none, or somebody has deleted the model by hand."""
    try:
        description = aws.sagemaker.describe_model(ModelName=model_name)
    except ClientError as error:
        if is_missing(error):
            return ""
        raise
    return package_of(description.get("PrimaryContainer") or description["Containers"][0])


def package_of(container: Mapping[str, Any]) -> str:
    """The ARN of the package that a model's container was made from, or an empty string."""
    return str(container.get("ModelPackageName") or container.get("Environment", {}).get(PACKAGE_VARIABLE, ""))
