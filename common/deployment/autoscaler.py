"""Autoscaling of an endpoint in the account: put once the endpoint serves, and out of the way of updates that it forbids.

The project owns a scalable target that has the policy which a declaration gives it; no other is touched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing
from common.deployment.declare import VARIANT
from common.deployment.plan import Wanted
from common.deployment.scaling import Autoscaling, difference, policy_name, wake_name

if TYPE_CHECKING:
    from mypy_boto3_application_autoscaling.type_defs import ScalingPolicyTypeDef

_CONFIGURATIONS = ("TargetTrackingScalingPolicyConfiguration", "StepScalingPolicyConfiguration")
_WAKE_PERIODS = 2


@dataclass
class Autoscaler:
    """The autoscaling of one endpoint in the course of one deploy.

    Attributes:
        wanted: what the endpoint declares; None where the number of its instances is fixed.
    """

    aws: Aws
    endpoint: str
    wanted: Autoscaling | None
    say: Callable[[str], None]
    _removed: Autoscaling | None = field(default=None, init=False)

    @classmethod
    def of(cls, aws: Aws, wanted: Wanted, say: Callable[[str], None]) -> Autoscaler:
        """That of the endpoint which a deploy is about."""
        name, scaling = wanted.model.name, wanted.endpoint.scaling
        return cls(aws, name, scaling.autoscaling(name) if scaling else None, say)

    def make_way(self, old: str, new: str) -> None:
        """Deregister what would make SageMaker refuse the update between two configurations, or would outlive its declaration.

        It refuses to change the instance type of a variant that is a scalable target.
        """
        found = registered(self.aws, self.endpoint)
        if found is None or (self.wanted and self._instance_type(old) == self._instance_type(new)):
            return
        self.say(f"  no scaling between {found.at_least} and {found.at_most} instances during the update")
        deregister(self.aws, self.endpoint)
        self._removed = self._removed or found

    def settle(self) -> bool:
        """Make the autoscaling what is declared, now that the endpoint serves; True when that changed anything."""
        change = self.planned()
        if not change:
            return False
        self.say(f"  {change}")
        if self.wanted:
            put(self.aws, self.endpoint, self.wanted)
        else:
            deregister(self.aws, self.endpoint)
        return True

    def planned(self) -> str:
        """What `settle` would do now, in words; empty where it is done."""
        found = registered(self.aws, self.endpoint)
        return difference(self.wanted, found if self._can_wake() else None)

    def restore(self) -> None:
        """After a deploy that did not happen: scale what serves again as before."""
        if self._removed is None:
            return
        try:
            put(self.aws, self.endpoint, self._removed)
        except ClientError as error:
            self.say(f"  warning: scaling could not be registered again: {error.response['Error'].get('Message', '')}")
        else:
            self.say(f"  scaling between {self._removed.at_least} and {self._removed.at_most} instances again")

    def _instance_type(self, configuration: str) -> str:
        """The type of a configuration's instances; empty where somebody has deleted it by hand, so that nobody knows."""
        try:
            description = self.aws.sagemaker.describe_endpoint_config(EndpointConfigName=configuration)
        except ClientError as error:
            if is_missing(error):
                return ""
            raise
        return str(description["ProductionVariants"][0].get("InstanceType", ""))

    def _can_wake(self) -> bool:
        name = wake_name(self.endpoint)
        if self.wanted is None or name not in self.wanted.policies:
            return True
        return bool(self.aws.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"])


def registered(aws: Aws, endpoint: str) -> Autoscaling | None:
    """The autoscaling that a deploy gave the endpoint, as it is now; None where there is none, or only somebody else's."""
    where = _where(endpoint)
    targets = aws.autoscaling.describe_scalable_targets(
        ServiceNamespace=where["ServiceNamespace"],
        ResourceIds=[where["ResourceId"]],
        ScalableDimension=where["ScalableDimension"],
    )["ScalableTargets"]
    if not targets:
        return None
    found = aws.autoscaling.describe_scaling_policies(**where)["ScalingPolicies"]
    policies = {policy["PolicyName"]: _as_put(policy) for policy in found}
    if policy_name(endpoint) not in policies:
        return None
    return Autoscaling(targets[0]["MinCapacity"], targets[0]["MaxCapacity"], policies)


def put(aws: Aws, endpoint: str, wanted: Autoscaling) -> None:
    """Register the endpoint's variant, with these policies and no others of a deploy's."""
    client, where = aws.autoscaling, _where(endpoint)
    client.register_scalable_target(**where, MinCapacity=wanted.at_least, MaxCapacity=wanted.at_most)
    for name, policy in wanted.policies.items():
        arn = client.put_scaling_policy(**where, PolicyName=name, **policy)["PolicyARN"]
        if name == wake_name(endpoint):
            _put_wake_alarm(aws, endpoint, arn)
    found = client.describe_scaling_policies(**where)["ScalingPolicies"]
    if wake_name(endpoint) in {policy["PolicyName"] for policy in found} - wanted.policies.keys():
        _delete_wake_alarm(aws, endpoint)
        client.delete_scaling_policy(**where, PolicyName=wake_name(endpoint))


def deregister(aws: Aws, endpoint: str) -> None:
    """End the autoscaling of the endpoint's variant; AWS deletes its policies, and the alarms that these made, with it."""
    # Before the target, by which a deploy that was killed here is continued.
    _delete_wake_alarm(aws, endpoint)
    try:
        aws.autoscaling.deregister_scalable_target(**_where(endpoint))
    except aws.autoscaling.exceptions.ObjectNotFoundException:
        return  # somebody else was faster


def _delete_wake_alarm(aws: Aws, endpoint: str) -> None:
    """Delete it where there is one: CloudWatch may refuse to delete an alarm that does not exist."""
    try:
        aws.cloudwatch.delete_alarms(AlarmNames=[wake_name(endpoint)])
    except ClientError as error:
        if not is_missing(error):
            raise


def _put_wake_alarm(aws: Aws, endpoint: str, policy_arn: str) -> None:
    aws.cloudwatch.put_metric_alarm(
        AlarmName=wake_name(endpoint),
        AlarmDescription=f"Brings an instance of {endpoint} back when requests wait and none is there.",
        Namespace="AWS/SageMaker",
        MetricName="HasBacklogWithoutCapacity",
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=_WAKE_PERIODS,
        DatapointsToAlarm=_WAKE_PERIODS,
        Threshold=1.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
        AlarmActions=[policy_arn],
        Tags=[{"Key": "model", "Value": endpoint}],
    )


def _as_put(policy: ScalingPolicyTypeDef) -> dict[str, Any]:
    """What PutScalingPolicy takes to make that policy again."""
    known: dict[str, Any] = {**policy}
    return {key: known[key] for key in ("PolicyType", *_CONFIGURATIONS) if key in known}


def _where(endpoint: str) -> dict[str, Any]:
    """What names the instance count of the endpoint's variant to Application Auto Scaling."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
