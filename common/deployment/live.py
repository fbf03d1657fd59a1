"""What AWS has now: the endpoint of a model, what it serves, and what it is changing to. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing
from common.model import Model

ROLLBACK_TAG = "rollback-configuration"
"""Tag of an endpoint: the configuration that served before the update that is not verified yet."""


@dataclass(frozen=True)
class Live:
    """The endpoint of a model as it stands.

    Attributes:
        status: SageMaker's `EndpointStatus`; empty when there is no endpoint.
        configuration: the endpoint configuration that serves.
        pending: the configuration that an update under way leads to, or empty.
        package_arn: the package that serves, or empty when the model was not made from one.
        model_name: the SageMaker model that serves.
        rollback: the configuration to return to when the one that serves cannot be verified; empty after verification.
        failure: SageMaker's reason for the last failure, if it gives one.
    """

    status: str = ""
    arn: str = ""
    configuration: str = ""
    pending: str = ""
    model_name: str = ""
    package_arn: str = ""
    rollback: str = ""
    failure: str = ""

    @property
    def exists(self) -> bool:
        return bool(self.status)

    @property
    def in_service(self) -> bool:
        return self.status == "InService"


def observe(aws: Aws, model: Model) -> Live:
    """The endpoint of the model, what it serves, and how it came to that."""
    endpoint = describe_endpoint(aws, model.name)
    if endpoint is None:
        return Live()
    configuration = endpoint.get("EndpointConfigName", "")
    model_name, package_arn = _served(aws, configuration)
    tags = aws.sagemaker.list_tags(ResourceArn=endpoint["EndpointArn"])["Tags"]
    rollback = {tag["Key"]: tag["Value"] for tag in tags}.get(ROLLBACK_TAG, "")
    return Live(
        status=endpoint["EndpointStatus"],
        arn=endpoint["EndpointArn"],
        configuration=configuration,
        pending=endpoint.get("PendingDeploymentSummary", {}).get("EndpointConfigName", ""),
        model_name=model_name,
        package_arn=package_arn,
        rollback="" if rollback == configuration else rollback,  # SageMaker has rolled back by itself
        failure=endpoint.get("FailureReason", ""),
    )


def describe_endpoint(aws: Aws, name: str) -> Mapping[str, Any] | None:
    try:
        return aws.sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise


def _served(aws: Aws, configuration: str) -> tuple[str, str]:
    """(model name, package ARN) behind an endpoint configuration; empty where somebody has deleted them by hand."""
    try:
        variants = aws.sagemaker.describe_endpoint_config(EndpointConfigName=configuration)["ProductionVariants"]
        model_name = variants[0].get("ModelName", "")
        containers = aws.sagemaker.describe_model(ModelName=model_name)
    except ClientError as error:
        if is_missing(error):
            return "", ""
        raise
    container = containers.get("PrimaryContainer") or containers["Containers"][0]
    return model_name, container.get("ModelPackageName", "")
