"""From what is wanted and what is live to the steps between: pure functions, no call to AWS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from common.deployment.declare import VARIANT
from common.deployment.hold import already_held
from common.deployment.live import PACKAGE_VARIABLE, Live
from common.deployment.modes import DeclaredEndpoint
from common.deployment.rollout import Rollout, in_words, why_refused
from common.errors import DeploymentError
from common.model import Model
from common.registry import Package

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import ContainerDefinitionTypeDef, TagTypeDef


@dataclass(frozen=True)
class Wanted:
    """What the endpoint of a model shall serve. All names follow from package and declaration.

    Attributes:
        instead_of: for a way back, the configuration that must go; nothing else is replaced, and at once, without
            guardrails: an alarm that fires already would stop it.
        kept: for a way back, the configuration by which the package served before; empty where it is made anew.
    """

    model: Model
    package: Package
    endpoint: DeclaredEndpoint
    instead_of: str = field(default="", kw_only=True)
    kept: str = field(default="", kw_only=True)

    @property
    def model_name(self) -> str:
        return f"{self.model.name}-model-{self.package.version}"

    @property
    def container(self) -> ContainerDefinitionTypeDef:
        """What SageMaker makes the model from: the package, or, for a fleet, the package's parts."""
        package = self.package
        if not package.fleet:
            return {"ModelPackageName": package.arn}
        return {
            "Image": package.image,
            "Mode": "MultiModel",
            "ModelDataUrl": package.fleet,
            "Environment": package.environment | {PACKAGE_VARIABLE: package.arn},
        }

    @property
    def configuration(self) -> str:
        return self.kept or f"{self.model_name}-{self.endpoint.digest()}"

    @property
    def rollout(self) -> Rollout | None:
        """How traffic moves to the package; None where SageMaker moves it at once, without guardrails."""
        return None if self.instead_of else self.endpoint.rollout

    @property
    def tags(self) -> list[TagTypeDef]:
        """The tags of everything that a deploy creates."""
        return [{"Key": "model", "Value": self.model.name}]

    @property
    def alarm_names(self) -> list[str]:
        return [alarm.name(self.model.name) for alarm in self.endpoint.alarms]


@dataclass(frozen=True)
class CreateEndpoint:
    """There is none yet."""


@dataclass(frozen=True)
class UpdateEndpoint:
    """Shift traffic from the configuration that serves, and come back to it if an alarm fires."""

    from_configuration: str


@dataclass(frozen=True)
class ReplaceFailedEndpoint:
    """SageMaker lets a failed endpoint only be deleted; it serves nothing."""


@dataclass(frozen=True)
class WaitForEndpoint:
    """Something is under way already: another deploy, or one whose process was killed."""

    status: str
    leads_to: str


@dataclass(frozen=True)
class NothingToDo:
    """The endpoint serves the wanted configuration; only the golden predictions are checked."""


CHANGING = ("Creating", "Updating", "RollingBack", "SystemUpdating", "Deleting")
"""The statuses in which SageMaker is at work and accepts no change."""

Action = CreateEndpoint | UpdateEndpoint | ReplaceFailedEndpoint | WaitForEndpoint | NothingToDo


def next_action(wanted: Wanted, live: Live) -> Action:
    """The one thing to do with the endpoint now.

    Raises:
        DeploymentError: the endpoint is in a state that only a person can mend, somebody holds it, or SageMaker would
            refuse what is declared.
    """
    _require_possible(wanted, live)
    if wanted.instead_of and live.exists and live.leads_to not in (wanted.instead_of, wanted.configuration):
        raise DeploymentError(
            f"The endpoint {wanted.model.name} is brought to {live.leads_to} by somebody else meanwhile"
            f"{f' ({live.changed})' if live.changed else ''}.",
            f"Ask them, look with `./models watch {wanted.model.name}`, then roll back again if it is still needed.",
        )
    action = _unheld_action(wanted, live)
    if isinstance(action, UpdateEndpoint):
        _require_shiftable(wanted, live)
    if live.hold and isinstance(action, UpdateEndpoint | ReplaceFailedEndpoint):
        raise already_held(wanted.model.name, live.hold)
    return action


def _require_possible(wanted: Wanted, live: Live) -> None:
    """Refuse what SageMaker would refuse after models and configurations have been made, or could not take back."""
    name, mode = wanted.model.name, wanted.endpoint.mode
    if wanted.package.fleet and mode != "real time":
        raise DeploymentError(
            f"{name} is a fleet, and its endpoint is declared {mode}.",
            "SageMaker serves many models from one endpoint only in real time: declare an Endpoint.",
        )
    if live.mode not in (None, mode) and live.status not in ("Failed", "Deleting"):
        raise DeploymentError(
            f"The endpoint {name} is {live.mode}, and deploy.py declares it {mode}.",
            f"SageMaker changes the mode of no endpoint: remove it with `./models teardown {name}`, which interrupts the "
            "serving, then deploy again; or declare the mode that it has.",
        )


