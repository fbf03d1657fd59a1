"""The code that travels into a batch's processing jobs."""

from __future__ import annotations

import hashlib

from common.model import ROOT
from common.training.code import pack

PACKAGE = ROOT / "common" / "batch" / "program"
PREPARE, JOIN = "prepare.py", "join.py"


def code_archive() -> tuple[str, bytes]:
    """(digest of the files, the archive); the same code has the same digest wherever it is packed."""
    files = {
        program: f"from program.{program.removesuffix('.py')} import main\n\nmain()\n".encode()
        for program in (PREPARE, JOIN)
    }
    files |= {f"program/{path.name}": path.read_bytes() for path in PACKAGE.glob("*.py")}
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()[:16], pack(files)
