"""Keeps the alarms of this AWS in the state that their metrics say, so that DescribeAlarms and deployments see it."""

import threading
import time
from collections.abc import Iterable

from common.local.context import LocalAws
from common.local.hosting.alarms import IN_ALARM, OK, evaluate, is_evaluable
from common.local.hosting.telemetry import Telemetry
from common.local.services import Alarm

PERIOD_FLOOR_SECONDS = 0.5
"""A scaled period is never shorter, so that it spans at least two flushes of the metrics."""


class AlarmWatch:
    """Evaluates alarms against the recorded metrics and writes the states that have changed.

    ALARM or INSUFFICIENT_DATA set by hand (`SetAlarmState`) hold for at least one period of the alarm, and then until an
    evaluation has data: on AWS too they last until the next evaluation only, but a scaled one would pass before anyone saw
    it. OK does not hold: it would keep an alarm from firing.
    """

    def __init__(self, aws: LocalAws, telemetry: Telemetry) -> None:
        self._aws = aws
        self._telemetry = telemetry
        self._lock = threading.Lock()
        self._written: dict[tuple[str, str, str], str] = {}
        self._held_until: dict[tuple[str, str, str], float] = {}

    def in_alarm(self, account: str, region: str, names: Iterable[str]) -> list[str]:
        """Those of the named alarms that are in ALARM now, or that no longer exist: nothing guards in their place."""
        wanted = list(names)
        self._telemetry.flush()
        alarms = self._aws.services.alarms(account, region, wanted)
        states = {alarm.name: self._refresh(account, region, alarm) for alarm in alarms}
        return [name for name in wanted if states.get(name, IN_ALARM) == IN_ALARM]

    def refresh_all(self) -> None:
        """Evaluate every alarm of every account and region."""
        self._telemetry.flush()
        for account, region, alarm in self._aws.services.every_alarm():
            self._refresh(account, region, alarm)

    def _refresh(self, account: str, region: str, alarm: Alarm) -> str:
        if not is_evaluable(alarm):
            return alarm.state
        key = (account, region, alarm.name)
        now = time.time()
        period = max(alarm.period * self._aws.time_scale, PERIOD_FLOOR_SECONDS)
        with self._lock:
            if alarm.evaluated and alarm.state not in (OK, self._written.get(key)):
                self._written[key] = alarm.state
                self._held_until[key] = now + period
            if now < self._held_until.get(key, 0):
                return alarm.state
            # The present moment is past every sample that the last flush wrote.
            since = now - alarm.evaluation_periods * period
            samples = self._aws.services.metric_values(
                account, region, alarm.namespace, alarm.metric or "", alarm.dimensions, since, now
            )
            verdict = evaluate(alarm, samples, now, period)
            if key in self._held_until and not verdict.has_data:
                return alarm.state
            self._held_until.pop(key, None)
            if verdict.state == alarm.state:
                return alarm.state
            self._aws.services.set_alarm_state(account, region, alarm.name, verdict.state, verdict.reason)
            self._written[key] = verdict.state
            return verdict.state
