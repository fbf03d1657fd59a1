"""Asynchronous endpoints: a queue of requests whose input and output lie in S3, worked off as instances have room.

A request stays in the store until its result has been written and announced, so that a restart of the server finds it again
and works on it once more: at least once, as on AWS.
"""

import logging
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from uuid import uuid4

from common.local.context import LocalAws
from common.local.hosting.async_result import Result, announce, deliver, failure
from common.local.hosting.host import Hosting
from common.local.hosting.instance import Instance
from common.local.hosting.invocation import NoInstance, Request
from common.local.hosting.live import LiveEndpoint, NotServing
from common.local.hosting.spec import FleetSpec
from common.local.hosting.telemetry import NAMESPACE, Origin
from common.local.roles.s3 import RoleS3, S3Refused

log = logging.getLogger(__name__)

KIND = "async-request"
"""Requests in the store that have no result yet; their names are their ids."""

CONCURRENCY = 4
"""Requests that an instance works on at once where the configuration does not say; AWS chooses, and does not say what."""

MAX_INPUT_BYTES = 2**30

ATTEMPTS = 2
"""A container that ends may have been ended by another request. So each of those that it had is tried once more, alone."""

_TICK_SECONDS = 0.1
_METRICS_SECONDS = 20.0
"""AWS time between two reports of the backlog."""
_METRICS_FLOOR_SECONDS = 0.15
_PATIENCE_SECONDS = 1.0
_NOTICE_SECONDS = 1.0
_NOTICE_INTERVAL_SECONDS = 0.01
_JOIN_SECONDS = 5.0


@dataclass(frozen=True)
class Waiting:
    """A request to an asynchronous endpoint."""

    endpoint: str
    inference_id: str
    input_location: str
    output_location: str
    failure_location: str | None
    headers: dict[str, str]
    """As the container sees them."""
    ttl_seconds: int
    """AWS time that it may wait."""
    timeout_seconds: int
    """Real time that the model may take."""
    received: float = field(default_factory=time.time)
    id: str = field(default_factory=lambda: uuid4().hex)
    attempts: int = 0
    """How often a container has ended while it had the request."""


