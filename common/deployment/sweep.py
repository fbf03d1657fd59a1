"""Removing what no deploy will return to: an explicit retention over what this project deployed, never a name prefix."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing
from common.deployment.live import observe
from common.deployment.plan import to_sweep
from common.model import Model
from common.registry import Registry


def sweep(aws: Aws, registry: Registry, model: Model, keep: int) -> list[str]:
    """Delete models and endpoint configurations of packages that were deployed before the `keep` last ones.

    Packages and artifacts stay: a swept package can be deployed again. Nothing is deleted while the endpoint is changing.

    Returns:
        The names of what was deleted.
    """
    live = observe(aws, model)
    if not live.in_service or live.rollback:
        return []
    deployed = [package for package in registry.packages() if "deployed_as" in package.metadata]
    deleted: list[str] = []
    for package in to_sweep(deployed, live.package_arn, keep):
        model_name = f"{model.name}-model-{package.version}"
        for configuration in _configurations_of(aws, model_name):
            if configuration not in (live.configuration, live.pending):
                _delete(lambda name=configuration: aws.sagemaker.delete_endpoint_config(EndpointConfigName=name))  # type: ignore[misc]
                deleted.append(configuration)
        if _delete(lambda name=model_name: aws.sagemaker.delete_model(ModelName=name)):  # type: ignore[misc]
            deleted.append(model_name)
    return deleted


def _configurations_of(aws: Aws, model_name: str) -> list[str]:
    """The endpoint configurations that serve exactly this model."""
    pages = aws.sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=f"{model_name}-")
    names = [item["EndpointConfigName"] for page in pages for item in page["EndpointConfigs"]]
    return [name for name in names if _serves(aws, name, model_name)]


def _serves(aws: Aws, configuration: str, model_name: str) -> bool:
    try:
        variants = aws.sagemaker.describe_endpoint_config(EndpointConfigName=configuration)["ProductionVariants"]
    except ClientError as error:
        if is_missing(error):
            return False
        raise
    return [variant.get("ModelName") for variant in variants] == [model_name]


def _delete(delete: Callable[[], object]) -> bool:
    """Delete; False when it was gone already, e.g. by a deploy that runs at the same time."""
    try:
        delete()
    except ClientError as error:
        if not is_missing(error):
            raise
        return False
    return True
