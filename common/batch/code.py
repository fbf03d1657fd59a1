"""The code that travels into a batch's processing jobs."""

from __future__ import annotations

from common.model import ROOT
from common.training.code import pack

PACKAGE = ROOT / "common" / "batch" / "program"
PREPARE, JOIN = "prepare.py", "join.py"


def code_archive() -> bytes:
    """The archive; the same code makes the same bytes wherever it is packed."""
    files = {
        program: f"from program.{program.removesuffix('.py')} import main\n\nmain()\n".encode()
        for program in (PREPARE, JOIN)
    }
    return pack(files | {f"program/{path.name}": path.read_bytes() for path in PACKAGE.glob("*.py")})
