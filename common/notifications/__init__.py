"""Telling people, through one SNS topic, what they have to know: once for each thing that happened.

What a step knows is sent from here. What fails on SageMaker, in CircleCI's jobs or outside of them, EventBridge tells by
itself; see `common.notifications.rules`. So no such failure is told twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from common.aws import Aws, explain
from common.errors import NotificationError
from common.notifications.claim import Claim
from common.notifications.scrub import scrub
from common.storage import Bucket

Kind = Literal["job failed", "drift found", "approval waiting", "deployed", "rolled back"]

_LONGEST_SUBJECT = 99  # characters, and ASCII only: SNS takes fewer than 100, and e-mail no others
_LONGEST_TEXT = 20_000  # characters: SNS takes 256 KiB in all


@dataclass(frozen=True)
class Notice:
    """Something that people have to know.

    Attributes:
        model: the model's name.
        subject: what happened in a few words, after model and kind: "version 7".
        text: what whoever reads it needs in order to decide what to do; lines of plain text.
        links: where to look, by what is there; those with an empty URL are left out.
        key: what happened, so that it is told once: the same key is never published twice.
        environment: where, which `notify` says; empty where there is only one.
    """

    kind: Kind
    model: str
    subject: str
    text: str
    links: Mapping[str, str]
    key: str
    environment: str = ""

    @property
    def title(self) -> str:
        """The e-mail's subject: ASCII, one line, fewer than 100 characters."""
        line = " ".join(scrub(self._headline).split())
        return re.sub(r"[^ -~]", "?", line.replace("–", "-"))[:_LONGEST_SUBJECT]

    @property
    def message(self) -> str:
        """The whole text, the links below it, and nothing secret in either."""
        links = [f"{what}: {url}" for what, url in self.links.items() if url]
        text = scrub(self.text.strip())[:_LONGEST_TEXT]  # a secret that is cut off looks like none
        parts = [self._headline, text, "\n".join(links)]
        return scrub("\n\n".join(filter(None, parts)))

    @property
    def _headline(self) -> str:
        where = f"[{self.environment}] " if self.environment else ""
        return f"{where}{self.model}: {self.kind}: {self.subject}"


class Teller(Protocol):
    """What a `common.steps.context.Context` gives."""

    @property
    def aws(self) -> Aws: ...

    @property
    def say(self) -> Callable[[str], None]: ...


def notify(context: Teller, notice: Notice) -> None:
    """Publish the notice, unless one of its key was published before; without a topic, only say so.

    A process that dies between its claim and the publishing leaves the claim: after ten minutes another one takes it over.

    Raises:
        NotificationError: SNS does not take it. What it tells of has happened nevertheless; running the step again sends it.
    """
    aws, settings = context.aws, context.aws.settings
    topic = settings.notify_topic
    if len(settings.others) > 1:  # the same people are told by each
        notice = replace(notice, environment=settings.environment)
    if not topic:
        context.say(f"  nobody is notified of «{notice.title}»: NOTIFY_TOPIC_ARN is not set")
        return
    claim = Claim(Bucket(aws), notice.key, {"kind": notice.kind, "model": notice.model, "title": notice.title})
    try:
        told = claim.taken() and _published(context, topic, notice, claim)
    except (ClientError, BotoCoreError) as error:
        raise NotificationError(
            f"«{notice.title}» could not be sent to {topic}. {explain(error).what}",
            "What it tells of is done. See docs/notifications.md for the topic and its permissions, then run the same "
            "again: it finds its work done, and sends.",
        ) from error
    context.say(f"  notified: {notice.title}" if told else f"  notified before: {notice.title}")


def _published(context: Teller, topic: str, notice: Notice, claim: Claim) -> bool:
    """Publish what is claimed; what SNS does not take is left to the next one."""
    try:
        answer = context.aws.sns.publish(TopicArn=topic, Subject=notice.title, Message=notice.message)
    except (ClientError, BotoCoreError):
        claim.give_up()
        raise
    try:
        claim.done(answer["MessageId"])
    except (ClientError, BotoCoreError) as error:
        context.say(f"  it was sent, which could not be noted: a later run may send it again. {explain(error).what}")
    return True
