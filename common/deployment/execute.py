"""Carrying out a deploy. Every step can be repeated, and a killed deploy is continued by the next one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing, says
from common.deployment.guard import put_alarms
from common.deployment.live import ROLLBACK_TAG, Live, describe_endpoint, observe, package_of
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
from common.errors import DeploymentError
from common.registry import Registry
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
    """One deploy of one package to one endpoint."""

    aws: Aws
    registry: Registry
    wanted: Wanted
    run: Run
    say: Say

    def execute(self) -> bool:
        """Make the endpoint serve the wanted package; True when something was changed.

        Raises:
            DeploymentError: it does not serve it: the new fleet did not become healthy, an alarm fired, its answers are
                not those of the package, or somebody else deployed something else meanwhile. What served before serves
                again, unless it says otherwise.
            ArtifactError: the package's artifact is missing or damaged; nothing was changed.
        """
        replaced: str | None = None  # the configuration that the update of this deploy replaces, once it has begun
        for _ in range(_MOST_ROUNDS):
            live = observe(self.aws, self.wanted.model)
            if replaced is not None:
                self._require_success(live, replaced)
            action = next_action(self.wanted, live)
            if isinstance(action, NothingToDo):
                if replaced is None and not live.rollback:
                    check_unchanged(self.aws, self.wanted)
                if self._verify(live, changed=replaced is not None):
                    return replaced is not None
            elif isinstance(action, WaitForEndpoint):
                self.say(f"Endpoint {self.wanted.model.name} is {action.status}, towards {action.leads_to}: waiting")
                wait_until_settled(self.aws, self.wanted.model.name, self.say)
                if (action.status, action.leads_to) == ("Updating", self.wanted.configuration):
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
        check_artifact(self.aws, self.wanted)
        name, configuration = self.wanted.model.name, self.wanted.configuration
        try:
            arn = self._prepare()
            if observe(self.aws, self.wanted.model) != live:
                return False  # large artifacts take time: another deploy may have begun or ended meanwhile
            match action:
                case ReplaceFailedEndpoint():
                    self.say(f"Endpoint {name} has failed ({live.failure}) and serves nothing: creating it again")
                    self.aws.sagemaker.delete_endpoint(EndpointName=name)
                case CreateEndpoint():
                    self.say(f"Creating endpoint {name} with {configuration}")
                    self.aws.sagemaker.create_endpoint(
                        EndpointName=name, EndpointConfigName=configuration, Tags=self.wanted.tags
                    )
                    return True
                case UpdateEndpoint(from_configuration=old):
                    self.say(f"Updating endpoint {name} from {old} to {configuration}")
                    self._tag_rollback(arn, live.rollback or old)  # never back to what was never verified
                    self.aws.sagemaker.update_endpoint(
                        EndpointName=name, EndpointConfigName=configuration, **self._guardrails()
                    )
                    return True
        except ClientError as error:
            if not says(error, *_SOMEBODY_WAS_FASTER):
                raise
        return False

    def _prepare(self) -> str:
        """Create model, endpoint configuration and alarms where they are missing; they are never changed, but alarms.

        Returns:
            The ARN of the endpoint configuration.
        """
        sagemaker, tags = self.aws.sagemaker, self.wanted.tags
        if self.wanted.package.fleet:
            self._require_approved()
        _unless_it_exists(
            lambda: sagemaker.create_model(
                ModelName=self.wanted.model_name,
                PrimaryContainer=self.wanted.container,
                ExecutionRoleArn=self.aws.settings.execution_role,
                Tags=tags,
            )
        )
        self._require_own_model()
        _unless_it_exists(
            lambda: sagemaker.create_endpoint_config(
                EndpointConfigName=self.wanted.configuration,
                Tags=tags,
                **self.wanted.endpoint.request(self.wanted.model_name, self._capture_uri),
            )
        )
        put_alarms(self.aws, self.wanted)
        return sagemaker.describe_endpoint_config(EndpointConfigName=self.wanted.configuration)["EndpointConfigArn"]

    @property
    def _capture_uri(self) -> str:
        return Bucket(self.aws).uri(Layout(self.wanted.model.name).capture())

    def _guardrails(self) -> dict[str, Any]:
        """How SageMaker shifts the traffic and what stops it; nothing for serverless endpoints, which have no guardrails."""
        rollout = self.wanted.endpoint.rollout
        return {} if rollout is None else {"DeploymentConfig": deployment_config(rollout, self.wanted.alarm_names)}

    def _require_approved(self) -> None:
        """SageMaker makes models from approved packages only; a fleet's is made from the package's parts, unseen by it."""
        package = self.registry.describe(self.wanted.package.arn)
        if not package.is_approved:
            raise DeploymentError(
                f"Version {package.version} of {self.wanted.model.name} is {package.status} by now: {package.reason}.",
                "Nothing was changed. Only approved packages are deployed.",
            )

    def _require_own_model(self) -> None:
        container = self.aws.sagemaker.describe_model(ModelName=self.wanted.model_name).get("PrimaryContainer", {})
        if package_of(container) != self.wanted.package.arn:
            raise DeploymentError(
                f"The SageMaker model {self.wanted.model_name} exists, but was not made from {self.wanted.package.arn}.",
                "Somebody made it by hand, or the package group was made anew: delete that model, then deploy again.",
            )

    def _tag_rollback(self, configuration_arn: str, rollback: str) -> None:
        if rollback != self.wanted.configuration:
            tag: TagTypeDef = {"Key": ROLLBACK_TAG, "Value": rollback}
            self.aws.sagemaker.add_tags(ResourceArn=configuration_arn, Tags=[tag])

    def _require_success(self, live: Live, replaced: str) -> None:
        """Fail when the update has ended, but not with what is wanted."""
        name, wanted = self.wanted.model.name, self.wanted.configuration
        if wanted in (live.configuration, live.pending) and live.status in ("InService", *CHANGING):
            return
        if not live.exists or live.status == "Deleting":
            raise DeploymentError(f"After {wanted} was deployed, somebody else deleted the endpoint.", _OVERTAKEN)
        if live.status != "Failed" and (live.pending or live.configuration) != replaced:
            target = live.pending or live.configuration
            raise DeploymentError(f"After the deploy of {wanted} began, somebody else deployed {target}.", _OVERTAKEN)
        raise DeploymentError(
            f"The deploy of {wanted} did not happen: {_serving(live)}. {self._why_not(live)}",
            f"`./models show {name}` has the package's evaluation; the endpoint's log is in CloudWatch, "
            f"/aws/sagemaker/Endpoints/{name}. Mend the cause, or run the deploy again.",
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
        name, version = self.wanted.model.name, self.wanted.package.version
        self.say(f"Golden predictions do not match ({problem}): returning to {configuration or 'nothing'}")
        what = f"Version {version} did not answer on the endpoint as it did when it was trained: {problem}. "
        try:
            if configuration:
                self.aws.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=configuration)
        except ClientError as error:
            if says(error, "in-progress"):
                return
            if not is_missing(error):
                raise
            configuration = ""
        if not configuration:
            raise DeploymentError(
                f"{what}It serves nevertheless: there is nothing verified to return to.",
                f"Deploy another approved version: `./models deploy {name} --version N`.",
            )
        wait_until_settled(self.aws, name, self.say)
        live = observe(self.aws, self.wanted.model)
        if live.configuration != configuration:
            raise DeploymentError(
                f"{what}The way back to {configuration} failed, too: {_serving(live)}. {live.failure}".rstrip(),
                f"Deploy another approved version: `./models deploy {name} --version N`.",
            )
        raise DeploymentError(
            f"{what}Rolled back: {_serving(live)} again.",
            f"Compare the container's image and `./models show {name}`; reject the package if the artifact is wrong.",
        )


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
        now = description["EndpointStatus"] if description else "Deleted"
        if now != status or time.monotonic() - spoken > _HEARTBEAT_SECONDS:
            say(f"  {now}" if now != status else f"  still {now}")
            status, spoken = now, time.monotonic()
        if status not in CHANGING:
            return
        time.sleep(pause)
        pause = min(pause * 1.15, _LONGEST_POLL_SECONDS)


def _unless_it_exists(create: Callable[[], object]) -> None:
    try:
        create()
    except ClientError as error:
        if not says(error, "already existing", "already exists", "ResourceInUse"):
            raise
