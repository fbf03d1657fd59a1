"""What a target gets of an event: the examples of EventBridge's documentation, and what bites."""

import json
from typing import Any

import pytest

from common.local.events.inputs import InputError, check_input, told

RULE = "arn:aws:events:us-east-1:123456789012:rule/example"
EVENT: dict[str, Any] = {
    "version": "0",
    "id": "7bf73129-1428-4cd3-a780-95db273d1602",
    "detail-type": "EC2 Instance State-change Notification",
    "source": "aws.ec2",
    "account": "123456789012",
    "time": "2015-11-11T21:29:54Z",
    "region": "us-east-1",
    "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],
    "detail": {"instance-id": "i-0123456789", "state": "RUNNING"},
}
PATHS = {
    "instance": "$.detail.instance-id",
    "state": "$.detail.state",
    "first": "$.resources[0]",
    "none": "$.detail.no",
}


def transformed(template: str, **changes: Any) -> str:
    return told({"InputTransformer": {"InputPathsMap": PATHS, "InputTemplate": template}}, EVENT | changes, RULE)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ('"instance <instance> is in <state>"', '"instance i-0123456789 is in RUNNING"'),
        ('"<aws.events.rule-name> triggered"', '"example triggered"'),
        ('{"instance": <instance>, "state": "<state>"}', '{"instance":"i-0123456789","state":"RUNNING"}'),
        ('{"rule": <aws.events.rule-arn>, "nothing": <none>}', f'{{"rule":"{RULE}","nothing":null}}'),
        ('"one <first>"\n"two <none>"', '"one arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"\n"two "'),
    ],
)
def test_a_template_is_filled(template: str, message: str) -> None:
    assert transformed(template) == message


def test_an_object_and_the_whole_event_can_be_members() -> None:
    assert json.loads(transformed('{"event": <aws.events.event.json>}')) == {"event": EVENT}


def test_a_value_that_breaks_the_json_gives_the_event_up() -> None:
    with pytest.raises(InputError, match="no JSON"):
        transformed('{"state": "<state>"}', detail={"state": 'say "no"'})


def test_a_value_in_text_is_not_escaped() -> None:
    assert transformed('"in <state>"', detail={"state": 'a "b"'}) == '"in a "b""'


@pytest.mark.parametrize(
    ("target", "message"),
    [({}, EVENT), ({"InputPath": "$.detail"}, EVENT["detail"]), ({"Input": '{"a": 1}'}, {"a": 1})],
)
def test_a_target_gets_all_a_part_or_a_constant(target: dict[str, Any], message: Any) -> None:
    assert json.loads(told(target, EVENT, RULE)) == message


@pytest.mark.parametrize(
    ("target", "because"),
    [
        ({"InputPath": "detail"}, "Invalid JSONPath"),
        ({"InputPath": "$..detail"}, "Invalid JSONPath"),
        ({"Input": "text"}, "no JSON"),
        ({"Input": "{}", "InputPath": "$.detail"}, "Only one"),
        ({"InputTransformer": {"InputTemplate": '"<x>"'}}, "does not define"),
        ({"InputTransformer": {"InputTemplate": "plain words"}}, "neither JSON nor lines"),
        ({"InputTransformer": {"InputPathsMap": {"AWS.x": "$.id"}, "InputTemplate": '"a"'}}, "reserved"),
    ],
)
def test_a_wrong_input_is_refused(target: dict[str, Any], because: str) -> None:
    with pytest.raises(InputError, match=because):
        check_input(target | {"Id": "it"})
