"""Going back to what served before: in one command, with no training, and so that nothing undoes it silently.

The package that production goes back from is marked in the registry. No deploy takes a marked package, so the model stays
where it is until a newer package of main's source is approved, or somebody takes the mark away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing
from common.deployment.execute import Deployment
from common.deployment.hold import already_held
from common.deployment.live import Live, observe
from common.deployment.modes import DeclaredEndpoint, mode_of
from common.deployment.plan import CHANGING, Wanted
from common.errors import DeploymentError, RegistryError
from common.model import Model
from common.registry import Package, Registry
from common.steps.announce import announce_rolled_back
from common.steps.context import Context


@dataclass(frozen=True)
class WayBack:
    """From which package to which.

    Attributes:
        bad: what production goes back from; None where the other one serves already, and nobody goes back.
        done: the other one serves already.
    """

    bad: Package | None
    to: Package
    done: bool = False


def roll_back(
    context: Context,
    model: Model,
    endpoint: DeclaredEndpoint,
    *,
    to: int,
    reason: str,
    plan: bool = False,
) -> None:
    """Make the endpoint serve what served before, verified by its golden predictions, and mark what it goes back from.

    A rerun finds the work done, and continues one that was killed.

    Args:
        to: the version to go back to; 0 for the one that was deployed before.
        plan: only say what would be done.

    Raises:
        DeploymentError: there is nothing to go back from or to, somebody holds or changes the endpoint, or the package
            from before does not answer as it did; then what served goes on serving.
        RegistryError: that version cannot be gone back to.
        NotificationError: it serves again, but nobody could be told.
    """
    registry = context.registry(model)
    live = observe(context.aws, model)
    way = way_back(model.name, live, list(registry.packages()), to)
    kept = _kept_configuration(context.aws, way, live, endpoint)
    if not kept:
        context.checkout.require_main(model)  # deploy.py decides on what is made anew
    wanted = Wanted(model, way.to, endpoint, instead_of=live.configuration, kept=kept)
    if plan:
        for number, step in enumerate(describe_way_back(wanted, way, live, reason), start=1):
            context.say(f"  {number}. {step}")
        return
    mark_bad(context, registry, way, reason)
    Deployment(context.aws, registry, wanted, context.run, context.say).execute()
    mark_bad(context, registry, way, reason)  # again: somebody else may have named another way at the same moment
    context.say(outcome(model.name, way))
    announce_rolled_back(context, model, model.name, way.bad)


def mark_bad(context: Context, registry: Registry, way: WayBack, reason: str) -> None:
    """Note of the bad package that production goes back from it, and to which; the first to say why is who is named.

    It is written anew where it names another target: that of a rollback that was killed, or of somebody else's.
    """
    marked = registry.describe(way.bad.arn) if way.bad else None
    if marked and (not marked.rolled_back or marked.metadata.get("rolled_back_to") != str(way.to.version)):
        registry.mark_rolled_back(marked, context.run, reason, way.to)


def way_back(name: str, live: Live, packages: Sequence[Package], to: int = 0) -> WayBack:
    """Which package to go back from, and to which: the one that was deployed last before it, and is fit to serve.

    Raises:
        DeploymentError, RegistryError: as `roll_back` says.
    """
    serving = next((package for package in packages if package.arn == live.package_arn), None)
    if not live.exists or serving is None:
        what = "no package of this registry serves" if live.exists else "it has no endpoint"
        raise DeploymentError(
            f"There is nothing to go back from: of {name}, {what}.", f"`./models deploy {name}` deploys main's package."
        )
    if live.hold:
        raise already_held(name, live.hold)
    undone = _undone_by(serving, packages)
    if undone and to in (0, serving.version):
        return WayBack(undone, serving, done=True)
    if to == serving.version:
        return WayBack(None, serving, done=True)
    target = _named(name, packages, to) if to else _deployed_before(name, serving, packages)
    joins = serving.metadata.get("rolled_back_to") == str(target.version)
    if live.status in CHANGING and not (joins and live.leads_to.startswith(f"{name}-model-{target.version}-")):
        raise DeploymentError(
            f"The endpoint {name} is {live.status} towards {live.leads_to}{f', {live.changed}' if live.changed else ''}.",
            f"SageMaker takes no other change until that has ended. `./models watch {name}` shows when; then look what "
            "serves, and roll back again if it is still needed.",
        )
    return WayBack(serving, target)


def _undone_by(serving: Package, packages: Sequence[Package]) -> Package | None:
    """The package that production went back from to the one that serves, where nothing was deployed since."""
    for package in packages:
        if package.rolled_back and package.metadata.get("rolled_back_to") == str(serving.version):
            since = package.metadata["rolled_back_at"]
            if not any(other.deployed_at > since for other in packages if other is not serving):
                return package
    return None


def _deployed_before(name: str, serving: Package, packages: Sequence[Package]) -> Package:
    fit = [p for p in packages if p is not serving and p.deployed_at and p.is_approved and not p.rolled_back]
    if not fit:
        raise DeploymentError(
            f"Nothing to go back to: no other package of {name} was ever deployed that is approved and not rolled back.",
            f"`./models history {name}` lists them; `./models deploy {name} --version N` deploys any approved one.",
        )
    return max(fit, key=lambda package: package.deployed_at)


def _named(name: str, packages: Sequence[Package], version: int) -> Package:
    package = next((package for package in packages if package.version == version), None)
    if package is None:
        problem = "there is no such version"
    elif not package.is_approved:
        problem = f"it is {package.status}: {package.reason}"
    elif package.rolled_back:
        problem = f"it was {package.rolled_back} (`./models release {name} --version {version}` takes the mark away)"
    elif not package.deployed_at:
        problem = f"it never served (`./models deploy {name} --version {version}` deploys it as any new one)"
    else:
        return package
    raise RegistryError(
        f"{name} cannot go back to version {version}: {problem}.", f"`./models history {name}` shows what was deployed."
    )


def _kept_configuration(aws: Aws, way: WayBack, live: Live, endpoint: DeclaredEndpoint) -> str:
    """The configuration by which the package served, where it is still there and of the declared mode; else empty."""
    name = live.configuration if way.done else way.to.metadata.get("deployed_as", "")
    try:
        found = aws.sagemaker.describe_endpoint_config(EndpointConfigName=name) if name else None
    except ClientError as error:
        if not is_missing(error):
            raise
        return ""
    # SageMaker never changes an endpoint's mode: one that was declared since then cannot be left for the one before.
    return name if found and mode_of(found) == endpoint.mode else ""


def describe_way_back(wanted: Wanted, way: WayBack, live: Live, reason: str) -> list[str]:
    """The steps of a rollback in words, for `--plan`."""
    version, verify = way.to.version, "ask the endpoint for the golden predictions"
    if way.done:
        return [f"nothing: {_already(way)}", verify]
    how = "as it was kept" if wanted.kept else "made anew, as deploy.py declares"
    bad = way.bad.version if way.bad else 0
    return [
        f"mark version {bad} as rolled back to version {version}: {reason}",
        f"check version {version}'s artifact offline against its golden predictions",
        f"update endpoint {wanted.model.name} from {live.configuration} to {wanted.configuration} ({how}), at once and unguarded",
        verify,
        f"hold: no deploy takes version {bad} until a newer package of main's source is approved, or it is released",
    ]


def _already(way: WayBack) -> str:
    return f"version {way.to.version} serves already" + (
        f"; version {way.bad.version} was {way.bad.rolled_back}" if way.bad else ""
    )


def outcome(name: str, way: WayBack) -> str:
    """What to say when the way back is done."""
    if way.done:
        return f"{name}: {_already(way)}. Nothing was changed. To go further back, name the version: --to N"
    held = (
        f" Version {way.bad.version} is held back: a newer approved package of main's source is deployed, or "
        f"`./models release {name}` gives it free."
        if way.bad
        else ""
    )
    return f"{name}: version {way.to.version} serves again, and answers as it did when it was trained.{held}"
