"""Beginning and ending experiments on an endpoint. Every step can be repeated: a killed command is continued by the same one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing, says
from common.deployment.autoscaler import Autoscaler
from common.deployment.declare import VARIANT
from common.deployment.execute import Deployment, wait_until_settled
from common.deployment.hold import put_hold, release
from common.deployment.live import CHANGED_AT_TAG, CHANGED_BY_TAG, Live, observe
from common.deployment.modes import DeclaredEndpoint
from common.deployment.plan import Wanted
from common.deployment.sweep import delete_if_there
from common.deployment.verify import check_artifact, check_endpoint
from common.errors import DeploymentError, RegistryError
from common.experiments.plan import CALLED, SHADOW, Experiment, Kind, kind_of, next_start
from common.model import Model
from common.protection import protected_endpoint, protected_model
from common.registry import Registry, metadata_values, now
from common.settings import Run

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import TagTypeDef

_BEFORE_TAG = "experiment-from"
"""Tag of an experiment's endpoint configuration: the configuration that served before, to return to."""


@dataclass(frozen=True)
class Running:
    """The experiment that an endpoint serves.

    Attributes:
        versions: by variant the version of its package.
        weights: of the variants that answer callers.
        percent: the share of requests that a shadow gets copies of; 0 in an A/B test.
        since: when its configuration was made.
        before: the configuration that served before.
    """

    kind: Kind
    configuration: str
    versions: Mapping[str, int]
    weights: Mapping[str, float]
    percent: float
    since: datetime
    before: str

    @property
    def challenger(self) -> int:
        """The version that a shadow test tries out."""
        return self.versions[SHADOW]


def running(aws: Aws, model: Model, live: Live) -> Running | None:
    """The experiment that serves, or that serves again if what replaces it cannot be verified.

    None where there is none, or somebody has deleted its configuration by hand, so that nobody knows what serves.
    """
    serves = kind_of(model, live.configuration)
    configuration = live.configuration if serves else live.rollback
    kind = kind_of(model, configuration)
    if kind is None:
        return None
    try:
        described = aws.sagemaker.describe_endpoint_config(EndpointConfigName=configuration)
    except ClientError as error:
        if not is_missing(error):
            raise
        return None
    tags = aws.sagemaker.list_tags(ResourceArn=described["EndpointConfigArn"])["Tags"]
    shadows = described.get("ShadowProductionVariants", [])
    variants = [*described["ProductionVariants"], *shadows]
    return Running(
        kind=kind,
        configuration=configuration,
        versions={each["VariantName"]: int(each["ModelName"].rpartition("-")[2]) for each in variants},
        weights={each["VariantName"]: each["InitialVariantWeight"] for each in described["ProductionVariants"]},
        percent=100 * shadows[0]["InitialVariantWeight"] if shadows else 0,
        since=described["CreationTime"],
        before={tag["Key"]: tag["Value"] for tag in tags}.get(_BEFORE_TAG, ""),
    )


@dataclass(frozen=True)
class _Return(Deployment):
    """The end of a shadow test: what answers callers goes on doing so, also if it was rejected meanwhile."""

    def _prepare(self) -> str:
        # SageMaker makes no model from a package that is not approved; the one that answers exists.
        return super()._prepare() if self.wanted.package.is_approved else self._configuration_arn()


