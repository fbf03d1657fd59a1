"""The bucket: where things lie, and how they are read and written.

Data versions and packages are never overwritten with others; only which data a source has gathered is noted anew.

Where there are several environments, what is registered, and what it was made from, lies in the registry's bucket (`REGISTERED`);
what runs somewhere leaves the rest in the bucket of its own environment. With one environment it is one bucket.
"""

import json
import mimetypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from common.aws import Aws, error_code, is_missing
from common.errors import DataError

REGISTERED = ("data", "sources", "code", "packages", "fleets", "attempts")
"""The folders of a model that lie in the registry's bucket."""


@dataclass(frozen=True)
class Layout:
    """Keys of one model's objects. Data and packages are addressed by their content, so branches never collide."""

    model: str

    def data(self, version: str, name: str) -> str:
        """A file of a data version: `train/train.csv`, …, `manifest.json`."""
        return f"{self.model}/data/{version}/{name}"

    def source(self, source: str) -> str:
        """Which data version a source gathered."""
        return f"{self.model}/sources/{source}/data.json"

    def code(self, digest: str) -> str:
        """A code archive that gathers in a VPC, or runs in a fleet's containers, by its SHA-256."""
        return f"{self.model}/code/{digest}.tar.gz"

    def customers(self, version: str, source: str, name: str) -> str:
        """A part of the clean readings of a data version, as the checks of a source left them: `part-00000.csv.gz`."""
        return self.data(version, f"customers/{source}/{name}")

    def index(self, version: str, source: str, name: str) -> str:
        """The index of such a part: `part-00000.json`."""
        return self.data(version, f"index/{source}/{name}")

    def fleet(self, source: str, data_version: str, name: str) -> str:
        """What the fit of a fleet left: `models/<customer>.tar.gz`, and the results, `parts/part-00000.json.gz`."""
        return f"{self.model}/fleets/{source}-{data_version}/{name}"

    def training(self) -> str:
        """The prefix that SageMaker writes training outputs below, a folder for each job."""
        return f"{self.model}/training"

    def capture(self) -> str:
        """The prefix that SageMaker records captured calls below."""
        return f"{self.model}/capture"

    def truth(self) -> str:
        """The prefix that ground truth of answered requests is put below, in folders `yyyy/mm/dd/hh`."""
        return f"{self.model}/truth"

    def monitoring(self, version: int, name: str) -> str:
        """What was found in a window of a package: `<window>/findings.json`, `<window>/report.html`, …"""
        return f"{self.model}/monitoring/{version}/{name}"

    def retraining(self, version: int) -> str:
        """What became of the last attempt to replace a package by one that was trained again."""
        return f"{self.model}/attempts/{version}.json"

    def monitoring_job(self, inputs: str, name: str) -> str:
        """What a job of the monitor was given and has left, by the digest of the former."""
        return f"{self.model}/monitoring/jobs/{inputs}/{name}"

    def batch_input(self) -> str:
        """The prefix of the partitions to be scored, `dt=2026-11-20/customers.csv`, unless another one is declared."""
        return f"{self.model}/batch/input/"

    def batch_output(self, partition: str = "", version: int = 0) -> str:
        """The prefix of what was scored: of a package version, `part-00000.parquet`, `_rejected/…`, `_manifest.json`."""
        below = "".join(f"{folder}/" for folder in (partition, f"version={version}" if version else "") if folder)
        return f"{self.model}/batch/output/{below}"

    def batch_work(self, digest: str) -> str:
        """The prefix of what the jobs of a partition leave for each other; deleted when it is scored."""
        return f"{self.model}/batch/work/{digest}/"

    def batch_code(self, digest: str) -> str:
        """The code archive of a batch's processing jobs, by its SHA-256."""
        return f"{self.model}/batch/code/{digest}.tar.gz"

    def monitoring_code(self, digest: str) -> str:
        """The code archive of the monitor's jobs, by its SHA-256."""
        return f"{self.model}/monitoring/code/{digest}.tar.gz"

    def asynchronous(self, name: str) -> str:
        """A request of an asynchronous endpoint, `input/…`; SageMaker leaves `output/…` and `failure/…` beside it."""
        return f"{self.model}/async/{name}"

    def package(self, source: str, data_version: str, name: str) -> str:
        """A file that travels with a package: `model.tar.gz`, `evaluation.json`, `report.html`, `golden.json`."""
        return f"{self.model}/packages/{source}-{data_version}/{name}"


