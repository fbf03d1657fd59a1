"""From what shall be compared to the endpoint configuration that does it, and whether it may begin. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from common.deployment.capture import Capture
from common.deployment.declare import VARIANT, Endpoint, digest_of, on_instances
from common.deployment.hold import already_held
from common.deployment.live import PACKAGE_VARIABLE, Live
from common.deployment.modes import DeclaredEndpoint
from common.deployment.plan import CHANGING, Wanted
from common.errors import DeploymentError, RegistryError, UsageError
from common.model import Model
from common.registry import REJECTED, Package

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import TagTypeDef

SHADOW = "Shadow"
"""The variant that gets copies of the requests, and whose answers nobody sees."""
_MOST_VARIANTS = 10

Kind = Literal["shadow", "ab"]


@dataclass(frozen=True)
class Experiment:
    """What an experiment makes of a model's endpoint.

    Attributes:
        variants: by name the package of each variant that answers or gets copies.
        containers: by name the SageMaker models that it needs.
        request: what CreateEndpointConfig takes, but name and tags.
        words: what it is, for a person; in characters that a tag may hold.
    """

    kind: Kind
    model: Model
    configuration: str
    variants: Mapping[str, Wanted]
    containers: Mapping[str, Any]
    request: Mapping[str, Any]
    words: str

    @property
    def tags(self) -> list[TagTypeDef]:
        """The tags of everything that it creates."""
        return [{"Key": "model", "Value": self.model.name}]


def shadow_test(
    serving: Wanted, package: Package, percent: int, capture_uri: str, instances: int | None = None
) -> Experiment:
    """The package beside the one that serves: the shadow gets copies of that share of the requests.

    The shadow's SageMaker model is made from the package's parts and not from the package, since SageMaker makes models from
    approved packages only. It has a name of its own, so that no deploy ever meets it.

    Args:
        instances: of each variant; as many as are declared, unless scaling has come to others.

    Raises:
        UsageError: the endpoint is of a kind that has no shadow tests, or the share is impossible.
        RegistryError: the package is rejected, or serves already.
    """
    model, endpoint = serving.model, require_real_time(serving.model, serving.endpoint, "shadow test")
    count = instances or endpoint.instance_count
    if not 1 <= percent <= 100:
        raise UsageError(f"A shadow of {percent} % of the requests is not possible.", "Give --percent 1 to 100.")
    if package.status == REJECTED:
        raise RegistryError(
            f"Version {package.version} of {model.name} is rejected: {package.reason}.", "Name another version."
        )
    if package.arn == serving.package.arn:
        raise RegistryError(
            f"Version {package.version} of {model.name} serves already: there is nothing to compare.",
            f"Name another one: `./models shadow {model.name} --version N`; `./models history {model.name}` lists them.",
        )
    wanted = Wanted(model, package, endpoint)
    name = f"{model.name}-shadow-{package.version}"
    shadow = on_instances(endpoint.instance_type, count, name) | {
        "VariantName": SHADOW,
        "InitialVariantWeight": percent / 100,  # of production's 1: SageMaker copies the quotient of the two
    }
    production = on_instances(endpoint.instance_type, count, serving.model_name)
    request = {"ProductionVariants": [production], "ShadowProductionVariants": [shadow]}
    digest = digest_of({"declared": endpoint.digest(), "percent": percent})
    container = {
        "Image": package.image,
        "ModelDataUrl": package.artifact,
        "Environment": package.environment | {PACKAGE_VARIABLE: package.arn},
    }
    return Experiment(
        kind="shadow",
        model=model,
        configuration=f"{serving.model_name}-shadow-{package.version}-{digest}",
        variants={VARIANT: serving, SHADOW: wanted},
        containers={name: container},
        request=_captured(endpoint, request, capture_uri),
        words=f"version {package.version} gets copies of {percent} percent of the requests to version {serving.package.version}",
    )


def ab_test(
    model: Model,
    declared: DeclaredEndpoint,
    packages: Sequence[Package],
    weights: Sequence[float],
    capture_uri: str,
    instances: int | None = None,
) -> Experiment:
    """Two or more approved packages that answer a share of the callers each, as many as their weights say.

    Args:
        instances: of each variant; as many as are declared, unless scaling has come to others.

    Raises:
        UsageError: the endpoint is of a kind that has no variants, or versions and weights do not fit together.
        RegistryError: a package is not approved.
    """
    endpoint = require_real_time(model, declared, "A/B test")
    versions = [package.version for package in packages]
    if not 2 <= len(set(versions)) == len(versions) <= _MOST_VARIANTS:
        raise UsageError(
            f"An A/B test of {', '.join(map(str, versions)) or 'no versions'} is not possible.",
            f"Name two to {_MOST_VARIANTS} different versions: --versions 3,5.",
        )
    if len(weights) != len(packages) or min(weights) <= 0:
        raise UsageError(
            f"The weights {', '.join(f'{weight:g}' for weight in weights)} do not fit {len(packages)} versions.",
            "Give each version a weight above 0: --versions 3,5 --weights 50,50.",
        )
    for package in packages:
        if not package.is_approved or package.rolled_back:
            state = "was rolled back" if package.is_approved else f"is {package.status}"
            raise RegistryError(
                f"Version {package.version} of {model.name} {state}; an A/B test answers real callers.",
                f"Approve it first, or let it answer nobody yet: `./models shadow {model.name} --version {package.version}`.",
            )
    wanted = {f"v{package.version}": Wanted(model, package, endpoint) for package in packages}
    variants = [
        on_instances(endpoint.instance_type, instances or endpoint.instance_count, each.model_name)
        | {"VariantName": name, "InitialVariantWeight": weight}
        for (name, each), weight in zip(wanted.items(), weights, strict=True)
    ]
    dealt = dict(zip(wanted, weights, strict=True))
    digest = digest_of({"declared": endpoint.digest(), "weights": dealt})
    shares = " and ".join(
        f"{100 * weight / sum(weights):.3g} percent of the callers ask version {version}"
        for version, weight in zip(versions, weights, strict=True)
    )
    return Experiment(
        kind="ab",
        model=model,
        configuration=f"{model.name}-ab-{digest}",
        variants=wanted,
        containers={each.model_name: each.container for each in wanted.values()},
        request=_captured(endpoint, {"ProductionVariants": variants}, capture_uri),
        words=shares,
    )


def require_real_time(model: Model, endpoint: DeclaredEndpoint, what: str) -> Endpoint:
    """The endpoint, if it is of the kind that SageMaker can experiment on.

    Raises:
        UsageError: it is of another kind.
    """
    if isinstance(endpoint, Endpoint) and not model.is_fleet:
        return endpoint
    kind = "a fleet of models" if model.is_fleet else f"declared as {type(endpoint).__name__}"
    raise UsageError(
        f"{model.name} is {kind}, and SageMaker offers no {what} there.",
        "It does for a single model behind an `Endpoint` in real time.",
    )


def _captured(endpoint: Endpoint, request: Mapping[str, Any], capture_uri: str) -> dict[str, Any]:
    """The request with all calls captured, or as many as the endpoint declares."""
    return {**request, "DataCaptureConfig": (endpoint.capture or Capture(100)).request(capture_uri)}


def kind_of(model: Model, configuration: str) -> Kind | None:
    """Which experiment an endpoint configuration of this model is for; None where it is for none."""
    if re.fullmatch(rf"{model.name}-model-\d+-shadow-\d+-[0-9a-f]{{8}}", configuration):
        return "shadow"
    return "ab" if re.fullmatch(rf"{model.name}-ab-[0-9a-f]{{8}}", configuration) else None


CALLED: Mapping[Kind, str] = {"shadow": "A shadow test", "ab": "An A/B test"}


def next_start(experiment: Experiment, live: Live) -> Literal["update", "wait", "nothing"]:
    """The one thing to do to begin the experiment.

    Raises:
        DeploymentError: the endpoint cannot be changed now, and why.
    """
    name = experiment.model.name
    if not live.exists:
        raise DeploymentError(
            f"{name} has no endpoint, so there is no traffic to compare on.", f"`./models deploy {name}` creates it."
        )
    if live.hold and live.hold.kind != experiment.kind:
        raise already_held(name, live.hold)
    if live.leads_to == experiment.configuration and (live.in_service or live.status in CHANGING):
        return "nothing" if live.in_service else "wait"
    if running := kind_of(experiment.model, live.leads_to):
        raise DeploymentError(
            f"{CALLED[running]} runs on {name} already ({live.leads_to}).",
            f"`./models {running} {name}` shows what it says; end it with --stop first.",
        )
    if not live.in_service:
        who = f", {live.changed}" if live.changed else ""
        raise DeploymentError(
            f"The endpoint {name} is {live.status}, towards {live.leads_to}{who}.",
            f"Nothing was changed. Look with `./models status {name}`, and begin once it is InService.",
        )
    if live.rollback:
        raise DeploymentError(
            f"{live.configuration} serves, but its deploy was interrupted before it was verified.",
            f"`./models deploy {name}` ends that; then begin.",
        )
    return "update"
