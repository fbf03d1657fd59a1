"""A serverless variant: instances start when requests come and end when none have come for a while.

On AWS each concurrent request has an instance of its own; here, requests beyond the processes that this machine runs of a
variant share them.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from common.local.hosting.artifact import FleetFailure
from common.local.hosting.fleet import PROCESSES_PER_VARIANT, STARTUP_FLOOR_SECONDS, Fleet, Surroundings
from common.local.hosting.instance import Instance
from common.local.hosting.spec import FleetSpec

IDLE_SECONDS = 300.0
"""AWS time after which an instance without requests ends; AWS does not say how long it waits."""

_IDLE_FLOOR_SECONDS = 2.0
"""However small the time scale: to start a process for every request would be all that this machine does."""

STARTUP_SECONDS = 180.0
_TICK_SECONDS = 0.1


class Throttled(Exception):
    """The variant works on as many requests as its MaxConcurrency allows."""


class ColdStartFailed(Exception):
    """No instance could be started for a request."""


class ServerlessFleet(Fleet):
    """The fleet of a serverless endpoint, which has one variant."""

    def __init__(self, around: Surroundings, spec: FleetSpec) -> None:
        super().__init__(around, spec)
        [self._variant] = spec.variants
        config = self._variant.serverless or {}
        self._most: int = config["MaxConcurrency"]
        self._warm = min(config.get("ProvisionedConcurrency", 0), PROCESSES_PER_VARIANT)
        self._active = 0
        self._used = time.monotonic()
        self._sizing = threading.Lock()
        """Held while instances start or end: one cold start at a time."""

    def start(self, limit_seconds: float = float("inf")) -> None:
        """Show that the model can be stood up, as AWS does; its instance ends later if it is not used."""
        try:
            self._resize_to(max(1, self._warm), limit_seconds)
        except FleetFailure as failure:
            self.stop(drain_seconds=0)
            raise FleetFailure(
                f"Unable to successfully stand up your model within the allotted {STARTUP_SECONDS:.0f} second timeout. {failure}"
            ) from failure
        self._around.aws.spawn(f"serverless-{self._around.origin.endpoint}", self._end_idle)

    @contextmanager
    def _hand_out(self, variant: str | None, target: str | None) -> Iterator[Instance | None]:
        """An instance for one request, after a cold start where none is free.

        Raises:
            Throttled: there are as many requests as there may be.
            ColdStartFailed: the instance did not come up.
        """
        with self._changed:
            if self._active >= self._most:
                raise Throttled
            self._active += 1
        try:
            if self._needs_instance():
                self._cold_start()
            with super()._hand_out(variant, target) as instance:
                yield instance
        finally:
            with self._changed:
                self._active -= 1
                self._used = time.monotonic()

    def _free(self) -> int:
        """How many instances have no request."""
        return sum(instance.busy == 0 for instance in self._instances[self._variant.name])

    def _needs_instance(self) -> bool:
        with self._changed:
            count = len(self._instances[self._variant.name])
            return not self._retired and count < PROCESSES_PER_VARIANT and self._free() == 0

    def _cold_start(self) -> None:
        with self._sizing:
            if not self._needs_instance():  # one was started, or came free, while this request waited for its turn
                return
            began = time.perf_counter()
            try:
                self._resize_to(len(self._instances[self._variant.name]) + 1)
            except FleetFailure as failure:
                if self._retired:  # by an update: the request goes to the fleet that has taken over
                    return
                raise ColdStartFailed(str(failure)) from failure
            around = self._around
            seconds = time.perf_counter() - began
            around.telemetry.measure(around.origin, self._variant.name, "ModelSetupTime", seconds * 1e6)

    def _resize_to(self, instances: int, limit_seconds: float = float("inf")) -> None:
        limit = max(STARTUP_SECONDS * self._around.aws.time_scale, STARTUP_FLOOR_SECONDS)
        sized = replace(self.spec, variants=(replace(self._variant, instances=instances),))
        self._grow(sized, min(limit, limit_seconds))

    def _end_idle(self) -> None:
        patience = max(IDLE_SECONDS * self._around.aws.time_scale, _IDLE_FLOOR_SECONDS)
        while not self._retired and not self._around.aws.closing.wait(_TICK_SECONDS):
            with self._sizing, self._changed:
                instances = self._instances[self._variant.name]
                is_idle = self._active == 0 and time.monotonic() - self._used > patience
                leaving = instances[self._warm :] if is_idle else []
                del instances[len(instances) - len(leaving) :]
            if leaving:
                self._drain_and_stop(leaving, 0)
