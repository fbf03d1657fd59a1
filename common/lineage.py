"""What a model is trained from: the source, a digest over the committed content that determines its training.

Content, not commits: squash, rebase and merge commits of the same change have the same source, a reverted merge has the
source of before, and a change that cannot influence training (docs, tests, `deploy.py`) leaves the source as it is.
"""

import hashlib
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from common.errors import CheckoutError
from common.model import ROOT, Model

_OF_ALL = (
    "common/model.py",
    "common/data/",
    "common/training/",
    "common/evaluation/",
    "common/steps/registering.py",
)
TABULAR_CODE = (
    *_OF_ALL,
    "common/serving/",
    "common/steps/candidate.py",
    "common/steps/gather.py",
    "common/steps/train.py",
)
"""The shared code that gathers, trains and evaluates a model of rows. Whatever else changes, it need not be trained again."""
FLEET_CODE = (
    *_OF_ALL,
    "common/forecasting/",
    "common/steps/fleet_candidate.py",
    "common/steps/fleet_champion.py",
    "common/steps/fleet_objects.py",
    "common/steps/gather_series.py",
    "common/steps/train_fleet.py",
    "requirements-prophet.txt",
)
"""The same for a fleet of forecasting models."""

TRAINING_PACKAGES = ("numpy", "pandas", "scikit-learn", "scikit-lego", "scipy", "xgboost-cpu")
"""The packages whose pinned version can change what a model learns."""

NOT_TRAINING = ("deploy.py", "README.md")
"""Files of a model folder that only deploy or explain."""


def source_digest(blobs: Mapping[str, str], requirements: str) -> str:
    """The source: 16 hexadecimal digits over paths, contents and training packages.

    Args:
        blobs: the git blob id of each path that determines training.
        requirements: the text of requirements.txt, of which only the pins of `TRAINING_PACKAGES` count.
    """
    pins = sorted(
        re.split("#|;| --hash", line, maxsplit=1)[0].strip()
        for package, line in pinned(requirements)
        if package in TRAINING_PACKAGES
    )
    lines = [f"{path}\0{blob}" for path, blob in sorted(blobs.items())] + pins
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:16]


def pinned(requirements: str) -> list[tuple[str, str]]:
    """(package, its requirement on one line, with marker and hashes) of each that a requirements file pins."""
    lines = requirements.replace("\\\n", " ").splitlines()
    return [
        (re.split(r"[=<>~! \[;]", line, maxsplit=1)[0], " ".join(line.split())) for line in lines if line[:1].isalnum()
    ]


def training_code(model: Model) -> tuple[str, ...]:
    """The shared files and folders (with a slash at the end) that determine how a model of that kind is trained."""
    return FLEET_CODE if model.is_fleet else TABULAR_CODE


def determines_training(path: str, model: Model) -> bool:
    """Whether a change of that file (relative to the repository) can change the model.

    requirements.txt is not one of them as a whole: see `TRAINING_PACKAGES`.
    """
    if path.startswith(f"{model.folder}/"):
        return path.removeprefix(f"{model.folder}/") not in NOT_TRAINING
    return path.startswith(training_code(model))


