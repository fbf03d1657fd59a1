"""Carrying out a deploy. Every step can be repeated, and a killed deploy is continued by the next one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from common.aws import Aws, says
from common.deployment.live import ROLLBACK_TAG, Live, describe_endpoint, observe
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
from common.deployment.verify import check_artifact, check_endpoint
from common.errors import DeploymentError
from common.model import Model
from common.registry import Registry
from common.settings import Run

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import TagTypeDef

Say = Callable[[str], None]
_MOST_ROUNDS = 10
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
            DeploymentError: it does not serve it: the new fleet did not become healthy, an alarm fired, or its answers
                are not those of the package. What served before serves again.
        """
        joined = False
        for _ in range(_MOST_ROUNDS):
            live = observe(self.aws, self.wanted.model)
            action = next_action(self.wanted, live)
            if isinstance(action, NothingToDo):
                return self._finish(live, changed=joined)
            if isinstance(action, WaitForEndpoint):
                joined = self._wait(action)
            elif self._start(action, live):
                self._settle()
                joined = True
        raise DeploymentError(
            f"The endpoint {self.wanted.model.name} keeps being changed by somebody else.",
            "Find out who deploys it (`./models status`), then deploy again.",
        )

    def _start(self, action: Action, live: Live) -> bool:
        """Create, update or replace the endpoint; False when somebody else was faster, so that the plan is made again."""
        check_artifact(self.aws, self.wanted.package)
        self._prepare()
        name, configuration = self.wanted.model.name, self.wanted.configuration
        try:
            match action:
                case ReplaceFailedEndpoint():
                    self.say(f"Endpoint {name} has failed ({live.failure}) and serves nothing: creating it again")
                    self.aws.sagemaker.delete_endpoint(EndpointName=name)
                case CreateEndpoint():
                    self.say(f"Creating endpoint {name} with {configuration}")
                    self.aws.sagemaker.create_endpoint(
                        EndpointName=name, EndpointConfigName=configuration, Tags=tags_of(self.wanted.model)
                    )
                    return True
                case UpdateEndpoint(from_configuration=old):
                    self.say(f"Updating endpoint {name} from {old} to {configuration}")
                    self._tag_rollback(live, old)
                    self.aws.sagemaker.update_endpoint(
                        EndpointName=name,
                        EndpointConfigName=configuration,
                        DeploymentConfig=self.wanted.endpoint.deployment_config(self.wanted.alarm_names),
                    )
                    return True
        except ClientError as error:
            if not says(error, "in-progress", "already existing", "ResourceInUse", "could not find endpoint"):
                raise
        return False

    def _prepare(self) -> None:
        """Create model, endpoint configuration and alarms where they are missing; they are never changed, but alarms."""
        sagemaker, tags = self.aws.sagemaker, tags_of(self.wanted.model)
        _unless_it_exists(
            lambda: sagemaker.create_model(
                ModelName=self.wanted.model_name,
                PrimaryContainer={"ModelPackageName": self.wanted.package.arn},
                ExecutionRoleArn=self.aws.settings.execution_role,
                Tags=tags,
            )
        )
        self._require_own_model()
        _unless_it_exists(
            lambda: sagemaker.create_endpoint_config(
                EndpointConfigName=self.wanted.configuration,
                ProductionVariants=[self.wanted.endpoint.variant(self.wanted.model_name)],
                Tags=tags,
            )
        )
        put_alarms(self.aws, self.wanted)

    def _require_own_model(self) -> None:
        container = self.aws.sagemaker.describe_model(ModelName=self.wanted.model_name).get("PrimaryContainer", {})
        if container.get("ModelPackageName") != self.wanted.package.arn:
            raise DeploymentError(
                f"The SageMaker model {self.wanted.model_name} exists, but was not made from {self.wanted.package.arn}.",
                "Somebody made it by hand, or the package group was made anew: delete that model, then deploy again.",
            )

    def _tag_rollback(self, live: Live, configuration: str) -> None:
        self.aws.sagemaker.add_tags(ResourceArn=live.arn, Tags=[{"Key": ROLLBACK_TAG, "Value": configuration}])

    def _wait(self, action: WaitForEndpoint) -> bool:
        """Wait for what somebody else began; True when it leads to what is wanted here."""
        self.say(f"Endpoint {self.wanted.model.name} is {action.status}, towards {action.leads_to}: waiting")
        if action.leads_to == self.wanted.configuration and action.status == "Updating":
            self._settle()
            return True
        wait_until_settled(self.aws, self.wanted.model.name, self.say)
        return False

    def _settle(self) -> None:
        """Wait for the end of the change, and fail when the endpoint does not serve what is wanted."""
        status = wait_until_settled(self.aws, self.wanted.model.name, self.say)
        live = observe(self.aws, self.wanted.model)
        if live.in_service and live.configuration == self.wanted.configuration:
            return
        if live.pending == self.wanted.configuration and not live.in_service:
            return  # the next round looks again
        serving = f"{live.configuration} serves" if live.in_service else f"the endpoint is {status} and serves nothing"
        raise DeploymentError(
            f"The deploy of {self.wanted.configuration} did not happen: {serving}. {self._why_not(live)}",
            f"`./models show {self.wanted.model.name}` has the package's evaluation; the endpoint's log is in CloudWatch, "
            f"/aws/sagemaker/Endpoints/{self.wanted.model.name}. Mend the cause, or run the deploy again.",
        )

    def _why_not(self, live: Live) -> str:
        answer = self.aws.cloudwatch.describe_alarms(AlarmNames=self.wanted.alarm_names, StateValue="ALARM")
        fired = [f"alarm {a['AlarmName']} fired ({a.get('StateReason', '')})" for a in answer["MetricAlarms"]]
        reasons = [*fired, live.failure] if live.failure else fired
        return (
            "; ".join(reasons)
            or "SageMaker gives no reason: the new instances did not become healthy, or an alarm fired."
        )

    def _finish(self, live: Live, *, changed: bool) -> bool:
        """Verify what serves, then record it. Until then the endpoint's tag remembers what to return to."""
        problem = check_endpoint(self.aws, self.wanted)
        if problem and live.rollback:
            self._roll_back(live.rollback, problem)
        if problem:
            raise DeploymentError(
                f"The endpoint {self.wanted.model.name} does not answer as version {self.wanted.package.version} did when "
                f"it was trained: {problem}.",
                "There is nothing verified to return to. Deploy another approved version: "
                f"`./models deploy {self.wanted.model.name} --version N`.",
            )
        unrecorded = self.wanted.package.metadata.get("deployed_as") != self.wanted.configuration
        if changed or unrecorded or live.rollback:
            self.registry.record_deployment(self.wanted.package, self.wanted.configuration, self.run)
            self.aws.sagemaker.delete_tags(ResourceArn=live.arn, TagKeys=[ROLLBACK_TAG])
        return changed

    def _roll_back(self, configuration: str, problem: str) -> None:
        name = self.wanted.model.name
        self.say(f"Golden predictions do not match ({problem}): rolling back to {configuration}")
        self.aws.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=configuration)
        wait_until_settled(self.aws, name, self.say)
        live = observe(self.aws, self.wanted.model)
        outcome = f"{live.configuration} serves again" if live.in_service else f"the endpoint is now {live.status}"
        raise DeploymentError(
            f"Version {self.wanted.package.version} did not answer on the endpoint as it did when it was trained: "
            f"{problem}. Rolled back: {outcome}.",
            f"Compare the container's image and `./models show {name}`; reject the package if the artifact is wrong.",
        )


