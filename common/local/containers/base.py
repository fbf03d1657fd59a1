"""What every container does: find its folders, read its configuration, and say why it failed."""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class ToolkitError(Exception):
    """A failure that the container explains in `output/failure`; the class says whose it is."""


class UserError(ToolkitError):
    """The job's author can prevent it: hyperparameters, channels, data, the script."""


class AlgorithmError(ToolkitError):
    """The algorithm failed on input that passed validation."""


@dataclass(frozen=True)
class Folders:
    """The tree that a container finds at `/opt/ml`, here at `SAGEMAKER_BASE_DIR`."""

    base: Path

    @classmethod
    def from_environment(cls) -> "Folders":
        return cls(Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")))

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def code(self) -> Path:
        return self.base / "code"

    @property
    def output(self) -> Path:
        return self.base / "output"

    @property
    def output_data(self) -> Path:
        return self.base / "output" / "data"

    @property
    def input(self) -> Path:
        return self.base / "input"

    @property
    def config(self) -> Path:
        return self.base / "input" / "config"

    def channel(self, name: str) -> Path:
        return self.base / "input" / "data" / name

    def read_config(self, name: str) -> dict[str, Any]:
        """`input/config/<name>.json`; empty where the platform wrote none."""
        path = self.config / f"{name}.json"
        content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return content


def log(message: str) -> None:
    """One line of the container's log, written at once, since people watch it."""
    print(message, flush=True)  # noqa: T201 - standard output is the log


def run(train: Callable[[Folders], None], serve: Callable[[Folders], None]) -> None:
    """The container's entry point: `train` or `serve`, as its first argument says.

    A training failure leaves its message in `output/failure` and exits with 1; one that no ToolkitError explains leaves
    its traceback there too.
    """
    folders = Folders.from_environment()
    end_with_platform()
    if sys.argv[1:] == ["serve"]:
        serve(folders)
        return
    if sys.argv[1:] != ["train"]:
        sys.exit("usage: train | serve")
    try:
        train(folders)
    except ToolkitError as error:
        fail(folders, f"{type(error).__name__}: {error}")
    except Exception:
        fail(folders, f"framework error:\n{traceback.format_exc()}")


def fail(folders: Folders, message: str, exit_code: int = 1) -> None:
    """End the job: the platform copies `output/failure` into its FailureReason."""
    log(message)
    folders.output.mkdir(parents=True, exist_ok=True)
    (folders.output / "failure").write_text(message)
    sys.exit(exit_code)


def end_with_platform() -> None:
    """Kill this process group when standard input closes: the platform holds its other end, and may be killed itself."""

    def watch() -> None:
        while os.read(0, 4096):  # not through sys.stdin, whose lock a thread must not hold when Python ends
            continue
        os.killpg(os.getpgrp(), signal.SIGKILL)

    if os.getpgrp() == os.getpid() and not sys.stdin.isatty():
        threading.Thread(target=watch, daemon=True).start()
