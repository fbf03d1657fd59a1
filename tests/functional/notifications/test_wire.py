"""`models events`: rules and topic as declared, once and for all, and what fails on AWS arrives with its link."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from common.commands.events import events
from common.errors import NotificationError
from common.notifications.rules import STATEMENT, declared_rules
from common.notifications.wire import wire_events
from tests.functional.local import processing_support, training_support, transform_support, tuning_support
from tests.functional.notifications.conftest import Ears


def wire(ears: Ears, *, plan: bool = False) -> list[str]:
    del ears.said[:]
    assert wire_events(ears.aws, ears.say, plan=plan) == (
        ears.topic or f"arn:aws:sns:eu-west-1:{ears.account.account}:models-notifications"
    )
    return ears.said


def rules(ears: Ears) -> dict[str, Any]:
    return {rule["Name"]: rule for rule in ears.account.client("events").list_rules()["Rules"]}


def test_a_plan_makes_nothing_and_a_second_run_finds_nothing_to_do(ears: Ears) -> None:
    ears.topic = ""
    planned = wire(ears, plan=True)
    assert rules(ears) == {}
    assert wire(ears) == planned
    assert planned[0].startswith("  create topic")
    assert set(rules(ears)) == {rule.name for rule in declared_rules()}
    assert wire(ears) == ["  nothing to do: topic and rules are as infra/events/ declares them"]
    topic = f"arn:aws:sns:eu-west-1:{ears.account.account}:models-notifications"
    policy = ears.account.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"]
    own, events = (each["Sid"] for each in json.loads(policy)["Statement"])
    assert (own, events) == ("__default_statement_ID", STATEMENT)  # the account's alarms may tell it something, too


def test_it_puts_right_what_somebody_changed(ears: Ears) -> None:
    wire(ears)
    events = ears.account.client("events")
    events.disable_rule(Name="models-tuning-failed")
    events.remove_targets(Rule="models-transform-failed", Ids=["topic"])
    tags = [{"Key": "made-by", "Value": "models events"}]
    events.put_rule(Name="models-from-long-ago", EventPattern='{"source": ["x"]}', Tags=tags)
    events.put_targets(Rule="models-from-long-ago", Targets=[{"Id": "x", "Arn": ears.topic}])
    assert [step.partition(":")[0] for step in wire(ears)] == [
        "  put rule models-tuning-failed",
        "  aim rule models-transform-failed at the topic",
        "  delete rule models-from-long-ago",
    ]
    assert rules(ears)["models-tuning-failed"]["State"] == "ENABLED"
    assert wire(ears) == ["  nothing to do: topic and rules are as infra/events/ declares them"]


def test_whatever_fails_outside_ci_is_told_once_with_its_link_and_nothing_that_it_said(ears: Ears) -> None:
    """A job of each kind, and an endpoint: three find no data, one no model, one ends with a secret on its lips."""
    wire(ears)
    aws, sagemaker = ears.account, ears.account.client("sagemaker")
    script = "import sys\nsys.exit('password=hunter2')"
    sagemaker.create_processing_job(**processing_support.job_request(aws, "by-hand-1", script))
    sagemaker.create_training_job(**training_support.job_request(aws, "by-hand-2"))
    sagemaker.create_hyper_parameter_tuning_job(**tuning_support.tuning_request(aws, "by-hand-3", jobs=1, parallel=1))
    transform_support.make_model(aws, "sums")
    training_support.put(aws, "sums.tar.gz", "no archive")
    sagemaker.create_transform_job(**transform_support.job_request(aws, "by-hand-4"))
    variant = {"VariantName": "v", "ModelName": "sums", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="sums", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="by-hand-5", EndpointConfigName="sums")
    told = ears.inbox.events(5, seconds=60)
    pages = [re.findall(r"/sagemaker/home\?region=eu-west-1#/(\S+) ", message["Message"]) for message in told]
    assert sorted(pages) == [
        ["endpoints/by-hand-5"],
        ["hyper-tuning-jobs/by-hand-3"],
        ["jobs/by-hand-2"],
        ["processing-jobs/by-hand-1"],
        ["transform-jobs/by-hand-4"],
    ]
    assert "hunter2" not in json.dumps(told)
    assert ears.inbox.is_quiet()


def test_a_target_that_eventbridge_refuses_is_no_success(ears: Ears) -> None:
    ears.made = ears.aws
    refused = [{"TargetId": "topic", "ErrorCode": "LimitExceeded", "ErrorMessage": "too many"}]
    answered = {"FailedEntryCount": 1, "FailedEntries": refused}
    ears.made.events.meta.events.register("after-call.events.PutTargets", lambda parsed, **_: parsed.update(answered))
    with pytest.raises(NotificationError, match="refused the target topic: LimitExceeded: too many"):
        wire(ears)


def test_the_command_says_what_is_left_to_do(
    ears: Ears, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in ears.account.env.items():
        monkeypatch.setenv(name, value)
    events(plan=True)
    said = capsys.readouterr().out
    topic = f"arn:aws:sns:eu-west-1:{ears.account.account}:models-notifications"
    assert f"  create topic {topic}\n" in said
    assert f"NOTIFY_TOPIC_ARN={topic}\n" in said
    assert f"aws sns subscribe --topic-arn {topic} --protocol email" in said
    monkeypatch.setenv("NOTIFY_TOPIC_ARN", ears.topic)
    events()
    assert "NOTIFY_TOPIC_ARN" not in capsys.readouterr().out
    assert set(rules(ears)) == {rule.name for rule in declared_rules()}
