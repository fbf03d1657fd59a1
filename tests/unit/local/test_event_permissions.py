"""Which policies let EventBridge send, and which only look as if they did."""

from typing import Any

import pytest

from common.local.events.permissions import EVENTS, allows

TOPIC = "arn:aws:sns:eu-west-1:1:alerts"
RULE = "arn:aws:events:eu-west-1:1:rule/models-training-failed"
CONTEXT = {"aws:SourceArn": RULE, "aws:SourceAccount": "1"}


def one(**changes: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"Service": EVENTS}, "Action": "sns:Publish", "Resource": TOPIC} | changes


@pytest.mark.parametrize(
    ("statements", "may"),
    [
        ([one()], True),
        (one(), True),
        ([one(Action=["SNS:Publish", "sns:Subscribe"], Resource="*")], True),
        ([one(Condition={"ArnLike": {"aws:SourceArn": "arn:aws:events:eu-west-1:1:rule/models-*"}})], True),
        ([one(Condition={"StringEquals": {"AWS:SourceAccount": "1"}, "ArnEquals": {"aws:SourceArn": [RULE]}})], True),
        ([one(Principal="*")], True),
        ([], False),
        ([one(Principal={"Service": "sns.amazonaws.com"})], False),
        ([one(Principal={"AWS": "*"}, Condition={"StringEquals": {"AWS:SourceOwner": "1"}})], False),
        ([one(Action="sns:Subscribe")], False),
        ([one(Resource=f"{TOPIC}-2")], False),
        ([one(Condition={"ArnEquals": {"aws:SourceArn": f"{RULE}-2"}})], False),
        ([one(Condition={"NumericLessThan": {"aws:SourceAccount": "2"}})], False),
        ([one(), one(Effect="Deny", Principal="*")], False),
    ],
)
def test_a_policy_lets_events_in_or_not(statements: Any, may: bool) -> None:
    assert allows({"Statement": statements}, "sns:Publish", TOPIC, CONTEXT) is may
