"""Carrying out a deploy. Every step can be repeated, and a killed deploy is continued by the next one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing, says
from common.denials import remedy_of
from common.deployment.autoscaler import Autoscaler
from common.deployment.guard import guards_of, put_alarms, remove_undeclared, stand_guard
from common.deployment.live import (
    CHANGED_AT_TAG,
    CHANGED_BY_TAG,
    ROLLBACK_TAG,
    Live,
    describe_endpoint,
    observe,
)
from common.deployment.models import create_model, require_own_model, unless_it_exists
from common.deployment.plan import (
    CHANGING,
    Action,
    CreateEndpoint,
    NothingToDo,
    ReplaceFailedEndpoint,
    UpdateEndpoint,
    WaitForEndpoint,
    Wanted,
    next_action,
)
from common.deployment.rollout import deployment_config
from common.deployment.verify import check_artifact, check_endpoint, check_unchanged
from common.errors import DeploymentError, RolledBackError, UnlikeTrainedError
from common.protection import protected_endpoint
from common.registry import Registry, metadata_values, now
from common.settings import Run
from common.storage import Bucket, Layout

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import TagTypeDef

Say = Callable[[str], None]
_MOST_ROUNDS = 10
_SOMEBODY_WAS_FASTER = (
    "in-progress",
    "already existing",
    "ResourceInUse",
    "could not find endpoint",
    'could not find model "',
    "could not find resource",
)
"""What AWS answers when the endpoint was changed, or what was prepared for it was swept, since the plan was made."""
_OVERTAKEN = "If that is not what shall serve, find out who deploys (`./models status`), then deploy again."
_LONGEST_POLL_SECONDS = 10.0
_HEARTBEAT_SECONDS = 60.0


@dataclass(frozen=True)
class Deployment:
    """One deploy of one package to one endpoint.

    Attributes:
        despite_alarms: deploy although alarms are in ALARM before any traffic shifts, unguarded by those.
    """

    aws: Aws
    registry: Registry
    wanted: Wanted
    run: Run
    say: Say
    despite_alarms: bool = False

    def execute(self) -> bool:
        """Make the endpoint serve the wanted package; True when something was changed.

        Raises:
            DeploymentError: it does not serve it: the new fleet did not become healthy, an alarm fired, its answers are
                not those of the package, or somebody else deployed something else meanwhile. What served before serves
                again, unless it says otherwise.
            ArtifactError: the package's artifact is missing or damaged; nothing was changed.
        """
        try:
            return self._execute()
        except Exception:
            self._autoscaler.restore()
            raise

    @cached_property
    def _autoscaler(self) -> Autoscaler:
        return Autoscaler.of(self.aws, self.wanted, self.say)

    def _execute(self) -> bool:
        replaced: str | None = None  # the configuration that the update of this deploy replaces, once it has begun
        scaled = False
        for _ in range(_MOST_ROUNDS):
            live = observe(self.aws, self.wanted.model)
            if replaced is not None:
                self._require_success(live, replaced)
            action = next_action(self.wanted, live)
            if isinstance(action, NothingToDo):
                if replaced is None and not live.rollback:
                    check_unchanged(self.aws, self.wanted)
                    scaled = self._autoscaler.settle() or scaled  # without it, nothing might wake what shall answer
                if self._verify(live, changed=replaced is not None):
                    self._remove_alarms(changed=replaced is not None)
                    return self._autoscaler.settle() or scaled or replaced is not None
            elif isinstance(action, WaitForEndpoint):
                who = f", {live.changed}" if live.changed else ""
                self.say(
                    f"Endpoint {self.wanted.model.name} is {action.status}, towards {action.leads_to}{who}: waiting"
                )
                wait_until_settled(self.aws, self.wanted.model.name, self.say)
                if (action.status, action.leads_to) == ("Updating", self.wanted.configuration) and not live.scales:
                    replaced = live.configuration
            elif self._start(action, live):
                wait_until_settled(self.aws, self.wanted.model.name, self.say)
                replaced = live.configuration
        raise DeploymentError(
            f"The endpoint {self.wanted.model.name} keeps being changed by somebody else.",
            "Find out who deploys it (`./models status`), then deploy again.",
        )

    def _start(self, action: Action, live: Live) -> bool:
        """Create, update or replace the endpoint; False when somebody else was faster, so that the plan is made again."""
        self._check_artifact()
        name, configuration = self.wanted.model.name, self.wanted.configuration
        try:
            arn = self._prepare()
            guards = self._guard(action)
            if observe(self.aws, self.wanted.model) != live:
                return False  # large artifacts take time: another deploy may have begun or ended meanwhile
            match action:
                case ReplaceFailedEndpoint():
                    self.say(f"Endpoint {name} has failed ({live.failure}) and serves nothing: creating it again")
                    self.aws.sagemaker.delete_endpoint(EndpointName=name)
                case CreateEndpoint():
                    self.say(f"Creating endpoint {name} with {configuration}")
                    self._sign(arn)
                    self.aws.sagemaker.create_endpoint(
                        EndpointName=name, EndpointConfigName=configuration, Tags=self.wanted.tags
                    )
                    return True
                case UpdateEndpoint(from_configuration=old):
                    self.say(f"Updating endpoint {name} from {old} to {configuration}")
                    self._sign(arn, live.rollback or old)  # never back to what was never verified
                    self._update(live, configuration, **self._guardrails(guards))
                    return True
        except ClientError as error:
            if not says(error, *_SOMEBODY_WAS_FASTER):
                raise
        return False

    def _check_artifact(self) -> None:
        check_artifact(self.aws, self.wanted)

    def _update(self, live: Live, configuration: str, **guardrails: Any) -> None:
        self._autoscaler.make_way(live.configuration, configuration)
        self.aws.sagemaker.update_endpoint(
            EndpointName=self.wanted.model.name, EndpointConfigName=configuration, **guardrails, **self._retained(live)
        )

    def _retained(self, live: Live) -> dict[str, Any]:
        """Keep the instances that scaling has come to; a configuration says only what a new endpoint begins with.

        Where there are none, or not as many as are declared now, the configuration's begin: a new fleet has to be asked.
        """
        scaling = self.wanted.endpoint.scaling
        if scaling is None or not max(1, scaling.at_least) <= live.instances <= scaling.at_most:
            return {}
        declared = [{"VariantPropertyType": "DesiredWeight"}, {"VariantPropertyType": "DataCaptureConfig"}]
        return {"RetainAllVariantProperties": True, "ExcludeRetainedVariantProperties": declared}

    def _prepare(self) -> str:
        """Create model and endpoint configuration where they are missing; they are never changed.

        On a way back to a kept configuration nothing but its model is ever made.

        Returns:
            The ARN of the endpoint configuration.
        """
        sagemaker, tags = self.aws.sagemaker, self.wanted.tags
        self._require_deployable()
        create_model(self.aws, self.wanted)
        self._require_own_model()
        if not self.wanted.kept:
            unless_it_exists(
                lambda: sagemaker.create_endpoint_config(
                    EndpointConfigName=self.wanted.configuration,
                    Tags=tags,
                    **self._configuration_request,
                )
            )
        return self._configuration_arn()

    def _configuration_arn(self) -> str:
        name = self.wanted.configuration
        try:
            found = self.aws.sagemaker.describe_endpoint_config(EndpointConfigName=name)
        except ClientError as error:
            if not (self.wanted.kept and is_missing(error)):
                raise
            raise DeploymentError(
                f"The kept configuration {name} was deleted a moment ago.",
                "Nothing was changed. Run the same again: it makes a configuration anew.",
            ) from error
        if not self.wanted.kept and found.get("KmsKeyId") != self._configuration_request.get("KmsKeyId"):
            raise DeploymentError(
                f"The endpoint configuration {name} exists, and encrypts with {found.get('KmsKeyId', 'no key of yours')} instead "
                f"of {self._configuration_request.get('KmsKeyId', 'no key')}.",
                "The environment's key has changed since it was made. Nothing serves by it: `aws sagemaker "
                f"delete-endpoint-config --endpoint-config-name {name}`, then deploy again.",
            )
        return found["EndpointConfigArn"]

    @property
    def _configuration_request(self) -> dict[str, Any]:
        request = self.wanted.endpoint.request(self.wanted.model_name, self._capture_uri)
        return protected_endpoint(request, self.aws.settings)

    @property
    def _capture_uri(self) -> str:
        return Bucket(self.aws).uri(Layout(self.wanted.model.name).capture())

    def _guard(self, action: Action) -> list[str]:
        """Put the alarms; the names of those that guard the shift of traffic, where there is one."""
        if self.wanted.instead_of:
            return []  # the way back is unguarded, and changes no alarm: some fire already, which is why it is taken
        if isinstance(action, UpdateEndpoint) and self.wanted.endpoint.rollout:
            return stand_guard(self.aws, self.wanted, self.say, despite_alarms=self.despite_alarms)
        put_alarms(self.aws, self.wanted, guards_of(self.aws, self.wanted))
        return []

    def _remove_alarms(self, *, changed: bool) -> None:
        """Those of earlier declarations go last: while traffic shifts, SageMaker may still look at them."""
        for name in remove_undeclared(self.aws, self.wanted) if changed else ():
            self.say(f"  deleted alarm {name}: the endpoint declares it no more")

    def _guardrails(self, alarms: list[str]) -> dict[str, Any]:
        """How SageMaker shifts the traffic and what stops it; nothing for serverless endpoints, and on a way back."""
        rollout = self.wanted.rollout
        return {} if rollout is None else {"DeploymentConfig": deployment_config(rollout, alarms)}

    def _require_deployable(self) -> None:
        """Somebody may have rejected the package, or gone back from it, since this deploy has begun.

        SageMaker itself makes no model from a package that is not approved, but of a fleet's it sees the parts only.
        """
        package, name = self.registry.describe(self.wanted.package.arn), self.registry.model.name
        if not package.is_approved:
            raise DeploymentError(
                f"Version {package.version} of {name} is {package.status} by now: {package.reason}.",
                "Nothing was changed. Only approved packages are deployed.",
            )
        if package.rolled_back:
            raise DeploymentError(
                f"Version {package.version} of {name} was {package.rolled_back}.",
                f"Nothing was changed. `./models release {name} --version {package.version}` lets deploys take it again.",
            )

    def _require_own_model(self) -> None:
        require_own_model(self.aws, self.wanted)

    def _sign(self, configuration_arn: str, rollback: str = "") -> None:
        """Note who brings the configuration to the endpoint, and what to return to until it is verified."""
        tags = {CHANGED_BY_TAG: self.registry.identity(self.run), CHANGED_AT_TAG: now()}
        if rollback not in ("", self.wanted.configuration):
            tags[ROLLBACK_TAG] = rollback
        signed: list[TagTypeDef] = [{"Key": key, "Value": value} for key, value in metadata_values(tags).items()]
        self.aws.sagemaker.add_tags(ResourceArn=configuration_arn, Tags=signed)

    def _require_success(self, live: Live, replaced: str) -> None:
        """Fail when the update has ended, but not with what is wanted."""
        name, wanted = self.wanted.model.name, self.wanted.configuration
        if wanted in (live.configuration, live.pending) and live.status in ("InService", *CHANGING):
            return
        if not live.exists or live.status == "Deleting":
            raise DeploymentError(f"After {wanted} was deployed, somebody else deleted the endpoint.", _OVERTAKEN)
        if live.status != "Failed" and live.leads_to != replaced:
            what = f"{live.leads_to} ({live.changed})" if live.changed else live.leads_to
            raise DeploymentError(f"After the deploy of {wanted} began, somebody else deployed {what}.", _OVERTAKEN)
        raise DeploymentError(
            f"The deploy of {wanted} did not happen: {_serving(live)}. {self._why_not(live)}",
            remedy_of(
                live.failure,
                f"`./models show {self.registry.model.name}` has the package's evaluation; the endpoint's log is in "
                f"CloudWatch, /aws/sagemaker/Endpoints/{name}. Mend the cause, or run the deploy again.",
            ),
            told=True,
        )

    def _why_not(self, live: Live) -> str:
        # Asked for no names, CloudWatch answers with every alarm of the account.
        names = self.wanted.alarm_names
        alarms = self.aws.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"] if names else []
        reasons = [
            f"alarm {alarm['AlarmName']} fired ({alarm.get('StateReason', '')})"
            for alarm in alarms
            if alarm["StateValue"] == "ALARM"
        ]
        reasons += [live.failure] if live.failure else []
        return (
            "; ".join(reasons)
            or "SageMaker gives no reason: the new instances did not become healthy, or an alarm fired."
        )

    def _verify(self, live: Live, *, changed: bool) -> bool:
        """Compare the golden predictions, then record the deployment; roll back and fail when they do not match.

        Until then the tag of the configuration remembers what to return to.

        Returns:
            False when the endpoint was changed by somebody else meanwhile, so that its answers say nothing.
        """
        problem = check_endpoint(self.aws, self.wanted)
        if problem:
            if observe(self.aws, self.wanted.model) == live:
                self._roll_back(live.rollback, problem)
            return False
        recorded = self.wanted.package.metadata.get("deployed_as") == self.wanted.configuration
        if changed or live.rollback or not recorded:
            self.registry.record_deployment(self.wanted.package, self.wanted.configuration, self.run)
        if live.rollback:
            self.aws.sagemaker.delete_tags(ResourceArn=live.configuration_arn, TagKeys=[ROLLBACK_TAG])
        return True

    def _roll_back(self, configuration: str, problem: str) -> None:
        """Return to the configuration, and fail; or return, when somebody else has begun another update."""
        name, model = self.wanted.model.name, self.registry.model.name
        self.say(f"Golden predictions do not match ({problem}): returning to {configuration or 'nothing'}")
        what = f"{self._unlike_trained}: {problem}. "
        try:
            if configuration:
                self._update(observe(self.aws, self.wanted.model), configuration)
        except ClientError as error:
            if says(error, "in-progress"):
                return
            if not is_missing(error):
                raise
            configuration = ""
        if not configuration:
            raise UnlikeTrainedError(
                f"{what}It serves nevertheless: there is nothing verified to return to.",
                f"Deploy another approved version: `./models deploy {model} --version N`.",
            )
        wait_until_settled(self.aws, name, self.say)
        live = observe(self.aws, self.wanted.model)
        if live.configuration != configuration:
            raise UnlikeTrainedError(
                f"{what}The way back to {configuration} failed, too: {_serving(live)}. {live.failure}".rstrip(),
                f"Deploy another approved version: `./models deploy {model} --version N`.",
            )
        raise RolledBackError(
            f"{what}Rolled back: {_serving(live)} again.",
            f"Compare the container's image and `./models show {model}`; reject the package if the artifact is wrong.",
        )

    @property
    def _unlike_trained(self) -> str:
        return f"Version {self.wanted.package.version} did not answer on the endpoint as it did when it was trained"


def _serving(live: Live) -> str:
    """What serves, in words."""
    if live.status in ("", "Failed", "Deleting"):
        return f"the endpoint is {live.status or 'deleted'} and serves nothing"
    return f"{live.configuration} serves" + ("" if live.in_service else f", and the endpoint is {live.status}")


def wait_until_settled(aws: Aws, endpoint: str, say: Say) -> None:
    """Wait while the endpoint is being changed, and say each new status; `Deleted` when it is gone."""
    status, pause, spoken = "", 0.1, time.monotonic()
    while True:
        description = describe_endpoint(aws, endpoint)
        current = description["EndpointStatus"] if description else "Deleted"
        if current != status or time.monotonic() - spoken > _HEARTBEAT_SECONDS:
            say(f"  {current}" if current != status else f"  still {current}")
            status, spoken = current, time.monotonic()
        if status not in CHANGING:
            return
        time.sleep(pause)
        pause = min(pause * 1.15, _LONGEST_POLL_SECONDS)