def tags_of(model: Model) -> list[TagTypeDef]:
    """The tags of everything that a deploy creates."""
    return [{"Key": "model", "Value": model.name}]


def put_alarms(aws: Aws, wanted: Wanted) -> None:
    """Create or adjust the alarms that guard the endpoint."""
    for name, alarm in zip(wanted.alarm_names, wanted.endpoint.alarms, strict=True):
        statistic = (
            {"ExtendedStatistic": alarm.statistic}
            if alarm.statistic.startswith("p")
            else {"Statistic": alarm.statistic}
        )
        aws.cloudwatch.put_metric_alarm(
            AlarmName=name,
            AlarmDescription=f"Guards deployments of {wanted.model.name}.",
            Namespace="AWS/SageMaker",
            MetricName=alarm.metric,
            Dimensions=[
                {"Name": "EndpointName", "Value": wanted.model.name},
                {"Name": "VariantName", "Value": wanted.endpoint.variant("")["VariantName"]},
            ],
            ComparisonOperator="GreaterThanThreshold",
            Threshold=alarm.above,
            Period=alarm.period_seconds,
            EvaluationPeriods=alarm.periods,
            TreatMissingData="notBreaching",
            Tags=tags_of(wanted.model),
            **statistic,  # type: ignore[arg-type]
        )


def wait_until_settled(aws: Aws, endpoint: str, say: Say) -> str:
    """Wait while the endpoint is being changed, and say each new status. Answers the final one; `Deleted` when gone."""
    status, pause, spoken = "", 0.1, time.monotonic()
    while True:
        description = describe_endpoint(aws, endpoint)
        now = description["EndpointStatus"] if description else "Deleted"
        if now != status or time.monotonic() - spoken > _HEARTBEAT_SECONDS:
            say(f"  {now}" if now != status else f"  still {now}")
            status, spoken = now, time.monotonic()
        if status not in CHANGING:
            return status
        time.sleep(pause)
        pause = min(pause * 1.3, _LONGEST_POLL_SECONDS)


def _unless_it_exists(create: Callable[[], object]) -> None:
    try:
        create()
    except ClientError as error:
        if not says(error, "already existing", "already exists", "ResourceInUse"):
            raise
