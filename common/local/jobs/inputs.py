"""The S3 objects of an input channel, which host gets which, and where they land."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.local.roles.s3 import RoleS3, S3Refused


class InputError(Exception):
    """The job's input cannot be had; the message is the job's FailureReason."""


@dataclass(frozen=True)
class InputObject:
    bucket: str
    key: str
    path: str
    """Relative to the channel's folder."""


def parse_s3_uri(uri: str) -> tuple[str, str]:
    """(bucket, key or prefix) of `s3://bucket/key`.

    Raises:
        InputError: it is no S3 URI.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise InputError(f"ClientError: {uri} is not an S3 URI")
    return bucket, key


def find_objects(source: RoleS3, s3: Mapping[str, Any]) -> list[InputObject]:
    """The objects that an `S3DataSource` means, sorted by key; `S3Prefix` or `ManifestFile`.

    Raises:
        InputError: there are none, or the role may not list them.
    """
    bucket, key = parse_s3_uri(s3["S3Uri"])
    if s3["S3DataType"] == "ManifestFile":
        return _from_manifest(source, bucket, key)
    try:
        found = source.objects(bucket, key)
    except KeyError:
        raise InputError(_nothing_there(source, s3["S3Uri"], "The specified bucket does not exist")) from None
    except S3Refused as refusal:
        raise InputError(_nothing_there(source, s3["S3Uri"], refusal.message)) from refusal
    objects = [InputObject(bucket, name, _below(name, key)) for name, _ in found if not name.endswith("/")]
    if not objects:
        raise InputError(_nothing_there(source, s3["S3Uri"], "No objects match the prefix"))
    return objects


def share(objects: Sequence[InputObject], distribution: str, host: int, hosts: int) -> list[InputObject]:
    """What the host of this number (from 0) gets: everything, or each n-th object for `ShardedByS3Key`."""
    return list(objects[host::hosts] if distribution == "ShardedByS3Key" else objects)


def download(source: RoleS3, objects: Sequence[InputObject], folder: Path) -> None:
    """Write the objects below the folder, which is made even when there are none. It is one without symbolic links.

    Raises:
        InputError: an object is gone, the role may not read it, or its key leads out of the folder or through a file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = {folder}
    for item in objects:
        target = Path(os.path.normpath(folder / item.path))
        if folder not in target.parents:
            raise InputError(
                f"ClientError: Data download failed:the key {item.key} leads out of the folder {folder.name}"
            )
        try:
            if target.parent not in made:
                target.parent.mkdir(parents=True, exist_ok=True)
                made.add(target.parent)
            source.download(item.bucket, item.key, target)
        except KeyError:
            uri = f"s3://{item.bucket}/{item.key}"
            raise InputError(_nothing_there(source, uri, "The specified key does not exist")) from None
        except S3Refused as refusal:
            raise InputError(_not_to_be_had(f"s3://{item.bucket}/{item.key}", refusal)) from refusal
        except OSError as error:
            raise InputError(f"ClientError: Data download failed:{item.key}: {error.strerror}") from error


def _from_manifest(source: RoleS3, bucket: str, key: str) -> list[InputObject]:
    uri = f"s3://{bucket}/{key}"
    try:
        entries = json.loads(source.read(bucket, key))
        prefix, names = entries[0]["prefix"], [str(name) for name in entries[1:]]
    except KeyError:
        raise InputError(_nothing_there(source, uri, "The manifest, or its prefix, does not exist")) from None
    except S3Refused as refusal:
        raise InputError(_not_to_be_had(uri, refusal)) from refusal
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(f"ClientError: Data download failed:the manifest {uri} cannot be read: {error}") from error
    base_bucket, base = parse_s3_uri(prefix)
    return [InputObject(base_bucket, base + name, name.lstrip("/")) for name in sorted(names)]


def _below(key: str, prefix: str) -> str:
    """A key's path below its prefix; an object that is itself the prefix keeps its name."""
    return key.removeprefix(prefix).lstrip("/") or key.rpartition("/")[2]


def _not_to_be_had(uri: str, refusal: S3Refused) -> str:
    return f"ClientError: Data download failed:Unable to download object {uri} ({refusal})"


def _nothing_there(source: RoleS3, uri: str, cause: str) -> str:
    bucket = uri.removeprefix("s3://").partition("/")[0]
    return (
        f'ClientError: Data download failed:No S3 objects found under S3 URL "{uri}" given in input data source. '
        f"Please ensure that the bucket exists in the selected region ({source.region}), that objects exist under that S3 "
        f'prefix, and that the role "{source.role}" has "s3:ListBucket" permissions on bucket "{bucket}". '
        f"Error message from S3: {cause}"
    )
