"""A container as a process of this machine: its own process group, every line of its output handed on as it comes."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_READ_BYTES = 1 << 16
_OUTPUT_SECONDS = 5.0
"""How long the output may stay open after the process has ended, held by a child of it that could not be killed."""


class Container:
    """A started program. Its standard input stays open as long as this process lives; programs end when it closes.

    The kernel closes that pipe for a server that was killed with -9, too. (Linux's parent-death signal would need nothing of
    the program, but follows the *thread* that started it.)
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, write: Callable[[list[str]], None]
    ) -> None:
        self._process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._folder = folder
        self._write = write
        self._reader = threading.Thread(target=self._read, name=f"log of {self._process.pid}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def wait(self) -> int:
        """Wait until the program has ended; its exit code."""
        return self._process.wait()

    def terminate(self) -> None:
        """SIGTERM to the whole group."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        self._signal(signal.SIGKILL)

    def finish(self) -> None:
        """Kill the program, and what it has started and left behind, and hand on the rest of the output."""
        self.kill()
        self.wait()
        kill_processes_of(self._folder)
        self._reader.join(_OUTPUT_SECONDS)
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return

    def _read(self) -> None:
        output: Any = self._process.stdout
        rest = b""
        with output:  # closed here: to close it while it is read would wait for its end
            while chunk := output.read1(_READ_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                if lines:
                    self._write([line.decode(errors="replace").rstrip("\r") for line in lines])
            if rest:
                self._write([rest.decode(errors="replace")])


def kill_processes_of(folder: Path) -> None:
    """Kill every process of the containers with this base folder, or with one below it, by their environment.

    Some leave their container's group, or outlive a killed server: containers end by themselves when their standard input
    closes, but code that runs in them may not. Linux only: /proc shows the environment.
    """
    mark = f"SAGEMAKER_BASE_DIR={folder}".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            entries = environment.read_bytes().split(b"\0")
            if mark in entries or any(entry.startswith(mark + b"/") for entry in entries):
                os.kill(int(environment.parent.name), signal.SIGKILL)
        except (PermissionError, ProcessLookupError, FileNotFoundError):
            continue  # another user's process, or one that has just ended
