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
"""How long the output may stay open after the process has ended, held by a child of it."""


class Container:
    """A started program. Its standard input stays open as long as this process lives; programs end when it closes."""

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
        self._write = write
        self._reader = threading.Thread(target=self._read, name=f"log of {self._process.pid}", daemon=True)
        self._reader.start()

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """SIGTERM to the whole group."""
        self._signal(signal.SIGTERM)

    def finish(self) -> None:
        """Kill what is left of the group, and hand on the rest of the output."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._reader.join(_OUTPUT_SECONDS)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return

    def _read(self) -> None:
        output: Any = self._process.stdout
        rest = b""
        while chunk := output.read1(_READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            if lines:
                self._write([line.decode(errors="replace").rstrip("\r") for line in lines])
        if rest:
            self._write([rest.decode(errors="replace")])
