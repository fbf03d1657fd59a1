"""Deploy to a shared endpoint: one model's package, beside those that the endpoint serves already."""

from __future__ import annotations

from common.deployment.guard import describe_guards
from common.deployment.live import describe_endpoint, observe
from common.deployment.shared.declare import SharedEndpoint, members_of
from common.deployment.shared.execute import (
    Placement,
    SharedDeployment,
    describe_shared_plan,
    sweep_generations,
    wanted_beside,
)
from common.deployment.shared.live import served_by
from common.errors import UnlikeTrainedError
from common.model import Model, all_models
from common.registry import Package
from common.steps.announce import announce_deployed, announce_unlike_trained
from common.steps.context import Context


def deploy_shared(
    context: Context,
    model: Model,
    endpoint: SharedEndpoint,
    package: Package,
    *,
    plan: bool,
    despite_alarms: bool = False,
) -> None:
    """Make the shared endpoint serve the package, and say what was done; or, with `plan`, only what would be.

    Raises:
        UsageError: the models of the checkout do not agree on the endpoint.
        ArtifactError: an artifact is missing or damaged; nothing was changed.
        DeploymentError: the package does not serve; what served before still does.
    """
    place = placement(context, model, endpoint, package)
    registry = context.registry(model)
    if plan:
        live = observe(context.aws, endpoint.owner)
        served = served_by(context.aws, endpoint, live)
        wanted = wanted_beside(context.aws, registry, place, served, live)
        context.say(f"{model.name}: version {package.version} (source {package.source}, data {package.data_version})")
        for number, step in enumerate(describe_shared_plan(place, wanted, live, served), start=1):
            context.say(f"  {number}. {step}")
        for guard in describe_guards(context.aws, wanted) if live.leads_to != wanted.configuration else ():
            context.say(f"     {guard}")
        return
    deployment = SharedDeployment(context.aws, registry, place, context.run, context.say, despite_alarms)
    said = f"{model.name}: version {package.version} serves behind the shared endpoint {endpoint.name}"
    try:
        changed = deployment.execute()
    except UnlikeTrainedError as error:
        announce_unlike_trained(context, model, endpoint.name, package, error)
        raise
    if changed:
        context.say(f"{said}, and all its models answer as they did when they were trained")
    else:
        context.say(f"{said} already, and the golden predictions of all its models match")
    for name in sweep_generations(context.aws, endpoint):
        context.say(f"  deleted {name}: {endpoint.keep} generations were deployed since")
    if describe_endpoint(context.aws, model.name):
        context.say(
            f"  warning: the endpoint {model.name}, which the model had for itself, still runs and costs money: delete it "
            "when nobody calls it any more"
        )
    announce_deployed(context, model, endpoint.name, package)


def placement(context: Context, model: Model, endpoint: SharedEndpoint, package: Package) -> Placement:
    """The package's place behind the endpoint that the models of this checkout declare.

    Raises:
        UsageError: they do not agree on it.
    """
    declared = {each.name: context.endpoint(each) for each in all_models()}
    members = members_of(model, endpoint, declared)
    return Placement(model, package, endpoint, members if context.checkout.is_main() else None)