@dataclass(frozen=True)
class Checkout:
    """A git checkout of this repository."""

    root: Path = ROOT

    def source(self, model: Model, revision: str = "HEAD") -> str:
        """The model's source at a revision.

        Raises:
            CheckoutError: not a git checkout, no such revision, or the model has no files there.
        """
        listing = self._git("ls-tree", "-r", "-z", "--full-tree", revision, "--", model.folder, *training_code(model))
        blobs = {}
        for entry in filter(None, listing.split("\0")):
            facts, path = entry.split("\t", 1)
            if determines_training(path, model):
                blobs[path] = facts.split()[2]
        if not any(path.startswith(f"{model.folder}/") for path in blobs):
            raise CheckoutError(
                f"{revision} has no folder {model.folder}/.", "Commit the folder, or name a commit that has it."
            )
        return source_digest(blobs, self._git("show", f"{revision}:requirements.txt"))

    def commit(self, revision: str = "HEAD") -> str:
        """The full id of the commit."""
        return self._git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").strip()

    def branch(self) -> str:
        """The branch that is checked out, or `HEAD` when none is; see `legible`."""
        return legible(self._git("rev-parse", "--abbrev-ref", "HEAD").strip())

    def main(self) -> str:
        """The revision that main is at, as far as this clone knows.

        Raises:
            CheckoutError: the clone has no main, as in a shallow clone of another branch.
        """
        known = self._git(
            "for-each-ref", "--format=%(objectname)", "refs/heads/main", "refs/remotes/origin/main"
        ).split()
        if not known:
            raise CheckoutError("This clone does not know the branch main.", "Run `git fetch origin main:main`.")
        return known[-1]  # git sorts by name: origin's where there is one

    def require_clean(self, model: Model) -> None:
        """Refuse to train what is not committed: a package must be traceable to a commit.

        Raises:
            CheckoutError: names the files that differ from HEAD.
        """
        dirty = self._dirty(model.folder, *training_code(model), "requirements.txt")
        dirty = [path for path in dirty if path == "requirements.txt" or determines_training(path, model)]
        if dirty:
            raise CheckoutError(
                f"These files determine how {model.name} is trained and are not committed: {_some(dirty)}.",
                "Commit them, or `git stash -u`: the package has to be traceable to a commit.",
            )

    def require_main(self, model: Model) -> None:
        """Refuse to deploy anything but what main holds: a branch, or a main that has moved on since.

        Raises:
            CheckoutError: HEAD's model is not main's, or its files are not committed.
        """
        main = self.main()
        same_source = self.source(model) == self.source(model, main)
        if not same_source or self._git("diff", "--name-only", main, "HEAD", "--", f"{model.folder}/deploy.py"):
            raise CheckoutError(
                f"This checkout ({self.branch()}, {self.commit()[:8]}) holds another {model.name} than main ({main[:8]}).",
                "Deploys come from main's newest commit: merge the branch, or `git switch main && git pull`. "
                "In CircleCI, the pipeline of the newer commit deploys it.",
            )
        self.require_clean(model)
        if self._dirty(f"{model.folder}/deploy.py"):
            raise CheckoutError(f"{model.folder}/deploy.py is not committed.", "Commit it on a branch and merge it.")

    def is_main(self) -> bool:
        """Whether the models' folders are exactly what main holds: only then is what they lack known to be gone."""
        return self.commit() == self.commit(self.main()) and not self._dirty("*_model/*")

    def _dirty(self, *paths: str) -> list[str]:
        listing = self._git("status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--", *paths)
        return [entry[3:] for entry in filter(None, listing.split("\0"))]

    def _git(self, *arguments: str) -> str:
        try:
            done = subprocess.run(
                ["git", "-C", str(self.root), *arguments],
                capture_output=True, encoding="utf-8", errors="surrogateescape", check=False,
            )  # fmt: skip
        except FileNotFoundError:
            raise CheckoutError(
                "git is not installed.", "Install git; the source of a model is read from it."
            ) from None
        if done.returncode:
            reason = done.stderr.strip() or f"git {' '.join(arguments)} found nothing"
            raise CheckoutError(
                f"git cannot say what the source is: {reason}",
                "Run from a git checkout that has the commit; after a shallow clone, `git fetch --unshallow`.",
            )
        return done.stdout


def legible(name: str) -> str:
    """The name of a file or branch for a log: what cannot be printed, such as a line's end or a terminal's command, escaped."""
    return name if name.isprintable() else ascii(name)[1:-1]


def _some(paths: Iterable[str]) -> str:
    listed = sorted(map(legible, paths))
    more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
    return ", ".join(listed[:5]) + more
