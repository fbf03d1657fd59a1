"""Going back behind a shared endpoint: one model's package makes way for the one before it, the other models stay."""

from __future__ import annotations

from dataclasses import replace

from common.deployment.live import observe
from common.deployment.plan import CHANGING
from common.deployment.shared.declare import SharedEndpoint
from common.deployment.shared.execute import SharedDeployment, describe_shared_plan, wanted_beside
from common.deployment.shared.live import observe_member, served_by
from common.model import Model
from common.operations.rollback import mark_bad, outcome, way_back
from common.steps.announce import announce_rolled_back
from common.steps.context import Context
from common.steps.deploy_shared import placement


def roll_back_shared(
    context: Context, model: Model, endpoint: SharedEndpoint, *, to: int, reason: str, plan: bool
) -> None:
    """Make the shared endpoint serve what it served before of this model, and mark what it goes back from.

    Another model's deploy that is under way is waited for.

    Raises:
        DeploymentError, RegistryError: as `rollback.roll_back`.
    """
    context.checkout.require_main(model)  # deploy.py decides on the endpoint, which is made anew
    registry, live = context.registry(model), observe_member(context.aws, model, endpoint)
    settled = replace(live, status="InService") if live.status in CHANGING else live
    way = way_back(model.name, settled, list(registry.packages()), to)
    place = replace(placement(context, model, endpoint, way.to), urgent=True)
    if plan:
        now = observe(context.aws, endpoint.owner)
        served = served_by(context.aws, endpoint, now)
        wanted = wanted_beside(context.aws, registry, place, served, now)
        bad = way.bad.version if way.bad and not way.done else 0
        mark = [f"mark version {bad} as rolled back to version {way.to.version}: {reason}"] if bad else []
        for number, step in enumerate([*mark, *describe_shared_plan(place, wanted, now, served)], start=1):
            context.say(f"  {number}. {step}")
        return
    mark_bad(context, registry, way, reason)
    SharedDeployment(context.aws, registry, place, context.run, context.say).execute()
    mark_bad(context, registry, way, reason)
    context.say(outcome(model.name, way))
    announce_rolled_back(context, model, endpoint.name, way.bad)
