"""An asynchronous endpoint that scales to zero and back, with the real server, as boto3 uses it."""

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.accounts import Account
from tests.functional.local.hosting_kit import eventually
from tests.functional.local.test_endpoints_over_http import SOON, configuration

TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/e/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


@pytest.fixture
def queue(aws: Account) -> str:
    """A queue that is subscribed to the topics `done` and `failed`."""
    sns, sqs = aws.client("sns"), aws.client("sqs")
    url: str = sqs.create_queue(QueueName="results")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    for name in ("done", "failed"):
        topic = sns.create_topic(Name=name)["TopicArn"]
        attributes = {"RawMessageDelivery": "true"}
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
    return url


def endpoint(aws: Account) -> None:
    """Endpoint `e` in service, with one instance."""
    sagemaker = aws.client("sagemaker")
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=configuration(aws, "ten", 10))[
        "ProductionVariants"
    ]
    topics = {name: f"arn:aws:sns:{aws.region}:{aws.account}:{name}" for name in ("done", "failed")}
    sagemaker.create_endpoint_config(
        EndpointConfigName="async",
        ProductionVariants=variants,
        AsyncInferenceConfig={
            "OutputConfig": {
                "S3OutputPath": f"s3://{aws.bucket}/out",
                "S3FailurePath": f"s3://{aws.bucket}/failed",
                "NotificationConfig": {"SuccessTopic": topics["done"], "ErrorTopic": topics["failed"]},
            }
        },
    )
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="async")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig=SOON)


def ask(aws: Account, body: bytes) -> dict[str, Any]:
    aws.client("s3").put_object(Bucket=aws.bucket, Key="in.csv", Body=body)
    answer: dict[str, Any] = aws.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName="e",
        InputLocation=f"s3://{aws.bucket}/in.csv",
        ContentType="text/csv",
        InvocationTimeoutSeconds=60,
        RequestTTLSeconds=21600,
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    return answer


def notification(aws: Account, queue: str) -> dict[str, Any]:
    sqs = aws.client("sqs")
    [message] = eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"), "a notification")
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    told: dict[str, Any] = json.loads(message["Body"])
    return told


def scale_by_backlog(aws: Account) -> None:
    """Target tracking of the backlog, and a step from zero, as SageMaker's documentation sets them up."""
    scaling = aws.client("application-autoscaling")
    scaling.register_scalable_target(**TARGET, MinCapacity=0, MaxCapacity=2)
    dimensions = [{"Name": "EndpointName", "Value": "e"}]
    metric = {
        "MetricName": "ApproximateBacklogSizePerInstance",
        "Namespace": "AWS/SageMaker",
        "Dimensions": dimensions,
        "Statistic": "Average",
    }
    scaling.put_scaling_policy(
        **TARGET,
        PolicyName="backlog",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 5.0,
            "CustomizedMetricSpecification": metric,
            "ScaleInCooldown": 60,
        },
    )
    policy = scaling.put_scaling_policy(
        **TARGET,
        PolicyName="from-zero",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": 60,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    )
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName="waits-without-instance",
        MetricName="HasBacklogWithoutCapacity",
        Namespace="AWS/SageMaker",
        Dimensions=dimensions,
        Statistic="Average",
        Period=60,
        EvaluationPeriods=2,
        DatapointsToAlarm=2,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
        AlarmActions=[policy["PolicyARN"]],
    )


def test_results_are_announced_and_an_idle_endpoint_scales_to_zero_until_a_request_comes(
    aws: Account, queue: str
) -> None:
    endpoint(aws)
    sagemaker = aws.client("sagemaker")
    answer = ask(aws, b"0.5,0.5\n")
    told = notification(aws, queue)
    assert (told["invocationStatus"], told["inferenceId"]) == ("Completed", answer["InferenceId"])
    assert told["responseParameters"]["outputLocation"] == answer["OutputLocation"]
    body = aws.client("s3").get_object(Bucket=aws.bucket, Key=answer["OutputLocation"].split("/", 3)[3])["Body"].read()
    assert float(body) == pytest.approx(5, abs=1)

    ask(aws, b"not,numbers\n")
    assert notification(aws, queue)["invocationStatus"] == "Failed"

    def instances() -> int:
        time.sleep(0.2)
        [variant] = sagemaker.describe_endpoint(EndpointName="e")["ProductionVariants"]
        count: int = variant["CurrentInstanceCount"]
        return count

    scale_by_backlog(aws)
    eventually(lambda: instances() == 0, "scaled to zero", 40)
    answer = ask(aws, b"0.5,0.5\n")
    assert notification(aws, queue)["inferenceId"] == answer["InferenceId"]
    activities = aws.client("application-autoscaling").describe_scaling_activities(ServiceNamespace="sagemaker")
    latest, first = activities["ScalingActivities"][0], activities["ScalingActivities"][-1]
    assert "waits-without-instance" in latest["Cause"]
    assert first["Description"] == "Setting desired instance count to 0."


def test_errors_reach_boto3_as_those_of_the_service(aws: Account) -> None:
    scaling = aws.client("application-autoscaling")
    with pytest.raises(scaling.exceptions.ObjectNotFoundException, match="No scalable target found"):
        scaling.deregister_scalable_target(**TARGET)
    with pytest.raises(ClientError, match="Member must satisfy enum value set") as invalid:
        scaling.describe_scalable_targets(ServiceNamespace="nonsense")
    assert invalid.value.response["Error"]["Code"] == "ValidationException"
    with pytest.raises(ClientError, match="does not support PutScheduledAction"):
        scaling.put_scheduled_action(**TARGET, ScheduledActionName="nightly", Schedule="rate(1 day)")
    runtime = aws.client("sagemaker-runtime")
    with pytest.raises(ClientError, match=r"Endpoint e of account \d+ not found"):
        runtime.invoke_endpoint_async(EndpointName="e", InputLocation="s3://bucket/key")
    with pytest.raises(ClientError, match="less than or equal to 3600"):
        runtime.invoke_endpoint_async(EndpointName="e", InputLocation="s3://bucket/key", InvocationTimeoutSeconds=4000)
