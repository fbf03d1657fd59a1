"""Starts and stops the local AWS: in the foreground, or as a process of its own that a second command finds again."""

import fcntl
import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from common.errors import ModelsError, SettingsError
from common.local.container_process import kill_processes_of

ROOT = Path(".local-aws")
PORT = 4566
REGION = "eu-west-1"

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Running:
    """A local AWS that runs: its process, where it answers, and the factor on its waits."""

    pid: int
    url: str
    time_scale: float

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that point boto3, the SDK and Terraform at it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def _say_nothing(_running: Running) -> None:
    """For callers that need not know when the local AWS answers."""


def up(
    root: Path = ROOT,
    port: int = PORT,
    detach: bool = False,
    time_scale: float | None = None,
    announce: Callable[[Running], None] = _say_nothing,
) -> None:
    """Start a local AWS on the state folder `root`, and call `announce` when it answers.

    Detached, this returns then; in the foreground it returns after SIGINT or SIGTERM. Port 0 takes a free port;
    `time_scale` defaults to `LOCAL_AWS_TIME_SCALE`, then to 1.

    Raises:
        ModelsError: one runs already on this folder, the port is taken (UsageError), or it does not start.
        SettingsError: the time scale is no positive number.
    """
    root = root.resolve()
    scale = _positive(os.environ.get("LOCAL_AWS_TIME_SCALE", "1") if time_scale is None else time_scale)
    if already := status(root):
        raise _runs_already(root, already.url)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if detach:
        announce(_start(root, port, scale))
    else:
        _run(root, port, scale, announce)


def down(root: Path = ROOT) -> Running:
    """Stop the local AWS of this state folder, wait until it has written its state, and return what it was.

    Raises:
        ModelsError: none runs there.
    """
    root = root.resolve()
    running = status(root)
    if running is None:
        raise ModelsError(f"No local AWS runs on {root}.", "Start one: models local up.")
    os.kill(running.pid, signal.SIGTERM)
    if not _until(lambda: status(root) is None, _STOP_SECONDS):
        os.kill(running.pid, signal.SIGKILL)
        _until(lambda: status(root) is None, _STOP_SECONDS)
    kill_processes_of(root)
    return running


def status(root: Path = ROOT) -> Running | None:
    """The local AWS that runs on this state folder, if one does."""
    path = root / "lock"
    try:
        with path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        if not _until(lambda: path.read_text() != "", _START_SECONDS):
            raise _starts_slowly(root) from None
        return Running(**json.loads(path.read_text()))
    return None


def _positive(setting: str | float) -> float:
    try:
        scale = float(setting)
    except ValueError:
        scale = math.nan
    if not 0 < scale < math.inf:
        raise SettingsError(
            f"The time scale of the local AWS (LOCAL_AWS_TIME_SCALE) is {setting!r}, no positive number.",
            "Use 1 for AWS's own waits, 0.01 for a hundredth of them.",
        )
    return scale


def _start(root: Path, port: int, time_scale: float) -> Running:
    log = root / "server.log"
    with log.open("ab") as output:
        try:
            starter = subprocess.run(
                [sys.executable, "-m", "common.local.daemon", str(root), str(port), str(time_scale)],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                timeout=_START_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _starts_slowly(root) from None
    if starter.stdout:
        return Running(**json.loads(starter.stdout))
    if already := status(root):
        raise _runs_already(root, already.url)
    raise ModelsError(f"The local AWS did not start:\n{_tail(log)}", f"Its whole log is {log}.")


def _run(root: Path, port: int, time_scale: float, announce: Callable[[Running], None]) -> None:
    from common.local.server import serve  # imports moto, which takes longer than everything else here

    with _locked(root) as lock:
        kill_processes_of(root)

        def ready(url: str) -> None:
            running = Running(os.getpid(), url, time_scale)
            lock.write(json.dumps(asdict(running)))
            lock.flush()
            announce(running)

        serve(root, port, time_scale, ready)


@contextmanager
def _locked(root: Path) -> Iterator[IO[str]]:
    """The folder's lock file, empty and ours until the end: the lock goes with the process, however that ends."""

    def acquired() -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    with (root / "lock").open("a") as lock:
        if not _until(acquired, 1.0):
            raise _runs_already(root, "")
        lock.truncate(0)
        yield lock


def _runs_already(root: Path, url: str) -> ModelsError:
    return ModelsError(f"A local AWS already runs on {root}. {url}".strip(), "Stop it first: models local down.")


def _starts_slowly(root: Path) -> ModelsError:
    return ModelsError(
        f"The local AWS on {root} has not answered within {_START_SECONDS:.0f} s of its start.",
        f"Look into {root / 'server.log'}; a large state takes long to read: wait and try again.",
    )


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until the condition holds; False when it still does not after that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-5:])


def _detach() -> None:
    """Leave the starter's session. It does not wait for this process, only for the end of its standard output."""
    if os.fork():
        os._exit(0)
    os.setsid()


def _report(running: Running) -> None:
    """Tell the starter, and end its wait: from here on standard output goes to the log, too."""
    sys.stdout.write(json.dumps(asdict(running)))
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def main() -> int:
    """`python -m common.local.daemon ROOT PORT TIME_SCALE`: what `up` with `detach` runs."""
    root, port, time_scale = sys.argv[1:]
    _detach()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        _run(Path(root), int(port), float(time_scale), _report)
    except ModelsError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
