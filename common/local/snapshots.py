"""Keeps moto's services over a restart: every backend that can be pickled is written soon after it changed."""

import copyreg
import io
import logging
import os
import pickle
import stat
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar, cast

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from moto.backends import get_backend
from moto.s3.models import FakeKey

from common.errors import ModelsError

log = logging.getLogger(__name__)

Dumped = TypeVar("Dumped")

_backends: Callable[[str], Any] = cast(Any, get_backend)

_EFFECTS = {"sts": ("sts", "iam"), "sns": ("sns", "sqs"), "events": ("events", "sqs"), "s3": ("s3", "sqs")}
"""Services whose requests also change another: an assumed role's access key lies in IAM, a message in SQS."""

# Each queue of SQS has a condition, on which nobody waits any more when it is read back.
copyreg.pickle(threading.Condition, lambda _: (threading.Condition, ()))

_PAUSE_SECONDS = 1.0
_SHARE_OF_TIME = 10
"""Writing may take one tenth of the time at most: a large state is written less often, not at the cost of requests."""


_LARGE_BYTES = 1 << 20
_PART_BYTES = 1 << 20


class _Body(NamedTuple):
    """Stands for the content of a large object of S3, which is in a file of its own: together they may not fit in memory."""

    name: str


class _Pickler(pickle.Pickler):
    """Writes the contents of large objects into a folder, each once, and their names into the snapshot.

    Every key of KMS, also a symmetric one, holds an asymmetric key, which only its own format can write.
    """

    def __init__(self, file: IO[bytes], bodies: Path) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._bodies = bodies
        self.used: set[str] = set()

    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, RSAPrivateKey | EllipticCurvePrivateKey):
            content = thing.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            return _private_key, (content,)
        if not isinstance(thing, FakeKey) or thing.contentsize < _LARGE_BYTES:
            return NotImplemented
        try:
            body = _Body(self._keep(thing))
        except ValueError:  # it has just been deleted or replaced
            return NotImplemented
        state = {name: value for name, value in vars(thing).items() if name not in ("_value_buffer", "lock")}
        return copyreg.__newobj__, (FakeKey,), state | {"value": body}  # type: ignore[attr-defined]

    def persistent_id(self, thing: Any) -> str | None:
        return thing.name if type(thing) is _Body else None

    def _keep(self, key: FakeKey) -> str:
        with key.lock:
            name = f"{key.etag.strip(chr(34))}-{key.contentsize}"
            path = self._bodies / name
            if not path.exists():
                new = path.with_suffix(".new")
                new.touch(mode=0o600)
                with new.open("wb") as file:
                    key._value_buffer.seek(0)
                    while part := key._value_buffer.read(_PART_BYTES):
                        file.write(part)
                new.replace(path)
        self.used.add(name)
        return name


def _private_key(content: bytes) -> Any:
    """The inverse of how `_Pickler` writes a key; the function of the library has no name that a pickle could hold."""
    return load_der_private_key(content, None)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], bodies: Path) -> None:
        super().__init__(file)
        self._bodies = bodies

    def persistent_load(self, name: Any) -> bytes:
        return Path(self._bodies, name).read_bytes()


class Snapshots:
    """moto's backends as files under a folder, one for each service, and one for each large object.

    The files are pickles: they are read back only from this project's own state folder, which only its owner can write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changed: set[str] = set()
        self._lock = threading.Lock()
        self._bodies = folder / "objects"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._bodies.mkdir(mode=0o700, exist_ok=True)

    def mark(self, service: str) -> None:
        """Say that a service (by moto's name for it) has changed."""
        with self._lock:
            self._changed.update(_EFFECTS.get(service, (service,)))

    def restore(self) -> None:
        """Put every saved service back into moto.

        Raises:
            ModelsError: a file cannot be read, as after a change of moto's version, or may be somebody else's.
        """
        for path in sorted(self._folder.glob("*.pickle")):
            _require_own(self._folder)
            _require_own(path)
            try:
                with path.open("rb") as file:
                    accounts, attributes = _Unpickler(file, self._bodies).load()
            except Exception as error:
                raise ModelsError(
                    f"The saved state {path} of the local AWS cannot be read ({error!r}).",
                    f"Start afresh by deleting {self._folder.parent}.",
                ) from error
            backends = _backends(path.stem)
            vars(backends).update(attributes)
            for account, regions in accounts.items():
                for region, backend in regions.items():
                    backends[account][region] = backend

    def keep(self, closing: threading.Event) -> None:
        """Write changed services, within about a second of the change, until `closing` is set."""
        pause = _PAUSE_SECONDS
        while not closing.wait(pause):
            started = time.monotonic()
            try:
                self.write()
            except OSError:
                log.exception("the state could not be written; it is tried again")
            pause = max(_PAUSE_SECONDS, _SHARE_OF_TIME * (time.monotonic() - started))

    def write(self) -> None:
        """Write the services that changed since they were last written."""
        with self._lock:
            changed = sorted(self._changed)
        for service in changed:
            with self._lock:
                self._changed.discard(service)  # first: what changes from now on is written the next time
            try:
                self._write(service)
            except OSError:
                self.mark(service)
                raise

    def _write(self, service: str) -> None:
        try:
            content, used = _steady(partial(self._dump, service))
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            log.info("%s is not kept over a restart: %s", service, error)
            return
        path = self._folder / f"{service}.pickle"
        temporary = path.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_bytes(content)
        temporary.replace(path)
        if service == "s3":
            for body in self._bodies.iterdir():
                if body.name not in used:
                    body.unlink()

    def _dump(self, service: str) -> tuple[bytes, set[str]]:
        """The snapshot of a service, and the names of the contents that it leaves out."""
        target = io.BytesIO()
        pickler = _Pickler(target, self._bodies)
        pickler.dump(_state(service))
        return target.getvalue(), pickler.used


def _require_own(path: Path) -> None:
    """To load a pickle is to run what it says: none is loaded that another user can have put there."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise ModelsError(
            f"{path} is a link, another user's, or writable for others: it can have been written by somebody else.",
            f"Look at who wrote there; then start afresh by deleting {path.parent}.",
        )


def _state(service: str) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """All backends of a service by account and region, and what the service remembers beside them."""
    backends = _backends(service)
    attributes = {"bucket_accounts": dict(backends.bucket_accounts)} if service == "s3" else {}
    return {account: dict(regions.items()) for account, regions in list(backends.items())}, attributes


def _steady(dump: Callable[[], Dumped]) -> Dumped:
    """Requests go on while their state is written: a dictionary that grows under the pickler is simply read again."""
    while True:
        try:
            return dump()
        except RuntimeError as error:
            if "during iteration" not in str(error):  # dictionaries, ordered ones and queues each word it their way
                raise
