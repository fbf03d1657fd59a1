"""What the pipelines of this machine share: numbers that count up, and serial groups."""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def next_number(file: Path) -> int:
    """Count up by one, over all processes that use the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as counter:
        fcntl.flock(counter, fcntl.LOCK_EX)
        counter.seek(0)
        number = int(counter.read() or 0) + 1
        counter.truncate(0)
        counter.write(str(number))
    return number


class SerialGroup:
    """The pipelines of this machine that hold, or wait for, one serial group. A lock file ends with its process."""

    def __init__(self, folder: Path, key: str, number: int) -> None:
        self._folder = folder / hashlib.sha256(key.encode()).hexdigest()
        self._number = number

    @contextmanager
    def member(self) -> Iterator[None]:
        """While inside, the other pipelines see that this one waits or runs."""
        self._folder.mkdir(parents=True, exist_ok=True)
        own = self._folder / str(self._number)
        with own.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                own.unlink()

    def superseded(self) -> bool:
        """Whether a newer pipeline waits or runs: CircleCI then skips the older one."""
        return any(number > self._number for number in self._present())

    def first(self) -> bool:
        """Whether no other pipeline runs or came before."""
        return not any(number < self._number for number in self._present())

    def _present(self) -> list[int]:
        return [int(file.name) for file in self._folder.iterdir() if _held(file)]


def _held(file: Path) -> bool:
    """Whether a living process holds the lock on the file."""
    try:
        with file.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
