"""What is kept on disk between runs: read back only where nobody else can have written it, and only its owner reads it."""

import os
import pickle
from pathlib import Path

import pytest

from common.errors import ModelsError
from common.local.snapshots import Snapshots


def planted(folder: Path, canary: Path) -> Path:
    """A snapshot that leaves a file where it is loaded."""

    class Canary:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (canary,)

    file = folder / "moto" / "s3.pickle"
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.write_bytes(pickle.dumps(Canary()))
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("wide", ["file", "folder", "link", "folder that is a link"])
def test_a_snapshot_that_somebody_else_can_have_written_is_not_loaded(tmp_path: Path, wide: str) -> None:
    file = planted(tmp_path, tmp_path / "canary")
    match wide:
        case "file":
            file.chmod(0o620)
        case "folder":
            file.parent.chmod(0o770)
        case "link":
            file.rename(tmp_path / "elsewhere.pickle")
            file.symlink_to(tmp_path / "elsewhere.pickle")
        case _:
            file.parent.rename(tmp_path / "elsewhere")
            file.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelsError, match="can have been written by somebody else") as refused:
        Snapshots(tmp_path / "moto").restore()
    assert refused.value.remedy
    assert not (tmp_path / "canary").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_snapshot_of_another_user_is_not_loaded(tmp_path: Path) -> None:
    os.chown(planted(tmp_path, tmp_path / "canary"), 12345, -1)
    with pytest.raises(ModelsError, match="can have been written by somebody else"):
        Snapshots(tmp_path / "moto").restore()
    assert not (tmp_path / "canary").exists()


def test_folders_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Snapshots(tmp_path / "moto")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "moto", tmp_path / "moto/objects")} == {0o700}
