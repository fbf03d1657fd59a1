"""The alarms that guard a deploy, in the account: created and adjusted by the deploy itself."""

from __future__ import annotations

from common.aws import Aws
from common.deployment.declare import VARIANT
from common.deployment.plan import Wanted


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
                {"Name": "VariantName", "Value": VARIANT},
            ],
            ComparisonOperator="GreaterThanThreshold",
            Threshold=alarm.above,
            Period=alarm.period_seconds,
            EvaluationPeriods=alarm.periods,
            TreatMissingData="notBreaching",
            Tags=wanted.tags,
            **statistic,  # type: ignore[arg-type]
        )
