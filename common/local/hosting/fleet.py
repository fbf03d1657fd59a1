"""A fleet: the instances that serve all variants of one endpoint configuration."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from common.local.containers import UnknownImage, program
from common.local.context import LocalAws
from common.local.hosting.artifact import FleetFailure, model_environment, unpack_artifact
from common.local.hosting.capture import Capture
from common.local.hosting.instance import Instance
from common.local.hosting.invocation import Ledger, NoInstance
from common.local.hosting.multi_model import ModelHost, Store
from common.local.hosting.shadow import Shadow
from common.local.hosting.spec import ContainerSpec, FleetSpec, VariantSpec
from common.local.hosting.telemetry import Origin, Telemetry
from common.local.hosting.traffic import Split
from common.local.hosting.worker import Launch, Worker
from common.local.roles.s3 import RoleS3

PROCESSES_PER_VARIANT = 2
"""Instances of a variant that become processes; two show everything that several instances do, and a machine is small.
The API reports the count that was asked for, and the log says what runs."""

STARTUP_FLOOR_SECONDS = 15.0
"""However small the time scale, a container gets this long to become healthy: starting a process is real work."""

DRAIN_SECONDS = 60.0
"""The longest that an invocation can take, and so the longest that a retiring fleet waits for its last ones."""

_SHADOW_DRAIN_SECONDS = 2.0
"""How long it waits for its shadow's, which no caller misses."""


@dataclass(frozen=True)
class Surroundings:
    """What a fleet needs of the AWS around it."""

    aws: LocalAws
    origin: Origin
    telemetry: Telemetry
    capture: Capture
    folder: Path
    """Where the endpoint's artifacts are unpacked."""


