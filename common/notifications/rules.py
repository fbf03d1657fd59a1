"""What EventBridge tells by itself: the rules of `infra/events/`, and what of them is missing in an account. Pure functions.

Each file is a rule: `description`, `pattern`, and the `input_paths` and `input_template` of its message. Terraform reads
the same files. A message has names, statuses, times and links only, never a reason: that is a container's own words, which
may quote data or a connection string, and an e-mail is no place for either.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import NotificationError
from common.model import ROOT

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import InputTransformerTypeDef, TagTypeDef, TargetTypeDef

FOLDER = ROOT / "infra" / "events"
PREFIX = "models-"
"""How the names of the rules begin."""
OWNER_TAG: TagTypeDef = {"Key": "made-by", "Value": "models events"}
"""Tells our rules from others whose names begin alike."""
STATEMENT = "EventBridgeRulesOfModels"
"""The statement of the topic's policy that lets the rules publish."""
_TARGET = "topic"


@dataclass(frozen=True)
class Rule:
    """A rule of EventBridge that sends to the topic.

    Attributes:
        pattern: which events it matches.
        transformer: that of its target.
    """

    name: str
    description: str
    pattern: Mapping[str, Any]
    transformer: InputTransformerTypeDef

    def target(self, topic: str) -> TargetTypeDef:
        return {"Id": _TARGET, "Arn": topic, "InputTransformer": self.transformer}


@dataclass(frozen=True)
class LiveRule:
    """A rule as it is in the account.

    Attributes:
        targets: of which ours has the id `topic`; somebody may have added others.
        owned: whether it has `OWNER_TAG`.
    """

    description: str
    pattern: Mapping[str, Any]
    enabled: bool
    targets: Sequence[Mapping[str, Any]] = ()
    owned: bool = True


@dataclass(frozen=True)
class LiveTopic:
    """The topic as it is: its policy, and the key that it is encrypted with, if it is."""

    policy: Mapping[str, Any]
    key: str = ""


@dataclass(frozen=True)
class Wiring:
    """What has to be done so that the rules send to the topic.

    Attributes:
        make_topic: there is none yet.
        policy: the topic's new policy; None where it is right.
        put: rules to make or to put again.
        aim: rules whose target is missing, or another.
        remove: names of rules of ours that no file declares any more.
    """

    topic: str
    make_topic: bool
    policy: Mapping[str, Any] | None
    put: Sequence[Rule] = ()
    aim: Sequence[Rule] = ()
    remove: Sequence[str] = field(default=())

    def described(self) -> list[str]:
        """Its steps in words; none where nothing is to be done."""
        return [
            *([f"create topic {self.topic}"] if self.make_topic else []),
            *(["let these rules, and no others, publish to the topic"] if self.policy else []),
            *(f"put rule {rule.name}: {rule.description}" for rule in self.put),
            *(f"aim rule {rule.name} at the topic" for rule in self.aim),
            *(f"delete rule {name}: no file declares it any more" for name in self.remove),
        ]


def declared_rules(folder: Path = FOLDER) -> list[Rule]:
    """The rules of the folder, by name.

    Raises:
        NotificationError: a file is no rule.
    """
    return [_rule(path) for path in sorted(folder.glob("*.json"))]


def _rule(path: Path) -> Rule:
    try:
        content = json.loads(path.read_text())
        transformer: InputTransformerTypeDef = {
            "InputPathsMap": content["input_paths"],
            "InputTemplate": content["input_template"],
        }
        return Rule(PREFIX + path.stem, content["description"], content["pattern"], transformer)
    except (ValueError, KeyError, TypeError) as error:
        raise NotificationError(
            f"infra/events/{path.name} is no rule: {error!r}.",
            "It needs description, pattern, input_paths and input_template, as the files beside it.",
        ) from error


def wiring(rules: Sequence[Rule], topic: str, live_topic: LiveTopic | None, live: Mapping[str, LiveRule]) -> Wiring:
    """What is to be done, from what is declared and what is live.

    Raises:
        NotificationError: the topic is encrypted with a key that EventBridge can never use, so that nothing would arrive;
            or somebody else's rule has the name of one of ours.
    """
    if live_topic and "alias/aws/" in live_topic.key:
        raise NotificationError(
            f"The topic {topic} is encrypted with {live_topic.key}, which EventBridge may not use: every message would be lost.",
            "Encrypt it with a key of your own whose policy lets events.amazonaws.com do kms:GenerateDataKey* and "
            "kms:Decrypt, or with none; see docs/notifications.md.",
        )
    foreign = [rule.name for rule in rules if rule.name in live and not live[rule.name].owned]
    if foreign:
        raise NotificationError(
            f"Rules named {', '.join(foreign)} exist, and this project did not make them.",
            "Rename or delete them first.",
        )
    declared = {rule.name for rule in rules}
    policy = with_statement(live_topic.policy if live_topic else {}, topic, declared)
    return Wiring(
        topic,
        make_topic=live_topic is None,
        policy=None if live_topic and policy == live_topic.policy else policy,
        put=[rule for rule in rules if not _is_put(rule, live.get(rule.name))],
        aim=[rule for rule in rules if not _is_aimed(rule, topic, live.get(rule.name))],
        remove=sorted(name for name, rule in live.items() if rule.owned and name not in declared),
    )


def _is_put(rule: Rule, live: LiveRule | None) -> bool:
    return live is not None and live.enabled and (live.description, live.pattern) == (rule.description, rule.pattern)


def _is_aimed(rule: Rule, topic: str, live: LiveRule | None) -> bool:
    return live is not None and rule.target(topic) in live.targets


def with_statement(policy: Mapping[str, Any], topic: str, rules: Iterable[str]) -> dict[str, Any]:
    """The topic's policy, in which our statement lets exactly these rules publish; other statements stay.

    Among them is the one that a new topic has, by which the alarms of its account may publish, too.
    """
    _, partition, _, region, account, _ = topic.split(":")
    sources = [f"arn:{partition}:events:{region}:{account}:rule/{name}" for name in sorted(rules)]
    own = {
        "Sid": STATEMENT,
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic,
        "Condition": {"ArnEquals": {"aws:SourceArn": sources}},
    }
    others = [each for each in policy.get("Statement", []) if each.get("Sid") != STATEMENT]
    return {**({"Version": "2012-10-17"} | dict(policy)), "Statement": [*others, own]}
