"""Archives from outside: a model's artifact, a script's source."""

import tarfile
import zlib
from pathlib import Path
from typing import IO


class ArchiveError(Exception):
    """It is no tar.gz, or not one that is safe to unpack."""


def unpack(archive: IO[bytes], to: Path) -> None:
    """Unpack a tar.gz into a folder.

    Members that would land outside the folder, devices, and links that lead out of it are refused.

    Raises:
        ArchiveError: it is damaged or not safe; the folder may hold a part of it then.
    """
    try:
        with tarfile.open(fileobj=archive, mode="r:gz") as tar:
            tar.extractall(to, filter="data")
    except (tarfile.TarError, zlib.error, EOFError, OSError) as fault:
        raise ArchiveError(str(fault)) from fault
