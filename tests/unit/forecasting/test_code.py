"""The archive that travels into the containers."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from common.forecasting.structural import Structural
from common.training import code
from common.training.code import code_archive, pack
from tests.unit.forecasting.simple import Mean

FORECASTER = Structural(holidays={"new year": ["2026-01-01"]})


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: file.read() for member in tar.getmembers() if (file := tar.extractfile(member))}


def test_the_archive_depends_on_the_code_and_the_forecaster_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    first = code_archive(FORECASTER)
    with monkeypatch.context() as later:
        later.setattr("time.time", lambda: 4e9)
        assert code_archive(FORECASTER) == first
    other = Structural(holidays={"new year": ["2027-01-01"]})
    assert hashlib.sha256(code_archive(other)).digest() != hashlib.sha256(first).digest()


def test_the_same_files_make_the_same_bytes_whatever_zlib_compresses_them_to() -> None:
    assert (
        hashlib.sha256(pack({"b.py": b"2", "a.py": b"1" * 70_000})).hexdigest()
        == "7cf5859f686db3845d6a0329d1f83a749a39a39ef672f82fd2a321a80b84f5a4"
    )
    assert members(pack({"a.py": b"1" * 200_000, "b.py": b""})) == {"a.py": b"1" * 200_000, "b.py": b""}


def test_the_archive_holds_the_programs_the_package_and_the_forecaster() -> None:
    files = members(code_archive(FORECASTER))
    package = {path.name for path in code.PACKAGE.glob("*.py")}
    assert files.keys() == {
        "split.py", "fit.py", "inference.py", "forecasting/forecaster.json", *(f"forecasting/{name}" for name in package)
    }  # fmt: skip
    assert json.loads(files["forecasting/forecaster.json"]) == FORECASTER.to_json()


def test_a_forecaster_that_needs_more_than_the_image_has_brings_its_requirements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements-mean.txt").write_text("mean==1.0\n")
    monkeypatch.setattr(code, "ROOT", tmp_path)
    assert members(code_archive(Mean()))["requirements.txt"] == b"mean==1.0\n"
    assert "requirements.txt" not in members(code_archive(FORECASTER))


@pytest.mark.parametrize("path", sorted(code.PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_the_package_imports_nothing_of_this_repository_but_itself(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    absolute = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    absolute |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    assert {name for name in absolute if name.split(".")[0] == "common"} == set()
    assert all(node.level < 2 for node in nodes if isinstance(node, ast.ImportFrom))
