"""The default event buses of all accounts: what SageMaker and the schedules put on them, in the order in which it happens."""

import heapq
import logging
import queue
import threading
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

from moto.backends import get_backend

from common.local import clock
from common.local.context import LocalAws
from common.local.events.details import KINDS, envelope, events_of, iso
from common.local.events.mend import deliver
from common.local.events.schedules import schedule
from common.local.store import Change, Document
from common.local.tuning.jobs import counters, training_jobs
from common.local.tuning.state import KIND as TUNING

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
"""How often it looks for schedules that are due; they are due to the minute."""
_CLOSE_SECONDS = 5.0
_CLOCK = "clock"


class Due(NamedTuple):
    """A rule whose schedule is due at a moment (epoch seconds)."""

    moment: float
    arn: str
    rule: Any


class EventBus:
    """Passes events on to the rules that match them.

    State changes come from the store and are passed on by a thread of its own: whoever changes a status waits for no queue.
    """

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._changes: queue.SimpleQueue[tuple[Change, float] | None] = queue.SimpleQueue()
        self._firing = threading.Lock()
        if (kept := aws.store.get("", _CLOCK, _CLOCK)) is not None:
            clock.advance(max(0.0, kept["Skipped"] - clock.skipped()))
        self._fired_until = clock.now()
        aws.store.watch(KINDS, lambda change: self._changes.put((change, clock.now())))
        aws.on_close.append(self._close)
        self._threads = [aws.spawn("events", self._pass_on), aws.spawn("schedules", self._keep_schedules)]

    def _close(self) -> None:
        """End the threads, which read what is closed next; what is under way is passed on first."""
        self._changes.put(None)
        for thread in self._threads:
            thread.join(_CLOSE_SECONDS)

    def advance(self, seconds: float) -> float:
        """Skip time; every schedule that was due meanwhile has been sent when this returns the new time, each as of its own.

        Raises:
            ValueError: as `clock.advance`.
        """
        moment = clock.advance(seconds)
        self._aws.store.put("", _CLOCK, _CLOCK, {"Skipped": clock.skipped()})
        self.fire_schedules()
        return moment

    def fire_schedules(self) -> None:
        """Send what is due by now."""
        with self._firing:
            after, now = self._fired_until, clock.now()
            self._fired_until = now
            for due in heapq.merge(*_schedules(after, now)):
                try:
                    self._scheduled(due)
                except Exception:  # the others are sent nevertheless, and none a second time
                    log.exception("%s failed at its time", due.arn)

    def put(self, account: str, region: str, event: dict[str, Any]) -> None:
        """Offer an event to each rule of the default bus."""
        rules: list[Any] = list(get_backend("events")[account][region].event_buses["default"].rules.values())
        for rule in rules:
            try:
                rule.send_to_targets(event)
            except Exception:
                log.exception("%s failed on an event", rule.arn)

    def _pass_on(self) -> None:
        while (item := self._changes.get()) is not None:
            change, moment = item
            try:
                self._emit(change, moment)
            except Exception:
                log.exception("no event of %s %s", change.kind, change.name)

    def _emit(self, change: Change, moment: float) -> None:
        if change.kind == TUNING and change.after is not None:
            change = change._replace(after=change.after | self._counters(change.scope, change.after))
        account, _, region = change.scope.partition("/")
        resource = (change.after or {}).get(KINDS[change.kind].arn, "")
        tagged = self._aws.store.get(change.scope, "tags", resource) or {}
        for body in events_of(change, tagged.get("Tags", {})):
            self.put(account, region, envelope(account, region, moment, resource, body, str(uuid.uuid4())))

    def _counters(self, scope: str, tuning: Document) -> Document:
        """How the trials of a tuning job stand: nothing of it is in its document."""
        metric = tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"]
        return counters(training_jobs(self._aws.store, scope, tuning), metric)

    def _keep_schedules(self) -> None:
        while not self._aws.closing.wait(_LOOK_SECONDS):
            try:
                self.fire_schedules()
            except Exception:
                log.exception("the schedules could not be looked at")

    def _scheduled(self, due: Due) -> None:
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": due.rule.account_id,
            "time": iso(due.moment),
            "region": due.rule.region_name,
            "resources": [due.arn],
            "detail": {},
        }
        deliver(self._aws.services, due.rule, event)


def _schedules(after: float, until: float) -> list[Iterator[Due]]:
    """The moments of each rule that has a schedule and is not disabled; an iterator for each, in order."""
    found = []
    for regions in list(get_backend("events").values()):
        for backend in list(regions.values()):
            for rule in list(backend.event_buses["default"].rules.values()):
                if rule.scheduled_expression and rule.state != "DISABLED":
                    found.append(_moments(rule, after, until))
    return found


def _moments(rule: Any, after: float, until: float) -> Iterator[Due]:
    for moment in schedule(rule.scheduled_expression).due(rule.since, max(after, rule.since), until):
        yield Due(moment, rule.arn, rule)
