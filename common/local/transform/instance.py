"""One instance of a transform job: the containers of its model as processes, and the requests that go through them."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path

from common.local.containers import UnknownImage, program
from common.local.context import LocalAws
from common.local.hosting.artifact import model_environment, unpack_artifact
from common.local.hosting.instance import through
from common.local.hosting.invocation import Request
from common.local.hosting.spec import ContainerSpec, VariantSpec
from common.local.hosting.worker import Launch, Worker, WorkerGone
from common.local.jobs.inputs import InputError
from common.local.roles.s3 import RoleS3
from common.local.transform.settings import Settings

_STARTUP_SECONDS = 600.0
_FIRST_PAUSE_SECONDS = 0.2
"""Before a request is sent again; it doubles each time."""
_PARAMETERS_SECONDS = 10.0
_SHOWN_BYTES = 2048
"""Of an answer that is an error."""


class Unanswered(Exception):
    """A request was not answered with success; the message is what the data log says of it."""

    def __init__(self, message: str, is_client: bool) -> None:
        super().__init__(message)
        self.is_client = is_client
        """Whether the container found fault with the request, rather than failed over it."""


class TransformInstance:
    """The containers of one instance, in the order of the pipeline. `stop` must be called."""

    def __init__(
        self,
        aws: LocalAws,
        place: tuple[str, str],
        spec: VariantSpec,
        folder: Path,
        environment: Mapping[str, str],
        log: Callable[[str, str], None],
    ) -> None:
        """Start the containers.

        Args:
            place: account and region.
            environment: added to each container's own.
            log: gets the label of a container and a line of its output.

        Raises:
            InputError: an image cannot be played here.
            FleetFailure: an artifact cannot be had.
        """
        self._workers: list[tuple[ContainerSpec, Worker]] = []
        self._ended = threading.Event()
        try:
            for container in spec.containers:
                launch = _launch(aws, place, spec, container, folder / container.label, environment)
                worker = Worker(launch, lambda line, label=container.label: log(label, line))  # type: ignore[misc]
                self._workers.append((container, worker))
        except BaseException:
            self.stop()
            raise

    def wait_until_healthy(self, gone: Callable[[], bool]) -> None:
        """Wait for the first pings, until `gone` says that nobody waits any more.

        Raises:
            InputError: a container ended, or was not healthy in time.
        """
        deadline = time.monotonic() + _STARTUP_SECONDS
        for container, worker in self._workers:
            while not worker.wait_until_healthy(0.1):
                if gone():
                    return
                if worker.has_failed or time.monotonic() > deadline:
                    raise InputError(
                        f"AlgorithmError: The {container.label} container did not pass the ping health check. "
                        "Please check CloudWatch logs for this transform job."
                    )

    def execution_parameters(self) -> bytes | None:
        """What the first container asks for; None where it has no say."""
        try:
            reply = self._workers[0][1].request("GET", "/execution-parameters", b"", {}, _PARAMETERS_SECONDS)
        except (TimeoutError, WorkerGone):
            return None
        return reply.body if reply.status == HTTPStatus.OK else None

    def ask(self, body: bytes, settings: Settings) -> bytes:
        """The answer to one request, sent again where the container failed over it.

        Raises:
            Unanswered: the container refused it, or failed over it each time.
        """
        pause = _FIRST_PAUSE_SECONDS
        for attempt in range(settings.retries + 1):
            reply = through(self._workers, Request(body, dict(settings.headers), timeout=settings.timeout)).reply
            if 200 <= reply.status < 300:
                return reply.body
            if 400 <= reply.status < 500:  # the same request would be refused again
                break
            if attempt < settings.retries and not self._ended.wait(pause):
                pause *= 2
        text = reply.body[:_SHOWN_BYTES].decode(errors="replace")
        if not reply.status:
            raise Unanswered(f"Unable to get response from algorithm: {text}", is_client=False)
        kind, is_client = ("ClientError", True) if reply.status < 500 else ("AlgorithmError", False)
        raise Unanswered(f"{kind}: {reply.status}\nMessage:\n{text}", is_client)

    def terminate(self) -> None:
        """Ask the processes to end; requests to them fail from now on."""
        self._ended.set()
        for _, worker in self._workers:
            worker.terminate()

    def stop(self) -> None:
        """End the processes."""
        self.terminate()
        for _, worker in self._workers:
            worker.stop()


def _launch(
    aws: LocalAws,
    place: tuple[str, str],
    spec: VariantSpec,
    container: ContainerSpec,
    base: Path,
    environment: Mapping[str, str],
) -> Launch:
    account, region = place
    try:
        command = program(container.image).serve_command
    except UnknownImage as unknown:
        raise InputError(f"ClientError: The {container.label} container's image cannot be run: {unknown}") from unknown
    if container.model_data_url is None:
        (base / "model").mkdir(parents=True)
    else:
        s3 = RoleS3(aws, account, region, spec.role_arn)
        unpack_artifact(s3, container.model_data_url, container.label, base / "model")
    # as the images' own default for a machine of this instance's share of processors
    workers = max(1, (os.cpu_count() or 1) // spec.instances)
    given = {"SAGEMAKER_MODEL_SERVER_WORKERS": str(workers), **container.environment, **environment}
    return Launch(command, model_environment(aws, region, spec, base, given), base)
