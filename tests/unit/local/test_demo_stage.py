"""Where the demo plays: it begins with one account, whatever main of the repository goes through."""

import subprocess
from pathlib import Path

import pytest

from common.errors import ModelsError
from common.local.demo import stage

STAGED = (
    "parameters:\n  staging: {type: boolean, default: true}\n  ask-before-production: {type: boolean, default: true}\n"
)


def test_a_repository_that_has_staging_is_played_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tmp_path / "real"
    (real / stage.CONTINUATION).parent.mkdir(parents=True)
    (real / stage.CONTINUATION).write_text(STAGED)
    ada = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    for command in (["init", "-q", "-b", "main"], ["add", "--all"], [*ada, "commit", "-qm", "Begin"]):
        subprocess.run(["git", "-C", str(real), *command], check=True)
    monkeypatch.setattr(stage, "ROOT", real)

    repo = stage.clone(tmp_path / "demo")

    shown = subprocess.run(
        ["git", "-C", str(repo), "show", f"origin/main:{stage.CONTINUATION}"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout == STAGED.replace("true", "false")


def test_a_parameter_that_is_not_declared_is_named() -> None:
    with pytest.raises(ModelsError, match="staging"):
        stage.switched("parameters:\n", "staging", on=True)
