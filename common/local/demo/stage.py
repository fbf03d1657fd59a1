"""Where the demo plays: a clone of this repository with an origin of its own, a local AWS, and a warehouse."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from rich.console import Console

from common.errors import ModelsError
from common.local.account import ACCOUNT, BUCKET, contexts, prepare_account, variables
from common.local.daemon import Running, down, up
from common.local.demo.warehouse import warehouse
from common.local.pipeline.paths import git
from common.local.pipeline.project import origin
from common.local.pipeline.run import PipelineResult, Settings, play
from common.local.play import models_of
from common.local.postgres import Postgres

ROOT = Path(__file__).resolve().parents[3]
WAREHOUSE = "ENERGY_SOURCE"
CONTINUATION = ".circleci/dynamic_config.yml"
_TIME_SCALE = 0.002  # a canary that bakes for 300 s on AWS bakes for 0.6 s here
_PREDICTED = 4


@dataclass(frozen=True)
class Demo:
    """A repository with an origin, a CircleCI project and an AWS account, all in one scratch folder.

    Attributes:
        warehouse: holds the energy model's readings; None in a repository without that model.
    """

    repo: Path
    project: Settings
    running: Running
    console: Console
    warehouse: Postgres | None

    def tell(self, gesture: str, text: str) -> None:
        self.console.print(f"\n[bold cyan]▌ {gesture}[/]  {text}")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(self.repo), *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ModelsError(f"git {' '.join(arguments)} failed: {done.stderr.strip()}")
        return done.stdout

    def push(self, branch: str, message: str, *, approve: bool = False) -> PipelineResult:
        """Commit what has changed, push the branch, and play its pipeline."""
        self.git("add", "--all")
        self.git("commit", "-qm", message)
        self.git("push", "-q", "origin", branch)
        return self.play(branch, approve=approve)

    def play(
        self, branch: str, *, approve: bool = False, parameters: Mapping[str, str] | None = None
    ) -> PipelineResult:
        """Play the pipeline of the branch's tip, without the jobs that run all tests and audit what is installed.

        Raises:
            ModelsError: a job failed.
        """
        result = play(
            self.repo,
            self.project,
            branch=branch,
            approve=lambda _job: approve,
            parameters=parameters,
            skip=("check", "audit"),
            console=self.console,
        )
        if not result.ok:
            raise ModelsError(f"A job failed; its log is below {result.folder}.")
        return result

    def branch(self, name: str) -> None:
        """Begin a branch of main."""
        self.git("switch", "-q", "main")
        self.git("switch", "-qc", name)

    def tune(self, model: str, name: str, value: object) -> None:
        """Change a hyperparameter in a model's train_register.py."""
        self.edit(model, rf'("{name}": )[^,]+,', rf"\g<1>{value},")

    def edit(self, model: str, pattern: str, replacement: str) -> None:
        """Change the one place in a model's train_register.py where the pattern occurs."""
        path = self.repo / f"{model}_model/train_register.py"
        text, count = re.subn(pattern, replacement, path.read_text())
        if count != 1:
            raise ModelsError(f"{path.name} of {model} has {count} places where {pattern} occurs.")
        path.write_text(text)

    def is_fleet(self, model: str) -> bool:
        """Whether the model forecasts for customers, as its declaration says."""
        return 'problem="forecasting"' in (self.repo / f"{model}_model/__init__.py").read_text()

    def merge(self, branch: str) -> None:
        """Squash the branch into main, as the button of a pull request does."""
        self.git("switch", "-q", "main")
        self.git("merge", "-q", "--squash", branch)
        self.git("commit", "-qm", f"{branch} (squashed)")
        self.git("push", "-q", "origin", "main")

    def client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.running.url, region_name="eu-west-1",  # type: ignore[call-overload]
                            aws_access_key_id="local", aws_secret_access_key="local")  # noqa: S106  # fmt: skip

    def training_jobs(self) -> int:
        """How many training jobs were ever started in the account."""
        return len(self.client("sagemaker").list_training_jobs(MaxResults=100)["TrainingJobSummaries"])

    def test_rows(self, model: str) -> list[dict[str, str]]:
        """The first rows of the model's newest test set."""
        return test_rows(self.client("s3"), BUCKET, model)

    def models(self, *arguments: str) -> None:
        """Run `./models` in the clone, on the account that the pipelines work in."""
        held = {name: value for name, value in self.project.contexts["train"].items() if name == WAREHOUSE}
        environment = {**os.environ, **held, **variables(self.running), "PYTHONPATH": str(self.repo)}
        sys.stdout.flush()
        subprocess.run([sys.executable, "-m", "common.cli", *arguments], cwd=self.repo, env=environment, check=True)


