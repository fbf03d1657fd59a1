"""The SageMaker models that are made of packages: created once, never changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from common.aws import Aws, says
from common.deployment.live import package_of
from common.deployment.plan import Wanted
from common.errors import DeploymentError
from common.protection import protected_model


def create_model(aws: Aws, wanted: Wanted) -> None:
    """Create the SageMaker model of a package, unless there is one of its name."""
    create_model_as(aws, wanted, wanted.model_name, aws.settings.role_of_endpoint(wanted.model.name))


def create_model_as(aws: Aws, wanted: Wanted, name: str, role: str) -> None:
    """The same under another name, for what runs with that role."""
    request: dict[str, Any] = {
        "ModelName": name,
        "PrimaryContainer": wanted.container,
        "ExecutionRoleArn": role,
        "Tags": wanted.tags,
    }
    unless_it_exists(lambda: aws.sagemaker.create_model(**protected_model(request, aws.settings)))


def require_own_model(aws: Aws, wanted: Wanted, name: str = "") -> None:
    """Refuse a SageMaker model that has the name of the package's, and was made from something else.

    Args:
        name: of the model, where it is not that which a deploy gives it.

    Raises:
        DeploymentError: it was.
    """
    name = name or wanted.model_name
    found = aws.sagemaker.describe_model(ModelName=name)
    if package_of(found.get("PrimaryContainer", {})) != wanted.package.arn:
        raise DeploymentError(
            f"The SageMaker model {name} exists, but was not made from {wanted.package.arn}.",
            "Somebody made it by hand, or the package group was made anew: delete that model, then deploy again.",
        )
    placed: dict[str, Any] = dict(protected_model({"PrimaryContainer": wanted.container}, aws.settings))
    differ = [each for each in ("VpcConfig", "EnableNetworkIsolation") if (found.get(each) or None) != placed.get(each)]
    if differ:
        raise DeploymentError(
            f"The SageMaker model {name} exists, and its {' and '.join(differ)} are not those of this environment.",
            "The network has changed since it was made, and models are never changed: delete that model where nothing serves by "
            "it (`aws sagemaker delete-model`), or train anew, since the next package makes another; then deploy again.",
        )


def unless_it_exists(create: Callable[[], object]) -> None:
    """Create, or find it created: names follow from what they stand for."""
    try:
        create()
    except ClientError as error:
        if not says(error, "already existing", "already exists", "ResourceInUse"):
            raise
