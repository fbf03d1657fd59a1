"""From a rule to its targets: topics and queues get the message, if their policies and keys let EventBridge send it."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.backends import get_backend

from common.local.events.inputs import Event, InputError, told
from common.local.events.permissions import allows
from common.local.services import Services

log = logging.getLogger(__name__)

SUPPORTED = ("sns", "sqs")
"""The services whose resources are targets here; moto delivers to the others that it knows."""


class NotDelivered(Exception):
    """A target does not get a message; the code and the words are those of the dead letter."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Sender:
    """Sends for one rule."""

    services: Services
    account: str
    region: str
    rule: str
    """The rule's ARN."""

    def send(self, target: Mapping[str, Any], event: Event) -> None:
        """Send the event to a target; what it does not get goes to its dead-letter queue and counts as failed.

        Nobody is asked again: what fails here, a policy or a missing queue, fails on each of AWS's retries, too.
        """
        try:
            try:
                message = told(target, event, self.rule)
            except InputError as error:
                raise NotDelivered("INVALID_JSON", str(error)) from error
            self._deliver(target, message)
        except NotDelivered as failure:
            log.warning("%s: target %s did not get an event: %s", self.rule, target["Id"], failure)
            self._count_failure()
            self._bury(target, event, failure)

    def _deliver(self, target: Mapping[str, Any], message: str) -> None:
        arn = target["Arn"]
        if arn.split(":")[2] == "sns":
            topic = _topic(arn)
            self._require("sns:Publish", arn, topic._policy_json, topic.kms_master_key_id)
            self.services.publish(arn, message)
        else:
            queue = _queue(arn)
            self._require("sqs:SendMessage", arn, json.loads(queue.policy or "{}"), queue.kms_master_key_id)
            group = target.get("SqsParameters", {}).get("MessageGroupId")
            self._put(queue, message, group=group)

    def _require(self, action: str, arn: str, policy: Mapping[str, Any], key: str | None) -> None:
        """Refuse what AWS would: without a statement for EventBridge in the policy, or with a key that it may not use."""
        context = {"aws:SourceArn": self.rule, "aws:SourceAccount": self.account, "aws:SecureTransport": "true"}
        if not allows(policy, action, arn, context):
            raise NotDelivered(
                "NO_PERMISSIONS", f"The policy of {arn} does not let EventBridge do {action} for {self.rule}."
            )
        if key and not self._may_use(key, context):
            raise NotDelivered("NO_PERMISSIONS", f"{arn} is encrypted with {key}, which EventBridge may not use.")

    def _may_use(self, key: str, context: Mapping[str, str]) -> bool:
        """Whether the key's policy admits EventBridge; that of a key which AWS manages (`alias/aws/sns`) never does."""
        kms: Any = get_backend("kms")[self.account][self.region]
        name = key.rpartition(":")[2]
        found = kms.keys.get(kms.get_key_id_from_alias(name) if name.startswith("alias/") else kms.get_key_id(key))
        if found is None or found.key_manager == "AWS":
            return False
        policy = json.loads(found.policy)
        return all(allows(policy, action, found.arn, context) for action in ("kms:GenerateDataKey", "kms:Decrypt"))

    def _count_failure(self) -> None:
        dimensions = {"RuleName": self.rule.rpartition("/")[2]}
        self.services.put_metric(
            self.account, self.region, "AWS/Events", "FailedInvocations", dimensions, [1.0], "Count"
        )

    def _bury(self, target: Mapping[str, Any], event: Event, failure: NotDelivered) -> None:
        arn = target.get("DeadLetterConfig", {}).get("Arn")
        if not arn:
            return
        try:
            queue = _queue(arn)
            self._require("sqs:SendMessage", arn, json.loads(queue.policy or "{}"), queue.kms_master_key_id)
        except NotDelivered as error:
            log.warning("%s: the dead letter of target %s is lost: %s", self.rule, target["Id"], error)
            return
        about = {
            "RULE_ARN": self.rule,
            "TARGET_ARN": target["Arn"],
            "ERROR_CODE": failure.code,
            "ERROR_MESSAGE": str(failure),
        }
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in about.items()}
        self._put(queue, json.dumps(event), attributes=attributes)

    def _put(
        self, queue: Any, message: str, group: str | None = None, attributes: dict[str, Any] | None = None
    ) -> None:
        sqs: Any = get_backend("sqs")[queue.account_id][queue.region]
        try:
            sqs.send_message(queue_name=queue.name, message_body=message, group_id=group, message_attributes=attributes)
        except Exception as error:  # a FIFO queue without deduplication, a message too long: SQS says what
            raise NotDelivered("INVALID_PARAMETER", str(error)) from error
        self.services.changed("sqs")


def _topic(arn: str) -> Any:
    _, _, _, region, account, _ = arn.split(":")
    topic = get_backend("sns")[account][region].topics.get(arn)
    if topic is None:
        raise NotDelivered("NO_RESOURCE", f"The topic {arn} does not exist.")
    return topic


def _queue(arn: str) -> Any:
    _, _, _, region, account, name = arn.split(":")
    queue = get_backend("sqs")[account][region].queues.get(name)
    if queue is None:
        raise NotDelivered("NO_RESOURCE", f"The queue {arn} does not exist.")
    return queue
