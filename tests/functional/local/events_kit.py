"""Rules, queues and topics as the tests of events need them."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.accounts import REGION, Account


@dataclass(frozen=True)
class Queue:
    """A queue of SQS."""

    aws: Account
    url: str
    arn: str

    def receive(self, count: int = 1, seconds: float = 20) -> list[str]:
        """The bodies of `count` messages, each taken from the queue; fewer when no more come in time."""
        sqs, deadline = self.aws.client("sqs"), time.monotonic() + seconds
        bodies: list[str] = []
        while len(bodies) < count and time.monotonic() < deadline:
            for message in sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", []):
                bodies.append(message["Body"])
                sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            time.sleep(0.02)
        return bodies

    def events(self, count: int = 1, seconds: float = 20) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.receive(count, seconds)]

    def is_quiet(self, seconds: float = 0.3) -> bool:
        """Whether nothing comes for a while."""
        return self.receive(1, seconds) == []


def statement(action: str, arn: str, **condition: Any) -> str:
    """A resource's policy that lets EventBridge do the action, under the condition if there is one."""
    allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": action, "Resource": arn}
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [allowed | ({"Condition": condition} if condition else {})]}
    )


def queue(aws: Account, name: str, *, open_to_events: bool = True) -> Queue:
    """A new queue, to which EventBridge may send."""
    sqs, arn = aws.client("sqs"), f"arn:aws:sqs:{REGION}:{aws.account}:{name}"
    policy = {"Policy": statement("sqs:SendMessage", arn)} if open_to_events else {}
    return Queue(aws, sqs.create_queue(QueueName=name, Attributes=policy)["QueueUrl"], arn)


def rule(aws: Account, name: str, target: str, pattern: Mapping[str, Any] | None = None, **changes: Any) -> str:
    """A rule with one target; the rule's ARN. `target_…` are members of the target, others of the rule."""
    events = aws.client("events")
    extra = {key.removeprefix("target_"): changes.pop(key) for key in list(changes) if key.startswith("target_")}
    matched = {"EventPattern": json.dumps(pattern)} if pattern else {}
    arn: str = events.put_rule(Name=name, **matched, **changes)["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": "it", "Arn": target, **extra}])
    return arn
