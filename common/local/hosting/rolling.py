"""A rolling update: instances of the new fleet replace those of the old one batch by batch, in little more than one's room."""

from common.local.context import LocalAws
from common.local.hosting.artifact import FleetFailure
from common.local.hosting.deployment import AlarmsFiring, Deployment, Entered, Phase, RollbackFailed
from common.local.hosting.fleet import Fleet
from common.local.hosting.live import LiveEndpoint
from common.local.hosting.policy import Policy, Rolling
from common.local.hosting.spec import FleetSpec


class RollingUpdate(Deployment):
    """Each batch starts, takes its share of the traffic and bakes; only then as many of the old instances end.

    The share is that of the new fleet's instances which are there, so that traffic moves as it does in linear steps.
    """

    def __init__(
        self,
        aws: LocalAws,
        live: LiveEndpoint,
        blue: Fleet,
        green: Fleet,
        policy: Policy,
        rolling: Rolling,
        alarms_firing: AlarmsFiring,
        entered: Entered,
    ) -> None:
        super().__init__(aws, live, blue, green, policy, alarms_firing, entered)
        self._rolling = rolling
        self._old, self._new = blue.spec, green.spec  # the whole fleets, of which there are parts meanwhile
        self._moved = 0

    def _forward(self) -> None:
        total = self._new.instances
        while self._moved < total:
            self._entered(Phase.CREATING)
            there = min(self._moved + self._rolling.batch, total)
            self._green.resize(part_of(self._new, there), self._seconds_left)
            self._moved = there
            self._entered(Phase.ACTIVATING)
            self._live.shift(self._green, 100 * there / total, self._blue)
            self._entered(Phase.BAKING)
            self._bake(self._rolling.bake_seconds)
            if there < total:
                self._blue.resize(part_of(self._old, _rest(self._old, there, total)))
        self._live.serve(self._green)

    def _back(self, failure: str) -> None:
        """Bring the old instances back by batches; each takes its share of the traffic, and then as many new ones end."""
        self._entered(None)
        try:
            while self._blue.spec.instances < self._old.instances:
                self._bring_back()
                self._entered(None)
        except FleetFailure as problem:
            raise RollbackFailed(f"{failure} The way back failed, too: {problem}") from problem
        finally:
            self._live.serve(self._blue)
            self._green.stop()

    def _bring_back(self) -> None:
        old, new = self._old.instances, self._new.instances
        there = min(self._blue.spec.instances + self._rolling.rollback_batch, old)
        self._blue.resize(part_of(self._old, there))
        self._moved = min(self._moved, new * (old - there) // old)
        self._live.shift(self._green, 100 * self._moved / new, self._blue)
        if self._moved:
            self._green.resize(part_of(self._new, self._moved))


def part_of(spec: FleetSpec, instances: int) -> FleetSpec:
    """The fleet, of one variant, with so many of its instances."""
    return spec.changed({variant.name: instances for variant in spec.variants}, {})


def _rest(old: FleetSpec, moved: int, total: int) -> int:
    """The old instances that stay when so many of all new ones are there; one at least until the last has baked."""
    return old.instances - old.instances * moved // total
