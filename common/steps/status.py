"""Where every model stands: what main holds, what the registry has, what serves, and whether these agree."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from common.deployment.autoscaler import Autoscaler
from common.deployment.live import Live
from common.deployment.modes import DeclaredEndpoint
from common.deployment.plan import Wanted
from common.deployment.shared.declare import SharedEndpoint
from common.errors import DeploymentError
from common.model import Model
from common.registry import Package
from common.steps.context import Context
from common.steps.live import live_of

_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 1.0, 15.0


@dataclass(frozen=True)
class ModelStatus:
    """One model's row of `models status`.

    Attributes:
        source: main's source.
        newest: the newest package of all, or None.
        wanted: the newest approved package of main's source, or None.
        serving: the package that serves, or None.
        problem: why the endpoint is not in step with main; empty when it is.
        held: who keeps it from being in step, and why, in words: a hold or a rollback. Nobody has to act on it now.
    """

    model: Model
    source: str
    newest: Package | None
    wanted: Package | None
    serving: Package | None
    live: Live
    problem: str
    held: str = ""

    @property
    def in_step(self) -> bool:
        return not self.problem

    def or_held(self) -> ModelStatus:
        """The same, and in step where somebody decided that it shall stay as it is."""
        held = why_held(self.wanted, self.serving, self.live)
        return replace(self, problem="", held=held) if held else self


def model_status(context: Context, model: Model) -> ModelStatus:
    """Compare main, registry and endpoint of one model."""
    source = context.checkout.source(model, context.checkout.main())
    registry = context.registry(model)
    newest = registry.newest()
    wanted = newest if newest and newest.source == source and newest.is_approved else registry.approved(source)
    live = live_of(context, model)
    serving = registry.serving(live.package_arn)
    problem = why_not_in_step(wanted, serving, live, _configuration(context, model, wanted, live) if wanted else "")
    if wanted and not problem:
        problem = _why_not_scaled(context, model, wanted)
    return ModelStatus(model, source, newest, wanted, serving, live, problem).or_held()


def _configuration(context: Context, model: Model, wanted: Package, live: Live) -> str:
    """The endpoint configuration that main's package and declaration lead to."""
    endpoint: DeclaredEndpoint | SharedEndpoint = context.endpoint(model)
    if isinstance(endpoint, SharedEndpoint):  # what it serves beside the model is no matter of the model's
        return f"{live.configuration.rpartition('-')[0]}-{endpoint.settings.digest()}"
    return Wanted(model, wanted, endpoint).configuration


def _why_not_scaled(context: Context, model: Model, wanted: Package) -> str:
    """How the endpoint's scaling is not what `deploy.py` declares, in words; empty where it is."""
    endpoint: DeclaredEndpoint | SharedEndpoint = context.endpoint(model)
    if isinstance(endpoint, SharedEndpoint):
        return ""
    missing = Autoscaler.of(context.aws, Wanted(model, wanted, endpoint), context.say).planned()
    return f"a deploy would {missing}" if missing else ""


def why_not_in_step(wanted: Package | None, serving: Package | None, live: Live, configuration: str) -> str:
    """Why the endpoint is not what main says, in words; empty when it is.

    Args:
        configuration: the endpoint configuration that main's package and declaration lead to.
    """
    if wanted is None:
        return "no approved package of main's source"
    if not live.exists:
        return f"version {wanted.version} is not deployed: there is no endpoint"
    if not live.in_service and not live.scales:
        towards = f" towards {live.pending}" + (f", {live.changed}" if live.changed else "") if live.pending else ""
        return f"the endpoint is {live.status}{towards}" + (f": {live.failure}" if live.failure else "")
    if serving is None:
        return f"{live.configuration} serves no package of this model's registry"
    if serving.arn != wanted.arn:
        return f"version {serving.version} serves, main's is version {wanted.version}"
    if wanted.rolled_back:
        return f"version {wanted.version} serves, although it was {wanted.rolled_back}; roll back again, or release it"
    if live.configuration != configuration:
        return f"{live.configuration} serves, deploy.py declares {configuration}"
    if live.rollback:
        return "a deploy was interrupted before it was verified; deploy again"
    return ""


def why_held(wanted: Package | None, serving: Package | None, live: Live) -> str:
    """Who decided that the endpoint serves something else than main's package, or shall not change; empty where nobody did."""
    if wanted is None or serving is None or not live.in_service or live.rollback:
        return ""
    if live.hold:
        return str(live.hold)
    if wanted.rolled_back and serving.arn != wanted.arn:
        return f"held: version {wanted.version} was {wanted.rolled_back}"
    return ""


def require_in_step(
    context: Context, models: list[Model], wait_minutes: float, show: Callable[[list[ModelStatus]], None]
) -> None:
    """Show the status of the models, and fail when one is not in step with main.

    Args:
        wait_minutes: how long to wait for deploys that are under way.

    Raises:
        DeploymentError: names each model that is not in step, and why.
    """
    deadline, pause = time.monotonic() + wait_minutes * 60, _FIRST_POLL_SECONDS
    while True:
        statuses = [model_status(context, model) for model in models]
        late = [status for status in statuses if not status.in_step]
        # A deploy can only bring what is approved: for the others there is nothing to wait for.
        if not any(status.wanted for status in late) or time.monotonic() >= deadline:
            break
        context.say(f"waiting for {', '.join(f'{s.model.name} ({s.problem})' for s in late)}")
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(pause * 1.3, _LONGEST_POLL_SECONDS)
    show(statuses)
    if late:
        raise DeploymentError(
            "Not in step with main: " + "; ".join(f"{status.model.name}: {status.problem}" for status in late) + ".",
            "Rerun the model's deploy job, or trigger the pipeline on main with action=deploy (action=train where main's "
            "source was never trained).",
        )
