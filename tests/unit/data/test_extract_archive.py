"""What travels to the job that gathers inside a VPC: the code, nothing of the local AWS, and the pinned drivers."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from common.lineage import pinned
from common.model import ROOT, Model
from common.training import gathering
from common.training.gathering import gathering_archive
from energy_model import MODEL


def unpacked(model: Model, folder: Path) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(gathering_archive(model))) as tar:
        tar.extractall(folder, filter="data")
        return set(tar.getnames())


def test_the_archive_holds_the_code_that_gathers_and_depends_on_it_only(tmp_path: Path) -> None:
    names = unpacked(MODEL, tmp_path)
    assert {"gather.py", "energy_model/gather_data.py", "common/data/cursor.py", "common/steps/__init__.py"} <= names
    assert not [name for name in names if name.startswith("common/local") or name.endswith(".pyc")]
    assert gathering_archive(MODEL) == gathering_archive(MODEL)


def test_hidden_files_of_the_models_folder_stay_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among them are those that git ignores because they hold passwords."""
    folder = tmp_path / "energy_model"
    (folder / ".idea").mkdir(parents=True)
    for name in ("gather_data.py", "ca.pem", ".env", ".idea/dataSources.xml"):
        (folder / name).write_text("")
    (tmp_path / "requirements.txt").write_text("")
    monkeypatch.setattr(gathering, "ROOT", tmp_path)
    names = {name for name in unpacked(MODEL, tmp_path / "unpacked") if name.startswith("energy_model/")}
    assert names == {"energy_model/gather_data.py", "energy_model/ca.pem"}


def test_the_drivers_are_those_that_requirements_txt_pins(tmp_path: Path) -> None:
    unpacked(MODEL, tmp_path)
    wanted = (tmp_path / "requirements.txt").read_text().splitlines()
    assert [line.split("==")[0] for line in wanted] == ["psycopg", "psycopg-binary", "sqlalchemy", "typing-extensions"]
    assert set(wanted) <= {line for _, line in pinned((ROOT / "requirements.txt").read_text())}
    assert all("==" in line and " --hash=sha256:" in line for line in wanted)


def start(folder: Path, *blocked: str) -> subprocess.CompletedProcess[str]:
    """Run the archive's program where these packages cannot be imported and pip has no index."""
    program = f"""
import importlib.util, runpy, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in {blocked!r} else find(name)
sys.path.insert(0, {str(folder)!r})
sys.argv = ["gather.py", "energy_model.gather_data", "--to", "out", "--customer=3"]
runpy.run_path({str(folder / "gather.py")!r}, run_name="__main__")
"""
    offline = {
        "PIP_NO_INDEX": "1",
        "PIP_FORCE_REINSTALL": "1",
        "PIP_DRY_RUN": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    return subprocess.run(
        [sys.executable, "-I", "-c", program], cwd="/", env={**offline, "PATH": "/usr/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_program_gathers_from_wherever_it_is_started(tmp_path: Path) -> None:
    unpacked(MODEL, tmp_path)
    done = start(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "readings of 1 customers in 1 parts in out" in done.stdout
    assert (tmp_path / "out/manifest.json").exists()


def test_a_container_without_drivers_and_without_pypi_says_so(tmp_path: Path) -> None:
    unpacked(MODEL, tmp_path)
    done = start(tmp_path, "psycopg")
    assert done.returncode == 1
    assert "pip cannot install what reads a warehouse" in done.stderr
    assert "NAT gateway" in done.stderr
    assert not (tmp_path / "out").exists()