def _require_shiftable(wanted: Wanted, live: Live) -> None:
    """Refuse a rollout that SageMaker would refuse from what serves; endpoints of an experiment are held besides."""
    if wanted.rollout is None or not live.variants:
        return
    if reason := why_refused(wanted.rollout, live.variants, [VARIANT]):
        raise DeploymentError(
            f"The endpoint {wanted.model.name} serves the variants {', '.join(live.variants)} by {live.configuration}, and "
            f"deploy.py declares one, {VARIANT}: {reason}.",
            "End the experiment that made them (`./models ab`), or bring the endpoint to a configuration of this project "
            "without a rollout (`aws sagemaker update-endpoint`); then deploy again.",
        )


def _unheld_action(wanted: Wanted, live: Live) -> Action:
    match live.status:
        case "":
            return CreateEndpoint()
        case "InService" if live.configuration == wanted.configuration:
            return NothingToDo()
        case "InService" | "UpdateRollbackFailed":
            return UpdateEndpoint(live.configuration)
        case "Failed":
            return ReplaceFailedEndpoint()
        case status if status in CHANGING:
            return WaitForEndpoint(live.status, live.leads_to)
    raise DeploymentError(
        f"The endpoint {wanted.model.name} is {live.status}: {live.failure or 'SageMaker gives no reason'}.",
        "Bring it back by hand (SageMaker console, Endpoints), then deploy again.",
    )


def describe_plan(wanted: Wanted, live: Live) -> list[str]:
    """The steps of a deploy in words, for `--plan`."""
    name, package = wanted.model.name, wanted.package
    prepare = [
        _check(package),
        f"{'multi-model ' if package.fleet else ''}model {wanted.model_name}, endpoint configuration {wanted.configuration}, "
        f"alarms {', '.join(wanted.alarm_names) or 'none'}: create what is missing",
    ]
    verify = ["ask the endpoint for the golden predictions", "record the deployment in the package"]
    sweep = f"delete models and configurations older than the {wanted.endpoint.keep} deployed last"
    match next_action(wanted, live):
        case NothingToDo():
            return [f"nothing: {name} serves {wanted.configuration} already", *verify[:1]]
        case CreateEndpoint():
            return [*prepare, f"create endpoint {name}", *verify]
        case ReplaceFailedEndpoint():
            return [*prepare, f"delete endpoint {name}, which failed ({live.failure}), and create it again", *verify]
        case UpdateEndpoint(from_configuration=old):
            shift = f"update endpoint {name} from {old}: {_shift(wanted.endpoint)}"
            return [*prepare, shift, *verify, sweep]
        case WaitForEndpoint(status=status, leads_to=target):
            return [f"wait: {name} is {status}, towards {target}", "plan again when it has ended"]


def _check(package: Package) -> str:
    if package.fleet:
        return (
            f"check the {package.metadata.get('customers', '?')} customers' models of version {package.version} in "
            f"{package.fleet}, and a sample offline against its golden predictions"
        )
    return f"check version {package.version}'s artifact offline against its golden predictions"


def _shift(endpoint: DeclaredEndpoint) -> str:
    return in_words(endpoint.rollout) if endpoint.rollout else "at once, as serverless endpoints are"


def to_sweep(deployed: list[Package], serving_arn: str, keep: int) -> list[Package]:
    """Which deployed packages may lose their model and configurations: all but those deployed last, never what serves.

    Args:
        deployed: packages that have served at some time, in any order.
        serving_arn: the package that serves now.
    """
    by_time = sorted(deployed, key=lambda package: package.metadata.get("deployed_at", ""), reverse=True)
    kept = {package.arn for package in by_time[:keep]} | {serving_arn}
    return [package for package in by_time if package.arn not in kept]


def never_served(packages: list[Package], serving_arn: str) -> list[Package]:
    """Which packages may lose what a failed deploy prepared for them: they never served, and a newer one does.

    Newer ones than that stay: a deploy may prepare one at this moment.

    Args:
        packages: those that have a SageMaker model, in any order.
    """
    serving = max((package.version for package in packages if package.arn == serving_arn), default=0)
    return [package for package in packages if not package.deployed_at and package.version < serving]
