"""One instance of a variant: its containers' workers, and how a request goes through them."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from common.local.hosting.invocation import Ledger, Outcome, Request, WrongTarget
from common.local.hosting.multi_model import LoadFailed, ModelHost
from common.local.hosting.spec import ContainerSpec
from common.local.hosting.worker import Reply, Worker, WorkerGone

_DETOUR_REQUESTS = 4
"""Requests by which an instance has to be busier before a model that it has is loaded on a second one, too."""

_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container {label}. Review the latency metrics for each "
    "container in Amazon CloudWatch, resolve the issue, and try again."
)


class Instance:
    """One instance of a variant: a worker for each container of its model, in the order of the pipeline."""

    def __init__(
        self, variant: str, folder: Path, ledger: Ledger, copy: Callable[[Request, bool], None] | None = None
    ) -> None:
        """`copy` hands a request to a shadow variant, with whether data capture has sampled it; it never waits."""
        self.variant = variant
        self.folder = folder
        self.ledger = ledger
        self.workers: list[tuple[ContainerSpec, Worker]] = []
        self.models: ModelHost | None = None
        """Of a multi-model container."""
        self.busy = 0
        """Requests that it works on now."""
        self.served = 0
        self._copy = copy
        self._lock = threading.Lock()
        self._stopped = False

    @property
    def is_ready(self) -> bool:
        return all(worker.is_ready for _, worker in self.workers)

    def load(self, target: str | None) -> int:
        """How far it is from answering: the requests that it works on, and more where the model is not loaded here."""
        loaded = self.models is None or target is None or self.models.has(target)
        return self.busy if loaded else self.busy + _DETOUR_REQUESTS

    def begin(self, target: str | None) -> None:
        """Take one request, to the model `target` of a multi-model container."""
        self.busy += 1
        self.served += 1
        if self.models is not None and target is not None:
            self.models.claim(target)

    def release(self, target: str | None) -> None:
        """The request that `begin` took needs its model no more."""
        if self.models is not None and target is not None:
            self.models.release(target)

    def answer(self, request: Request) -> Outcome:
        """Answer a caller's request: a copy for the shadow variant, the models, metrics and data capture.

        Raises:
            WrongTarget, ModelMissing, ModelNotReady: no container has been asked, and nothing is counted.
        """
        sampled = self.ledger.samples()
        if self._copy is not None:
            self._copy(request, sampled)
        outcome = self.ask(request)
        self.ledger.enter(request, outcome, sampled)
        return outcome

    def ask(self, request: Request) -> Outcome:
        """Send a request through the containers; raises as `answer` does."""
        if (request.target is not None) != (self.models is not None):
            raise WrongTarget(given=request.target is not None)
        if self.models is None or request.target is None:
            return through(self.workers, request)
        [(container, _)] = self.workers
        return _to_model(self.models, container.label, request.target, request)

    def add(self, container: ContainerSpec, worker: Worker) -> None:
        """Own the worker: it ends with the instance, at once if that has been stopped meanwhile."""
        with self._lock:
            self.workers.append((container, worker))
            stopped = self._stopped
        if stopped:
            worker.stop()

    def stop(self) -> None:
        """End all processes and remove the unpacked artifacts."""
        with self._lock:
            self._stopped = True
            workers = [worker for _, worker in self.workers]
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def through(workers: list[tuple[ContainerSpec, Worker]], request: Request) -> Outcome:
    """Send a request through containers, each one's answer to the next, until the last or the first error."""
    began = time.perf_counter()
    label, reply, lost = "", Reply(0, request.body, request.headers.get("Content-Type"), None), False
    for container, worker in workers:
        label = container.label
        sent = (
            request.headers if reply.content_type is None else {**request.headers, "Content-Type": reply.content_type}
        )
        left = request.timeout - (time.perf_counter() - began)
        try:
            reply = worker.invoke(reply.body, sent, max(left, 0.001))
        except (TimeoutError, WorkerGone) as fault:
            reply, lost = _unanswered(label, fault), isinstance(fault, WorkerGone)
        if not 200 <= reply.status < 300:
            break
    return Outcome(label, reply, time.perf_counter() - began, lost)


def _to_model(models: ModelHost, label: str, target: str, request: Request) -> Outcome:
    """Ask one model of a multi-model container."""
    began = time.perf_counter()
    try:
        reply, seconds = models.invoke(target, request.body, request.headers, request.timeout)
    except LoadFailed as failure:
        reply, seconds = failure.reply, 0.0
    except (TimeoutError, WorkerGone) as fault:
        reply, seconds = _unanswered(label, fault), time.perf_counter() - began
    return Outcome(label, reply, seconds)


def _unanswered(label: str, fault: TimeoutError | WorkerGone) -> Reply:
    if isinstance(fault, TimeoutError):
        return Reply(0, _TIMED_OUT.format(label=label).encode(), None, None)
    return Reply(503, f"The container is not available: {fault}".encode(), None, None)
