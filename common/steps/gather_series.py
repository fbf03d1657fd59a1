"""Gather the readings of a fleet: from their source to an immutable data version in the bucket."""

from __future__ import annotations

import csv
import gzip
import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.data.extract import InVpc, Reading, Readings, ReadingsSource
from common.data.parts import MANIFEST, write_parts
from common.data.secrets import SCHEME, SecretWarehouse
from common.data.sources import FromEnvironment
from common.data.warehouse import Warehouse
from common.errors import DataError, SettingsError, UsageError
from common.model import Model
from common.steps.context import Context, say
from common.storage import Layout
from common.training.gathering import gather_in_vpc

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CopySourceTypeDef

Put = Callable[[str, str], None]
"""Brings a part, by its name, to a key of the bucket."""


def gather_readings(context: Context, model: Model, data: Readings, *, refresh: bool = False) -> str:
    """Gather the readings, once for each source, and answer the data version.

    They are written to this machine's disk, or by a processing job into a folder of its own, and put into the data version
    when all have been read, the manifest last: whoever sees a manifest sees all of its parts.

    Args:
        refresh: gather again although this source has gathered before, because there are more readings now.

    Raises:
        SourceError: the source cannot be read. The bucket has no part of it.
        DataError: its readings are not sorted by customer.
        SettingsError: the environment names a warehouse by its password, and it is to be read inside a VPC.
        TrainingError: the job inside the VPC failed.
    """
    context.checkout.require_clean(model)
    source = context.checkout.source(model)
    version = context.gathered(model, source)
    if version and not refresh:
        context.say(f"{model.name}: source {source} has gathered data {version} already")
        _warn_of_another_source(context, model, data, version)
        return version
    context.say(f"{model.name}: gathering from {data.source.description}")
    run_on = _place(data)
    if run_on:
        today = data.wanted().ceiling
        name = f"{model.name}-gather-{source}-{today:%Y%m%d}" if not refresh else _name_of_now(model, "refresh", source)
        prefix = gather_in_vpc(context.aws, model, data, run_on, name=name, say=context.say)
        manifest = _manifest(context, prefix)
        _keep(context, model, manifest, lambda part, key: _copy(context, manifest, prefix, part, key))
    else:
        with tempfile.TemporaryDirectory(prefix=f"{model.name}-gather-") as scratch:
            manifest = write_parts(data.source, data.wanted(), Path(scratch), context.say)
            _keep(context, model, manifest, lambda part, key: context.bucket.upload(key, Path(scratch) / part))
    if version != manifest["version"]:
        record = {"data_version": manifest["version"], "commit": context.checkout.commit()}
        context.bucket.write_json(Layout(model.name).source(source), record)
    return str(manifest["version"])


def write_readings(model: Model, data: Readings, folder: Path, customer: str | None = None) -> None:
    """Write the readings into a folder of this machine, with no bucket and no checkout; what a job inside a VPC runs.

    Args:
        customer: the one customer whose readings are wanted.

    Raises:
        DataError: as `gather_readings`.
        UsageError: the folder cannot be made.
    """
    say(f"{model.name}: gathering from {data.source.description}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be a folder: {error.strerror}.", "Give --to another one.") from error
    manifest = write_parts(data.source, data.wanted(customer), folder, say)
    say(f"{model.name}: {_counts(manifest)} in {folder}")


def customer_readings(context: Context, model: Model, data: Readings, customer: str) -> list[Reading]:
    """The readings of one customer, from where all come from: for one that no data version has yet.

    Raises:
        DataError: the source has none of that customer, or cannot be read.
        SettingsError, TrainingError: as `gather_readings`.
    """
    run_on = _place(data)
    if run_on:
        name = _name_of_now(model, "customer", hashlib.sha256(customer.encode()).hexdigest())
        arguments = (f"--customer={customer}",)
        prefix = gather_in_vpc(context.aws, model, data, run_on, name=name, say=context.say, arguments=arguments)
        found = _read_parts(context, prefix)
    else:
        found = [reading for chunk in data.source.readings(data.wanted(customer)) for reading in chunk]
    others = {reading[0] for reading in found} - {customer}
    if others or not found:  # the warehouse takes '08' for 8, where its customers are numbers
        raise DataError(
            f"{data.source.description} has no customer '{customer}'"
            + (f", but one spelled '{min(others)}'." if others else "."),
            "Give the id as the source spells it.",
        )
    return found


