"""Everything that serves in one local AWS: its live endpoints, their fleets and telemetry, and the work on them."""

import logging
import shutil
import threading
import time
from collections.abc import Callable
from weakref import WeakSet

from common.local.context import LocalAws
from common.local.hosting.alarm_watch import AlarmWatch
from common.local.hosting.capture import Capture
from common.local.hosting.fleet import Fleet, Surroundings
from common.local.hosting.live import LiveEndpoint
from common.local.hosting.serverless import ServerlessFleet
from common.local.hosting.spec import FleetSpec
from common.local.hosting.telemetry import (
    UNPUBLISHED_ASYNC,
    UNPUBLISHED_SERVERLESS,
    Origin,
    Publishing,
    Telemetry,
)

log = logging.getLogger(__name__)

FLUSH_INTERVAL_SECONDS = 0.2
_ALARM_DUTY = 0.1
"""Share of the time that evaluating alarms in the background may take; with many samples it is done less often."""
_JOIN_SECONDS = 10.0


class Hosting:
    """One for each LocalAws: `aws.part(Hosting)`."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.telemetry = Telemetry(aws.services, self._publishing)
        self.capture = Capture(self.telemetry.log)
        self.alarms = AlarmWatch(aws, self.telemetry)
        self._folder = aws.root / "endpoints"
        shutil.rmtree(self._folder, ignore_errors=True)  # what a killed server left
        self._lock = threading.Lock()
        self._live: dict[tuple[str, str], LiveEndpoint] = {}
        self._fleets: WeakSet[Fleet] = WeakSet()
        self._works: WeakSet[threading.Thread] = WeakSet()
        self._ticker = aws.spawn("hosting", self._tick)
        aws.on_close.append(self._close)

    def fleet(self, origin: Origin, spec: FleetSpec) -> Fleet:
        """A fleet for an endpoint, not yet started; it ends with this AWS at the latest."""
        folder = self._folder / origin.account / origin.region / origin.endpoint
        kind = ServerlessFleet if spec.is_serverless else Fleet
        fleet = kind(Surroundings(self.aws, origin, self.telemetry, self.capture, folder), spec)
        with self._lock:
            self._fleets.add(fleet)
        return fleet

    def live(self, scope: str, endpoint: str) -> LiveEndpoint | None:
        """The endpoint, if it takes requests or will after a restart; None while it is created, and after it failed."""
        return self._live.get((scope, endpoint))

    def open(self, origin: Origin) -> LiveEndpoint:
        """Make the endpoint known to callers; its requests wait until it serves."""
        live = LiveEndpoint()
        with self._lock:
            self._live[origin.scope, origin.endpoint] = live
        return live

    def shut(self, origin: Origin) -> LiveEndpoint | None:
        """Refuse the endpoint's requests from now on; returns it when it was live."""
        with self._lock:
            live = self._live.pop((origin.scope, origin.endpoint), None)
        if live is not None:
            live.close()
        return live

    def work(self, name: str, task: Callable[[], None]) -> None:
        """Do something long in a thread that is waited for when this AWS closes."""
        thread = self.aws.spawn(name, task)
        with self._lock:
            self._works.add(thread)

    def _publishing(self, origin: Origin, variant: str) -> Publishing:
        """As of the endpoint's present fleet; the defaults where there is none, as of one that has just been deleted."""
        live = self.live(origin.scope, origin.endpoint)
        if live is None or live.fleet is None:
            return Publishing()
        spec = live.fleet.spec
        instances = max([1, *(each.instances for each in spec.all_variants if each.name == variant)])
        if spec.async_config:
            return Publishing(instances, UNPUBLISHED_ASYNC)
        return Publishing(instances, UNPUBLISHED_SERVERLESS if spec.is_serverless else frozenset())

    def _tick(self) -> None:
        next_alarms = 0.0
        while not self.aws.closing.wait(FLUSH_INTERVAL_SECONDS):
            began = time.monotonic()
            try:
                self.telemetry.flush()
                self.capture.write_due()
                if began >= next_alarms:
                    self.alarms.refresh_all()
                    ended = time.monotonic()
                    next_alarms = ended + (ended - began) / _ALARM_DUTY
            except Exception:
                # One alarm or log that cannot be written must not end the metrics of all endpoints.
                log.exception("metrics and alarms")

    def _close(self) -> None:
        with self._lock:
            lives, fleets, works = list(self._live.values()), list(self._fleets), list(self._works)
        for live in lives:
            live.close()
        for fleet in fleets:
            fleet.stop(drain_seconds=0)
        for thread in [*works, self._ticker]:
            thread.join(_JOIN_SECONDS)
        self.capture.flush()
        self.telemetry.flush()
