"""Where a model serves, by what its folder declares: behind an endpoint of its own, or a shared one."""

from __future__ import annotations

from common.deployment.live import Live, observe
from common.deployment.shared.declare import SharedEndpoint
from common.deployment.shared.live import observe_member
from common.model import Model
from common.steps.context import Context


def live_of(context: Context, model: Model) -> Live:
    """The endpoint that serves the model, as it stands for that model.

    Raises:
        DeploymentError, ArtifactError: the shared endpoint does not tell what it serves.
    """
    endpoint = model.declaration("deploy", "ENDPOINT")
    if isinstance(endpoint, SharedEndpoint):
        return observe_member(context.aws, model, endpoint)
    return observe(context.aws, model)


def endpoint_name(model: Model) -> str:
    """The name of the endpoint that the model declares: its own, or the shared one's."""
    endpoint = model.declaration("deploy", "ENDPOINT")
    return endpoint.name if isinstance(endpoint, SharedEndpoint) else model.name
