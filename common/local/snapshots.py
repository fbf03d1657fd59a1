"""Keeps moto's services over a restart: every backend that can be pickled is written soon after it changed."""

import copyreg
import logging
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from moto.backends import get_backend

from common.errors import ModelsError

log = logging.getLogger(__name__)

_backends: Callable[[str], Any] = cast(Any, get_backend)

_EFFECTS = {"sts": ("sts", "iam"), "sns": ("sns", "sqs"), "events": ("events", "sqs"), "s3": ("s3", "sqs")}
"""Services whose requests also change another: an assumed role's access key lies in IAM, a message in SQS."""

# Each queue of SQS has a condition, on which nobody waits any more when it is read back.
copyreg.pickle(threading.Condition, lambda _: (threading.Condition, ()))

_PAUSE_SECONDS = 1.0
_SHARE_OF_TIME = 10
"""Writing may take one tenth of the time at most: a large state is written less often, not at the cost of requests."""


class Snapshots:
    """moto's backends as files under a folder, one for each service.

    The files are pickles: they are read back only from this project's own state folder, which only its owner can write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changed: set[str] = set()
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def mark(self, service: str) -> None:
        """Say that a service (by moto's name for it) has changed."""
        with self._lock:
            self._changed.update(_EFFECTS.get(service, (service,)))

    def restore(self) -> None:
        """Put every saved service back into moto.

        Raises:
            ModelsError: a file cannot be read, as after a change of moto's version.
        """
        for path in sorted(self._folder.glob("*.pickle")):
            try:
                accounts, attributes = pickle.loads(path.read_bytes())  # noqa: S301 - our own file, see the class
            except Exception as error:
                raise ModelsError(
                    f"The saved state {path} of the local AWS cannot be read ({error!r}).",
                    f"Start afresh by deleting {self._folder.parent}.",
                ) from error
            backends = _backends(path.stem)
            vars(backends).update(attributes)
            for account, regions in accounts.items():
                for region, backend in regions.items():
                    backends[account][region] = backend

    def keep(self, closing: threading.Event) -> None:
        """Write changed services, within about a second of the change, until `closing` is set."""
        pause = _PAUSE_SECONDS
        while not closing.wait(pause):
            started = time.monotonic()
            try:
                self.write()
            except OSError:
                log.exception("the state could not be written; it is tried again")
            pause = max(_PAUSE_SECONDS, _SHARE_OF_TIME * (time.monotonic() - started))

    def write(self) -> None:
        """Write the services that changed since they were last written."""
        with self._lock:
            changed = sorted(self._changed)
        for service in changed:
            with self._lock:
                self._changed.discard(service)  # first: what changes from now on is written the next time
            try:
                self._write(service)
            except OSError:
                self.mark(service)
                raise

    def _write(self, service: str) -> None:
        try:
            content = _steady(lambda: pickle.dumps(_state(service), protocol=pickle.HIGHEST_PROTOCOL))
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            log.info("%s is not kept over a restart: %s", service, error)
            return
        path = self._folder / f"{service}.pickle"
        temporary = path.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_bytes(content)
        temporary.replace(path)


def _state(service: str) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """All backends of a service by account and region, and what the service remembers beside them."""
    backends = _backends(service)
    attributes = {"bucket_accounts": dict(backends.bucket_accounts)} if service == "s3" else {}
    return {account: dict(regions.items()) for account, regions in list(backends.items())}, attributes


def _steady(dump: Callable[[], bytes]) -> bytes:
    """Requests go on while their state is written: a dictionary that grows under the pickler is simply read again."""
    while True:
        try:
            return dump()
        except RuntimeError as error:
            if "during iteration" not in str(error):  # dictionaries, ordered ones and queues each word it their way
                raise
