"""Where raw data come from: a copy that a package carries, S3, the web, a warehouse, or a file."""

from __future__ import annotations

import importlib.resources
import io
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, InvalidURL
from pathlib import Path
from typing import IO, TYPE_CHECKING, Generic, Protocol, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from common.data.csv_readings import csv_readings
from common.data.extract import Reading, ReadingsSource, Wanted
from common.data.secrets import SCHEME, SecretWarehouse
from common.data.transfer import is_loopback, limited
from common.data.warehouse import Warehouse
from common.errors import SourceError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Source(Protocol):
    """Something that holds a model's raw data."""

    @property
    def description(self) -> str:
        """Where the data come from, for people and manifests; never holds a secret."""
        ...

    def read(self) -> bytes:
        """The raw data.

        Raises:
            SourceError: they cannot be read, or there are none.
        """
        ...


@dataclass(frozen=True)
class Bundled:
    """One of the datasets that scikit-lego carries, by the name of its file: `Bundled("abalone")`."""

    name: str

    @property
    def description(self) -> str:
        return f"{self.name}, the copy that scikit-lego carries"

    def read(self) -> bytes:
        # The file itself: importing sklego.datasets would import scikit-learn, a second for nothing.
        archive = importlib.resources.files("sklego") / "data" / f"{self.name}.zip"
        if not archive.is_file():
            raise SourceError(f"scikit-lego carries no dataset '{self.name}'.", "Name one of its data files.")
        with zipfile.ZipFile(io.BytesIO(archive.read_bytes())) as files:
            return files.read(files.namelist()[0])


class File(ABC):
    """A file, wherever it lies: read whole, or streamed as readings."""

    @property
    @abstractmethod
    def description(self) -> str: ...

    @abstractmethod
    def pieces(self) -> Generator[bytes]:
        """The content, cut anywhere.

        Raises:
            SourceError: it cannot be read.
        """

    def read(self) -> bytes:
        with closing(self.pieces()) as pieces:
            return limited(lambda _: next(pieces, b""), self.description)

    def readings(self, wanted: Wanted) -> Iterator[list[Reading]]:
        return csv_readings(self.pieces(), self.description, wanted)


@dataclass(frozen=True)
class LocalFile(File):
    """A file on this machine."""

    path: Path

    @property
    def description(self) -> str:
        return f"file {self.path}"

    def pieces(self) -> Generator[bytes]:
        try:
            with self.path.open("rb") as file:
                yield from _read_out(file.read)
        except OSError as error:
            raise SourceError(
                f"{self.path} cannot be read: {error.strerror}.",
                "Name a file that is there; paths start at the repository.",
            ) from error


