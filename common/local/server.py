"""The local AWS as a running server: one process, one port on 127.0.0.1, its state in one folder."""

import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from common.errors import UsageError
from common.local.access.assume import mend_sts
from common.local.access.objects import mend_s3
from common.local.app import Application, operation_modules
from common.local.budgets import mend_budgets
from common.local.callers import from_programs_only
from common.local.cloudwatch import mend_cloudwatch
from common.local.context import LocalAws
from common.local.events.bus import EventBus
from common.local.events.mend import mend_events
from common.local.http import http_server
from common.local.moto_app import moto_app
from common.local.services import Services
from common.local.snapshots import Snapshots
from common.local.store import Store

log = logging.getLogger(__name__)


def listen(port: int) -> socket.socket:
    """A socket bound to 127.0.0.1; port 0 takes a free one.

    Raises:
        UsageError: another program has the port.
    """
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError as error:
        bound.close()
        raise UsageError(
            f"Port {port} of 127.0.0.1 cannot be used: {error.strerror}.", "Choose another with --port (0: a free one)."
        ) from error
    return bound


@contextmanager
def running(root: Path, bound: socket.socket, time_scale: float) -> Iterator[LocalAws]:
    """A local AWS on the state folder `root`: restored at the start, written and closed at the end."""
    snapshots = Snapshots(root / "moto")
    snapshots.restore()
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    aws = LocalAws(root, Store(root / "sagemaker.sqlite"), Services(snapshots.mark), url, time_scale)
    mend_cloudwatch(aws.services)
    mend_events(aws.services)
    mend_sts()
    mend_s3()
    mend_budgets()
    aws.part(EventBus)
    keeper = aws.spawn("snapshots", lambda: snapshots.keep(aws.closing))
    try:
        yield aws
    finally:
        with ExitStack() as last:  # what must happen even if a part fails to stop, in reverse order
            last.callback(snapshots.write)
            for service in ("logs", "cloudwatch"):  # they grow with every request: too much to write each time
                last.callback(snapshots.mark, service)
            last.callback(keeper.join)
            last.callback(aws.close)


def serve(root: Path, port: int, time_scale: float, ready: Callable[[str], None]) -> None:
    """Answer requests until SIGTERM or SIGINT, in the main thread. `ready` gets the URL when connections are accepted.

    Raises:
        UsageError: the port is taken.
        ModelsError: the state in `root` cannot be read.
    """
    bound = listen(port)
    modules = operation_modules()
    with running(root, bound, time_scale) as aws:
        server = http_server(from_programs_only(Application(aws, moto_app(aws.services.changed))), bound)
        for module in modules:
            if hasattr(module, "resume"):
                module.resume(aws)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _stop)
        log.info("answering on %s, state in %s", aws.url, root)
        try:
            ready(aws.url)
            server.run()
        finally:
            server.close()


def _stop(_number: int, _frame: object) -> None:
    raise SystemExit(0)
