"""Deploy: main's approved package to the endpoint of its model."""

from __future__ import annotations

from common.deployment.autoscaler import Autoscaler
from common.deployment.execute import Deployment
from common.deployment.fleet import lost_customers
from common.deployment.guard import describe_guards
from common.deployment.live import observe
from common.deployment.modes import DeclaredEndpoint
from common.deployment.plan import Wanted, describe_plan
from common.deployment.shared.declare import SharedEndpoint
from common.deployment.sweep import sweep
from common.errors import RegistryError, UnlikeTrainedError
from common.model import Model
from common.registry import PENDING, Package, Registry
from common.steps.announce import announce_deployed, announce_unlike_trained
from common.steps.context import Context
from common.steps.deploy_shared import deploy_shared


def deploy_model(
    context: Context,
    model: Model,
    endpoint: DeclaredEndpoint | SharedEndpoint,
    *,
    plan: bool = False,
    version: int = 0,
    despite_alarms: bool = False,
) -> None:
    """Make the endpoint serve the newest approved package of main's source, or say why that cannot be.

    Args:
        plan: only say what would be done.
        version: deploy this approved version instead, e.g. to go back to it; the next merge deploys main's again.
        despite_alarms: deploy although alarms are in ALARM before any traffic shifts, unguarded by those.

    Raises:
        CheckoutError: the checkout is not what main holds, so that deploying it would be a step back.
        RegistryError: there is no approved package to deploy, production went back from it, or the environment before this
            one has not verified it.
        ArtifactError: the package's artifact is missing or damaged; nothing was changed.
        DeploymentError: the package does not serve; what served before still does.
        NotificationError: the package serves, but nobody could be told.
    """
    context.checkout.require_main(model)
    registry = context.registry(model)
    package = _chosen(registry, version) if version else package_of_main(context, registry)
    _require_verified(context, model, package)
    if isinstance(endpoint, SharedEndpoint):
        deploy_shared(context, model, endpoint, package, plan=plan, despite_alarms=despite_alarms)
        return
    wanted = Wanted(model, package, endpoint)
    _warn_of_lost_customers(context, registry, package)
    if plan:
        live = observe(context.aws, model)
        context.say(f"{model.name}: version {package.version} (source {package.source}, data {package.data_version})")
        scaling = Autoscaler.of(context.aws, wanted, context.say).planned()
        for number, step in enumerate([*describe_plan(wanted, live), *filter(None, [scaling])], start=1):
            context.say(f"  {number}. {step}")
        for guard in describe_guards(context.aws, wanted) if live.leads_to != wanted.configuration else ():
            context.say(f"     {guard}")
        return
    deployment = Deployment(context.aws, registry, wanted, context.run, context.say, despite_alarms=despite_alarms)
    try:
        changed = deployment.execute()
    except UnlikeTrainedError as error:
        announce_unlike_trained(context, model, model.name, package, error)
        raise
    if changed:
        context.say(f"{model.name}: version {package.version} serves, and answers as it did when it was trained")
    else:
        context.say(f"{model.name}: version {package.version} serves already, and its golden predictions match")
    for name in sweep(context.aws, registry, model, endpoint.keep):
        context.say(f"  deleted {name}: {endpoint.keep} packages were deployed since")
    announce_deployed(context, model, model.name, package)


def _require_verified(context: Context, model: Model, package: Package) -> None:
    """Refuse what the environment before this one has not shown to answer as it should."""
    before, here = context.aws.settings.after, context.aws.settings.environment
    if before and not package.verified_in(before):
        raise RegistryError(
            f"Version {package.version} of {model.name} was not verified in {before}, or was taken back there: it is not "
            f"deployed to {here}, and nothing was changed.",
            f"Deploy it to {before} first: the job deploy-{model.name}-to-{before}, or MODELS_ENVIRONMENT={before} "
            f"./models deploy {model.name} --version {package.version}; then run this again.",
        )


def _warn_of_lost_customers(context: Context, registry: Registry, package: Package) -> None:
    """Name the customers whom nobody will serve after the deploy: they were added by hand, and the new data have none of them."""
    serving = registry.serving(observe(context.aws, registry.model).package_arn) if package.fleet else None
    if serving is None or not serving.fleet:
        return
    if lost := lost_customers(context.aws, serving, package):
        context.say(
            f"  warning: {len(lost):,} customers were added to version {serving.version} and are not in version "
            f"{package.version} (the first: {lost[0]}); `./models add-customer {registry.model.name} {lost[0]}` adds it again"
        )


def package_of_main(context: Context, registry: Registry) -> Package:
    """The newest approved package of main's source."""
    model = registry.model
    source = context.checkout.source(model)
    package = registry.approved(source)
    if package:
        return _not_rolled_back(model, package)
    newest = registry.find(source)
    if newest is None:
        raise RegistryError(
            f"No package of {model.name} was ever trained from main's source {source}.",
            "The branch was probably behind main when it was merged, so that the combination was never trained. Trigger the "
            f"pipeline with action=train, model={model.name} on main and approve the package; next time update the "
            "branch before merging.",
        )
    if newest.status == PENDING:
        raise RegistryError(
            f"Version {newest.version} of {model.name}, trained from main's source {source}, is not approved.",
            f"Click request-deployment in the pipeline that trained it{_where(newest)}, then rerun this job.",
        )
    raise RegistryError(
        f"Version {newest.version} of {model.name}, trained from main's source {source}, is rejected: {newest.reason}.",
        "Revert the merge, which brings the package before it back, or mend the model on a branch.",
    )


def _chosen(registry: Registry, version: int) -> Package:
    package = registry.version(version)
    if not package.is_approved:
        raise RegistryError(
            f"Version {version} of {registry.model.name} is {package.status}.", "Only approved packages are deployed."
        )
    return _not_rolled_back(registry.model, package)


def _not_rolled_back(model: Model, package: Package) -> Package:
    """Never deploy again what production went back from: a rerun or a merge would undo a person's decision silently."""
    if package.rolled_back:
        raise RegistryError(
            f"Version {package.version} of {model.name} was {package.rolled_back}. It is not deployed again; nothing was "
            "changed.",
            f"Mend the model on a branch: a newer approved package of main's source is deployed. If this one was not to blame: "
            f"`./models release {model.name} --version {package.version}`, then rerun this job.",
        )
    return package


def _where(package: Package) -> str:
    branch, url = package.metadata.get("branch"), package.metadata.get("build_url")
    return f" (branch {branch}{', ' + url if url else ''})" if branch else ""