def test_rows(s3: Any, bucket: str, model: str) -> list[dict[str, str]]:
    """The first rows of the model's newest test set in a bucket, which no model is trained on, with their label."""
    found = s3.list_objects_v2(Bucket=bucket, Prefix=f"{model}/data/").get("Contents", [])
    newest = max((o for o in found if o["Key"].endswith("records/test.csv")), key=lambda o: o["LastModified"])
    text = s3.get_object(Bucket=bucket, Key=newest["Key"])["Body"].read().decode()
    return list(csv.DictReader(io.StringIO(text)))[:_PREDICTED]


def clone(folder: Path) -> Path:
    """Clone this repository's HEAD into the folder, as the main of an origin of its own."""
    origin, repo = folder / "origin.git", folder / "repository"
    for command in (
        ["git", "init", "-q", "--bare", "-b", "main", str(origin)],
        ["git", "-C", str(ROOT), "push", "-q", str(origin), "HEAD:refs/heads/main"],
        ["git", "clone", "-q", str(origin), str(repo)],
        ["git", "-C", str(repo), "config", "user.name", "Demo"],
        ["git", "-C", str(repo), "config", "user.email", "demo@example.com"],
    ):
        subprocess.run(command, check=True)
    _play_without_staging(repo)
    return repo


def _play_without_staging(repo: Path) -> None:
    """The demo begins with one account, also where the repository's own main goes through staging."""
    path = repo / CONTINUATION
    text = path.read_text()
    plain = switched(switched(text, "staging", on=False), "ask-before-production", on=False)
    if plain == text:
        return
    path.write_text(plain)
    for command in (["commit", "-qam", "Begin with one account"], ["push", "-q", "origin", "main"]):
        subprocess.run(["git", "-C", str(repo), *command], check=True)


def switched(continuation: str, name: str, *, on: bool) -> str:
    """The continuation with another default of a boolean parameter.

    Raises:
        ModelsError: it declares no such parameter.
    """
    line = rf"^(  {name}: {{type: boolean, default: )(?:true|false)}}$"
    text, found = re.subn(line, rf"\g<1>{str(on).lower()}}}", continuation, flags=re.MULTILINE)
    if found != 1:
        raise ModelsError(f"{CONTINUATION} does not declare the boolean parameter {name} once.")
    return text


@contextmanager
def warehouse_of(repo: Path, console: Console) -> Iterator[Postgres | None]:
    """The energy model's warehouse; None in a repository without that model."""
    if not (repo / "energy_model").exists():
        yield None
        return
    with warehouse(repo) as server:
        console.print("A PostgreSQL on this machine holds the readings of 1,000 made-up customers.")
        yield server


def project_of(folder: Path, running: Running, server: Postgres | None) -> Settings:
    """The CircleCI project, whose context `train` names the warehouse."""
    held = contexts(running)
    train = {**held["train"], WAREHOUSE: server.url} if server else held["train"]
    return Settings(folder, {**held, "train": train}, project={}, venv=Path(sys.prefix))


def tell(story: Callable[[Demo], None], console: Console) -> None:
    """Tell a story in a repository and an AWS of its own, of which nothing stays but the reports."""
    if git(ROOT, "status", "--porcelain"):
        console.print("Not everything here is committed; the story is that of the last commit.")
    with tempfile.TemporaryDirectory(prefix="models-demo-") as scratch:
        folder = Path(scratch)
        running: list[Running] = []
        up(folder / "aws", port=0, detach=True, time_scale=_TIME_SCALE, announce=running.append)
        try:
            repo = clone(folder)
            prepare_account(running[0], origin(repo), models_of(repo, "HEAD"))
            console.print(f"An AWS on this machine answers at {running[0].url}; its account is {ACCOUNT}.")
            with warehouse_of(repo, console) as server:
                story(Demo(repo, project_of(folder / "circleci", running[0], server), running[0], console, server))
        finally:
            down(folder / "aws")
