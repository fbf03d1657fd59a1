"""A source is a digest of what determines training, and of nothing else."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import CheckoutError
from common.lineage import FLEET_CODE, TABULAR_CODE, Checkout, determines_training, pinned, source_digest
from common.model import ROOT, Model

MODEL = Model("abalone", "", "rings", "regression")
FLEET = Model("energy", "", "consumption", "forecasting")
BLOBS = st.dictionaries(st.text("abc/._", min_size=1, max_size=8), st.text("0123456789abcdef", min_size=8, max_size=8))


@given(BLOBS, st.randoms())
def test_the_order_of_files_does_not_matter(blobs: dict[str, str], random: object) -> None:
    shuffled = dict(reversed(blobs.items()))
    assert source_digest(blobs, "") == source_digest(shuffled, "")


@given(BLOBS, BLOBS)
def test_different_content_has_a_different_source(one: dict[str, str], other: dict[str, str]) -> None:
    assert (source_digest(one, "") == source_digest(other, "")) == (one == other)


@given(
    st.sampled_from(["numpy", "pandas", "xgboost-cpu"]),
    st.sampled_from(["boto3", "pytest", "numpy-stubs", "pandas-ta"]),
)
def test_only_the_pins_of_training_packages_count(training: str, other: str) -> None:
    base = source_digest({}, f"{training}==1.0\n{other}==1.0\n")
    assert source_digest({}, f"{other}==2.0\n{training}==1.0\n    # via x\n") == base
    assert source_digest({}, f"{training}==2.0\n{other}==1.0\n") != base


HASHED = """\
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:0a \\
    --hash=sha256:0b
    # via
    #   pandas
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:0c
pandas==3.1.1 \\
    --hash=sha256:0d
    # via numpy-like
pandas-stubs==3.1.0 \\
    --hash=sha256:0e
# scipy==1.0
"""
PLAIN = """\
numpy==2.4.6 ; python_full_version < '3.12'
    # via
    #   pandas
numpy==2.5.5 ; python_full_version >= '3.12'
pandas==3.1.1
    # via numpy-like
