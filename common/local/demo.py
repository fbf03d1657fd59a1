"""`make demo`: push, click and merge on this machine, through the real YAML, to a live prediction.

Everything happens in a scratch folder: a clone of this repository with an origin of its own, and a local AWS. The reports
are copied to `build/demo/`, to be looked at afterwards.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from rich.console import Console
from rich.markdown import Markdown

from common.errors import ModelsError, UsageError
from common.local.account import ACCOUNT, BUCKET, contexts, prepare_account
from common.local.daemon import Running, down, up
from common.local.pipeline.paths import git
from common.local.pipeline.run import PipelineResult, Settings, play

_ROOT = Path(__file__).resolve().parents[2]
_TIME_SCALE = 0.002  # a canary that bakes for 300 s on AWS bakes for 0.6 s here
_REPORTS = _ROOT / "build/demo"
_PREDICTED = 4
_USAGE = "usage: demo [MODEL]   MODEL is a model of this repository; without it, the whole story is told"


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

    def branch(self, name: str) -> None:
        """Begin a branch of main."""
        self.git("switch", "-q", "main")
        self.git("switch", "-qc", name)

    def tune(self, model: str, name: str, value: object) -> None:
        """Change a hyperparameter in a model's train_register.py."""
        path = self.repo / f"{model}_model/train_register.py"
        text, count = re.subn(rf'("{name}": )[^,]+,', rf"\g<1>{value},", path.read_text())
        if count != 1:
            raise ModelsError(f"{path.name} of {model} has {count} hyperparameters {name}.")
        path.write_text(text)

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
        """The first rows of the model's newest test set, which no model is trained on, with their label."""
        s3 = self.client("s3")
        found = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{model}/data/").get("Contents", [])
        newest = max((o for o in found if o["Key"].endswith("records/test.csv")), key=lambda o: o["LastModified"])
        text = s3.get_object(Bucket=BUCKET, Key=newest["Key"])["Body"].read().decode()
        return list(csv.DictReader(io.StringIO(text)))[:_PREDICTED]

    def models(self, *arguments: str) -> None:
        """Run `./models` in the clone, on the account that the pipelines work in."""
        environment = {**os.environ, **self.project.contexts["deploy"], "PYTHONPATH": str(self.repo),
                       "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}  # fmt: skip
        del environment["AWS_ROLE_ARN"]  # a person has keys, not CircleCI's identity
        sys.stdout.flush()
        subprocess.run([sys.executable, "-m", "common.cli", *arguments], cwd=self.repo, env=environment, check=True)


def whole_story(demo: Demo) -> None:
    """The three gestures, and what keeps them safe."""
    for model in ("abalone", "churn"):
        demo.tell("Before", f"a person trains, approves and deploys main's {model}: the manual trigger")
        demo.play("main", approve=True, parameters={"action": "train", "model": model})
    tell_abalone(demo)
    tell_churn(demo)
    demo.models("status", "--check")


def tell_abalone(demo: Demo) -> None:
    """A regression: squash, rivals and reverts."""
    demo.tell("Push", "a branch that changes only documentation: nothing is trained")
    demo.branch("say-thanks")
    (demo.repo / "README.md").open("a").write("\nThanks for reading.\n")
    demo.push("say-thanks", "Thank the reader")

    demo.tell("Push", "a branch that changes abalone: it is trained, evaluated and registered …")
    demo.branch("more-columns")
    demo.tune("abalone", "colsample_bytree", 0.8)
    show_report(demo, demo.push("more-columns", "Look at more columns in each tree", approve=True), "abalone")
    demo.tell("Click", "… and its approval job was clicked: exactly that package is approved")

    demo.tell("Rival", "another branch trains after it and is approved, too, but is not merged")
    demo.branch("rival")
    demo.tune("abalone", "num_round", 300)
    demo.push("rival", "Train for longer", approve=True)

    demo.tell("Merge", "more-columns is squashed into main: its package is deployed, a canary first")
    demo.merge("more-columns")
    jobs = demo.training_jobs()
    demo.play("main")
    predict(demo, "abalone")

    demo.tell("Revert", "the merge is reverted: the package before it comes back, and nothing is trained")
    demo.git("revert", "--no-edit", "HEAD")
    demo.git("push", "-q", "origin", "main")
    demo.play("main")
    if demo.training_jobs() != jobs:
        raise ModelsError("A training job was started where none may be.")
    demo.models("history", "abalone")


def tell_churn(demo: Demo) -> None:
    """A classification whose hyperparameters are tuned, each time from what the last tunings have learnt."""
    demo.tell("Push", "a branch that changes churn: its tuning starts from what the first has learnt …")
    demo.branch("gentler-trees")
    demo.tune("churn", "subsample", 0.7)
    result = demo.push("gentler-trees", "Show each tree fewer of the customers", approve=True)
    show_report(demo, result, "churn")
    demo.tell("Click", "… the report was read, and the approval job clicked; abalone was not touched by any of it")
    demo.models("history", "churn", "--tuning")

    demo.tell("Merge", "gentler-trees is squashed into main, and deployed")
    demo.merge("gentler-trees")
    demo.play("main")
    predict(demo, "churn")


def story_of(model: str) -> Callable[[Demo], None]:
    """The story of one model: train, approve, deploy and ask it."""

    def story(demo: Demo) -> None:
        demo.tell("Train", f"{model} is trained from main, approved and deployed: the manual trigger")
        show_report(demo, demo.play("main", approve=True, parameters={"action": "train", "model": model}), model)
        predict(demo, model)
        demo.models("history", model)
        demo.models("status", model, "--check")

    return story


def show_report(demo: Demo, result: PipelineResult, model: str) -> None:
    """What the job's log sums up, and where the report is."""
    folder = next(job.artifacts for job in result.jobs if list(job.artifacts.rglob("summary.md")))
    summary = next(folder.rglob("summary.md")).read_text()
    demo.console.print(Markdown(summary.partition("\n## ")[0]), width=120)
    _REPORTS.mkdir(parents=True, exist_ok=True)
    shutil.copy(next(folder.rglob("report.html")), _REPORTS / f"{model}.html")
    demo.console.print(f"  The report: build/demo/{model}.html")


def predict(demo: Demo, model: str) -> None:
    """Ask the endpoint for raw records; the label is a field of them that it passes over."""
    demo.tell(
        "Predict", f"{model}'s endpoint answers for raw records that no model was trained on, with their true label"
    )
    demo.models("invoke", model, json.dumps(demo.test_rows(model)))


def require_model(name: str) -> None:
    """Refuse a model that the last commit does not have.

    Raises:
        UsageError: it has none of that name.
    """
    folders = git(_ROOT, "ls-tree", "-d", "--name-only", "HEAD").split()
    models = [folder.removesuffix("_model") for folder in folders if folder.endswith("_model")]
    if name not in models:
        raise UsageError(
            f"The last commit has no model '{name}', but {', '.join(models)}.",
            "The demo clones what is committed: commit the model first, or correct its name.",
        )


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


def tell(story: Callable[[Demo], None], console: Console) -> None:
    """Tell a story in a repository and an AWS of its own, of which nothing stays but the reports."""
    if git(_ROOT, "status", "--porcelain"):
        console.print("Not everything here is committed; the story is that of the last commit.")
    with tempfile.TemporaryDirectory(prefix="models-demo-") as scratch:
        folder = Path(scratch)
        running: list[Running] = []
        up(folder / "aws", port=0, detach=True, time_scale=_TIME_SCALE, announce=running.append)
        try:
            prepare_account(running[0])
            console.print(f"An AWS on this machine answers at {running[0].url}; its account is {ACCOUNT}.")
            story(prepare(folder, running[0], console))
        finally:
            down(folder / "aws")


def main() -> int:
    if len(sys.argv) > 2 or sys.argv[1:] in (["-h"], ["--help"]):
        print(_USAGE)  # noqa: T201
        return 0 if len(sys.argv) == 2 else 2
    started, console = time.monotonic(), Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    try:
        for model in sys.argv[1:]:
            require_model(model)
        tell(story_of(sys.argv[1]) if sys.argv[1:] else whole_story, console)
    except ModelsError as error:
        console.print(f"[bold red]Error:[/] {error}")
        return error.exit_code
    console.print(
        f"\nThe whole story took {time.monotonic() - started:.0f} s. Now read README.md, «The three gestures»."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
