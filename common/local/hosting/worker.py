"""One worker: the process that plays a model's container on one instance, kept alive, and the requests to it."""

import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from common.local.container_process import Container
from common.local.hosting.connection import BadAnswer, Connection

_PING_INTERVAL_SECONDS = 0.02
_PING_SECONDS = 2.0
_FIRST_BACKOFF_SECONDS = 0.1
_LONGEST_BACKOFF_SECONDS = 5.0
_STABLE_SECONDS = 10.0
"""A worker that ran this long before it crashed is restarted as if for the first time."""
_TERMINATION_GRACE_SECONDS = 5.0


class WorkerGone(Exception):
    """The worker's process ended, or is not up, while a request needed it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A container's answer."""

    status: int
    body: bytes
    content_type: str | None
    custom_attributes: str | None


@dataclass(frozen=True)
class Launch:
    """How to start a container's program.

    It must serve on 127.0.0.1 at the port given by `SAGEMAKER_BIND_TO_PORT`, and end when its standard input closes.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    """The container's base folder."""


class Worker:
    """A supervised process. A crash restarts it, with growing pauses; every line that it prints goes to `log`.

    A crash fails the requests that the process was answering. Those that come until it is up again wait for it, as in the
    images, whose first process holds the port while another is started.
    """

    def __init__(self, launch: Launch, log: Callable[[str], None]) -> None:
        self._launch = launch
        self._log = log
        # Bound but not listening: the kernel gives the port to nobody else, and with SO_REUSEADDR on both sides the
        # worker can still listen on it. Otherwise another endpoint's worker could answer in this one's place.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind(("127.0.0.1", 0))
        self._port: int = self._reservation.getsockname()[1]
        self._idle: deque[Connection] = deque()
        self._lock = threading.Lock()
        self._process: Container | None = None
        self._ready = threading.Event()
        self._settled = threading.Event()
        self._resolved = threading.Event()
        """Whether there is nothing to wait for: it is ready, or it will never be."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"worker-{self._port}", daemon=True)
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set()

    @property
    def has_failed(self) -> bool:
        """Of one that has not been healthy yet: whether it ended, and never will be."""
        return self._settled.is_set() and not self._ready.is_set()

    @property
    def process_id(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process else None

    def wait_until_healthy(self, seconds: float) -> bool:
        """Whether the first ping succeeds within that time. False at once when the process ends before it does."""
        return self._settled.wait(seconds) and self._ready.is_set()

    def invoke(self, body: bytes, headers: Mapping[str, str], timeout: float) -> Reply:
        """Send one request to `POST /invocations`; raises as `request` does."""
        return self.request("POST", "/invocations", body, headers, timeout)

    def request(self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Reply:
        """Send one request to the container.

        Raises:
            TimeoutError: no answer within `timeout` seconds.
            WorkerGone: the process ended before it answered, and is not started again.
        """
        deadline = time.monotonic() + timeout
        connection = None
        try:
            connection = self._connected(deadline)
            answer = connection.request(method, path, body, headers, _left(deadline))
        except (OSError, BadAnswer) as fault:
            if connection is not None:
                connection.close()
            if isinstance(fault, TimeoutError):
                raise
            raise WorkerGone(str(fault)) from fault
        if answer.closes:
            connection.close()
        else:
            self._idle.append(connection)
        return Reply(
            answer.status,
            answer.body,
            answer.headers.get("content-type"),
            answer.headers.get("x-amzn-sagemaker-custom-attributes"),
        )

    def terminate(self) -> None:
        """Ask the process to end, and restart it no more. `stop` waits for it."""
        with self._lock:
            self._stopping.set()
            self._resolved.set()
            if self._process is not None:
                self._process.terminate()

    def stop(self) -> None:
        """End the process: SIGTERM, and SIGKILL when that does not help within seconds."""
        self.terminate()
        self._thread.join(_TERMINATION_GRACE_SECONDS)
        if self._thread.is_alive() and self._process is not None:
            self._process.kill()
            self._thread.join()
        while self._idle:
            self._idle.pop().close()
        self._reservation.close()

    def _connected(self, deadline: float) -> Connection:
        while True:
            if not self._resolved.wait(_left(deadline)):
                raise TimeoutError
            if self._stopping.is_set() or not self._thread.is_alive():
                raise WorkerGone("it has ended")
            try:
                return self._connection(_left(deadline))
            except ConnectionRefusedError:  # it has just ended, which nobody has noticed yet, or takes no connections
                if time.monotonic() >= deadline:
                    raise TimeoutError from None
                self._stopping.wait(_PING_INTERVAL_SECONDS)

    def _connection(self, timeout: float) -> Connection:
        with contextlib.suppress(IndexError):
            while True:
                connection = self._idle.pop()
                # Closed by the server's idle time-out, or of an earlier process: to send on it would fail a request that a
                # fresh connection serves.
                if not connection.is_stale():
                    return connection
                connection.close()
        return Connection(self._port, timeout)

    def _run(self) -> None:
        try:
            self._supervise()
        except (OSError, ValueError) as fault:  # no more processes, or an environment that no process can have
            self._log(f"The container cannot be started: {fault}")
        finally:
            self._settled.set()
            self._resolved.set()

    def _supervise(self) -> None:
        backoff = _FIRST_BACKOFF_SECONDS
        while (process := self._spawn()) is not None:
            started = time.monotonic()
            self._await_health(process)
            code = process.wait()
            self._ready.clear()
            self._resolved.clear()
            process.finish()
            if self._stopping.is_set() or not self._settled.is_set():
                break
            backoff = _FIRST_BACKOFF_SECONDS if time.monotonic() - started > _STABLE_SECONDS else backoff
            self._log(f"The container ended with exit status {code}; it is started again in {backoff:g} s.")
            if self._stopping.wait(backoff):
                break
            backoff = min(2 * backoff, _LONGEST_BACKOFF_SECONDS)

    def _spawn(self) -> Container | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            environment = {**self._launch.environment, "SAGEMAKER_BIND_TO_PORT": str(self._port)}
            self._process = Container(self._launch.command, environment, self._launch.folder, self._hand_on)
            return self._process

    def _hand_on(self, lines: list[str]) -> None:
        for line in lines:
            self._log(line)

    def _await_health(self, process: Container) -> None:
        """Ping until the container is healthy, or its process has ended."""
        while process.poll() is None and not self._stopping.is_set():
            if self._ping():
                self._ready.set()
                self._settled.set()
                self._resolved.set()
                return
            time.sleep(_PING_INTERVAL_SECONDS)

    def _ping(self) -> bool:
        try:
            with contextlib.closing(Connection(self._port, _PING_SECONDS)) as connection:
                return connection.request("GET", "/ping", b"", {}, _PING_SECONDS).status == HTTPStatus.OK
        except (OSError, BadAnswer):
            return False


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.001)
