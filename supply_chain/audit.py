"""Is a vulnerability known of what the requirements pin? `make audit` asks the advisory service OSV of every package.

pip-audit asks, in an environment of its own (`.venv-audit`, made from requirements-audit.txt); nothing is installed for it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from common.errors import AuditError, ModelsError

ROOT = Path(__file__).parents[1]
FILES = ("requirements.txt", "requirements-prophet.txt")
"""What runs here and in containers; what only benchmarks and this audit need is in files of its own."""
_SAYS = "ERROR:pip_audit._cli:"
_ACCEPTED = "supply_chain/accepted.toml"


@dataclass(frozen=True)
class Accepted:
    """A vulnerability that somebody has decided to live with until a day, and why."""

    id: str
    until: date
    reason: str


def read_accepted(text: str) -> list[Accepted]:
    """The decisions as accepted.toml holds them.

    Raises:
        AuditError: one lacks its id, day or reason.
    """
    try:
        entries = [Accepted(**entry) for entry in tomllib.loads(text).get("accepted", [])]
        if all(entry.id and entry.reason and entry.until.toordinal() for entry in entries):
            return entries
        problem = "an empty id or reason"
    except (tomllib.TOMLDecodeError, TypeError, AttributeError) as error:
        problem = str(error)
    raise AuditError(
        f"{_ACCEPTED} cannot be read: {problem}.", "Each [[accepted]] has an id, a date `until`, and a reason."
    )


def command(accepted: Sequence[Accepted], today: date) -> list[str]:
    """What asks the service; it answers JSON, passing over what is accepted on that day."""
    files = [argument for name in FILES for argument in ("--requirement", str(ROOT / name))]
    ignored = [argument for entry in accepted if today < entry.until for argument in ("--ignore-vuln", entry.id)]
    options = ["--require-hashes", "--disable-pip", "--strict", "--progress-spinner=off", "--desc=off"]
    program = str(ROOT / ".venv-audit" / "bin" / "pip-audit")
    return [program, *files, *options, "--vulnerability-service=osv", "--format=json", *ignored]


def findings(report: Mapping[str, Any]) -> Iterator[str]:
    """Each vulnerability in words, and each package of which nobody could tell."""
    for package in report["dependencies"]:
        if "skip_reason" in package:
            yield f"{package['name']}: not audited: {package['skip_reason']}"
        for flaw in package.get("vulns", ()):
            mended = ", ".join(flaw["fix_versions"]) or "no version yet"
            names = ", ".join([flaw["id"], *flaw["aliases"]])
            yield f"{package['name']} {package['version']}: {names}; mended in {mended}"


def audit(accepted: Sequence[Accepted], today: date) -> int:
    """Ask of every package; how many there are.

    Raises:
        AuditError: a vulnerability is known, or the service could not be asked.
    """
    asked = subprocess.run(command(accepted, today), capture_output=True, text=True, check=False)
    try:
        report = json.loads(asked.stdout)
    except ValueError:
        lines = asked.stderr.strip().splitlines() or ["pip-audit said nothing"]
        told = next((line.removeprefix(_SAYS) for line in lines if line.startswith(_SAYS)), lines[-1])
        raise AuditError(
            f"Nothing was audited: {told[:300]}",
            "The audit has to reach the advisory service OSV: let this machine through, or name a mirror of it in "
            "PIP_AUDIT_OSV_URL; then run `make audit` again.",
        ) from None
    if found := list(findings(report)):
        raise AuditError(
            "\n  ".join([f"{len(found)} of what is pinned cannot stay:", *found]),
            "Update it (`make lock`, on a branch). Where that is not possible, accept it until a day in "
            f"{_ACCEPTED}, with the reason.",
        )
    return len(report["dependencies"])


def main() -> None:
    """Audit, and say so; ends with 1 and one message where that fails."""
    try:
        accepted, today = read_accepted((ROOT / _ACCEPTED).read_text()), datetime.now(UTC).date()
        count = audit(accepted, today)
    except ModelsError as error:
        sys.exit(f"Error: {error}")
    passed = [
        f"; accepted until {entry.until}: {entry.id} ({entry.reason})" for entry in accepted if today < entry.until
    ]
    sys.stdout.write(f"No vulnerability is known of {count} pinned packages{''.join(passed)}.\n")


if __name__ == "__main__":
    main()
