"""Processes for the models of a multi-model container: what a model does to its process fails its own request alone.

They are forked from a process that has imported the script and does nothing else: one starts in milliseconds, and what all
share is in memory once. The process that answers HTTP cannot be forked, since other threads of it may hold locks.
"""

import gc
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

Work = Callable[[Any], Any]
"""What a model's process does with a message: the answer."""

_ID_BYTES = 4
_NONE = 0
"""In place of the id of a process that could not be started."""


class Died(Exception):
    """The process has ended over this message."""


class Gone(Exception):
    """The process had ended before this message was its turn."""


class ModelProcess:
    """A process with models, from outside. It answers one message after the other."""

    def __init__(self, connection: Connection, process: int) -> None:
        self._connection = connection
        self._process = process
        self._turn = threading.Lock()

    def ask(self, message: Any) -> Any:
        """Its answer. Raises Died or Gone."""
        with self._turn:
            # Nothing has been asked: what there is to read is its end.
            if self._connection.closed or self._connection.poll():
                self._connection.close()
                raise Died if self._process == _NONE else Gone
            try:
                self._connection.send(message)
                return self._connection.recv()
            except (EOFError, OSError) as error:
                self._connection.close()
                raise Died from error

    def kill_if_busy(self) -> None:
        """End it at once where it is still at work on a message, over which it has died then."""
        if self._turn.locked() and self._process != _NONE:
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)

    def end(self) -> None:
        """Let it end, when it has answered what it was asked."""
        with self._turn:
            self._connection.close()


class Nursery:
    """The process from which those of the models are forked. It ends with this one."""

    def __init__(self, make: Callable[[], Work]) -> None:
        """`make` is called in each new process, for what it does. Call this before the first thread is started."""
        self._control, theirs = socket.socketpair()
        self._lock = threading.Lock()
        if os.fork() == 0:
            self._control.close()
            _end_after(partial(_fork_on_demand, theirs, make))
        theirs.close()

    def close(self) -> None:
        """Let it end."""
        self._control.close()

    def spawn(self) -> ModelProcess:
        """A new process; where none could be started, it counts as died."""
        ours, theirs = socket.socketpair()
        with self._lock:
            try:
                socket.send_fds(self._control, [b"!"], [theirs.fileno()])
                answer = self._control.recv(_ID_BYTES)
            except OSError:
                answer = b""
            if not answer:  # somebody has killed it: the platform starts the container anew
                os.kill(os.getpid(), signal.SIGTERM)
        theirs.close()
        return ModelProcess(Connection(ours.detach()), int.from_bytes(answer))


def _fork_on_demand(control: socket.socket, make: Callable[[], Work]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that end
    gc.collect()
    gc.freeze()  # a collection would write to, and so copy, what the processes share
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        [descriptor] = descriptors
        try:
            child = os.fork()
        except OSError:
            child = None  # no room for one more process: closing the descriptor says so
        if child == 0:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _end_after(partial(_answer_each, descriptor, make))
        os.close(descriptor)
        control.send((child or _NONE).to_bytes(_ID_BYTES))


def _answer_each(descriptor: int, make: Callable[[], Work]) -> None:
    connection, work = Connection(descriptor), make()
    while True:
        try:
            message = connection.recv()
        except EOFError:
            return
        connection.send(work(message))


def _end_after(task: Callable[[], None]) -> None:
    """Do something in a forked process, and nothing of what its parent was about to do."""
    status = 1
    try:
        task()
        status = 0
    finally:
        os._exit(status)
