"""Whole processes: commands that find their work done, and the import of each entry point, beside `import boto3`."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.kit import local_aws, paired, table

_ROOT = Path(__file__).resolve().parents[1]
_RUNS = 5
_YARDSTICK = "import boto3"
_ENTRY_POINTS = ("common.cli", "abalone_model.gather_data", "abalone_model.train_register", "abalone_model.deploy")


def main() -> None:
    with local_aws(), tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        clone = Path(scratch) / "clone"
        subprocess.run(["git", "clone", "-q", str(_ROOT), str(clone)], check=True)
        subprocess.run(["git", "-C", str(clone), "branch", "-f", "main", "HEAD"], check=False, capture_output=True)
        subprocess.run(["git", "-C", str(clone), "update-ref", "refs/remotes/origin/main", "HEAD"], check=True)
        for step in ("train", "approve", "deploy"):
            _python(clone, "-m", "common.cli", step, "abalone")()
        yardstick = _python(clone, "-c", _YARDSTICK)
        commands: dict[str, Callable[[], object]] = {
            "gather": _python(clone, "-m", "abalone_model.gather_data"),
            "train": _python(clone, "-m", "abalone_model.train_register"),
            "approve": _python(clone, "-m", "common.cli", "approve", "abalone"),
            "deploy": _python(clone, "-m", "abalone_model.deploy"),
            "status": _python(clone, "-m", "common.cli", "status"),
        }
        table(paired(_RUNS, **{_YARDSTICK: yardstick}, **commands), _YARDSTICK)
        imports = {f"import {module}": _python(clone, "-c", f"import {module}") for module in _ENTRY_POINTS}
        table(paired(_RUNS, **{_YARDSTICK: yardstick}, **imports), _YARDSTICK)


def _python(clone: Path, *arguments: str) -> Callable[[], object]:
    environment = {**os.environ, "PYTHONPATH": str(clone)}
    return lambda: subprocess.run(
        [sys.executable, *arguments], cwd=clone, env=environment, check=True, stdout=subprocess.DEVNULL
    )


if __name__ == "__main__":
    main()