pandas-stubs==3.1.0
"""


def test_hashes_leave_every_source_as_it_was() -> None:
    """The digest is that of before there were hashes: no model is trained again because of them."""
    assert source_digest({"a": "1"}, HASHED) == source_digest({"a": "1"}, PLAIN) == "ed9b87f89f4fbdda"


def test_a_pin_is_read_with_its_marker_and_hashes_on_one_line() -> None:
    assert pinned(HASHED) == [
        ("numpy", "numpy==2.4.6 ; python_full_version < '3.12' --hash=sha256:0a --hash=sha256:0b"),
        ("numpy", "numpy==2.5.5 ; python_full_version >= '3.12' --hash=sha256:0c"),
        ("pandas", "pandas==3.1.1 --hash=sha256:0d"),
        ("pandas-stubs", "pandas-stubs==3.1.0 --hash=sha256:0e"),
    ]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-bench.txt", "requirements-prophet.txt"])
def test_everything_that_is_installed_is_pinned_by_hash_and_from_no_named_host(name: str) -> None:
    text = (ROOT / name).read_text()
    assert all(re.fullmatch(r"\S+==\S+( ; [^#]+?)?( --hash=sha256:[0-9a-f]{64})+", line) for _, line in pinned(text))
    assert "//" not in text


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("abalone_model/train_register.py", True),
        ("abalone_model/gather_data.py", True),
        ("abalone_model/__init__.py", True),
        ("abalone_model/deploy.py", False),
        ("abalone_model/README.md", False),
        ("churn_model/train_register.py", False),
        ("common/data/split.py", True),
        ("common/serving/inference.py", True),
        ("common/serving/archive.py", True),
        ("common/forecasting/series.py", False),
        ("common/steps/registering.py", True),
        ("common/steps/gather_series.py", False),
        ("common/training/job.py", True),
        ("common/evaluation/gate.py", True),
        ("common/report/prices.csv", False),
        ("common/model.py", True),
        ("common/steps/train.py", True),
        ("common/steps/deploy.py", False),
        ("common/deployment/plan.py", False),
        ("common/local/server.py", False),
        ("common/cli.py", False),
        ("tests/unit/test_lineage.py", False),
        ("README.md", False),
        ("other/abalone_model/train_register.py", False),
    ],
)
def test_what_determines_training(path: str, expected: bool) -> None:
    assert determines_training(path, MODEL) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("energy_model/consumers.py", True),
        ("energy_model/deploy.py", False),
        ("abalone_model/train_register.py", False),
        ("common/forecasting/series.py", True),
        ("common/serving/inference.py", False),
        ("common/data/extract.py", True),
        ("common/training/fleet_job.py", True),
        ("common/evaluation/fleet_gate.py", True),
        ("common/model.py", True),
        ("common/steps/registering.py", True),
        ("common/steps/gather_series.py", True),
        ("common/steps/train.py", False),
        ("common/steps/add_customer.py", False),
        ("requirements-prophet.txt", True),
        ("requirements-bench.txt", False),
    ],
)
def test_what_determines_the_training_of_a_fleet(path: str, expected: bool) -> None:
    assert determines_training(path, FLEET) is expected


@pytest.mark.parametrize("path", sorted({*TABULAR_CODE, *FLEET_CODE}))
def test_the_code_that_trains_exists(path: str) -> None:
    assert (Path(__file__).parents[2] / path).exists()


class TestCheckout:
    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Checkout:
        (tmp_path / "abalone_model").mkdir()
        (tmp_path / "abalone_model/train_register.py").write_text("depth = 5\n")
        (tmp_path / "abalone_model/deploy.py").write_text("canary = 10\n")
        (tmp_path / "common").mkdir()
        (tmp_path / "common/model.py").write_text("")
        (tmp_path / "requirements.txt").write_text("numpy==2.0\n")
        git(tmp_path, "init", "-q", "-b", "main")
        commit(tmp_path)
        return Checkout(tmp_path)

    def test_squash_and_revert_are_recognised_by_their_content(self, checkout: Checkout) -> None:
        before = checkout.source(MODEL)
        git(checkout.root, "switch", "-qc", "feature")
        write(checkout, "abalone_model/train_register.py", "depth = 6\n")
        on_branch = checkout.source(MODEL)
        git(checkout.root, "switch", "-q", "main")
        git(checkout.root, "merge", "-q", "--squash", "feature")
        commit(checkout.root)
        assert checkout.source(MODEL) == on_branch != before
        git(checkout.root, "revert", "--no-edit", "HEAD")
        assert checkout.source(MODEL) == before

    def test_deploy_and_docs_do_not_change_the_source(self, checkout: Checkout) -> None:
        before = checkout.source(MODEL)
        write(checkout, "abalone_model/deploy.py", "canary = 20\n")
        write(checkout, "README.md", "x")
        assert checkout.source(MODEL) == before

    def test_uncommitted_training_code_is_refused_by_name(self, checkout: Checkout) -> None:
        (checkout.root / "abalone_model/train_register.py").write_text("depth = 7\n")
        (checkout.root / "common/data").mkdir()
        (checkout.root / "common/data/new file.py").write_text("")
        with pytest.raises(CheckoutError, match=r"abalone_model/train_register\.py, common/data/new file\.py"):
            checkout.require_clean(MODEL)

    def test_uncommitted_deploy_code_may_train(self, checkout: Checkout) -> None:
        (checkout.root / "abalone_model/deploy.py").write_text("canary = 30\n")
        checkout.require_clean(MODEL)

    def test_a_branch_that_changes_the_model_cannot_be_deployed(self, checkout: Checkout) -> None:
        checkout.require_main(MODEL)
        git(checkout.root, "switch", "-qc", "feature")
        write(checkout, "notes.md", "x")
        checkout.require_main(MODEL)
        write(checkout, "abalone_model/deploy.py", "canary = 50\n")
        with pytest.raises(CheckoutError, match="holds another abalone than main"):
            checkout.require_main(MODEL)

    def test_an_old_main_cannot_be_deployed_over_a_newer_one(self, checkout: Checkout) -> None:
        git(checkout.root, "branch", "old")
        write(checkout, "abalone_model/train_register.py", "depth = 9\n")
        git(checkout.root, "switch", "-q", "old")
        with pytest.raises(CheckoutError, match="holds another abalone than main"):
            checkout.require_main(MODEL)

    def test_only_a_checkout_of_mains_newest_commit_knows_what_main_lacks(self, checkout: Checkout) -> None:
        assert checkout.is_main()
        (checkout.root / "notes.md").write_text("not about models")
        assert checkout.is_main()
        (checkout.root / "abalone_model/deploy.py").write_text("canary = 20\n")
        assert not checkout.is_main()
        git(checkout.root, "switch", "-qc", "branch")
        commit(checkout.root)
        assert not checkout.is_main()

    def test_a_folder_without_git_says_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(CheckoutError, match="git cannot say"):
            Checkout(tmp_path).source(MODEL)

    def test_a_clone_without_main_says_what_to_fetch(self, checkout: Checkout) -> None:
        git(checkout.root, "branch", "-m", "main", "feature")
        with pytest.raises(CheckoutError, match="git fetch origin main"):
            checkout.main()

    def test_an_unknown_model_folder_is_named(self, checkout: Checkout) -> None:
        with pytest.raises(CheckoutError, match="no folder churn_model/"):
            checkout.source(Model("churn", "", "churn", "binary_classification"))


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def commit(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-qm", "change")


def write(checkout: Checkout, path: str, content: str) -> None:
    (checkout.root / path).write_text(content)
    commit(checkout.root)


def test_any_name_that_git_takes_has_a_source_and_is_shown_without_effect_on_a_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "abalone_model"
    folder.mkdir()

    git(tmp_path, "init", "-q", "-b", "x\u202e$(id)")
    (tmp_path / "requirements.txt").write_text("")
    sources = []
    for name in (b"plain.py", b"two\nlines.py", b"\x1b[2J.py", b"\xff.py"):
        Path(os.fsdecode(bytes(folder) + b"/" + name)).write_text("x")
        commit(tmp_path)
        sources.append(Checkout(tmp_path).source(MODEL))
    assert len(set(sources)) == 4
    for file in folder.iterdir():
        file.write_text("changed")
    with pytest.raises(CheckoutError) as refused:
        Checkout(tmp_path).require_clean(MODEL)
    assert r"abalone_model/\udcff.py, abalone_model/\x1b[2J.py, " in str(refused.value)
    assert str(refused.value).replace("\n", "").isprintable()
    assert Checkout(tmp_path).branch() == r"x\u202e$(id)"