def _place(data: Readings) -> InVpc | None:
    """The VPC that the source has to be read in; None where this machine can.

    Raises:
        SettingsError: it is named by its password, which a job's request would show.
    """
    if not isinstance(data.run_on, InVpc):
        return None
    source: ReadingsSource = data.source
    if isinstance(source, FromEnvironment):
        source = source.named()
    if isinstance(source, Warehouse):
        raise SettingsError(
            f"{source.description} is to be read inside a VPC, and its URL would stand in the job's request, password "
            "and all, for whoever may describe the job.",
            f"Put the login into AWS Secrets Manager, and name the secret: {SCHEME}<name>.",
        )
    # Files and generators need no VPC.
    return data.run_on if isinstance(source, SecretWarehouse) else None


def _name_of_now(model: Model, what: str, of: str) -> str:
    """A job's name that no other job has: what it finds depends on when it looks."""
    return f"{model.name}-{what}-{of[:8]}-{time.strftime('%Y%m%d%H%M%S', time.gmtime())}"


def _keep(context: Context, model: Model, manifest: dict[str, Any], put: Put) -> None:
    """Put parts and manifest into the data version, unless it is there already."""
    layout, bucket, version = Layout(model.name), context.bucket, manifest["version"]
    if bucket.read(layout.data(version, MANIFEST)) is None:
        for part in manifest["parts"]:
            put(part["name"], layout.data(version, f"raw/{part['name']}"))
        bucket.write_json(layout.data(version, MANIFEST), manifest)
    context.say(f"{model.name}: data {version} ({_counts(manifest)}) in {bucket.uri(layout.data(version, ''))}")


def _counts(manifest: dict[str, Any]) -> str:
    return f"{manifest['rows']:,} readings of {manifest['customers']:,} customers in {len(manifest['parts'])} parts"


def _manifest(context: Context, prefix: str) -> dict[str, Any]:
    manifest = context.bucket.read_json(f"{prefix}/{MANIFEST}")
    if manifest is None:
        raise DataError(f"{context.bucket.uri(prefix)} has no {MANIFEST}.", "Gather again with --refresh.")
    return manifest


def _copy(context: Context, manifest: dict[str, Any], prefix: str, part: str, key: str) -> None:
    """Copy a part inside S3, once it is what the job's manifest says."""
    bucket, written = context.bucket, f"{prefix}/{part}"
    answer = context.aws.s3.get_object(Bucket=bucket.of(written), Key=written)
    digest = hashlib.sha256()
    for piece in answer["Body"].iter_chunks(2**20):
        digest.update(piece)
    wanted = next(entry["sha256"] for entry in manifest["parts"] if entry["name"] == part)
    if digest.hexdigest() != wanted:
        raise DataError(
            f"{bucket.uri(written)} is not what the job has written.",
            "Find out who writes to the bucket, and gather again with --refresh.",
        )
    # The very object that was looked at, or none.
    origin: CopySourceTypeDef = {"Bucket": bucket.of(written), "Key": written}
    context.aws.s3.copy(origin, bucket.of(key), key, ExtraArgs={"CopySourceIfMatch": answer["ETag"]})


def _read_parts(context: Context, prefix: str) -> list[Reading]:
    found: list[Reading] = []
    for part in _manifest(context, prefix)["parts"]:
        content = context.bucket.read(f"{prefix}/{part['name']}") or b""
        lines = csv.reader(gzip.decompress(content).decode().splitlines(keepends=True))
        next(lines)
        found += [(customer, timestamp, value) for customer, timestamp, value in lines]
    return found


def _warn_of_another_source(context: Context, model: Model, data: Readings, version: str) -> None:
    manifest = context.bucket.read_json(Layout(model.name).data(version, MANIFEST))
    if manifest and manifest["source"] != data.source.description:
        context.say(f"  warning: that was from {manifest['source']}; --refresh gathers from {data.source.description}")