@dataclass(frozen=True)
class Bucket:
    """The project's bucket in S3; where there are several environments, that of this one and the registry's."""

    aws: Aws

    @property
    def name(self) -> str:
        """The environment's own bucket."""
        return self.aws.settings.bucket

    def of(self, key: str) -> str:
        """The name of the bucket that the object or prefix lies in."""
        central = self.aws.settings.registry
        return central.bucket if central and key.split("/")[1:2] and key.split("/")[1] in REGISTERED else self.name

    def uri(self, key: str) -> str:
        return f"s3://{self.of(key)}/{key}"

    def read(self, key: str) -> bytes | None:
        """The object's content, or None when there is none."""
        try:
            return self.aws.s3.get_object(Bucket=self.of(key), Key=key)["Body"].read()
        except ClientError as error:
            if is_missing(error):
                return None
            raise

    def written(self, key: str) -> datetime | None:
        """When the object was written; None where there is none."""
        try:
            return self.aws.s3.head_object(Bucket=self.of(key), Key=key)["LastModified"]
        except ClientError as error:
            if is_missing(error):
                return None
            raise

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        """A part of an object that is there."""
        wanted = f"bytes={offset}-{offset + length - 1}"
        return self.aws.s3.get_object(Bucket=self.of(key), Key=key, Range=wanted)["Body"].read()

    def listing(self, prefix: str) -> dict[str, tuple[str, int]]:
        """(ETag, bytes) of each object below a prefix, by what its key has after that; a call for each thousand."""
        pages = self.aws.s3.get_paginator("list_objects_v2").paginate(Bucket=self.of(prefix), Prefix=prefix)
        return {
            entry["Key"].removeprefix(prefix): (entry["ETag"].strip('"'), entry["Size"])
            for page in pages
            for entry in page.get("Contents", [])
        }

    def read_json(self, key: str) -> dict[str, Any] | None:
        """The object's JSON document, or None when there is no object.

        Raises:
            DataError: the object is no JSON document.
        """
        body = self.read(key)
        try:
            return None if body is None else dict(json.loads(body))
        except ValueError as error:
            raise DataError(
                f"{self.uri(key)} is damaged: {error}.",
                "Find out who wrote it, delete it, and gather again with --refresh.",
            ) from error

    def write(self, key: str, body: bytes) -> None:
        """Write an object, of the content type that its name says: a browser shows a report, and does not download it."""
        content_type = mimetypes.guess_type(key)[0] or "application/octet-stream"
        self.aws.s3.put_object(Bucket=self.of(key), Key=key, Body=body, ContentType=content_type)

    def write_once(self, key: str, body: bytes) -> None:
        """Write an object unless one lies there: of what runs at the same time, the first writes, and nothing is overwritten."""
        try:
            self.aws.s3.put_object(
                Bucket=self.of(key), Key=key, Body=body, ContentType="application/gzip", IfNoneMatch="*"
            )
        except ClientError as error:
            if error_code(error) not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise

    def upload(self, key: str, path: Path) -> None:
        """Write an object from a file, whatever its size."""
        self.aws.s3.upload_file(str(path), self.of(key), key)

    def write_json(self, key: str, document: Mapping[str, Any]) -> None:
        body = json.dumps(document, indent=2, sort_keys=True).encode()
        self.write(key, body)

    def write_all(self, files: Iterable[tuple[str, bytes]], last: tuple[str, bytes]) -> None:
        """Write the files, then `last`: whoever sees that one sees them all, also when the process is killed between."""
        for key, body in files:
            self.write(key, body)
        self.write(*last)


def split_uri(uri: str) -> tuple[str, str]:
    """(bucket, key) of an `s3://` URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def read_uri(aws: Aws, uri: str, to: Path) -> None:
    """Download an object to a file."""
    aws.s3.download_file(*split_uri(uri), str(to))
