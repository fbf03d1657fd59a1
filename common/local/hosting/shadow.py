"""Shadow traffic: copies of a share of a fleet's requests, for a variant whose answers nobody sees."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from common.local.hosting.instance import Instance
from common.local.hosting.invocation import OVERLOADED, Ledger, Outcome, Request, WrongTarget
from common.local.hosting.multi_model import ModelMissing, ModelNotReady
from common.local.hosting.traffic import Split
from common.local.hosting.worker import Reply

log = logging.getLogger(__name__)

_THREADS = 8
_WAITING = 64
"""Copies that wait or are being answered. A shadow that is slower than its share of the traffic refuses the others, which
its metrics show as 503."""


class Shadow:
    """Deals copies to a shadow variant. A caller never waits for it, and its failures reach its own metrics alone."""

    def __init__(
        self, share: float, ledger: Ledger, instance: Callable[[str | None], "AbstractContextManager[Instance | None]"]
    ) -> None:
        """`instance` gives one of the shadow's instances for a request to a model, None when the fleet is retired."""
        self.set_share(share)
        self._ledger = ledger
        self._instance = instance
        self._room = threading.Semaphore(_WAITING)
        self._pool = ThreadPoolExecutor(_THREADS, "shadow")

    def set_share(self, share: float) -> None:
        """Copy that share of all requests, from 0 to 1, from now on."""
        self._split = Split([(True, share), (False, 1 - share)])

    def offer(self, request: Request, sampled: bool) -> None:
        """Copy a request, if it is its turn; `sampled` says whether data capture keeps the answer."""
        if not self._split.choose():
            return
        if not self._room.acquire(blocking=False):
            text = b"The shadow variant has no room for one more request."
            self._ledger.enter(request, Outcome("", Reply(OVERLOADED, text, None, None), 0.0), sampled=False)
            return
        try:
            self._pool.submit(self._answer, request, sampled)
        except RuntimeError:  # the fleet has been retired since it gave out the instance that copies
            self._room.release()

    def close(self) -> None:
        """Take no more copies and forget those that wait."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _answer(self, request: Request, sampled: bool) -> None:
        try:
            with self._instance(request.target) as instance:
                if instance is not None:
                    self._ledger.enter(request, self._outcome(instance, request), sampled)
        except Exception:
            log.exception("shadow variant %s", self._ledger.variant)
        finally:
            self._room.release()

    def _outcome(self, instance: Instance, request: Request) -> Outcome:
        try:
            return instance.ask(request)
        except (WrongTarget, ModelMissing) as refusal:
            return Outcome("", Reply(400, str(refusal).encode(), None, None), 0.0)
        except ModelNotReady as wait:
            return Outcome("", Reply(429, str(wait).encode(), None, None), 0.0)
