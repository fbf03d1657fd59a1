"""Deploying one model to a shared endpoint. Each turn plans anew from what is live, so that no deploy loses another's model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from common.aws import Aws
from common.deployment.execute import Deployment, Say, wait_until_settled
from common.deployment.live import ROLLBACK_TAG, Live, observe
from common.deployment.plan import (
    CHANGING,
    CreateEndpoint,
    NothingToDo,
    ReplaceFailedEndpoint,
    UpdateEndpoint,
    WaitForEndpoint,
    next_action,
)
from common.deployment.rollout import in_words
from common.deployment.shared.declare import SharedEndpoint
from common.deployment.shared.generation import Generation, SharedWanted, changes, generation_of, leaving
from common.deployment.shared.live import configurations_of, read_generation, served_by
from common.deployment.shared.store import check_answers, check_published, publish
from common.deployment.sweep import delete_if_there
from common.errors import DeploymentError
from common.model import Model
from common.registry import Package, Registry
from common.settings import Run
from common.storage import Bucket

_MOST_ROUNDS = 50
"""Of many deploys at once each waits for those before it."""


@dataclass(frozen=True)
class Placement:
    """One model's package that a shared endpoint shall serve.

    Attributes:
        declared: the models that declare the endpoint; None where the checkout cannot tell, being older than main.
        urgent: for a way back: traffic moves at once, without guardrails: an alarm that fires already would stop it.
    """

    model: Model
    package: Package
    endpoint: SharedEndpoint
    declared: Collection[str] | None
    urgent: bool = False


def wanted_beside(
    aws: Aws, registry: Registry, place: Placement, served: Generation | None, live: Live
) -> SharedWanted:
    """The generation that serves the package beside what is served already, but for the models that leave.

    Raises:
        DeploymentError: no image can serve them all.
    """
    members = served.members if served else {}
    found = {name: registry.serving(member.package) for name, member in members.items()}
    known = {name: package for name, package in found.items() if package}
    known |= overlooked(aws, registry, place, known)
    known.pop(place.model.name, None)
    leaves = leaving(members.keys() - {place.model.name}, known, place.declared)
    packages = {name: package for name, package in known.items() if name not in leaves}
    packages = {place.model.name: place.package, **packages}
    return SharedWanted(
        place.endpoint.owner,
        place.package,
        place.endpoint.settings,
        generation=generation_of(place.endpoint.name, packages),
        packages=packages,
        leaves=leaves,
        bucket=Bucket(aws).uri("").rstrip("/"),
        instead_of=live.configuration if place.urgent else "",
    )


def overlooked(aws: Aws, registry: Registry, place: Placement, serving: Mapping[str, Package]) -> dict[str, Package]:
    """Packages that were deployed after those that serve, and are gone by a deploy that was planned before they came.

    SageMaker serialises updates, but takes one that was planned from what serves no more. What was deployed last counts.
    """
    last = dict(serving)
    for configuration in configurations_of(aws, place.endpoint):
        for name, member in read_generation(aws, place.endpoint.name, configuration).members.items():
            now = last.get(name)
            if (now and now.arn == member.package) or (name not in serving and name not in (place.declared or ())):
                continue
            package = registry.serving(member.package)
            if package is None or package.metadata.get("deployed_as") != configuration:
                continue  # it was never verified there, or has been deployed otherwise since
            if package.deployed_at > (now.deployed_at if now else ""):
                last[name] = package
    # Chosen last: a model whose newest package was rejected has left, and an older one must not come back for it.
    return {
        name: package
        for name, package in last.items()
        if package is not serving.get(name) and package.is_approved and not package.rolled_back
    }


@dataclass(frozen=True)
class _Turn(Deployment):
    """One turn of a deploy: what `Deployment` does for a package, for a generation."""

    wanted: SharedWanted

    def _check_artifact(self) -> None:
        publish(self.aws, self.wanted)

    def _require_own_model(self) -> None:
        name, made = self.wanted.model_name, self.wanted.container["ModelDataUrl"]
        container = self.aws.sagemaker.describe_model(ModelName=name).get("PrimaryContainer", {})
        if container.get("ModelDataUrl") != made:
            raise DeploymentError(
                f"The SageMaker model {name} exists, but was not made from {made}.",
                "Somebody made it by hand, or the bucket is another one: delete that model, then deploy again.",
            )

    @property
    def _unlike_trained(self) -> str:
        return (
            f"The endpoint {self.wanted.model.name} does not answer with {self.wanted.configuration} as its models did"
        )

    def run_once(self, live: Live) -> bool:
        """Create or update the endpoint, and wait; False when somebody else was faster."""
        _require_unheld(live, self.wanted, self.registry.model)
        action = next_action(self.wanted, live)
        if not isinstance(action, CreateEndpoint | UpdateEndpoint | ReplaceFailedEndpoint):
            return False
        if not self._start(action, live):
            return False
        wait_until_settled(self.aws, self.wanted.model.name, self.say)
        return True

    def require_member(self, live: Live, served: Generation | None, before: Live, then: Generation | None) -> None:
        """Fail when the update from `before`, when `then` served, has ended without the package.

        Others may have joined it since, or have planned from what served before and taken it away: it is put in again then.
        """
        own = self.registry.model.name
        members = served.members if served else {}
        expected = (self.wanted.generation.members[own], then.members.get(own) if then else None)
        if live.configuration in ("", before.configuration) or members.get(own) not in expected:
            self._require_success(live, before.configuration)

    def verified(self, live: Live, served: Generation, *, changed: bool) -> bool:
        """Compare all golden predictions, then record what was deployed; roll back and fail when they do not match.

        Returns:
            False when the endpoint was changed by somebody else meanwhile, so that its answers say nothing.
        """
        if problem := check_answers(self.aws, self.wanted):
            if observe(self.aws, self.wanted.model) == live:
                self._roll_back(live.rollback, problem)
            return False
        for name in self._unrecorded(live, served, changed):
            self.registry.record_deployment(self.wanted.packages[name], live.configuration, self.run)
        if live.rollback:
            self.aws.sagemaker.delete_tags(ResourceArn=live.configuration_arn, TagKeys=[ROLLBACK_TAG])
        self._remove_alarms(changed=changed)
        return True

    def _unrecorded(self, live: Live, served: Generation, changed: bool) -> set[str]:
        """The models whose package began to serve by the update that is being verified, also a killed deploy's."""
        own = self.registry.model.name
        endpoint, packages = self.wanted.model.name, self.wanted.packages
        recorded = own in packages and packages[own].metadata.get("deployed_as", "").startswith(f"{endpoint}-shared-")
        new = {own} if changed or not recorded else set()
        if live.rollback:
            before = read_generation(self.aws, endpoint, live.rollback).members
            new |= {name for name, member in served.members.items() if before.get(name) != member}
        return new & packages.keys() & served.members.keys()


