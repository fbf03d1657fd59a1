"""A model that `models new` makes is complete: it passes all checks, trains and serves; `models remove` leaves no trace."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import ModelsError, UsageError
from common.local.pipeline.check import check
from common.scaffold.create import creation, removal
from common.scaffold.kinds import Kind
from common.scaffold.wiring import CONTINUATION, TABLE, read
from tests.accounts import Account
from tests.clones import ROOT, Clone, answer, wiring
from tests.models import MODELS

RECORD = {"weight_kg": 2.5, "distance_km": 700, "parcels": 2, "carrier": "truck", "region": "islands"}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A folder with the files that name the models, and nothing else."""
    for file, text in wiring(frozenset({"abalone"})).items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    return tmp_path


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.create(tmp_path)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_new_classification_goes_from_training_to_answers_and_away_again_without_a_trace(
    clone: Clone, aws: Account
) -> None:
    said = clone.succeed(aws, "new", "fraud", "--kind", "classification")
    assert "make demo MODEL=fraud" in said
    clone.commit("Add the model fraud")
    clone.push("main")
    assert [str(problem) for problem in check(clone.path)] == []
    clone.release(aws, "fraud")
    assert answer(aws, "fraud", RECORD)["label"] == "yes"

    said = clone.succeed(aws, "remove", "fraud", "--yes")
    assert "./models teardown fraud" in said
    assert clone.git("status", "--porcelain", "--ignored=no") != ""
    assert clone.git("diff", "HEAD~1") == ""
    assert not (clone.path / "fraud_model").exists()
    assert aws.client("sagemaker").describe_endpoint(EndpointName="fraud")["EndpointStatus"] == "InService"


@pytest.mark.long
def test_a_new_regression_goes_from_training_to_answers(clone: Clone, aws: Account) -> None:
    clone.succeed(aws, "new", "price", "--kind", "regression")
    clone.commit("Add the model price")
    clone.push("main")
    assert [str(problem) for problem in check(clone.path)] == []
    clone.release(aws, "price")
    assert 4.5 < answer(aws, "price", RECORD)["prediction"] < 7


@pytest.mark.long
def test_the_repositorys_own_tests_pass_with_a_new_model(tmp_path: Path, aws: Account) -> None:
    clone = Clone.create(tmp_path, MODELS)
    shutil.copytree(ROOT / "tests", clone.path / "tests", dirs_exist_ok=True)
    clone.succeed(aws, "new", "fraud", "--kind", "classification")
    names = "test_models_of_both_kinds_come_and_go_and_leave_every_file_as_it_was"
    done = clone.run(
        None, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/test_every_model.py",
        "tests/unit/test_scaffold_wiring.py", f"tests/functional/test_scaffold.py::{names}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", ["classification", "regression"])
@pytest.mark.parametrize("name", ["a", "commons", "zebra", "abcdefghijklmnopqrstuvw0"])
def test_a_new_model_is_linted_and_formatted_whatever_its_name(repo: Path, name: str, kind: Kind) -> None:
    creation(repo, name, kind).make()
    for shared in ("common", "pyproject.toml"):
        (repo / shared).symlink_to(ROOT / shared)
    for command in (("check",), ("format", "--check")):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", f"{name}_model", "tests"],
            cwd=repo, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_new_models_pass_the_type_checker(repo: Path) -> None:
    creation(repo, "fraud", "classification").make()
    creation(repo, "price", "regression").make()
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir",
         str(ROOT / ".mypy_cache"), "--follow-imports", "silent", "fraud_model", "price_model", TABLE],
        cwd=repo, env={"MYPYPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_example_is_the_same_every_time(repo: Path) -> None:
    change, again = creation(repo, "fraud", "regression"), creation(repo, "fraud", "regression")
    rows = change.files[repo / "fraud_model/example.csv"].splitlines()
    assert change == again
    assert len(rows) == 1001
    assert rows[:2] == ["weight_kg,distance_km,parcels,carrier,region,days", "9.8,159,7,van,north,2.9"]


def test_models_of_both_kinds_come_and_go_and_leave_every_file_as_it_was(repo: Path) -> None:
    before = files(repo)
    creation(repo, "fraud", "classification").make()
    creation(repo, "alpha", "regression").make()
    removal(repo, "fraud").make()
    removal(repo, "alpha").make()
    assert files(repo) == before


@pytest.mark.parametrize("name", ["Fraud", "1st", "credit-risk", "credit_risk", "", "a" * 25, "../up", "train", "yes"])
def test_a_bad_name_is_refused(repo: Path, name: str) -> None:
    before = files(repo)
    with pytest.raises(UsageError):
        creation(repo, name, "regression")
    with pytest.raises(UsageError):
        removal(repo, name)
    assert files(repo) == before


def test_the_same_model_is_not_made_twice(repo: Path) -> None:
    creation(repo, "fraud", "regression").make()
    before = files(repo)
    with pytest.raises(UsageError, match="fraud_model/ exists already"):
        creation(repo, "fraud", "classification")
    assert files(repo) == before


def test_what_is_left_of_a_model_is_named_and_can_be_removed(repo: Path) -> None:
    before = files(repo)
    creation(repo, "fraud", "regression").make()
    shutil.rmtree(repo / "fraud_model")
    with pytest.raises(ModelsError, match=r"config.yml, below 'mapping: \|'.*\n.*models remove fraud"):
        creation(repo, "fraud", "regression")
    removal(repo, "fraud").make()
    assert files(repo) == before
    with pytest.raises(UsageError, match="There is no model 'fraud'"):
        removal(repo, "fraud")


def test_files_of_another_form_leave_the_repository_as_it_was(repo: Path) -> None:
    text = (repo / CONTINUATION).read_text()
    (repo / CONTINUATION).write_text(text.replace("\nworkflows:\n", "\nworkflows: # all\n"))
    before = files(repo)
    with pytest.raises(ModelsError, match="nothing was changed"):
        creation(repo, "fraud", "regression")
    assert files(repo) == before


def test_a_missing_file_is_named(repo: Path) -> None:
    (repo / TABLE).unlink()
    with pytest.raises(ModelsError, match=r"tests/models\.py is missing"):
        read(repo)


def test_removal_asks_first(clone: Clone) -> None:
    before = clone.git("rev-parse", "HEAD^{tree}")
    done = clone.models(None, "remove", "abalone")
    assert done.returncode == 1
    assert "Delete abalone_model/ with all that is in it, and the lines of abalone in 3 files?" in done.stdout
    clone.git("add", "--all")
    assert clone.git("write-tree") == before
