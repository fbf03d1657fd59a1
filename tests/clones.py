"""Scratch clones of this repository, in which tests commit, merge and run the steps as whole processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from common.scaffold.wiring import CONTINUATION, Texts, read, unwire
from tests.accounts import Account

ROOT = Path(__file__).resolve().parents[1]
TRAINING = "abalone_model/train_register.py"
_RELEASE = """
import sys
from common.cli import app
for step in ("train", "approve", "deploy"):
    if code := app([step, sys.argv[1]], standalone_mode=False):
        sys.exit(code)
"""
_IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}


@dataclass(frozen=True)
class Clone:
    """A person's clone of a repository that holds the files of this one, on main, with an origin of its own.

    Abalone trains for few rounds there, bakes for 30 s and passes any gate, so that tests are quick and about one thing.
    """

    path: Path

    @classmethod
    def create(cls, folder: Path, models: Collection[str] = ("abalone",)) -> Clone:
        """Copy this working tree, with what is not committed in it, into a new repository below the folder.

        Args:
            models: those that the repository has there; abalone is one of them.
        """
        path, origin = folder / "repository", folder / "origin.git"
        listing = subprocess.run(
            ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        others = tuple(f"{model}_model/" for model in _models() - set(models))
        for name in filter(None, listing.split("\0")):
            if (ROOT / name).exists() and not name.startswith(("tests/", "docs/", "benchmarks/", *others)):
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, path / name)
        for name, text in wiring(frozenset(models)).items():
            (path / name).parent.mkdir(exist_ok=True)
            (path / name).write_text(text)
        clone = cls(path)
        clone.edit(TRAINING, r"gate=.*", 'gate=Gate(metric="rmse", at_most=9, may_lose_to_champion_by=9),')
        clone.edit("abalone_model/deploy.py", "bake_seconds=300", "bake_seconds=30")
        clone.tune(num_round=6, eta=0.4)
        clone.git("init", "-q", "-b", "main")
        clone.commit("Begin")
        clone.git("init", "-q", "--bare", "-b", "main", str(origin))
        clone.git("remote", "add", "origin", str(origin))
        clone.push("main")
        return clone

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=os.environ | _IDENTITY, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, message: str = "Change") -> str:
        """Commit everything; returns the commit's id."""
        self.git("add", "--all")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")

    def push(self, branch: str) -> None:
        self.git("push", "-q", "--force", "origin", branch)

    def edit(self, file: str, pattern: str, replacement: str) -> None:
        """Replace the one place in a file where the pattern occurs."""
        path = self.path / file
        text, count = re.subn(pattern, replacement, path.read_text())
        assert count == 1, f"{pattern} occurs {count} times in {file}"
        path.write_text(text)

    def tune(self, **hyperparameters: float | str) -> None:
        """Change hyperparameters of abalone."""
        for name, value in hyperparameters.items():
            self.edit(TRAINING, rf'"{name}": [^,]+,', f'"{name}": {value!r},')

    def run(self, aws: Account | None, *command: str, **variables: str | None) -> subprocess.CompletedProcess[str]:
        """Run `python <command>` in the clone, in the account, with nothing else of this process's environment.

        Args:
            variables: further environment variables; None removes one of the account's.
        """
        return subprocess.run(
            [sys.executable, *command], cwd=self.path, env=self.environment(aws, variables),
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def start(self, aws: Account, *command: str, **variables: str | None) -> subprocess.Popen[str]:
        """As `run`, without waiting."""
        return subprocess.Popen(
            [sys.executable, *command], cwd=self.path, env=self.environment(aws, variables),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def environment(self, aws: Account | None, variables: Mapping[str, str | None]) -> dict[str, str]:
        """The environment of a process in the clone."""
        home = {
            "HOME": str(self.path.parent),
            "LOGNAME": "ada",
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }
        wanted = {"PYTHONPATH": str(self.path), **home, **(aws.env if aws else {}), **variables}
        return {name: value for name, value in wanted.items() if value is not None}

    def models(self, aws: Account | None, *arguments: str, **variables: str | None) -> subprocess.CompletedProcess[str]:
        """Run `models <arguments>`."""
        return self.run(aws, "-m", "common.cli", *arguments, **variables)

    def succeed(self, aws: Account, *arguments: str, **variables: str | None) -> str:
        """Run `models <arguments>`, which has to succeed; returns what it printed."""
        done = self.models(aws, *arguments, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def release(self, aws: Account, model: str = "abalone", **variables: str | None) -> None:
        """Train, approve and deploy what is committed; in one process, for each would load the same libraries."""
        done = self.run(aws, "-c", _RELEASE, model, **variables)
        assert done.returncode == 0, done.stdout + done.stderr


def _models() -> set[str]:
    return {folder.name.removesuffix("_model") for folder in ROOT.glob("*_model")}


@cache
def wiring(models: frozenset[str]) -> Texts:
    """The files that name the models, without all but these, and without staging; whoever adds a model or has staging breaks
    no test of another."""
    texts: Texts = read(ROOT)
    for other in _models() - models:
        texts = unwire(texts, other)
    return {**texts, CONTINUATION: switched(texts[CONTINUATION], {"staging": False, "ask-before-production": False})}


def switched(continuation: str, switches: Mapping[str, bool]) -> str:
    """The continuation with other defaults of these boolean parameters."""
    for name, on in switches.items():
        line = re.compile(rf"^  {name}: {{type: boolean, default: (true|false)}}$", re.MULTILINE)
        continuation, found = line.subn(f"  {name}: {{type: boolean, default: {str(on).lower()}}}", continuation)
        assert found == 1, name
    return continuation


def answer(aws: Account, model: str, record: Mapping[str, object]) -> dict[str, Any]:
    """What the model's endpoint answers for a raw record."""
    answer = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=model, ContentType="application/json", Accept="application/json", Body=json.dumps(record)
    )
    [found] = json.loads(answer["Body"].read())["predictions"]
    return dict(found)


def forecast(aws: Account, model: str, customer: str, request: Mapping[str, object]) -> list[dict[str, Any]]:
    """What the model of one customer of a fleet forecasts."""
    answer = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=model, TargetModel=f"{customer}.tar.gz", ContentType="application/json", Body=json.dumps(request)
    )
    found: list[dict[str, Any]] = json.loads(answer["Body"].read())
    return found


def state_of(aws: Account) -> dict[str, Any]:
    """Everything that a step could have changed: objects, packages, endpoint, models, configurations, training jobs.

    What an endpoint captures of the calls that a step makes is no change.
    """
    sagemaker, s3 = aws.client("sagemaker"), aws.client("s3")
    endpoints = [e["EndpointName"] for e in sagemaker.list_endpoints()["Endpoints"]]
    return {
        "objects": {
            entry["Key"]: (entry["ETag"], entry["LastModified"])
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=aws.bucket)
            for entry in page.get("Contents", [])
            if "/capture/" not in entry["Key"]
        },
        "packages": [_plain(package) for package in packages(aws)],
        "endpoints": [_plain(sagemaker.describe_endpoint(EndpointName=name)) for name in endpoints],
        "configurations": _names(sagemaker.list_endpoint_configs()["EndpointConfigs"], "EndpointConfigName"),
        "models": _names(sagemaker.list_models()["Models"], "ModelName"),
        "training jobs": training_jobs(aws),
    }