@dataclass(frozen=True)
class SharedDeployment:
    """The deploy of one model's package to a shared endpoint; its other models stay as they are."""

    aws: Aws
    registry: Registry
    place: Placement
    run: Run
    say: Say
    despite_alarms: bool = False

    def execute(self) -> bool:
        """Make the endpoint serve the package beside what it serves already; True when something was changed.

        Raises:
            DeploymentError: it does not serve it: an alarm fired, or one of its models does not answer as it did when it was
                trained, or somebody else replaced the package meanwhile. The generation before serves again, unless it says
                otherwise.
            ArtifactError: an artifact is missing or damaged; nothing was changed.
        """
        owner = self.place.endpoint.owner
        begun: _Turn | None = None
        before: tuple[Live, Generation | None] = Live(), None
        for _ in range(_MOST_ROUNDS):
            live = observe(self.aws, owner)
            if live.status in CHANGING:
                self.say(f"Endpoint {owner.name} is {live.status}, towards {live.leads_to}: waiting")
                wait_until_settled(self.aws, owner.name, self.say)
                continue
            served = served_by(self.aws, self.place.endpoint, live)
            if begun:
                begun.require_member(live, served, *before)
            turn = self._turn(wanted_beside(self.aws, self.registry, self.place, served, live))
            if served and live.in_service and live.configuration == turn.wanted.configuration:
                if not begun and not live.rollback:
                    check_published(self.aws, served)
                if turn.verified(live, served, changed=begun is not None):
                    return begun is not None
            elif served and live.in_service and live.rollback:
                self._settle(live, served, begun)
            elif turn.run_once(live):
                begun, before = turn, (live, served)
        raise DeploymentError(
            f"The endpoint {owner.name} keeps being changed by somebody else.",
            "Find out who deploys it (`./models status`), then deploy again.",
        )

    def _turn(self, wanted: SharedWanted) -> _Turn:
        return _Turn(self.aws, self.registry, wanted, self.run, self.say, self.despite_alarms)

    def _settle(self, live: Live, served: Generation, begun: _Turn | None) -> None:
        """Verify what another deploy has left unverified, so that nobody's way back is a generation that never was.

        Raises:
            DeploymentError: it does not answer as it should, and this deploy has brought it, or there is no way back from it.
        """
        self.say(
            f"{live.configuration} was not verified by the deploy that brought it: asking for its golden predictions"
        )
        found = {name: self.registry.serving(member.package) for name, member in served.members.items()}
        packages = {name: package for name, package in found.items() if package}
        wanted = wanted_beside(self.aws, self.registry, self.place, served, live)
        wanted = replace(wanted, generation=served, packages=packages, leaves={}, kept=live.configuration)
        try:
            self._turn(wanted).verified(live, served, changed=False)
        except DeploymentError as error:
            if begun or observe(self.aws, self.place.endpoint.owner).configuration != live.rollback:
                raise
            self.say(error.what)


