"""A topic that a queue hears, and a step that tells it something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from common.aws import Aws
from common.settings import Settings
from tests.accounts import Account
from tests.functional.local.events_kit import Queue, queue


@dataclass
class Ears:
    """Who hears of what: the project's settings with a topic, and the queue that subscribes to it."""

    account: Account
    topic: str
    inbox: Queue
    said: list[str] = field(default_factory=list)
    made: Aws | None = None

    @property
    def aws(self) -> Aws:
        """Clients of the account, new ones unless some were made."""
        if self.made:
            return self.made
        settings = Settings.from_environment(self.account.env)
        made = Aws(replace(settings, notify_topic=self.topic))
        vars(made)["_session"] = self.account.session()
        return made

    @property
    def say(self) -> Callable[[str], None]:
        return self.said.append


@pytest.fixture
def ears(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Ears:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    inbox = queue(aws, "inbox", open_to_events=False)
    topic = aws.client("sns").create_topic(Name="alerts")["TopicArn"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=inbox.arn)
    return Ears(aws, topic, inbox)
