"""Where a model serves, by what its folder declares: behind an endpoint of its own, or a shared one."""

from __future__ import annotations

from common.deployment.live import Live, observe
from common.deployment.shared.declare import SharedEndpoint
from common.deployment.shared.live import observe_member
from common.model import Model
from common.registry import Package
from common.steps.context import Context


def live_of(context: Context, model: Model) -> Live:
    """The endpoint that serves the model, as it stands for that model.

    Raises:
        DeploymentError, ArtifactError: the shared endpoint does not tell what it serves.
    """
    endpoint = context.endpoint(model)
    if isinstance(endpoint, SharedEndpoint):
        return observe_member(context.aws, model, endpoint)
    return observe(context.aws, model)


def champion(context: Context, model: Model) -> Package | None:
    """The package that answers callers; None where none does.

    Where that is another environment, whose endpoints are not to be looked at from here, the packages say so themselves.

    Raises:
        DeploymentError, ArtifactError: the shared endpoint does not tell what it serves.
    """
    registry = context.registry(model)
    if not context.aws.settings.answers_here:
        return registry.deployed_last()
    return registry.serving(live_of(context, model).package_arn)


def endpoint_name(context: Context, model: Model) -> str:
    """The name of the endpoint that the model declares: its own, or the shared one's."""
    endpoint = context.endpoint(model)
    return endpoint.name if isinstance(endpoint, SharedEndpoint) else model.name