class Fleet:
    """The instances of all variants; hands out one for each request, and drains before it stops."""

    def __init__(self, around: Surroundings, spec: FleetSpec) -> None:
        self.spec = spec
        self._around = around
        self._changed = threading.Condition()
        self._retired = False
        self._instances: dict[str, list[Instance]] = {variant.name: [] for variant in spec.all_variants}
        self._starting: list[Instance] = []
        self._variants = _split(spec)
        self._shadow = self._shadow_of(spec)

    def start(self, limit_seconds: float = float("inf")) -> None:
        """Start every instance and wait until all are healthy.

        Each variant's own health-check time-out applies, scaled as all waits are but never below
        `STARTUP_FLOOR_SECONDS`, and at most `limit_seconds` (real) where those are fewer.

        Raises:
            FleetFailure: some instance did not become healthy; none is left running.
        """
        try:
            self._grow(self.spec, limit_seconds)
        except BaseException:
            self.stop(drain_seconds=0)
            raise

    def resize(self, spec: FleetSpec, limit_seconds: float = float("inf")) -> None:
        """Become a fleet of the same variants with other instance counts and weights, without failing a request.

        A fleet that was not started becomes one with what the spec says. `limit_seconds` is as for `start`.

        Raises:
            FleetFailure: an additional instance did not become healthy; the fleet stays as it was.
        """
        self._grow(spec, limit_seconds)
        leaving: list[Instance] = []
        with self._changed:
            self.spec, self._variants = spec, _split(spec)
            if self._shadow is not None:
                self._shadow.set_share(spec.shadow_share)
            for variant in spec.all_variants:
                instances = self._instances[variant.name]
                leaving += instances[_processes(variant) :]
                del instances[_processes(variant) :]
        self._drain_and_stop(leaving, DRAIN_SECONDS)

    @contextmanager
    def instance(self, variant: str | None, target: str | None = None) -> Iterator[Instance | None]:
        """An instance for one request, of the given variant or of one by weight; None when the fleet is retired.

        Ready instances go before those that restart, then those that have the model `target`, unless they are much busier
        than others, then the least busy one. Raises KeyError for an unknown variant, as which the shadow counts.
        """
        if variant is not None and variant not in (each.name for each in self.spec.variants):
            raise KeyError(variant)
        with self._hand_out(variant, target) as instance:
            yield instance

    @contextmanager
    def _hand_out(self, variant: str | None, target: str | None) -> Iterator[Instance | None]:
        with self._changed:
            chosen = None if self._retired else self._choose(variant, target)
            if chosen is not None:
                chosen.begin(target)
        try:
            yield chosen
        finally:
            if chosen is not None:
                chosen.release(target)
                with self._changed:
                    chosen.busy -= 1
                    self._changed.notify_all()

    def stop(self, drain_seconds: float = DRAIN_SECONDS) -> None:
        """Take no more requests, let those under way finish, end all processes."""
        shadow = self.spec.shadow.name if self.spec.shadow else None
        with self._changed:
            self._retired = True
            leaving = [*self._starting, *(each for instances in self._instances.values() for each in instances)]
            self._starting = []
            self._instances = {name: [] for name in self._instances}
        if self._shadow is not None:
            self._shadow.close()
        self._drain_and_stop([each for each in leaving if each.variant != shadow], drain_seconds)
        self._drain_and_stop(
            [each for each in leaving if each.variant == shadow], min(drain_seconds, _SHADOW_DRAIN_SECONDS)
        )
        self._around.capture.flush(self._around.origin)

    def process_ids(self) -> list[int]:
        """Of all workers that run now."""
        with self._changed:
            workers = [worker for group in self._instances.values() for each in group for _, worker in each.workers]
        return [worker.process_id for worker in workers if worker.process_id is not None]

    def ready_instances(self, variant: str) -> int:
        """How many instances of a variant are healthy now."""
        with self._changed:
            return sum(instance.is_ready for instance in self._instances[variant])

    def _choose(self, variant: str | None, target: str | None) -> Instance:
        instances = self._instances[self._variants.choose() if variant is None else variant]
        if not instances:
            raise NoInstance
        return min(instances, key=lambda instance: (not instance.is_ready, instance.load(target), instance.served))

    def _drain_and_stop(self, leaving: list[Instance], drain_seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not any(instance.busy for instance in leaving), drain_seconds)
        if leaving:
            with ThreadPoolExecutor(len(leaving)) as pool:
                list(pool.map(Instance.stop, leaving))

    def _grow(self, spec: FleetSpec, limit_seconds: float) -> None:
        """Start what is missing to the spec's counts, and let it take requests when all of it is healthy."""
        try:
            for variant in spec.all_variants:
                self._announce(variant)
                for _ in range(_processes(variant) - len(self._instances[variant.name])):
                    self._launch(variant)
            self._await_health(spec, limit_seconds)
        except BaseException:
            with self._changed:
                added, self._starting = self._starting, []
            self._drain_and_stop(added, 0)
            raise
        with self._changed:
            for instance in self._starting:
                self._instances[instance.variant].append(instance)
            self._starting = []

    def _announce(self, variant: VariantSpec) -> None:
        if variant.instances > PROCESSES_PER_VARIANT:
            text = f"{variant.instances} instances asked for; this machine runs {PROCESSES_PER_VARIANT} processes."
            self._around.telemetry.log(self._around.origin, variant.name, text)

    def _launch(self, variant: VariantSpec) -> None:
        identifier = f"i-{uuid4().hex[:17]}"
        production = variant.name in (each.name for each in self.spec.variants)
        instance = Instance(
            variant.name,
            self._around.folder / identifier,
            self._ledger(variant),
            self._shadow.offer if production and self._shadow is not None else None,
        )
        with self._changed:
            if self._retired:
                raise FleetFailure("The fleet was stopped while it started.")
            self._starting.append(instance)
        for container in variant.containers:
            base = instance.folder / container.label
            worker = self._worker(variant, container, base, f"{variant.name}/{identifier}")
            if container.multi_model:
                instance.models = self._model_host(variant, container, base, worker)
            instance.add(container, worker)

    def _shadow_of(self, spec: FleetSpec) -> Shadow | None:
        if spec.shadow is None:
            return None
        name = spec.shadow.name
        return Shadow(spec.shadow_share, self._ledger(spec.shadow), lambda target: self._hand_out(name, target))

    def _ledger(self, variant: VariantSpec) -> Ledger:
        around, s3 = self._around, self._s3(variant)
        return Ledger(around.origin, variant.name, around.telemetry, around.capture, self.spec.capture, s3)

    def _s3(self, variant: VariantSpec) -> RoleS3:
        around = self._around
        return RoleS3(around.aws, around.origin.account, around.origin.region, variant.role_arn)

    def _model_host(self, variant: VariantSpec, container: ContainerSpec, base: Path, worker: Worker) -> ModelHost:
        around = self._around
        store = Store(self._s3(variant), container.model_data_url or "", base / "models")
        return ModelHost(
            store,
            worker,
            container.keeps_models,
            lambda metric, value: around.telemetry.measure(around.origin, variant.name, metric, value),
        )

    def _worker(self, variant: VariantSpec, container: ContainerSpec, base: Path, stream: str) -> Worker:
        around = self._around
        try:
            command = program(container.image).serve_command
        except UnknownImage as unknown:
            raise FleetFailure(
                f"The {container.label} container's image for production variant {variant.name} cannot be run: {unknown}"
            ) from unknown
        given = container.environment
        if container.multi_model:
            (base / "models").mkdir(parents=True)
            given = {**given, "SAGEMAKER_MULTI_MODEL": "true"}
        elif container.model_data_url is None:
            (base / "model").mkdir(parents=True)
        else:
            unpack_artifact(self._s3(variant), container.model_data_url, container.label, base / "model")
        environment = model_environment(around.aws, around.origin.region, variant, base, given)
        return Worker(
            Launch(command, environment, base), lambda line: around.telemetry.log(around.origin, stream, line)
        )

    def _await_health(self, spec: FleetSpec, limit_seconds: float) -> None:
        began = time.monotonic()
        scale = self._around.aws.time_scale
        patience = {v.name: max(v.startup_seconds * scale, STARTUP_FLOOR_SECONDS) for v in spec.all_variants}
        for instance in list(self._starting):
            for container, worker in instance.workers:
                deadline = began + min(patience[instance.variant], limit_seconds)
                if not worker.wait_until_healthy(max(0.0, deadline - time.monotonic())):
                    raise FleetFailure(
                        f"The {container.label} container for production variant {instance.variant} did not pass the "
                        "ping health check. Please check CloudWatch logs for this endpoint."
                    )


def _processes(variant: VariantSpec) -> int:
    return min(variant.instances, PROCESSES_PER_VARIANT)


def _split(spec: FleetSpec) -> Split[str]:
    return Split([(variant.name, variant.weight) for variant in spec.variants])
