"""What SageMaker's image does with the code of an archive before it answers."""

import os
import subprocess
import sys
from pathlib import Path

from common.serving.archive import ENVIRONMENT

PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """\
def build_wheel(*arguments):
    raise RuntimeError("the build began")
"""


def test_an_instance_starts_without_a_package_index(tmp_path: Path) -> None:
    # the image runs `pip install .` on the code, and pip asks the index for a fresh setuptools to build it with
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "backend.py").write_text(BACKEND)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "."],
        cwd=tmp_path, env=os.environ | ENVIRONMENT | {"PIP_NO_INDEX": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "the build began" in done.stdout + done.stderr