def training_jobs(aws: Account) -> list[tuple[str, str]]:
    """(name, status) of every training job that was ever started in the account, oldest first."""
    answer = aws.client("sagemaker").list_training_jobs(MaxResults=100, SortBy="CreationTime", SortOrder="Ascending")
    return [(job["TrainingJobName"], job["TrainingJobStatus"]) for job in answer["TrainingJobSummaries"]]


def packages(aws: Account) -> list[dict[str, Any]]:
    """The packages of abalone, oldest first."""
    sagemaker = aws.client("sagemaker")
    if not sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]:
        return []
    answer = sagemaker.list_model_packages(ModelPackageGroupName="abalone", SortOrder="Ascending", MaxResults=100)
    arns = [package["ModelPackageArn"] for package in answer["ModelPackageSummaryList"]]
    return [sagemaker.describe_model_package(ModelPackageName=arn) for arn in arns]


def serving(aws: Account) -> str:
    """The ARN of the package behind the endpoint abalone."""
    sagemaker = aws.client("sagemaker")
    endpoint = sagemaker.describe_endpoint(EndpointName="abalone")
    configuration = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    model = sagemaker.describe_model(ModelName=configuration["ProductionVariants"][0]["ModelName"])
    return str(model["PrimaryContainer"]["ModelPackageName"])


def _names(found: list[dict[str, Any]], key: str) -> list[str]:
    return sorted(str(entry[key]) for entry in found)


def _plain(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}