@dataclass(frozen=True)
class Laboratory:
    """Where the experiments on one model's endpoint are begun and ended."""

    aws: Aws
    registry: Registry
    endpoint: DeclaredEndpoint
    run: Run
    say: Callable[[str], None]

    @property
    def model(self) -> Model:
        return self.registry.model

    def serving(self) -> Wanted:
        """The package that serves.

        Raises:
            DeploymentError: there is no endpoint, or what serves is no package of the registry.
        """
        live = observe(self.aws, self.model)
        package = self.registry.serving(live.package_arn)
        if package is None:
            what = "serves no package of this registry" if live.exists else "does not exist"
            raise DeploymentError(
                f"The endpoint {self.model.name} {what}, so there is nothing to compare with.",
                f"Deploy an approved package first: `./models deploy {self.model.name}`.",
            )
        return Wanted(self.model, package, self.endpoint)

    def instances(self) -> int | None:
        """How many instances scaling has come to; None where the declaration says how many there are."""
        scaling = self.endpoint.scaling
        return (observe(self.aws, self.model).instances or None) if scaling else None

    def require_running(self, kind: Kind) -> Running:
        """The experiment of that kind that runs.

        Raises:
            DeploymentError: none does.
        """
        found = running(self.aws, self.model, observe(self.aws, self.model))
        if found is None or found.kind != kind:
            example = {"shadow": "--version N", "ab": "--versions 3,5"}[kind]
            raise DeploymentError(
                f"{CALLED[kind]} does not run on {self.model.name}.",
                f"`./models {kind} {self.model.name} {example}` begins one.",
            )
        return found

    def start(self, experiment: Experiment) -> bool:
        """Begin the experiment, or go on beginning it; False when it runs already.

        Raises:
            DeploymentError: it could not begin, and what served before serves.
            ArtifactError: an artifact is missing or damaged; nothing was changed.
        """
        live = observe(self.aws, self.model)
        step = next_start(experiment, live)
        if step == "update":
            for wanted in experiment.variants.values():
                check_artifact(self.aws, wanted)
        self._hold(experiment, live)
        autoscaler = Autoscaler(self.aws, self.model.name, None, self.say)
        try:
            if step == "update":
                self._require_unchanged(experiment, live)
                self._update(experiment, live, autoscaler)
            if step != "nothing":
                wait_until_settled(self.aws, self.model.name, self.say)
            self._require_serving(experiment)
        except Exception:
            autoscaler.restore()
            if live.hold is None and observe(self.aws, self.model).leads_to != experiment.configuration:
                release(self.aws, self.model.name)
            raise
        self._require_answers(experiment)
        return step != "nothing"

    def _hold(self, experiment: Experiment, live: Live) -> None:
        if live.hold is None:
            put_hold(
                self.aws,
                self.model.name,
                reason=experiment.words,
                by=self.registry.identity(self.run),
                kind=experiment.kind,
            )

    def _require_unchanged(self, experiment: Experiment, live: Live) -> None:
        """Refuse what was planned from what serves no more: artifacts take time, and no deploy was held meanwhile."""
        now, production = observe(self.aws, self.model), experiment.variants.get(VARIANT)
        planned = production.package.arn if production else now.package_arn
        if (now.status, now.configuration, now.package_arn) == (live.status, live.configuration, planned):
            return
        raise DeploymentError(
            f"While {experiment.configuration} was prepared, somebody else has changed the endpoint {self.model.name}: it is "
            f"{now.status or 'gone'}, towards {now.leads_to or 'nothing'}.",
            f"Nothing was changed. Look with `./models status {self.model.name}`, then run the same again.",
        )

    def _update(self, experiment: Experiment, live: Live, autoscaler: Autoscaler) -> None:
        sagemaker, name = self.aws.sagemaker, experiment.configuration
        self._remove_leftovers(live)
        for model_name, container in experiment.containers.items():
            self._create_model(model_name, container, experiment.tags)
        sign = {
            _BEFORE_TAG: live.configuration,
            CHANGED_BY_TAG: self.registry.identity(self.run),
            CHANGED_AT_TAG: now(),
        }
        tags: list[TagTypeDef] = [{"Key": key, "Value": value} for key, value in metadata_values(sign).items()]
        request: Any = protected_endpoint(experiment.request, self.aws.settings)
        sagemaker.create_endpoint_config(EndpointConfigName=name, Tags=[*experiment.tags, *tags], **request)
        if VARIANT not in experiment.variants:
            autoscaler.make_way(live.configuration, name)
        self.say(f"Updating endpoint {self.model.name} from {live.configuration} to {name}: {experiment.words}")
        try:
            sagemaker.update_endpoint(EndpointName=self.model.name, EndpointConfigName=name)
        except ClientError as error:
            if not says(error, "in-progress"):
                raise
            raise DeploymentError(
                f"Somebody else began to change the endpoint {self.model.name} at the same moment.",
                f"Look with `./models status {self.model.name}`, then run the same again.",
            ) from error

    def _create_model(self, name: str, container: Mapping[str, Any], tags: Any) -> None:
        role = self.aws.settings.role_of_endpoint(self.model.name)
        request: dict[str, Any] = {
            "ModelName": name,
            "PrimaryContainer": container,
            "ExecutionRoleArn": role,
            "Tags": tags,
        }
        try:
            self.aws.sagemaker.create_model(**protected_model(request, self.aws.settings))
        except ClientError as error:
            if not says(error, "already existing", "already exists", "ResourceInUse"):
                raise

    def _require_serving(self, experiment: Experiment) -> None:
        """Fail, and let go, when the endpoint does not serve the experiment."""
        live = observe(self.aws, self.model)
        if not live.in_service or live.configuration != experiment.configuration:
            release(self.aws, self.model.name)
            raise DeploymentError(
                f"{CALLED[experiment.kind]} could not begin: the endpoint {self.model.name} is "
                f"{live.status or 'gone'}, with {live.configuration or 'nothing'}. "
                f"{live.failure or 'SageMaker gives no reason: the new instances did not become healthy.'}",
                f"The variants' logs are in CloudWatch, /aws/sagemaker/Endpoints/{self.model.name}.",
            )

    def _require_answers(self, experiment: Experiment) -> None:
        """Fail, and return to what served before, when a variant is not what was registered."""
        for variant, wanted in experiment.variants.items():
            problem = check_endpoint(self.aws, wanted, variant) if variant != SHADOW else ""
            if problem:
                self.say(f"Variant {variant} does not answer as version {wanted.package.version}: {problem}")
                self.stop(self.require_running(experiment.kind))
                raise DeploymentError(
                    f"Variant {variant} did not answer as version {wanted.package.version} did when it was trained: {problem}. "
                    "What served before serves again.",
                    f"`./models show {self.model.name} --version {wanted.package.version}` has its evaluation.",
                )

    def stop(self, experiment: Running) -> None:
        """Return to what served before the experiment."""
        version = next(iter(experiment.versions.values()))
        if kept := self._existing(experiment.before):
            version = int(kept.removeprefix(f"{self.model.name}-model-").partition("-")[0])
        self.end(experiment, version, kept=kept)

    def _existing(self, configuration: str) -> str:
        """The name of a configuration of an ordinary deploy, if it exists still."""
        if not re.fullmatch(rf"{self.model.name}-model-\d+-[0-9a-f]{{8}}", configuration):
            return ""
        try:
            self.aws.sagemaker.describe_endpoint_config(EndpointConfigName=configuration)
        except ClientError as error:
            if not is_missing(error):
                raise
            return ""
        return configuration

    def end(self, experiment: Running, version: int, *, kept: str = "") -> None:
        """Let one version alone answer, at once: SageMaker shifts traffic by parts only between variants of equal names.

        Raises:
            DeploymentError: that did not happen, and the experiment goes on.
        """
        wanted = Wanted(self.model, self.registry.version(version), self.endpoint)
        wanted = replace(wanted, instead_of=experiment.configuration, kept=kept)
        deployment = _Return if kept and experiment.kind == "shadow" else Deployment
        self.conclude(experiment, deployment(self.aws, self.registry, wanted, self.run, self.say).execute)

    def conclude(self, experiment: Running, deploy: Callable[[], object]) -> None:
        """Deploy what shall serve after the experiment; when that fails, the experiment is held as before."""
        held = release(self.aws, self.model.name)
        try:
            deploy()
        except BaseException:  # also an interruption: while the experiment serves, no deploy may end it unasked
            live = observe(self.aws, self.model)
            if held and live.configuration == experiment.configuration and live.hold is None:
                put_hold(self.aws, self.model.name, reason=held.reason, by=held.by, kind=experiment.kind)
            raise
        self._remove_leftovers(observe(self.aws, self.model))

    def finish(self, kind: Kind) -> bool:
        """Let go of an endpoint on which no experiment runs any more, but whose hold is left; True when there was one."""
        live = observe(self.aws, self.model)
        runs = running(self.aws, self.model, live) or kind_of(self.model, live.pending)
        if live.hold is None or live.hold.kind != kind or runs:
            return False
        release(self.aws, self.model.name)
        self._remove_leftovers(live)
        return True

    def _remove_leftovers(self, live: Live) -> None:
        """Delete configurations of experiments that nothing serves or returns to, and the models of shadows."""
        sagemaker, name = self.aws.sagemaker, self.model.name
        if not live.in_service:
            return
        used = (live.configuration, live.rollback)
        pages = sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=f"{name}-")
        found = [item["EndpointConfigName"] for page in pages for item in page["EndpointConfigs"]]
        for configuration in found:
            if kind_of(self.model, configuration) and configuration not in used:
                delete_if_there(sagemaker.delete_endpoint_config, EndpointConfigName=configuration)
        models = sagemaker.get_paginator("list_models").paginate(NameContains=f"{name}-shadow-")
        for model_name in [item["ModelName"] for page in models for item in page["Models"]]:
            number = re.fullmatch(rf"{name}-shadow-(\d+)", model_name)
            if number and not any(f"-shadow-{number[1]}-" in configuration for configuration in used):
                delete_if_there(sagemaker.delete_model, ModelName=model_name)


def require_approved(registry: Registry, version: int) -> None:
    """Refuse to let a version answer callers that nobody has approved.

    Raises:
        RegistryError: it is not approved.
    """
    package = registry.version(version)
    if not package.is_approved:
        raise RegistryError(
            f"Version {version} of {registry.model.name} is {package.status}: only approved packages answer callers.",
            "Approve it first (the approval job of the pipeline that trained it), then run the same again.",
        )
