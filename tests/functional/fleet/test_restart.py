"""What is left of an interrupted fit is used, and the fleet is the same as without the interruption."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import TrainingError
from energy_model.consumers import Generated
from tests.functional.fleet.fleet_kit import Host, Trainer, write_raw

PARTS, ROWS = 12, 14_000


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a host that has split and fitted all parts, and the raw parts below it."""
    folder = tmp_path_factory.mktemp("fleet") / "host"
    host = Host(folder)
    assert host.split(write_raw(folder / "raw", Generated(200), ROWS)).returncode == 0
    assert host.fit().returncode == 0
    assert len(host.results()) == PARTS
    return folder


@pytest.fixture
def undisturbed(done: Path, tmp_path: Path) -> Host:
    """A copy of that host."""
    shutil.copytree(done, tmp_path / "undisturbed")
    return Host(tmp_path / "undisturbed")


def checkpoints(host: Host) -> dict[str, bytes]:
    folder = host.base / "checkpoints"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.long
def test_an_instance_killed_in_the_middle_and_started_again_ends_in_the_same_fleet(
    trainer: Trainer, undisturbed: Host
) -> None:
    trainer.upload(undisturbed.base / "raw", "data-1")
    killer = threading.Thread(target=kill_an_instance, args=("energy-source-1-data-1",), daemon=True)
    killer.start()
    with pytest.raises(TrainingError, match="energy-source-1-data-1 is Failed"):
        trainer.train("source-1", "data-1")
    killer.join()
    kept = [name for name in trainer.files("source-1", "data-1") if name.startswith("parts/")]
    assert 0 < len(kept) < PARTS

    trainer.said.clear()
    jobs = trainer.train("source-1", "data-1")
    assert jobs.fit["TrainingJobName"] == "energy-source-1-data-1-2"
    assert trainer.files("source-1", "data-1") == checkpoints(undisturbed)
    assert sum("customers fitted" in line for line in trainer.said) == PARTS - len(kept)


def kill_an_instance(job: str) -> None:
    """Kill the program on the second instance as soon as that has fitted a part."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for process, base in processes(f"/{job}/algo-2"):
            if any((base / "checkpoints/parts").glob("*")):
                os.kill(process, signal.SIGKILL)
                return
        time.sleep(0.005)


def processes(folder: str) -> Iterator[tuple[int, Path]]:
    """The fit programs (number, base folder) of a container; the first one is the parent of the others."""
    for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            entries = (process / "environ").read_bytes().decode(errors="replace").split("\0")
            command = (process / "cmdline").read_bytes().split(b"\0")
        except (PermissionError, FileNotFoundError, ProcessLookupError):
            continue
        base = next((entry.partition("=")[2] for entry in entries if entry.startswith("SAGEMAKER_BASE_DIR=")), "")
        if base.endswith(folder) and b"fit.py" in command:
            yield int(process.name), Path(base)


def test_a_fit_that_is_asked_to_stop_ends_between_parts(undisturbed: Host) -> None:
    whole = checkpoints(undisturbed)
    for part in sorted((undisturbed.base / "checkpoints/parts").iterdir()):
        part.unlink()
    process = undisturbed.start_fit()
    assert process.stdout
    next(line for line in process.stdout if "customers fitted" in line)
    process.terminate()
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 143, said
    assert "Stopped; when the job is started again, it goes on" in said
    kept = checkpoints(undisturbed)
    done = [name for name in kept if name.startswith("parts/")]
    assert 0 < len(done) < PARTS
    assert all(whole[name] == kept[name] for name in done)

    again = undisturbed.fit()
    assert f"{PARTS} parts, {len(done)} of them done already" in again.stdout
    assert checkpoints(undisturbed) == whole


def test_results_whose_models_were_not_kept_or_that_were_cut_off_are_made_again(undisturbed: Host) -> None:
    whole = checkpoints(undisturbed)
    (undisturbed.base / "checkpoints/models/7.tar.gz").unlink()
    damaged = undisturbed.base / "checkpoints/parts/part-00004.json.gz"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    again = undisturbed.fit()
    assert f"{PARTS} parts, {PARTS - 2} of them done already" in again.stdout
    assert checkpoints(undisturbed) == whole


def test_parts_that_were_scored_beside_another_champion_are_made_again(undisturbed: Host, tmp_path: Path) -> None:
    models = undisturbed.models()
    champion = {"SM_CHANNEL_CHAMPION": str(tmp_path / "champion")}
    shutil.copytree(undisturbed.base / "checkpoints/parts", champion["SM_CHANNEL_CHAMPION"])
    again = undisturbed.fit(**champion)
    assert f"{PARTS} parts, 0 of them done already" in again.stdout
    scored = [entry for part in undisturbed.results() for entry in part["customers"].values() if entry["holdout"]]
    assert all(entry["champion"]["kind"] == "before" for entry in scored)
    assert undisturbed.models() == models
    assert f"{PARTS} parts, {PARTS} of them done already" in undisturbed.fit(**champion).stdout


def test_a_process_that_is_killed_fails_the_fit_and_leaves_none_behind(undisturbed: Host) -> None:
    for part in (undisturbed.base / "checkpoints/parts").iterdir():
        part.unlink()
    process = undisturbed.start_fit()
    assert process.stdout
    next(line for line in process.stdout if "customers fitted" in line)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert "killed by signal 9" in said
    alive = subprocess.run(["ps", "-o", "pid=", "-p", ",".join(children)], capture_output=True, text=True, check=False)
    assert alive.stdout == ""
