"""Removing what no deploy will return to: an explicit retention over what this project deployed, never a name prefix."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing
from common.deployment.live import observe
from common.deployment.plan import never_served, to_sweep
from common.model import Model
from common.registry import Registry


def sweep(aws: Aws, registry: Registry, model: Model, keep: int) -> list[str]:
    """Delete models and endpoint configurations of packages that were deployed before the `keep` last ones, or never.

    Packages and artifacts stay: a swept package can be deployed again. Nothing is deleted while the endpoint is changing, or
    held, e.g. by an experiment with a package that was never deployed.

    Returns:
        The names of what was deleted.
    """
    versions = _versions_with_a_model(aws, model)
    if len(versions) <= keep:
        return []
    live = observe(aws, model)
    if not live.in_service or live.rollback or live.hold:
        return []
    packages = list(registry.of_versions(versions))
    deployed = [package for package in packages if package.deployed_at]
    deleted: list[str] = []
    for package in [*to_sweep(deployed, live.package_arn, keep), *never_served(packages, live.package_arn)]:
        if observe(aws, model) != live:
            break  # another deploy has begun, perhaps back to what would go next
        deleted += _delete_model(aws, f"{model.name}-model-{package.version}", live.configuration)
    return deleted


def _versions_with_a_model(aws: Aws, model: Model) -> set[int]:
    """The package versions that have a SageMaker model by the name that a deploy gives it."""
    pages = aws.sagemaker.get_paginator("list_models").paginate(NameContains=f"{model.name}-model-")
    names = [item["ModelName"] for page in pages for item in page["Models"]]
    matches = [re.fullmatch(rf"{model.name}-model-(\d+)", name) for name in names]
    return {int(match[1]) for match in matches if match}


def _delete_model(aws: Aws, name: str, serving: str) -> list[str]:
    """Delete a model and its endpoint configurations, but the one that serves; the names of what was deleted."""
    sagemaker = aws.sagemaker
    configurations = [each for each in _configurations_of(aws, name) if each != serving]
    deleted = [
        each for each in configurations if delete_if_there(sagemaker.delete_endpoint_config, EndpointConfigName=each)
    ]
    # The model goes last: a sweep that is killed before finds it, and with it the rest, again.
    return [*deleted, *([name] if delete_if_there(sagemaker.delete_model, ModelName=name) else [])]


def _configurations_of(aws: Aws, model_name: str) -> list[str]:
    """The endpoint configurations that a deploy made to serve this model."""
    pages = aws.sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=f"{model_name}-")
    names = [item["EndpointConfigName"] for page in pages for item in page["EndpointConfigs"]]
    return [
        name for name in names if re.fullmatch(rf"{model_name}-[0-9a-f]{{8}}", name) and _serves(aws, name, model_name)
    ]


def _serves(aws: Aws, configuration: str, model_name: str) -> bool:
    try:
        variants = aws.sagemaker.describe_endpoint_config(EndpointConfigName=configuration)["ProductionVariants"]
    except ClientError as error:
        if is_missing(error):
            return False
        raise
    return [variant.get("ModelName") for variant in variants] == [model_name]


def delete_if_there(delete: Callable[..., object], **name: Any) -> bool:
    """Delete; False when it was gone already, e.g. by a deploy that runs at the same time."""
    try:
        delete(**name)
    except ClientError as error:
        if not is_missing(error):
            raise
        return False
    return True
