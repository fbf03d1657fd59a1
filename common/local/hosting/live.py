"""An endpoint that takes requests: the routing between its fleets."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from common.local.hosting.fleet import Fleet
from common.local.hosting.instance import Instance
from common.local.hosting.traffic import Split


class NotServing(Exception):
    """The endpoint takes no requests: it never came up, or is being deleted."""


class LiveEndpoint:
    """Routes each request to a fleet. Until the first `serve`, requests wait; after `close` they are refused."""

    def __init__(self) -> None:
        self._split: Split[Fleet] | None = None
        self._settled = threading.Event()
        self.fleet: Fleet | None = None
        """The fleet of the endpoint's present configuration."""

    def serve(self, fleet: Fleet) -> None:
        """Send all requests to this fleet, the endpoint's present one from now on."""
        self.fleet = fleet
        self.shift(fleet, 100, fleet)

    def shift(self, to: Fleet, percent: float, rest: Fleet) -> None:
        """Send that share of all requests to one fleet, the rest to the other."""
        self._split = Split([(to, percent), (rest, 100 - percent)])
        self._settled.set()

    def close(self) -> None:
        """Refuse requests from now on."""
        self._split = None
        self._settled.set()

    def wait(self) -> Fleet | None:
        """Wait until the endpoint serves, and give its present fleet; None when it was closed instead."""
        self._settled.wait()
        return self.fleet if self._split is not None else None

    @contextmanager
    def instance(self, variant: str | None, patience_seconds: float, target: str | None = None) -> Iterator[Instance]:
        """An instance for one request, of one variant if it is given; `target` names a model of a multi-model endpoint.

        Waits up to `patience_seconds` for an endpoint that comes up after a restart of the server.

        Raises:
            NotServing: the endpoint takes no requests.
            KeyError: it has no such variant.
        """
        self._settled.wait(patience_seconds)
        while (split := self._split) is not None:
            with split.choose().instance(variant, target) as instance:
                if instance is not None:
                    yield instance
                    return
            # The fleet was retired between choosing it and asking it: the routing has changed, so choose again.
        raise NotServing
