"""What every image does with the command of a processing job: run it, and end as it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from common.local.containers.base import end_with_platform, log

_CANNOT_START = 127


def main(command: list[str]) -> int:
    """Run the command with the job's environment; its exit code, 128 + n for a signal n.

    `python3` is this interpreter. The repository, which only this program needs, is not on the command's path.
    """
    end_with_platform()
    # the platform's SIGTERM reaches the whole group, and how to end is the command's decision
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        process = subprocess.Popen(command, env=_environment(), stdin=subprocess.DEVNULL)
    except OSError as error:
        log(f"cannot start {command[0]}: {error.strerror}")
        return _CANNOT_START
    code = process.wait()
    return code if code >= 0 else 128 - code


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    _repository, *given = environment.pop("PYTHONPATH").split(os.pathsep)
    if given:
        environment["PYTHONPATH"] = os.pathsep.join(given)
    environment["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), environment["PATH"]))
    return environment


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
