"""Making the rules of `infra/events/` and their topic in an account: looked at, then changed where they differ."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from common.aws import Aws, error_code
from common.errors import NotificationError
from common.notifications.rules import (
    OWNER_TAG,
    PREFIX,
    LiveRule,
    LiveTopic,
    Rule,
    Wiring,
    declared_rules,
    wiring,
)

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import (
        PutTargetsResponseTypeDef,
        RemoveTargetsResponseTypeDef,
        RuleTypeDef,
    )

TOPIC = "models-notifications"
"""The topic's name where `NOTIFY_TOPIC_ARN` names none."""

Say = Callable[[str], None]


def wire_events(aws: Aws, say: Say, *, plan: bool = False) -> str:
    """Make the topic and its rules, or say what would be made; the topic's ARN.

    Raises:
        NotificationError: a rule cannot be read, or cannot work; see `rules.wiring`.
    """
    topic = aws.settings.notify_topic or _default_topic(aws)
    live = _live_rules(aws)
    wanted = wiring(declared_rules(), topic, _live_topic(aws, topic), live)
    steps = wanted.described()
    for step in steps or ["nothing to do: topic and rules are as infra/events/ declares them"]:
        say(f"  {step}")
    if plan:
        return topic
    if wanted.make_topic:
        aws.sns.create_topic(Name=topic.rpartition(":")[2])
        wanted = wiring(declared_rules(), topic, _live_topic(aws, topic), live)  # a new topic has a policy, which stays
    _carry_out(aws, wanted)
    return topic


def _default_topic(aws: Aws) -> str:
    _, partition, _, _, account, _ = aws.sts.get_caller_identity()["Arn"].split(":", 5)
    return f"arn:{partition}:sns:{aws.settings.region}:{account}:{TOPIC}"


def _live_topic(aws: Aws, topic: str) -> LiveTopic | None:
    try:
        attributes = aws.sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    except ClientError as error:
        if error_code(error) not in ("NotFound", "NotFoundException"):
            raise
        return None
    return LiveTopic(json.loads(attributes["Policy"]), attributes.get("KmsMasterKeyId", ""))


def _live_rules(aws: Aws) -> dict[str, LiveRule]:
    pages = aws.events.get_paginator("list_rules").paginate(NamePrefix=PREFIX)
    return {rule["Name"]: _live_rule(aws, rule) for page in pages for rule in page["Rules"]}


def _live_rule(aws: Aws, rule: RuleTypeDef) -> LiveRule:
    return LiveRule(
        rule.get("Description", ""),
        json.loads(rule.get("EventPattern", "{}")),
        rule["State"] == "ENABLED",
        aws.events.list_targets_by_rule(Rule=rule["Name"])["Targets"],
        OWNER_TAG in aws.events.list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"],
    )


def _carry_out(aws: Aws, wanted: Wiring) -> None:
    """The topic's policy first: a rule that may not publish loses its events."""
    if wanted.policy:
        aws.sns.set_topic_attributes(
            TopicArn=wanted.topic, AttributeName="Policy", AttributeValue=json.dumps(wanted.policy)
        )
    for rule in wanted.put:
        _put(aws, rule)
    for rule in wanted.aim:
        _require_all(aws.events.put_targets(Rule=rule.name, Targets=[rule.target(wanted.topic)]))
    for name in wanted.remove:
        targets = [target["Id"] for target in aws.events.list_targets_by_rule(Rule=name)["Targets"]]
        if targets:
            _require_all(aws.events.remove_targets(Rule=name, Ids=targets))
        aws.events.delete_rule(Name=name)


def _require_all(answer: PutTargetsResponseTypeDef | RemoveTargetsResponseTypeDef) -> None:
    """EventBridge answers with success when it has refused a target."""
    for failed in answer["FailedEntries"]:
        raise NotificationError(
            f"EventBridge refused the target {failed['TargetId']}: {failed['ErrorCode']}: {failed['ErrorMessage']}",
            "Mend the cause, then run `./models events` again.",
        )


def _put(aws: Aws, rule: Rule) -> None:
    aws.events.put_rule(
        Name=rule.name,
        Description=rule.description,
        EventPattern=json.dumps(rule.pattern),
        State="ENABLED",
        Tags=[OWNER_TAG],
    )