def describe_shared_plan(place: Placement, wanted: SharedWanted, live: Live, served: Generation | None) -> list[str]:
    """The steps of a deploy to a shared endpoint in words, for `--plan`."""
    name, count = place.endpoint.name, len(wanted.packages)
    ask = f"ask the endpoint for the golden predictions of all {count} models"
    told = changes(served, wanted)
    prepare = [
        f"check the artifacts of {count} models offline against their golden predictions, and put them below "
        f"{wanted.container['ModelDataUrl']}",
        f"multi-model model {wanted.model_name}, endpoint configuration {wanted.configuration}, alarms "
        f"{', '.join(wanted.alarm_names)}: create what is missing",
    ]
    finish = [ask, "record the deployment in the package"]
    _require_unheld(live, wanted, place.model)
    match next_action(wanted, live):
        case NothingToDo():
            return [f"nothing: {name} serves version {place.package.version} of {place.model.name} already", ask]
        case CreateEndpoint():
            return [*told, *prepare, f"create endpoint {name}", *finish]
        case ReplaceFailedEndpoint():
            return [
                *told,
                *prepare,
                f"delete endpoint {name}, which failed ({live.failure}), and create it again",
                *finish,
            ]
        case UpdateEndpoint(from_configuration=old):
            how = "at once and unguarded" if place.urgent else in_words(place.endpoint.rollout)
            shift = f"update endpoint {name} from {old}: {how}"
            return [*told, *prepare, shift, *finish, f"delete generations older than the newest {place.endpoint.keep}"]
        case WaitForEndpoint(status=status, leads_to=target):
            return [f"wait: {name} is {status}, towards {target}", "plan again when it has ended"]


def _require_unheld(live: Live, wanted: SharedWanted, model: Model) -> None:
    """Refuse to change an endpoint that is held; what to do is said by the model's name, which commands take."""
    if live.hold and live.configuration != wanted.configuration:
        raise DeploymentError(f"The endpoint {wanted.model.name} is {live.hold}.", live.hold.way_out(model.name))


def sweep_generations(aws: Aws, endpoint: SharedEndpoint) -> list[str]:
    """Delete models and endpoint configurations of all but the newest generations, never of what serves; their names.

    Nothing is deleted while the endpoint is changing, or unverified. The objects in S3 stay.
    """
    live = observe(aws, endpoint.owner)
    if not live.in_service or live.rollback:
        return []
    names = configurations_of(aws, endpoint)
    kept = {live.configuration, *names[: endpoint.keep]}
    deleted: list[str] = []
    for name in names:
        if name in kept:
            continue
        if observe(aws, endpoint.owner) != live:
            break
        deleted += [name] if delete_if_there(aws.sagemaker.delete_endpoint_config, EndpointConfigName=name) else []
    models = {name.rpartition("-")[0] for name in deleted} - {name.rpartition("-")[0] for name in kept}
    return deleted + [n for n in sorted(models) if delete_if_there(aws.sagemaker.delete_model, ModelName=n)]
