"""Updates of a live endpoint: traffic moves to a new fleet, alarms look on while it bakes, and it moves back if it must."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import StrEnum

from common.local.context import LocalAws
from common.local.hosting.artifact import FleetFailure
from common.local.hosting.fleet import STARTUP_FLOOR_SECONDS, Fleet
from common.local.hosting.live import LiveEndpoint
from common.local.hosting.policy import Policy

ALARM_INTERVAL_SECONDS = 0.25
"""Real time between two looks at the alarms."""


class Phase(StrEnum):
    """What the update is doing, as DescribeEndpoint shows in `VariantStatus`."""

    CREATING = "Creating"
    ACTIVATING = "ActivatingTraffic"
    BAKING = "Baking"


AlarmsFiring = Callable[[], list[str]]
"""Names the policy's alarms that are in ALARM."""
Entered = Callable[[Phase | None], None]
"""Is told each phase; None is the way back."""


class RolledBack(Exception):
    """The update was taken back and the old fleet has all traffic again; the message is the `FailureReason`."""


class Closing(Exception):
    """The server shuts down; what is under way is left for the next start to settle."""


class RollbackFailed(Exception):
    """The update failed, and so did the way back; the message says why. What is left of the old fleet has all traffic."""


class Deployment(ABC):
    """Moves a live endpoint from its fleet to a new one."""

    def __init__(
        self,
        aws: LocalAws,
        live: LiveEndpoint,
        blue: Fleet,
        green: Fleet,
        policy: Policy,
        alarms_firing: AlarmsFiring,
        entered: Entered,
    ) -> None:
        self._aws = aws
        self._live = live
        self._blue = blue
        self._green = green
        self._policy = policy
        self._alarms_firing = alarms_firing
        self._entered = entered
        # Like the health check, the whole must leave real time for starting processes, whatever the scale.
        limit = max(policy.maximum_seconds * aws.time_scale, STARTUP_FLOOR_SECONDS)
        self._deadline = time.monotonic() + limit

    def run(self) -> None:
        """Carry the update out; at the end one fleet serves and the other is gone.

        Raises:
            RolledBack: the old fleet serves.
            RollbackFailed: what is left of it serves.
            Closing: the server shuts down.
            Exception: what nobody foresaw; the old fleet serves then, too.
        """
        try:
            self._forward()
        except Closing:
            raise
        except Exception as failure:
            if self._aws.closing.is_set():
                raise Closing from failure
            self._back(str(failure))
            if isinstance(failure, FleetFailure):
                raise RolledBack(str(failure)) from failure
            raise
        self._blue.stop()

    @abstractmethod
    def _forward(self) -> None:
        """Move all traffic to the new fleet."""

    @abstractmethod
    def _back(self, failure: str) -> None:
        """Move all traffic back to the old fleet, and end the new one; `failure` is why."""

    @property
    def _seconds_left(self) -> float:
        return self._deadline - time.monotonic()

    def _require_time(self) -> None:
        if self._seconds_left < 0:
            raise FleetFailure("The deployment took longer than its MaximumExecutionTimeoutInSeconds.")

    def _bake(self, seconds: float) -> None:
        """Wait that long (AWS time) under the eyes of the alarms, and look once more at the end."""
        end = time.monotonic() + seconds * self._aws.time_scale
        while True:
            firing = self._alarms_firing()
            if firing:
                raise FleetFailure(f"One or more alarms are in ALARM state during the deployment: {', '.join(firing)}.")
            now = time.monotonic()
            self._require_time()
            if now >= end:
                return
            if self._aws.closing.wait(min(end - now, ALARM_INTERVAL_SECONDS)):
                raise Closing


class BlueGreen(Deployment):
    """A whole new fleet beside the old one, which takes the traffic in steps."""

    def _forward(self) -> None:
        self._entered(Phase.CREATING)
        try:
            self._green.start(self._seconds_left)
        except FleetFailure:
            self._require_time()  # what had no time to become healthy says nothing of its health
            raise
        for step in self._policy.steps:
            self._entered(Phase.ACTIVATING)
            self._live.shift(self._green, step.percent, self._blue)
            self._entered(Phase.BAKING)
            self._bake(step.bake_seconds)
        self._live.serve(self._green)
        if self._aws.pause(self._policy.termination_wait_seconds):
            raise Closing

    def _back(self, failure: str) -> None:  # noqa: ARG002 - nothing can fail on this way back
        self._live.serve(self._blue)
        self._entered(None)
        self._green.stop()
