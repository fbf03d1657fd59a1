"""A small repository with the real CircleCI files: what the pipeline tests push, merge and play.

Its models are abalone and churn, whichever the real repository has.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from common.local.pipeline.check import SWITCHES
from common.local.pipeline.run import PipelineResult
from common.scaffold.wiring import CONTINUATION, SETUP, read, unwire, wire
from tests.clones import switched

ROOT = Path(__file__).resolve().parents[2]
CONTEXTS = {
    name: {"AWS_ROLE_ARN": f"arn:aws:iam::1:role/{name}"}
    for name in ("train", "approve", "deploy-staging", "deploy", "operate")
}

# Stands in for the virtual environment that `make setup` makes: says what it was called with, leaves the files that
# train_register leaves, and obeys a file `behaviour` of the commit.
PYTHON = """#!/bin/bash
set -e
echo "python $* as $AWS_ROLE_ARN"
if [ "$2" = abalone_model.train_register ]; then
  mkdir -p build/abalone/junit
  echo '<h1>report</h1>' > build/abalone/report.html
  echo '<testsuite><testcase name="rmse"/><testcase name="champion"><skipped/></testcase></testsuite>' \\
    > build/abalone/junit/gate.xml
  if [ -f behaviour ]; then . ./behaviour; fi
fi
"""
MAKEFILE = """
setup:
\t@echo making .venv
\t@test -e .venv || (mkdir -p .venv/bin && cp python.sh .venv/bin/python && chmod +x .venv/bin/python)
test:
\t@mkdir -p build/junit && echo '<testsuite><testcase name="a"/></testsuite>' > build/junit/tests.xml
audit:
\t@mkdir -p build && echo '{}' > build/sbom.json
"""
# Says what it was called with; what is due, a file `due` of the commit says.
MODELS = """#!/bin/bash
if [ "$1" = due ]; then cat due; else echo "models $* as $AWS_ROLE_ARN"; fi
"""

NAMES = ("abalone", "churn")
FILES = {
    "Makefile": MAKEFILE,
    "models": MODELS,
    "python.sh": PYTHON,
    "requirements.txt": "numpy==2.0\n",
    "README.md": "readme\n",
    ".gitignore": ".venv/\nbuild/\n",
    **{
        f"{model}_model/{module}.py": f"{module}\n"
        for model in NAMES
        for module in ("__init__", "gather_data", "train_register", "deploy")
    },
    "common/model.py": "model\n",
    "common/aws.py": "aws\n",
    "common/data/split.py": "split\n",
    "common/training/job.py": "job\n",
    "common/deployment/plan.py": "plan\n",
    "common/local/data/fake.py": "fake\n",
    "docs/data/page.md": "page\n",
    "tests/unit/data/test_split.py": "test\n",
}

IDENTITY = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}


class PipelineRepo:
    """A repository in a temporary folder, and the few git gestures that the tests make."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, template: Path) -> "PipelineRepo":
        """A copy of the template, with a history of its own."""
        shutil.copytree(template, path)
        return cls(path)

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=os.environ | IDENTITY, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def write(self, **files: str) -> None:
        self.write_all(files)

    def write_all(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def commit(self, *changed: str) -> str:
        """Change the files (append a line each) and commit everything; returns the commit."""
        for name in changed:
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a") as out:
                out.write("changed\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "change " + " ".join(changed))
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str) -> None:
        self.git("checkout", "--quiet", "-b", name)

    def switch_on(self, *switches: str) -> None:
        """Commit that these parameters of the continuation are true: `staging`, `ask-before-production`."""
        path = self.path / CONTINUATION
        path.write_text(switched(path.read_text(), dict.fromkeys(switches, True)))
        self.commit()

    def checkout(self, name: str) -> None:
        self.git("checkout", "--quiet", name)

    def edit(self, file: str, change: Any) -> None:
        """Let `change` alter the parsed YAML file, and write it back."""
        document = yaml.safe_load((self.path / file).read_text())
        change(document)
        (self.path / file).write_text(yaml.safe_dump(document, sort_keys=False))


def make_template(path: Path) -> Path:
    """The repository that the tests copy: one commit on main. It has no staging, whatever the real repository has."""
    texts = read(ROOT)
    texts[CONTINUATION] = switched(texts[CONTINUATION], dict.fromkeys(SWITCHES, False))
    for folder in ROOT.glob("*_model"):
        texts = unwire(texts, folder.name.removesuffix("_model"))
    for model in NAMES:
        texts = wire(texts, model, '    "$name": Example({}, 0, 1),\n')
    repo = PipelineRepo(path)
    repo.write_all(FILES | {file: texts[file] for file in (SETUP, CONTINUATION)})
    (path / "models").chmod(0o755)
    repo.git("init", "--quiet", "--initial-branch", "main")
    repo.commit()
    return path


def one_job(repo: PipelineRepo, *steps: Any, **job: Any) -> None:
    """Replace the continuation's workflows by one with one job of these steps, and commit."""

    def change(document: Any) -> None:
        document["jobs"] = {"job": {"executor": "python", **job, "steps": ["checkout", *steps]}}
        document["workflows"] = {"only": {"jobs": ["job"]}}

    repo.edit(CONTINUATION, change)
    repo.commit()


def statuses(result: PipelineResult) -> dict[str, str]:
    return {job.name: job.status for job in result.jobs}