class AsyncQueue:
    """The requests to one endpoint, and the thread that hands them to its instances."""

    def __init__(self, aws: LocalAws, origin: Origin, config: dict[str, Any], role: str | None) -> None:
        self._aws = aws
        self._origin = origin
        self._known_config = config
        self._known_role = role
        self._changed = threading.Condition()
        stored = (Waiting(**document) for document in aws.store.list(origin.scope, KIND))
        self._waiting = deque(request for request in stored if request.endpoint == origin.endpoint)
        self._running = 0
        self._is_alone = False
        """Whether the request that was begun last is one that runs alone."""
        self._closed = False
        self._measured_at = 0.0
        self._thread = aws.spawn(f"async-{origin.endpoint}", self._run)

    def put(self, request: Waiting) -> None:
        """Take a request; when this returns, a restart of the server does not lose it."""
        self._aws.store.put(self._origin.scope, KIND, request.id, asdict(request))
        self._wait_for_turn(request, at_once=False)

    def close(self) -> None:
        """The endpoint is being deleted: nothing more begins. What is being worked on still gets its result."""
        with self._changed:
            self._closed = True
            self._waiting.clear()

    def _wait_for_turn(self, request: Waiting, at_once: bool) -> None:
        """Queue a request, `at_once` before all others; one to an endpoint that is being deleted is forgotten."""
        with self._changed:
            if not self._closed:
                (self._waiting.appendleft if at_once else self._waiting.append)(request)
                self._changed.notify_all()
                return
        self._forget(request)

    def join(self) -> None:
        """Wait for the thread, which ends when the server closes."""
        with self._changed:
            self._changed.notify_all()
        self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        while not (self._aws.closing.is_set() or self._closed):
            try:
                self._turn()
            except Exception:
                if self._aws.closing.is_set():
                    return
                log.exception("asynchronous endpoint %s", self._origin.endpoint)

    def _turn(self) -> None:
        with self._changed:
            self._changed.wait_for(self._can_begin, _TICK_SECONDS)
            begun = []
            while self._can_begin():
                begun.append(self._waiting.popleft())
                self._running += 1
                self._is_alone = begun[-1].attempts > 0
        for request in begun:
            self._aws.spawn(f"async-request-{request.id}", lambda request=request: self._work(request))  # type: ignore[misc]
        self._expire()
        self._measure()

    def _can_begin(self) -> bool:
        if not self._waiting or self._aws.closing.is_set():
            return False
        room = min(1, self._room()) if self._waiting[0].attempts or self._is_alone else self._room()
        return self._running < room

    def _live(self) -> LiveEndpoint | None:
        return self._aws.part(Hosting).live(self._origin.scope, self._origin.endpoint)

    def _config(self) -> dict[str, Any]:
        """The `AsyncInferenceConfig` that serves, or served last: an endpoint that is being deleted still tells of results."""
        live = self._live()
        if live is not None and live.fleet is not None:
            self._known_config = live.fleet.spec.async_config or self._known_config
        return self._known_config

    def _s3(self) -> RoleS3:
        """As the role of the models that serve, or served last."""
        live = self._live()
        if live is not None and live.fleet is not None:
            self._known_role = live.fleet.spec.variants[0].role_arn
        return RoleS3(self._aws, self._origin.account, self._origin.region, self._known_role)

    def _room(self) -> int:
        """How many requests the instances that are healthy now take at once."""
        live = self._live()
        if live is None or live.fleet is None:
            return 0
        fleet = live.fleet
        each = self._config().get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance", CONCURRENCY)
        return sum(fleet.ready_instances(variant.name) for variant in fleet.spec.variants) * int(each)

    def _work(self, request: Waiting) -> None:
        """Bring a request to its end, or put it back where nothing can take it now."""
        try:
            result = self._result(request)
            if isinstance(result, Waiting):
                self._wait_for_turn(result, at_once=True)
            else:
                self._finish(request, result)
        except Exception:
            if not self._aws.closing.is_set():  # else the store has been closed, and the request waits there
                log.exception("asynchronous request %s to %s", request.inference_id, self._origin.endpoint)
                self._finish(
                    request, failure("InternalServerError: a defect of the local AWS; its log has the traceback.")
                )
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _result(self, request: Waiting) -> Result | Waiting:
        """The request's result, or the request as it is to be tried again."""
        bucket, _, key = request.input_location.removeprefix("s3://").partition("/")
        s3 = self._s3()
        try:
            if s3.size(bucket, key) > MAX_INPUT_BYTES:
                return failure(f"ClientError: {request.input_location} is larger than {MAX_INPUT_BYTES} bytes.")
            body = s3.read(bucket, key)
        except KeyError:
            return failure(f"ClientError: Could not access object {request.input_location}: it does not exist.")
        except S3Refused as refusal:
            return failure(f"ClientError: Could not access object {request.input_location}: {refusal}")
        live = self._live()
        if live is None:
            return request
        asked = Request(body, request.headers, inference_id=request.inference_id, timeout=request.timeout_seconds)
        try:
            with live.instance(None, _PATIENCE_SECONDS) as instance:
                outcome = instance.answer(asked)
        except (NotServing, NoInstance):
            return request
        if outcome.lost:
            self._await_notice(instance)
            if self._aws.closing.is_set():  # the container ended with the server: the next one starts afresh
                return request
            if request.attempts + 1 < ATTEMPTS:
                return replace(request, attempts=request.attempts + 1)
        if outcome.succeeded:
            return Result(outcome.reply.body, outcome.reply.content_type)
        return failure(outcome.error_message(self._origin))

    def _await_notice(self, instance: Instance) -> None:
        """Wait until the instance is seen to be down: what is tried alone next must not go to it."""
        deadline = time.monotonic() + _NOTICE_SECONDS
        while (
            instance.is_ready and time.monotonic() < deadline and not self._aws.closing.wait(_NOTICE_INTERVAL_SECONDS)
        ):
            pass

    def _finish(self, request: Waiting, result: Result) -> None:
        """Write the result, tell of it, and forget the request: in this order, so that no end of the server loses it."""
        config, role = self._config(), self._s3()
        result = deliver(role, config, request, result)
        told = announce(role, self._origin, config, request, result)
        self._count("InvocationsProcessed")
        if result.error is not None:
            self._count("InvocationFailures")
        if not told:
            self._count("NotificationFailures")
        self._forget(request)

    def _forget(self, request: Waiting) -> None:
        self._aws.store.delete(self._origin.scope, KIND, request.id)

    def _expire(self) -> None:
        now, scale = time.time(), self._aws.time_scale
        with self._changed:
            expired = [each for each in self._waiting if now - each.received > each.ttl_seconds * scale]
            for request in expired:
                self._waiting.remove(request)
        for request in expired:
            text = f"ClientError: The request expired: it waited longer than RequestTTLSeconds ({request.ttl_seconds})."
            self._count("ExpiredRequests")
            self._finish(request, failure(text))

    def _measure(self) -> None:
        """Report the backlog: what waits and what is being worked on."""
        now = time.monotonic()
        live = self._live()
        if now < self._measured_at or live is None or live.fleet is None:
            return
        self._measured_at = now + max(_METRICS_SECONDS * self._aws.time_scale, _METRICS_FLOOR_SECONDS)
        instances = live.fleet.spec.instances
        with self._changed:
            backlog = len(self._waiting) + self._running
        origin = self._origin
        dimensions = {"EndpointName": origin.endpoint}
        for metric, value in {
            "ApproximateBacklogSize": float(backlog),
            "ApproximateBacklogSizePerInstance": backlog / max(instances, 1),
            "HasBacklogWithoutCapacity": float(backlog > 0 and instances == 0),
        }.items():
            self._aws.services.put_metric(
                origin.account, origin.region, NAMESPACE, metric, dimensions, [value], "Count"
            )

    def _count(self, metric: str) -> None:
        """Count an event, as of the endpoint's first variant: not every request comes to one."""
        live = self._live()
        if live is not None and live.fleet is not None:
            variant = live.fleet.spec.variants[0].name
            self._aws.part(Hosting).telemetry.measure(self._origin, variant, metric, 1.0)


