"""EventBridge: SageMaker's events reach queues and topics, as their rules, transformers and policies say."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from common.commands.local import local_clock
from common.errors import ModelsError, UsageError
from common.local import daemon
from common.local.daemon import Running
from common.local.skip import local_time, skip, span
from tests.accounts import Account
from tests.functional.local.events_kit import queue, rule, statement
from tests.functional.local.processing_support import job_request

ALL = {"source": ["aws.sagemaker"]}
OWN: dict[str, Any] = {"source": ["tests"]}


def put(aws: Account, **detail: Any) -> None:
    entry = {"Source": "tests", "DetailType": "Something", "Detail": json.dumps(detail), "Resources": ["arn:aws:x:::y"]}
    assert aws.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def test_a_job_tells_of_each_status_once_and_in_order(aws: Account) -> None:
    everything = queue(aws, "everything")
    rule(aws, "all", everything.arn, ALL)
    failed = queue(aws, "failed")
    rule(aws, "failed", failed.arn, ALL | {"detail": {"ProcessingJobStatus": ["Failed"]}})
    request = job_request(aws, "broken", "raise SystemExit(3)", Tags=[{"Key": "model", "Value": "abalone"}])
    aws.client("sagemaker").create_processing_job(**request)
    begun, ended = everything.events(2)
    assert [event["detail"]["ProcessingJobStatus"] for event in (begun, ended)] == ["InProgress", "Failed"]
    assert ended["detail-type"] == "SageMaker Processing Job State Change"
    assert ended["resources"] == [ended["detail"]["ProcessingJobArn"]]
    assert ended["detail"]["Tags"] == {"model": "abalone"}
    assert ended["detail"]["ProcessingEndTime"] > 1.5e12  # milliseconds
    assert failed.events() == [ended]
    assert everything.is_quiet()
    assert failed.is_quiet(0)


def test_a_package_tells_of_its_approval(aws: Account) -> None:
    packages = queue(aws, "packages")
    rule(aws, "packages", packages.arn, {"detail-type": ["SageMaker Model Package State Change"]})
    sagemaker = aws.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="abalone")
    arn = sagemaker.create_model_package(ModelPackageGroupName="abalone", ModelApprovalStatus="PendingManualApproval")
    arn = arn["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    made, approved = packages.events(2)
    assert made["detail"]["ModelApprovalStatus"] == "PendingManualApproval"
    assert approved["detail"]["ModelApprovalStatus"] == "Approved"
    assert approved["detail"]["UpdatedModelPackageFields"] == ["ModelApprovalStatus"]
    assert approved["detail"]["ModelPackageVersion"] == 1


def test_a_topic_passes_on_what_a_transformer_makes(aws: Account) -> None:
    inbox = queue(aws, "inbox")
    topic = aws.client("sns").create_topic(Name="told")["TopicArn"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=inbox.arn)
    transformer = {
        "InputPathsMap": {"job": "$.detail.job", "at": "$.resources[0]"},
        "InputTemplate": '"Job <job> has failed."\n"See <at> "',
    }
    arn = rule(aws, "told", topic, OWN, target_InputTransformer=transformer)
    policy = statement("sns:Publish", topic, ArnEquals={"aws:SourceArn": arn})
    aws.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    put(aws, job="a-1")
    (message,) = inbox.events()
    assert message["Message"] == '"Job a-1 has failed."\n"See arn:aws:x:::y "'
    assert inbox.is_quiet()


@pytest.mark.parametrize("obstacle", ["another rule's policy", "the default policy", "AWS's key", "no such topic"])
def test_what_eventbridge_may_not_send_ends_in_the_dead_letter_queue(aws: Account, obstacle: str) -> None:
    sns, inbox, dead = aws.client("sns"), queue(aws, "inbox"), queue(aws, "dead")
    topic = sns.create_topic(Name="told")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=inbox.arn)
    arn = rule(aws, "told", topic, OWN, target_DeadLetterConfig={"Arn": dead.arn})
    if obstacle != "the default policy":
        source = arn if obstacle != "another rule's policy" else f"{arn}-2"
        policy = statement("sns:Publish", topic, ArnLike={"aws:SourceArn": source})
        sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    if obstacle == "AWS's key":
        sns.set_topic_attributes(TopicArn=topic, AttributeName="KmsMasterKeyId", AttributeValue="alias/aws/sns")
    if obstacle == "no such topic":
        sns.delete_topic(TopicArn=topic)
    put(aws, job="a-1")
    assert [event["detail"] for event in dead.events()] == [{"job": "a-1"}]
    assert inbox.is_quiet()
    metrics = aws.client("cloudwatch").list_metrics(Namespace="AWS/Events")["Metrics"]
    assert [(m["MetricName"], m["Dimensions"][0]["Value"]) for m in metrics] == [("FailedInvocations", "told")]


def test_a_disabled_rule_and_one_with_a_schedule_only_match_no_event(aws: Account) -> None:
    inbox = queue(aws, "inbox")
    rule(aws, "off", inbox.arn, OWN, State="DISABLED")
    rule(aws, "hourly", inbox.arn, ScheduleExpression="rate(1 hour)")
    put(aws, job="a-1")
    assert inbox.is_quiet()


def test_schedules_follow_the_clock_of_this_aws(aws: Account) -> None:
    inbox = queue(aws, "inbox")
    arn = rule(aws, "six-hourly", inbox.arn, ScheduleExpression="rate(6 hours)")
    rule(aws, "nightly", inbox.arn, ScheduleExpression="cron(30 2 * * ? *)", target_Input='{"action": "nightly"}')
    before = requests.get(f"{aws.url}/_local/health", timeout=10).json()["time"]
    after = requests.post(f"{aws.url}/_local/clock", json={"advance": 86_400}, timeout=10).json()["time"]
    assert 86_400 <= after - before < 86_460
    told = inbox.events(5)
    assert told.count({"action": "nightly"}) == 1
    rates = [event for event in told if "time" in event]
    assert [event["resources"] for event in rates] == [[arn]] * 4
    assert rates[0]["detail-type"] == "Scheduled Event"
    assert [event["time"] for event in rates] == sorted({event["time"] for event in rates})
    assert inbox.is_quiet()


@pytest.mark.parametrize("body", ['{"advance": -1}', '{"advance": "soon"}', "[]", "{}"])
def test_a_clock_that_shall_go_back_is_refused(aws: Account, body: str) -> None:
    assert requests.post(f"{aws.url}/_local/clock", data=body, timeout=10).status_code == 400


@pytest.mark.parametrize(
    ("refused", "because"),
    [
        ({"ScheduleExpression": "rate(1 hours)"}, "ScheduleExpression is not valid"),
        ({"ScheduleExpression": "cron(0 23 * * *)"}, "six fields"),
        ({"pattern": {"detail": {"Status": [{"starts": "x"}]}}}, "Unrecognized match type starts"),
        ({"pattern": OWN, "target_InputTransformer": {"InputTemplate": "Job <job>"}}, "does not define"),
        ({"pattern": OWN, "target_InputTransformer": {"InputTemplate": "no quotes"}}, "lines in double quotes"),
        ({"pattern": OWN, "target_InputPath": "detail"}, "Invalid JSONPath"),
        ({"pattern": OWN, "target_Input": "{}", "target_InputPath": "$.detail"}, "Only one of"),
    ],
)
def test_what_aws_refuses_is_refused_when_it_is_put(aws: Account, refused: dict[str, Any], because: str) -> None:
    with pytest.raises(ClientError, match=because):
        rule(aws, "bad", queue(aws, "inbox").arn, **refused)


def test_patterns_can_be_tried_out(aws: Account) -> None:
    event = {"id": "1", "account": "1", "source": "tests", "time": "2026-11-20T00:00:00Z", "region": "eu-west-1",
             "resources": [], "detail-type": "x", "detail": {"job": "a"}}  # fmt: skip
    events = aws.client("events")
    pattern = {"detail": {"job": ["a"]}}
    answers = [
        events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event | change))["Result"]
        for change in ({}, {"detail": {"job": "b"}})
    ]
    assert answers == [True, False]
    del event["id"]
    with pytest.raises(ClientError, match="lacks id"):
        events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))


def test_a_rate_is_not_due_before_its_time(aws: Account) -> None:
    inbox = queue(aws, "inbox")
    rule(aws, "hourly", inbox.arn, ScheduleExpression="rate(1 hour)")
    requests.post(f"{aws.url}/_local/clock", json={"advance": 3500}, timeout=10)
    assert inbox.is_quiet()
    requests.post(f"{aws.url}/_local/clock", json={"advance": 200}, timeout=10)
    assert len(inbox.events()) == 1


def test_a_key_of_ones_own_lets_a_topic_take_events_when_its_policy_says_so(aws: Account) -> None:
    sns, kms, inbox = aws.client("sns"), aws.client("kms"), queue(aws, "inbox")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    topic = sns.create_topic(Name="told", Attributes={"KmsMasterKeyId": key})["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=inbox.arn)
    rule(aws, "told", topic, OWN)
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=statement("sns:Publish", topic))
    put(aws, job="before")
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=statement("kms:*", "*"))
    put(aws, job="after")
    assert ['"after"' in event["Message"] for event in inbox.events()] == [True]


@pytest.mark.long
def test_the_command_line_skips_time_which_a_restart_keeps(
    own_server: tuple[Path, Callable[[], Account]], capsys: pytest.CaptureFixture[str]
) -> None:
    state, start = own_server
    aws = start()
    inbox = queue(aws, "inbox")
    rule(aws, "daily", inbox.arn, ScheduleExpression="rate(1 day)")
    local_clock(advance="36h", state=state)
    assert len(inbox.events()) == 1
    daemon.down(state)
    start()
    local_clock(advance="", state=state)
    skipped, after = map(datetime.fromisoformat, capsys.readouterr().out.split())
    assert timedelta(hours=35) < skipped - datetime.now(UTC) < timedelta(hours=37)
    assert after >= skipped


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("90m", 5400), ("6h", 21_600), ("2d", 172_800)])
def test_a_time_to_skip_is_read(text: str, seconds: int) -> None:
    assert span(text).total_seconds() == seconds


def test_what_the_server_does_not_skip_or_say_is_said(aws: Account) -> None:
    with pytest.raises(UsageError, match=r"The local AWS refuses: .* not to the year 2200"):
        skip(Running(0, aws.url, 1.0), span("999999d"))
    with pytest.raises(ModelsError, match=r"does not answer: .*refused"):
        local_time(Running(0, "http://127.0.0.1:9", 1.0))


@pytest.mark.parametrize("text", ["tomorrow", "1", "-1d", "1.5h", "9999999999d"])
def test_what_is_no_time_to_skip_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no time to skip"):
        span(text)