@dataclass(frozen=True)
class S3Object(File):
    """An object in S3, read with the credentials of the environment unless a client is given."""

    bucket: str
    key: str
    client: S3Client | None = None

    @property
    def description(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def pieces(self) -> Generator[bytes]:
        # boto3 takes 0.1 s to import, and most sources are no S3 objects.
        import boto3
        from botocore.config import Config
        from botocore.exceptions import ClientError

        from common.aws import error_code, explained

        config = Config(retries={"mode": "standard"}, connect_timeout=5, read_timeout=60)
        with explained():
            # boto3 itself knows AWS_DEFAULT_REGION only.
            client = self.client or boto3.client("s3", region_name=os.environ.get("AWS_REGION"), config=config)
            try:
                body = client.get_object(Bucket=self.bucket, Key=self.key)["Body"]
            except ClientError as error:
                remedies = {
                    "NoSuchBucket": "There is no such bucket: check the name and the account.",
                    "NoSuchKey": "The bucket has no such object: check the key.",
                    "AccessDenied": "This role needs s3:GetObject there, and s3:ListBucket to be told what is missing.",
                }
                if error_code(error) not in remedies:
                    raise
                raise SourceError(
                    f"{self.description} cannot be read: {error}.", remedies[error_code(error)]
                ) from error
            yield from _read_out(body.read)


@dataclass(frozen=True)
class WebFile(File):
    """A file on the web. Plain http is refused, also after a redirect, except on this machine itself."""

    url: str
    connect_seconds: float = 20
    """Time for the connection and for each wait on the server."""
    total_seconds: float = 600

    @property
    def description(self) -> str:
        """The URL without user, password and query, which may hold signatures."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    def pieces(self) -> Generator[bytes]:
        _require_secure(self.url)
        request = urllib.request.Request(self.url, headers={"User-Agent": "sagemaker-monorepo"})  # noqa: S310 – see above
        opener = urllib.request.build_opener(_SecureRedirects)
        try:
            with opener.open(request, timeout=self.connect_seconds) as answer:
                deadline, length = time.monotonic() + self.total_seconds, 0
                # read1 gives what has come, so that a server that drips cannot hold up the look at the clock.
                for piece in _read_out(answer.read1):
                    yield piece
                    length += len(piece)
                    if time.monotonic() > deadline:
                        raise TimeoutError
                announced = int(answer.headers.get("Content-Length", length))
                if announced != length:  # http.client does not tell
                    raise self._refused(f"broke off after {length} of {announced} bytes", "Try again.")
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(f"answered {error.code} {error.reason}", _status_remedy(error.code)) from error
        except urllib.error.URLError as error:
            raise self._refused(*_connection_fault(error.reason)) from error
        except InvalidURL:  # its message repeats the query, which may hold a signature
            raise self._refused("has characters that no URL has", "Encode blanks as %20.") from None
        except (OSError, HTTPException) as error:
            raise self._refused(*_connection_fault(error)) from error

    def _refused(self, fault: str, remedy: str) -> SourceError:
        return SourceError(f"{self.description} {fault}.", remedy)


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        try:
            _require_secure(newurl)
        except SourceError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


Default = TypeVar("Default", bound="Source | ReadingsSource", covariant=True)
Named = LocalFile | S3Object | WebFile | Warehouse | SecretWarehouse
"""What a URL can name: each of them is a Source and a ReadingsSource."""


@dataclass(frozen=True)
class FromEnvironment(Generic[Default]):
    """The source that an environment variable names (see `from_url`), or the default where it is not set.

    The variable is looked up when the data are read, not when the model is declared. `query` is what a warehouse is asked:
    of a `Dataset` by the names and in the order of its columns, `SELECT state, … FROM customers`; of `Readings` with
    the parameters `:floor` and `:ceiling`.
    """

    variable: str
    default: Default
    query: str = ""

    @property
    def description(self) -> str:
        return self.named().description

    def read(self: FromEnvironment[Source]) -> bytes:
        return self.named().read()

    def readings(self: FromEnvironment[ReadingsSource], wanted: Wanted) -> Iterator[list[Reading]]:
        return self.named().readings(wanted)

    def named(self) -> Default | Named:
        """The source itself."""
        url = os.environ.get(self.variable)
        return from_url(url, self.query) if url else self.default


def from_url(url: str, query: str = "") -> Named:
    """The source that a URL or a path names.

    They are `s3://bucket/key`, `https://…`, `postgresql://…`, `secretsmanager://name`, `file:///path`, or a path.

    Args:
        query: what to ask a warehouse.

    Raises:
        SourceError: another scheme, plain http to another machine, or no key in an s3 URL.
    """
    if url.startswith(SCHEME):
        return SecretWarehouse.from_url(url, query)
    try:
        parts = urlsplit(url)
    except ValueError:  # its message repeats the URL, which may hold a password
        raise SourceError("The URL of the source is malformed.", "Check its brackets and its port.") from None
    if parts.scheme in ("http", "https"):
        _require_secure(url)
        return WebFile(url)
    if parts.scheme in ("postgresql", "postgres"):
        return Warehouse(url, query)
    if parts.scheme == "s3":
        # Not parts.path: '?' and '#' are ordinary characters of a key.
        bucket, _, key = url.removeprefix("s3://").partition("/")
        if not bucket or not key or key.endswith("/"):
            raise SourceError(f"{url} names no object.", "Give s3://<bucket>/<key> of one file.")
        return S3Object(bucket, key)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return LocalFile(Path(unquote(parts.path)))
    if "://" not in url:
        return LocalFile(Path(url).expanduser())
    raise SourceError(
        f"{parts.scheme}://… is no source.",
        "Give an s3://, https://, postgresql:// or secretsmanager:// URL, file:///path, or a path.",
    )


def _read_out(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while piece := read(2**20):
        yield piece


def _require_secure(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return
    raise SourceError(
        f"{parts.scheme}://{parts.hostname} is not encrypted, so that anybody on the way could change the data.",
        "Give the https:// URL, or download the file and give its path.",
    )


def _status_remedy(status: int) -> str:
    if status in (401, 403):
        return "The server wants a login. Copy the file to S3, and give its s3:// URL."
    if status in (404, 410):
        return "Check the address: the server has no such file."
    return "Try again later; if it lasts, copy the file to S3, and give its s3:// URL."


def _connection_fault(reason: object) -> tuple[str, str]:
    """What went wrong, and the remedy."""
    if isinstance(reason, socket.gaierror):
        return "names a host that DNS does not know", "Check the address and the network."
    if isinstance(reason, ssl.SSLError):
        return f"failed the TLS check ({reason})", "Check the address; never switch the check off."
    if isinstance(reason, TimeoutError):
        return "did not answer in time", "Try again; if it lasts, copy the file to S3, and give its s3:// URL."
    return f"could not be reached ({reason})", "Check the address, the network and any proxy."
