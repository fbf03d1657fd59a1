"""A job's outputs: archives that have the same bytes for the same files, and checkpoints that follow a folder."""

import gzip
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

from common.local.jobs.inputs import InputObject, Source, download


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


class Mirror:
    """A folder whose files are copied below an S3 prefix whenever they have changed; files removed here stay there."""

    def __init__(self, s3: Source, bucket: str, prefix: str, folder: Path) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = prefix.rstrip("/") + "/" if prefix else ""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder.resolve()
        self._copied: dict[Path, tuple[int, int]] = {}

    def restore(self) -> None:
        """Fill the folder from S3.

        Raises:
            KeyError: the bucket is missing.
            InputError: an object cannot be written below the folder.
        """
        keys = [key for key, _ in self._s3.services.list_objects(self._s3.account, self._bucket, self._prefix)]
        objects = [InputObject(self._bucket, key, key.removeprefix(self._prefix)) for key in keys if key[-1] != "/"]
        for path in download(self._s3, objects, self._folder):
            self._copied[path] = _version(path)

    def copy(self) -> None:
        """Write what is new or changed to S3. Raises KeyError when the bucket is missing."""
        for path in sorted(self._folder.rglob("*")):
            try:
                version = _version(path)
                if not path.is_file() or self._copied.get(path) == version:
                    continue
                content = path.read_bytes()
            except FileNotFoundError:  # the job replaces its checkpoints while they are read
                continue
            key = self._prefix + path.relative_to(self._folder).as_posix()
            self._s3.services.write_object(self._s3.account, self._bucket, key, content)
            self._copied[path] = version


def _version(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
