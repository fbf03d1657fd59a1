"""A job's folders and S3: what is copied, what is left alone, and what a restored folder holds."""

import os
import uuid
from pathlib import Path
from typing import ClassVar

import pytest
from moto.backends import get_backend

from common.local.context import LocalAws
from common.local.jobs.artifacts import Mirror
from common.local.jobs.inputs import InputError
from common.local.roles.s3 import RoleS3
from common.local.services import Services
from common.local.store import Store

ACCOUNT, REGION = "121212121212", "eu-west-1"
LONG_AGO = 1_000_000_000_000_000_000


class CountedServices(Services):
    """Remembers the keys that are written."""

    written: ClassVar[list[str]] = []

    def write_object(self, account: str, bucket: str, key: str, body: bytes, kms_key: str | None = None) -> None:
        self.written.append(key)
        super().write_object(account, bucket, key, body, kms_key)


@pytest.fixture
def bucket() -> str:
    name = f"bucket-{uuid.uuid4().hex}"
    get_backend("s3")[ACCOUNT]["aws"].create_bucket(name, REGION)
    CountedServices.written.clear()
    return name


def mirror(bucket: str, folder: Path) -> Mirror:
    services = CountedServices(lambda _service: None)
    aws = LocalAws(Path("nowhere"), Store(Path(":memory:")), services, "http://127.0.0.1:0")
    s3 = RoleS3(aws, ACCOUNT, REGION, f"arn:aws:iam::{ACCOUNT}:role/jobs")
    return Mirror(s3, bucket, "checkpoints", folder)


def write(path: Path, text: str, changed: int = LONG_AGO) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, ns=(changed, changed))


def content(bucket: str) -> dict[str, str]:
    services = Services(lambda _service: None)
    keys = [key for key, _ in services.list_objects(ACCOUNT, bucket, "")]
    return {key: services.read_object(ACCOUNT, bucket, key).decode() for key in keys}


def test_only_what_has_changed_is_written_again(bucket: str, tmp_path: Path) -> None:
    copier = mirror(bucket, tmp_path)
    write(tmp_path / "models" / "1", "one")
    write(tmp_path / "models" / "2", "two")
    copier.copy()
    copier.copy()
    write(tmp_path / "models" / "2", "new", LONG_AGO + 1)
    (tmp_path / "models" / "1").unlink()
    copier.copy()
    first, second = "checkpoints/models/1", "checkpoints/models/2"
    assert CountedServices.written == [first, second, second]
    assert content(bucket) == {first: "one", second: "new"}


def test_a_file_that_is_changed_twice_within_a_tick_of_the_clock_is_copied(bucket: str, tmp_path: Path) -> None:
    copier = mirror(bucket, tmp_path)
    file = tmp_path / "state"
    file.write_text("one")
    tick = file.stat().st_mtime_ns
    copier.copy()
    write(file, "two", tick)
    copier.copy()
    assert content(bucket) == {"checkpoints/state": "two"}


def test_what_a_host_has_restored_and_not_changed_overwrites_no_newer_object(bucket: str, tmp_path: Path) -> None:
    write(tmp_path / "before" / "shared", "old")
    write(tmp_path / "before" / "below" / "other", "old")
    mirror(bucket, tmp_path / "before").copy()
    first, second = mirror(bucket, tmp_path / "algo-1"), mirror(bucket, tmp_path / "algo-2")
    first.restore()
    second.restore()
    assert (tmp_path / "algo-2" / "below" / "other").read_text() == "old"
    write(tmp_path / "algo-1" / "shared", "new")
    write(tmp_path / "algo-2" / "below" / "other", "mine")
    CountedServices.written.clear()
    first.copy()
    second.copy()
    assert CountedServices.written == ["checkpoints/shared", "checkpoints/below/other"]
    assert content(bucket) == {"checkpoints/shared": "new", "checkpoints/below/other": "mine"}


def test_a_folder_that_is_gone_or_empty_copies_nothing(bucket: str, tmp_path: Path) -> None:
    mirror(bucket, tmp_path / "gone").copy()
    empty = mirror(bucket, tmp_path / "empty")
    empty.restore()
    empty.copy()
    assert (tmp_path / "empty").is_dir()
    assert content(bucket) == {}


@pytest.mark.parametrize("key", ["checkpoints/../../outside", "checkpoints//etc/outside"])
def test_a_key_that_leads_out_of_the_folder_is_refused(bucket: str, tmp_path: Path, key: str) -> None:
    Services(lambda _service: None).write_object(ACCOUNT, bucket, key, b"")
    with pytest.raises(InputError, match="leads out of the folder"):
        mirror(bucket, tmp_path / "checkpoints").restore()
