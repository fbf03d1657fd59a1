"""A job's outputs: archives that have the same bytes for the same files, and checkpoints that follow a folder."""

import gzip
import io
import os
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from common.local.jobs.inputs import InputError, InputObject, download
from common.local.roles.s3 import RoleS3, S3Refused

_TICK_NANOSECONDS = 50_000_000
"""A file that is younger may change again without a change of its time: file systems count time in steps."""


def pack(folders: Sequence[Path]) -> bytes | None:
    """A tar.gz of everything below the folders, where earlier ones win; None when there is nothing.

    Names are sorted, and times, owners and modes are fixed, so that equal files give equal archives.
    """
    members: dict[str, Path] = {}
    for folder in reversed(folders):
        members |= {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    if not members:
        return None
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=6) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, path in sorted(members.items()):
            member = tarfile.TarInfo(name)
            member.size = path.stat().st_size
            member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            with path.open("rb") as content:
                archive.addfile(member, content)
    return buffer.getvalue()


def put(s3: RoleS3, bucket: str, key: str, content: bytes, kms_key: str | None = None) -> None:
    """Write an output.

    Raises:
        KeyError: the bucket is missing.
        InputError: the role may not write there, or may not use the key.
    """
    try:
        s3.write(bucket, key, content, kms_key)
    except S3Refused as refusal:
        uri = f"s3://{bucket}/{key}"
        raise InputError(f"ClientError: Artifact upload failed:Unable to upload object {uri} ({refusal})") from refusal


class Mirror:
    """A folder whose files are copied below an S3 prefix whenever they have changed; files removed here stay there.

    What `restore` has put into the folder counts as copied until it is changed here: several hosts may share a prefix, and
    none writes back what another has replaced meanwhile.
    """

    def __init__(self, s3: RoleS3, bucket: str, prefix: str, folder: Path, kms_key: str | None = None) -> None:
        """`kms_key` encrypts what is written, where the bucket's own encryption is not to."""
        self._s3 = s3
        self._kms_key = kms_key
        self._bucket = bucket
        self._prefix = prefix.rstrip("/") + "/" if prefix else ""
        self._folder = folder
        self._copied: dict[str, tuple[int, int]] = {}

    def restore(self) -> None:
        """Make the folder and fill it from S3.

        Raises:
            KeyError: the bucket is missing.
            InputError: an object cannot be written below the folder, or the role may not read it.
        """
        try:
            keys = [key for key, _ in self._s3.objects(self._bucket, self._prefix)]
        except S3Refused as refusal:
            uri = f"s3://{self._bucket}/{self._prefix}"
            raise InputError(
                f"ClientError: Data download failed:Unable to list objects of {uri} ({refusal})"
            ) from refusal
        objects = [InputObject(self._bucket, key, key.removeprefix(self._prefix)) for key in keys if key[-1] != "/"]
        download(self._s3, objects, self._folder)
        self._copied = {file.path: _version(file) for file in _files(self._folder)}

    def copy(self) -> None:
        """Write what is new or changed to S3.

        Raises:
            KeyError: the bucket is missing.
            InputError: the role may not write there.
        """
        for file in sorted(_files(self._folder), key=lambda file: file.path):
            try:
                version = _version(file)
                if self._copied.get(file.path) == version:
                    continue
                content = Path(file.path).read_bytes()
            except FileNotFoundError:  # the job replaces its checkpoints while they are read
                continue
            key = self._prefix + Path(file.path).relative_to(self._folder).as_posix()
            put(self._s3, self._bucket, key, content, self._kms_key)
            if time.time_ns() - version[0] > _TICK_NANOSECONDS:
                self._copied[file.path] = version


def _files(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """The files below a folder, without those of folders that are removed meanwhile."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path)
        elif entry.is_file():
            yield entry


def _version(file: os.DirEntry[str]) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size
