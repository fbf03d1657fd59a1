"""The demo tells its story to the end, or says at once why it cannot."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from common.local.postgres import PASSWORD
from tests.clones import Clone


def test_a_model_that_is_not_committed_is_refused_before_anything_starts(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path)
    assert clone.models(None, "new", "fraud", "--kind", "regression").returncode == 0
    done = clone.run(None, "-m", "common.local.demo", "fraud")
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout == (
        "Error: The last commit has no model 'fraud', but abalone.\n"
        "  → The demo clones what is committed: commit the model first, or correct its name.\n"
    )


@pytest.mark.long
def test_the_whole_story_ends_with_predictions_of_all_models_and_their_reports(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path, ("abalone", "churn", "energy"))
    (clone.path / "uncommitted").touch()
    done = subprocess.run(
        [sys.executable, "-m", "common.local.demo"],
        cwd=clone.path, env=clone.environment(None, {}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    assert said.startswith("Not everything here is committed; the story is that of the last commit.\n")
    abalones, _, churns = said.partition("a branch that changes churn")
    churns, _, energies = churns.partition("a branch that changes energy")
    energies, _, accounts = energies.partition("abalone moves to four")
    assert "abalone/deploy-abalone" in abalones
    assert "abalone/" not in churns  # no job of abalone runs for churn's push and merge
    for words in ("1 files changed: churn", "Warm-started", "churn/approve-churn", "churn/deploy-churn"):
        assert words in churns
    assert re.search(r"probability +label *\n", churns)
    assert not re.search(r"\n +[\d.]+ s  (abalone|churn)/", energies)  # nor of the others for energy's
    for words in (
        "1 files changed: energy",
        "energy/approve-energy",
        "energy/deploy-energy",
        "customer 1000 is fitted",
    ):
        assert words in energies
    assert re.search(r"\n2026-01-28 .*├─+●─+┤", energies)
    for words in (
        "Not authorized to perform sts:AssumeRoleWithWebIdentity",
        "is not the artifact that was evaluated",
        "abalone/deploy-abalone-to-production  success",
    ):
        assert words in accounts
    assert PASSWORD not in said
    assert "<svg" in (clone.path / "build/demo/energy-forecast.svg").read_text()
    for model in ("abalone", "churn", "energy"):
        assert "<html" in (clone.path / f"build/demo/{model}.html").read_text()
        assert re.search(rf"{model} .* InService +yes", said)
