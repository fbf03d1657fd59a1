"""No archive writes outside its folder, fills disk or memory, or ends in anything but a message, wherever one is unpacked."""

import io
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from common.archives import ArchiveError, DamagedArchive, UnsafeArchive, gunzip, unpack
from common.deployment.fleet import answered_offline
from common.errors import ArtifactError
from common.evaluation.fleet_manifest import FleetManifest
from common.evaluation.fleet_parts import read_parts
from common.forecasting.artifacts import DamagedModel, read_results, unpack_model
from common.local.containers.base import Folders, UserError
from common.local.containers.script import fetch_source
from common.serving.archive import load_predictor
from tests.archives import archive
from tests.security.hostile import BOMBS, DAMAGED, OUTSIDE, member, packed

LIMIT = 4 * 1024**2
MEMORY = 12 * 1024**2


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("kind", OUTSIDE)
def test_what_leads_outside_is_refused_and_leaves_nothing_outside(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        unpack(io.BytesIO(OUTSIDE[kind]), tmp_path / "to" / "here")
    assert str(caught.value).isprintable()
    outside = [name for name in everything(tmp_path) if not name.startswith("to/here/")]
    assert outside == ["to", "to/here"]
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
    assert not Path("/tmp/evil-of-an-archive").exists()  # noqa: S108


@pytest.mark.parametrize("kind", DAMAGED)
def test_damage_is_told_as_such(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DamagedArchive):
        unpack(io.BytesIO(DAMAGED[kind]), tmp_path / "here")


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_in_little_memory_and_disk(tmp_path: Path, kind: str) -> None:
    bomb = BOMBS[kind](10 * LIMIT)
    tracemalloc.start()
    try:
        with pytest.raises(UnsafeArchive):
            unpack(io.BytesIO(bomb), tmp_path, None if "zeros" in kind else (), LIMIT)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert sum(path.stat().st_size for path in tmp_path.rglob("*")) <= LIMIT


def test_modes_are_plain_and_only_what_is_wanted_is_written(tmp_path: Path) -> None:
    files = packed(member("run.sh", b"x", mode=0o7777), member("d", type=b"5", mode=0), member("d/notes", b"y", mode=0))
    assert unpack(io.BytesIO(files), tmp_path / "all") == ["run.sh", "d", "d/notes"]
    modes = {name: (tmp_path / "all" / name).stat().st_mode & 0o7777 for name in everything(tmp_path / "all")}
    umask = 0o022
    assert {name: mode | umask for name, mode in modes.items()} == {"run.sh": 0o777, "d": 0o777, "d/notes": 0o666}
    (tmp_path / "all/run.sh").unlink()
    (tmp_path / "all/run.sh").symlink_to(tmp_path / "precious")
    unpack(io.BytesIO(files), tmp_path / "all")  # a container that is started again
    assert not (tmp_path / "precious").exists()
    unpack(io.BytesIO(files), tmp_path / "one", only=["d/notes"])
    assert everything(tmp_path / "one") == ["d", "d/notes"]


@pytest.mark.parametrize(("content", "largest"), [(b"", 10), (b"x" * 10, 10), (b"x" * 9, 10)])
def test_a_compressed_file_of_the_limit_is_read(content: bytes, largest: int) -> None:
    import gzip

    assert gunzip(gzip.compress(content), largest) == content
    with pytest.raises(DamagedArchive):
        gunzip(gzip.compress(content)[:-1], largest)
    with pytest.raises(UnsafeArchive):
        gunzip(gzip.compress(b"x" * (largest + 1)), largest)


def _offline(content: bytes, folder: Path) -> None:
    path = folder / "model.tar.gz"
    path.write_bytes(content)
    load_predictor(path)


def _source(content: bytes, folder: Path) -> None:
    (folder / "source.tar.gz").write_bytes(content)
    fetch_source(str(folder / "source.tar.gz"), Folders(folder / "container"))


PLACES: dict[str, tuple[type[Exception], Callable[[bytes, Path], object]]] = {
    "before a deploy": (ArtifactError, _offline),
    "a fleet's code": (ArtifactError, lambda content, _: answered_offline(content, {}, {})),
    "a customer's model": (
        ArtifactError, lambda content, _: answered_offline(archive({"inference.py": ""}), {"8": content}, {}),
    ),
    "a fleet's manifest": (ArtifactError, lambda content, _: FleetManifest.from_archive(content)),
    "a part of a fleet": (ArtifactError, lambda content, _: read_parts([("part", content)])),
    "a kept model": (DamagedModel, lambda content, _: unpack_model(content)),
    "the results of a part": (DamagedModel, lambda content, _: read_results(content)),
    "a script's source": (UserError, _source),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_every_place_that_unpacks_ends_in_its_own_message(tmp_path: Path, place: str) -> None:
    error, load = PLACES[place]
    for number, content in enumerate([*OUTSIDE.values(), *DAMAGED.values()]):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(error):
            load(content, folder)
    assert not list(tmp_path.rglob("evil"))


_BOUNDED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[3]),) * 2)
import io
from pathlib import Path
from common.archives import UnsafeArchive, unpack
try:
    unpack(io.BytesIO(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]), only=())
except UnsafeArchive:
    print("refused", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.long
def test_an_archive_of_three_gigabytes_is_refused_by_a_process_that_may_have_a_tenth_of_one(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "bomb.tar.gz"
    with gzip.open(path, "wb", 1) as target:
        target.write(member("zeros", size=8**11 - 1))
        for _ in range(3 * 64):
            target.write(bytes(2**24))
    done = subprocess.run(
        [sys.executable, "-c", _BOUNDED, str(path), str(tmp_path / "to"), str(10**8 + path.stat().st_size)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("refused"), done.stderr
