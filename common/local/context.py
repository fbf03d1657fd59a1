"""The running local AWS, as its parts see it: where it keeps things, how fast its clock runs, what else it serves."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from common.local.services import Services
from common.local.store import Store

Part = TypeVar("Part")


@dataclass
class LocalAws:
    """One local AWS: the state folder, the document store, the other services, and its background work."""

    root: Path
    store: Store
    services: Services
    """S3, CloudWatch, Logs and STS of the moto backends in this process."""
    url: str
    """Where this AWS answers, e.g. `http://127.0.0.1:4566`; jobs get it as `AWS_ENDPOINT_URL`."""
    time_scale: float = 1.0
    """Factor on every wait that AWS takes minutes for (baking, termination, job preparation); 0.01 makes 300 s 3 s."""
    closing: threading.Event = field(default_factory=threading.Event)
    """Set when the server shuts down; background work looks at it, and waits on it instead of sleeping."""
    on_close: list[Callable[[], None]] = field(default_factory=list)
    """Called once at shutdown, last registered first: stop worker processes, flush metrics."""

    _parts: dict[Callable[..., Any], Any] = field(default_factory=dict)
    _parts_lock: threading.RLock = field(default_factory=threading.RLock)

    def part(self, kind: Callable[["LocalAws"], Part]) -> Part:
        """The one instance of a long-lived part of this AWS, such as its live endpoints; made when first asked for."""
        with self._parts_lock:
            if kind not in self._parts:
                self._parts[kind] = kind(self)
            found: Part = self._parts[kind]
            return found

    def pause(self, seconds: float) -> bool:
        """Wait that many seconds of AWS time (scaled). True when the server is closing and the caller should stop."""
        return self.closing.wait(seconds * self.time_scale)

    def spawn(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """Run `work` in a daemon thread of that name."""
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Stop everything that this AWS started; one part that fails to stop keeps no other from it."""
        self.closing.set()
        with ExitStack() as parts:
            parts.callback(self.store.close)
            for callback in self.on_close:
                parts.callback(callback)
