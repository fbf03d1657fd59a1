"""CloudWatch as a guarded deployment sees it: alarms keep their state, and statistics are those of one variant."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.accounts import Account
from tests.functional.local.events_kit import queue

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
ALARM = {
    "AlarmName": "errors",
    "Namespace": "Ours",
    "MetricName": "Latency",
    "Statistic": "Sum",
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 1.0,
    "Period": 3600,
    "EvaluationPeriods": 24,
    "TreatMissingData": "ignore",
}


def described(cloudwatch: Any) -> Any:
    [alarm] = cloudwatch.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
    return alarm


def test_an_alarm_that_is_put_again_keeps_its_state_and_its_tags(aws: Account) -> None:
    cloudwatch = aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(**ALARM, Tags=[{"Key": "model", "Value": "one"}])
    assert described(cloudwatch)["StateValue"] in ("INSUFFICIENT_DATA", "OK")  # the latter once it has been evaluated
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="a drill")
    before = described(cloudwatch)
    cloudwatch.put_metric_alarm(**ALARM | {"Threshold": 2.0}, Tags=[{"Key": "model", "Value": "two"}])
    after = described(cloudwatch)
    assert (after["Threshold"], after["StateValue"], after["StateReason"]) == (2.0, "ALARM", "a drill")
    assert after["StateUpdatedTimestamp"] == before["StateUpdatedTimestamp"]
    tags = cloudwatch.list_tags_for_resource(ResourceARN=after["AlarmArn"])["Tags"]
    assert tags == [{"Key": "model", "Value": "one"}]


def variant(name: str) -> list[dict[str, str]]:
    return [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": name}]


def asked(cloudwatch: Any, **changes: Any) -> dict[datetime, Any]:
    request = {
        "Namespace": "Ours",
        "MetricName": "Latency",
        "Dimensions": variant("v1"),
        "StartTime": NOW - timedelta(minutes=30),
        "EndTime": NOW,
        "Period": 60,
        **changes,
    }
    return {point["Timestamp"]: point for point in cloudwatch.get_metric_statistics(**request)["Datapoints"]}


def test_statistics_and_percentiles_are_of_each_period_and_of_one_variant(aws: Account) -> None:
    cloudwatch = aws.client("cloudwatch")
    data = [
        {
            "MetricName": "Latency",
            "Dimensions": variant(name),
            "Timestamp": NOW - timedelta(seconds=ago),
            "Value": value,
        }
        for name, ago, value in [
            *(("v1", 600 - second, float(second)) for second in range(51)),
            ("v1", 300, 7.0),
            ("v2", 300, 1e6),
        ]
    ]
    cloudwatch.put_metric_data(Namespace="Ours", MetricData=data)
    first, second = NOW - timedelta(seconds=600), NOW - timedelta(seconds=300)
    plain = asked(cloudwatch, Statistics=["Average", "SampleCount", "Maximum"])
    assert sorted(plain) == [first, second]
    assert (plain[first]["Average"], plain[first]["SampleCount"], plain[second]["Maximum"]) == (25.0, 51.0, 7.0)
    percentiles = asked(cloudwatch, ExtendedStatistics=["p50", "p90"])
    assert percentiles[first]["ExtendedStatistics"] == {"p50": 25.0, "p90": 45.0}
    assert asked(cloudwatch, Statistics=["Sum"], Dimensions=variant("v1")[:1]) == {}
    assert asked(cloudwatch, Statistics=["Sum"], EndTime=first) == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Statistics": ["Sum"], "StartTime": NOW - timedelta(minutes=1441)}, "requested up to 1441 datapoints"),
        ({}, "either Statistics or ExtendedStatistics"),
    ],
)
def test_what_cloudwatch_refuses_is_refused(aws: Account, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ClientError, match=said) as error:
        asked(aws.client("cloudwatch"), **changes)
    assert error.value.response["Error"]["Code"] == "InvalidParameterCombination"


def test_an_alarm_tells_the_topics_of_its_state_when_that_changes_and_not_otherwise(aws: Account) -> None:
    inbox, sns, cloudwatch = queue(aws, "inbox", open_to_events=False), aws.client("sns"), aws.client("cloudwatch")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=inbox.arn)
    actions = {"AlarmActions": [topic, "arn:aws:sns:eu-west-1:1:gone"], "OKActions": [topic]}
    cloudwatch.put_metric_alarm(**ALARM | {"Dimensions": variant("v1")}, **actions)
    for state in ("ALARM", "ALARM", "OK"):
        cloudwatch.set_alarm_state(AlarmName="errors", StateValue=state, StateReason="a drill")
    fired, over = inbox.events(2)
    assert [fired["Subject"], over["Subject"]] == ['ALARM: "errors" in eu-west-1', 'OK: "errors" in eu-west-1']
    told = json.loads(fired["Message"])
    assert (told["NewStateValue"], told["NewStateReason"], told["AWSAccountId"]) == ("ALARM", "a drill", aws.account)
    assert told["Trigger"]["Dimensions"][0] == {"value": "e", "name": "EndpointName"}
    cloudwatch.disable_alarm_actions(AlarmNames=["errors"])
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="a drill")
    assert inbox.is_quiet()
