"""Keeping an endpoint as it is, and giving it free again."""

from __future__ import annotations

from common.deployment.hold import hold_of, put_hold, release
from common.errors import DeploymentError
from common.model import Model
from common.registry import Package
from common.steps.context import Context
from common.steps.live import endpoint_name


def hold_model(context: Context, model: Model, reason: str) -> None:
    """Hold the endpoint of the model.

    Raises:
        DeploymentError: there is no endpoint, or somebody holds it already.
    """
    endpoint = endpoint_name(context, model)
    if held := hold_of(context.aws, endpoint):
        raise DeploymentError(f"The endpoint {endpoint} is {held}.", held.way_out(model.name))
    held = put_hold(context.aws, endpoint, reason=reason, by=context.registry(model).identity(context.run))
    context.say(f"{model.name}: {held}. Deploys are refused until `./models release {model.name}`")


def release_model(context: Context, model: Model, version: int = 0) -> None:
    """End the hold on the model's endpoint; where nobody holds it, take the mark of a rollback from main's package.

    Never both at once: who ends a hold has not thereby decided that deploys bring back what was rolled back.

    Args:
        version: take the mark from this one, and leave the hold.

    Raises:
        DeploymentError: nothing is held, or what holds the endpoint is an experiment, which is ended in its own way.
        RegistryError: there is no such version.
    """
    name, registry = model.name, context.registry(model)
    endpoint = endpoint_name(context, model)
    held = None if version else hold_of(context.aws, endpoint)
    if held and held.kind != "hold":
        raise DeploymentError(f"The endpoint {endpoint} is {held}.", held.way_out(name))
    package = registry.version(version) if version else registry.approved(_main_source(context, model))
    marked: Package | None = package if package and package.rolled_back else None
    if not held and marked is None:
        which = f"Version {version} of {name}" if version else f"{name}, with main's package,"
        raise DeploymentError(
            f"{which} is neither held nor rolled back.",
            f"`./models status {name}` and `./models history {name}` show it.",
        )
    if held:
        release(context.aws, endpoint)
        context.say(f"{name}: it was {held}. Deploys may change it again")
        if marked:
            context.say(
                f"{name}: version {marked.version} stays {marked.rolled_back}. `./models release {name}` once more lets deploys "
                "take it again"
            )
    elif marked:
        registry.unmark_rolled_back(marked)
        context.say(
            f"{name}: version {marked.version} was {marked.rolled_back}. Deploys take it again, and the next one will"
        )


def _main_source(context: Context, model: Model) -> str:
    return context.checkout.source(model, context.checkout.main())
