"""Where moto's EventBridge differs from AWS's so that an alert would be lost or invented, and what it does instead here.

Rules send to topics, not only to queues; transformers, permissions and dead letters are AWS's. A disabled rule sends
nothing, and one that only has a schedule matches no event. What AWS refuses when it is put is refused, and
`TestEventPattern` answers.
"""

import copy
import json
from collections.abc import Mapping
from typing import Any

from moto.events.exceptions import InvalidEventPatternException, ValidationException
from moto.events.models import EventPattern, EventsBackend, Rule
from moto.events.responses import EventsHandler
from moto.utilities.arns import parse_arn

from common.local import clock
from common.local.events.delivery import SUPPORTED, Sender
from common.local.events.details import iso
from common.local.events.inputs import InputError, check_input
from common.local.events.schedules import ScheduleError, schedule
from common.local.services import Services

_MATCHES = {
    "prefix", "suffix", "anything-but", "numeric", "cidr", "exists", "equals-ignore-case", "wildcard",
}  # fmt: skip
_MOST_TARGETS = 5
_put_rule = EventsBackend.put_rule
_put_targets = EventsBackend.put_targets
_send_to_targets = Rule.send_to_targets


def mend_events(services: Services) -> None:
    """Replace what differs, in this process."""
    backend: Any = EventsBackend
    rule: Any = Rule
    responses: Any = EventsHandler

    def send_to_targets(self: Rule, original_event: Any, transform_input: bool = True) -> None:
        _send(services, self, original_event, transform_input)

    backend.put_rule = _put
    backend.put_targets = _put_checked_targets
    rule.send_to_targets = send_to_targets
    rule.since = 0.0
    responses.test_event_pattern = _test_event_pattern


def deliver(services: Services, rule: Rule, event: Mapping[str, Any]) -> None:
    """Send an event to all targets of a rule that it has matched."""
    sender = Sender(services, rule.account_id, rule.region_name, rule.arn)
    for target in list(rule.targets):
        if parse_arn(target["Arn"]).service in SUPPORTED:
            sender.send(target, event)


def _send(services: Services, rule: Rule, event: Any, transform_input: bool) -> None:
    pattern = rule.event_pattern
    if rule.state == "DISABLED" or not pattern.get_pattern() or not pattern.matches_event(event):
        return
    told = {name: value for name, value in event.items() if name != "ingestion-time"}
    if not isinstance(told["time"], str):
        told["time"] = iso(float(told["time"]))
    deliver(services, rule, told)
    others = [target for target in rule.targets if parse_arn(target["Arn"]).service not in SUPPORTED]
    if others:
        rest = copy.copy(rule)
        rest.targets = others
        _send_to_targets(rest, event, transform_input)


def _put(self: EventsBackend, name: str, **definition: Any) -> Rule:
    expression, pattern = definition.get("scheduled_expression"), definition.get("event_pattern")
    if expression:
        try:
            schedule(expression)
        except ScheduleError as error:
            raise ValidationException(f"Parameter ScheduleExpression is not valid. {error}") from None
    if pattern:
        _check_pattern(EventPattern.load(pattern).get_pattern())
    bus = self.event_buses.get(self._normalize_event_bus_arn(definition.get("event_bus_arn")))
    before: Any = bus.rules.get(name) if bus else None
    rule: Any = _put_rule(self, name, **definition)
    # A rate counts from when the rule was made; putting the same again does not begin anew.
    same = before is not None and before.scheduled_expression == rule.scheduled_expression
    rule.since = before.since if same else clock.now()
    made: Rule = rule
    return made


def _check_pattern(pattern: Mapping[str, Any]) -> None:
    """Refuse a way of matching that EventBridge does not know; moto lets it match everything."""
    for member, value in pattern.items():
        if isinstance(value, Mapping):
            _check_pattern(value)
        elif member == "$or":
            for each in value:
                _check_pattern(each)
        else:
            for each in value:
                if isinstance(each, Mapping) and not set(each) <= _MATCHES:
                    raise InvalidEventPatternException(
                        f"Unrecognized match type {', '.join(sorted(set(each) - _MATCHES))}"
                    )


def _put_checked_targets(
    self: EventsBackend, name: str, event_bus_arn: str | None, targets: list[dict[str, Any]]
) -> None:
    for target in targets:
        try:
            check_input(target)
        except InputError as error:
            raise ValidationException(str(error)) from None
    rule = self.describe_rule(name, event_bus_arn)
    if len({each["Id"] for each in (*rule.targets, *targets)}) > _MOST_TARGETS:
        raise ValidationException(
            f"The requested resource exceeds the maximum number allowed: {_MOST_TARGETS} targets."
        )
    _put_targets(self, name, event_bus_arn, targets)


def _test_event_pattern(self: EventsHandler) -> str:
    pattern = EventPattern.load(self._get_param("EventPattern"))
    _check_pattern(pattern.get_pattern())
    try:
        event = json.loads(self._get_param("Event"))
    except ValueError:
        raise ValidationException("Parameter Event is not valid. Reason: it is not JSON.") from None
    missing = {"id", "account", "source", "time", "region", "resources", "detail-type"} - set(event)
    if missing:
        raise ValidationException(f"Parameter Event is not valid. Reason: it lacks {', '.join(sorted(missing))}.")
    return json.dumps({"Result": pattern.matches_event(event)})
