"""`make demo`: push, click and merge on this machine, through the real YAML, to a live prediction.

Everything happens in a scratch folder: a clone of this repository with an origin of its own, and a local AWS.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3
from rich.console import Console

from common.errors import ModelsError
from common.local.account import ACCOUNT, contexts, prepare_account
from common.local.daemon import Running, down, up
from common.local.pipeline.run import PipelineResult, Settings, play

_ROOT = Path(__file__).resolve().parents[2]
_TIME_SCALE = 0.002  # a canary that bakes for 300 s on AWS bakes for 0.6 s here
# The first rows of the test set, which no model is trained on, and their rings.
ABALONES: tuple[tuple[dict[str, str | float], int], ...] = (
    ({"sex": "M", "length": 0.44, "diameter": 0.365, "height": 0.125, "whole_weight": 0.516, "shucked_weight": 0.2155,
      "viscera_weight": 0.114, "shell_weight": 0.155}, 10),
    ({"sex": "F", "length": 0.53, "diameter": 0.415, "height": 0.15, "whole_weight": 0.7775, "shucked_weight": 0.237,
      "viscera_weight": 0.1415, "shell_weight": 0.33}, 20),
    ({"sex": "F", "length": 0.44, "diameter": 0.34, "height": 0.1, "whole_weight": 0.451, "shucked_weight": 0.188,
      "viscera_weight": 0.087, "shell_weight": 0.13}, 10),
    ({"sex": "M", "length": 0.665, "diameter": 0.525, "height": 0.165, "whole_weight": 1.338, "shucked_weight": 0.5515,
      "viscera_weight": 0.3575, "shell_weight": 0.35}, 18),
)  # fmt: skip


@dataclass(frozen=True)
class Demo:
    """A repository with an origin, a CircleCI project and an AWS account, all in one scratch folder."""

    repo: Path
    project: Settings
    running: Running
    console: Console

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
        """Play the pipeline of the branch's tip, without the job that runs all tests; a failing job ends the demo."""
        result = play(
            self.repo,
            self.project,
            branch=branch,
            approve=lambda _job: approve,
            parameters=parameters,
            skip=("check",),
            console=self.console,
        )
        if not result.ok:
            raise ModelsError(f"A job failed; its log is below {result.folder}.")
        return result

    def tune(self, name: str, value: object) -> None:
        """Change a hyperparameter in abalone's train_register.py."""
        path = self.repo / "abalone_model/train_register.py"
        text, count = re.subn(rf'("{name}": )[^,]+,', rf"\g<1>{value},", path.read_text())
        if count != 1:
            raise ModelsError(f"train_register.py has {count} hyperparameters {name}.")
        path.write_text(text)

    def merge(self, branch: str) -> None:
        """Squash the branch into main, as the button of a pull request does."""
        self.git("switch", "-q", "main")
        self.git("merge", "-q", "--squash", branch)
        self.git("commit", "-qm", f"{branch} (squashed)")
        self.git("push", "-q", "origin", "main")

    def training_jobs(self) -> int:
        """How many training jobs were ever started in the account."""
        sagemaker = boto3.client("sagemaker", endpoint_url=self.running.url, region_name="eu-west-1",
                                 aws_access_key_id="local", aws_secret_access_key="local")  # noqa: S106  # fmt: skip
        return len(sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"])

    def models(self, *arguments: str) -> None:
        """Run `./models` in the clone, on the account that the pipelines work in."""
        environment = {**os.environ, **self.project.contexts["deploy"], "PYTHONPATH": str(self.repo),
                       "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}  # fmt: skip
        del environment["AWS_ROLE_ARN"]  # a person has keys, not CircleCI's identity
        sys.stdout.flush()
        subprocess.run([sys.executable, "-m", "common.cli", *arguments], cwd=self.repo, env=environment, check=True)


def story(demo: Demo) -> None:
    """The three gestures, and what keeps them safe."""
    demo.tell("Before", "a person trains, approves and deploys what main holds: the manual trigger")
    demo.play("main", approve=True, parameters={"action": "train", "model": "abalone"})

    demo.tell("Push", "a branch that changes only documentation: nothing is trained")
    demo.git("switch", "-qc", "say-thanks")
    (demo.repo / "README.md").open("a").write("\nThanks for reading.\n")
    demo.push("say-thanks", "Thank the reader")

    demo.tell("Push", "a branch that changes abalone: it is trained, evaluated and registered …")
    demo.git("switch", "-q", "main")
    demo.git("switch", "-qc", "more-columns")
    demo.tune("colsample_bytree", 0.8)
    result = demo.push("more-columns", "Look at more columns in each tree", approve=True)
    show_metrics(demo, result)
    demo.tell("Click", "… and its approval job was clicked: exactly that package is approved")

    demo.tell("Rival", "another branch trains after it and is approved, too, but is not merged")
    demo.git("switch", "-q", "main")
    demo.git("switch", "-qc", "rival")
    demo.tune("num_round", 300)
    demo.push("rival", "Train for longer", approve=True)

    demo.tell("Merge", "more-columns is squashed into main: its package is deployed, a canary first")
    demo.merge("more-columns")
    jobs = demo.training_jobs()
    demo.play("main")
    predict(demo)
    demo.models("status")

    demo.tell("Revert", "the merge is reverted: the package before it comes back, and nothing is trained")
    demo.git("revert", "--no-edit", "HEAD")
    demo.git("push", "-q", "origin", "main")
    demo.play("main")
    if demo.training_jobs() != jobs:
        raise ModelsError("A training job was started where none may be.")
    demo.models("history", "abalone")
    demo.models("status", "--check")


def show_metrics(demo: Demo, result: PipelineResult) -> None:
    """The model's error beside the champion's, a linear regression's and the mean's, from the job's artifacts."""
    evaluation = json.loads(next(result.job("train-abalone").artifacts.rglob("evaluation.json")).read_text())
    errors = {name: metrics["rmse"] for name, metrics in evaluation["metrics"].items()}
    demo.console.print(
        "  RMSE on the fixed test rows: " + ", ".join(f"{name} {error:.3f}" for name, error in errors.items())
    )


def predict(demo: Demo) -> None:
    demo.tell("Predict", f"the endpoint's answers; the true rings are {', '.join(str(rings) for _, rings in ABALONES)}")
    demo.models("invoke", "abalone", json.dumps([abalone for abalone, _ in ABALONES]))


def prepare(folder: Path, running: Running, console: Console) -> Demo:
    """Clone this repository's HEAD into the folder, as the main of an origin of its own."""
    origin, repo = folder / "origin.git", folder / "repository"
    for command in (
        ["git", "init", "-q", "--bare", "-b", "main", str(origin)],
        ["git", "-C", str(_ROOT), "push", "-q", str(origin), "HEAD:refs/heads/main"],
        ["git", "clone", "-q", str(origin), str(repo)],
        ["git", "-C", str(repo), "config", "user.name", "Demo"],
        ["git", "-C", str(repo), "config", "user.email", "demo@example.com"],
    ):
        subprocess.run(command, check=True)
    project = Settings(folder / "circleci", contexts(running), project={}, venv=Path(sys.prefix))
    return Demo(repo, project, running, console)


def main() -> int:
    started, console = time.monotonic(), Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    with tempfile.TemporaryDirectory(prefix="models-demo-") as scratch:
        folder = Path(scratch)
        running: list[Running] = []
        up(folder / "aws", port=0, detach=True, time_scale=_TIME_SCALE, announce=running.append)
        try:
            prepare_account(running[0])
            console.print(f"An AWS on this machine answers at {running[0].url}; its account is {ACCOUNT}.")
            story(prepare(folder, running[0], console))
        except ModelsError as error:
            console.print(f"[bold red]Error:[/] {error}")
            return error.exit_code
        finally:
            down(folder / "aws")
    console.print(
        f"\nThe whole story took {time.monotonic() - started:.0f} s. Now read README.md, «The three gestures»."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