class AsyncQueues:
    """The queues of all asynchronous endpoints: `aws.part(AsyncQueues)`."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._lock = threading.Lock()
        self._queues: dict[tuple[str, str], AsyncQueue] = {}
        aws.on_close.append(self._join)

    def open(self, origin: Origin, spec: FleetSpec) -> None:
        """Queue requests for an asynchronous endpoint with this fleet, starting with those that a restart has left."""
        queue = AsyncQueue(self._aws, origin, spec.async_config or {}, spec.variants[0].role_arn)
        with self._lock:
            self._queues[origin.scope, origin.endpoint] = queue

    def close(self, scope: str, endpoint: str) -> None:
        """The endpoint is being deleted: forget the requests to it; nothing happens when it is not asynchronous."""
        with self._lock:
            queue = self._queues.pop((scope, endpoint), None)
        if queue is not None:
            queue.close()
        # Also where there is no queue: a failed endpoint's requests must not go to the next one of its name.
        for request in self._aws.store.list(scope, KIND):
            if request["endpoint"] == endpoint:
                self._aws.store.delete(scope, KIND, request["id"])

    def of(self, scope: str, endpoint: str) -> AsyncQueue | None:
        """The endpoint's queue; None when it is not asynchronous."""
        return self._queues.get((scope, endpoint))

    def _join(self) -> None:
        with self._lock:
            queues = list(self._queues.values())
        for queue in queues:
            queue.join()
