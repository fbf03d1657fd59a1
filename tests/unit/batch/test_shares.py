"""Work that is dealt out to processes comes back in order, or the program ends."""

import os
import signal
import subprocess
import sys

import pytest

from common.batch.program.shares import each
from common.model import ROOT


def test_what_was_made_comes_back_in_order() -> None:
    assert each(lambda item: (item, os.getpid() != PARENT), list(range(7))) == [(item, True) for item in range(7)]


def test_nothing_is_made_of_nothing() -> None:
    assert each(str, []) == []


def test_a_process_that_fails_ends_the_program(capfd: pytest.CaptureFixture[str]) -> None:
    def fail(item: int) -> int:
        return item if item != 4 else sys.exit("item 4 is damaged")

    with pytest.raises(SystemExit, match="a process failed; what it said stands above"):
        each(fail, list(range(7)))
    assert "item 4 is damaged" in capfd.readouterr().err


def test_a_process_that_is_killed_ends_the_program_with_its_signal() -> None:
    with pytest.raises(SystemExit, match="a process was killed by signal 9, as when memory runs out"):
        each(lambda item: os.kill(os.getpid(), signal.SIGKILL), [1, 2])


def test_a_failure_ends_the_program_also_while_another_process_has_more_to_tell_than_a_pipe_holds() -> None:
    program = (
        "import os\n"
        "from common.batch.program.shares import each\n"
        "each(lambda item: os._exit(3) if item == 0 else b'x' * 1_000_000, [0, 1])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "a process failed" in done.stderr) == (1, True)


PARENT = os.getpid()
