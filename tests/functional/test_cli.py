"""The command line as people, scripts and logs see it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from common.cli import app
from common.data.sources import Bundled
from common.local import daemon
from tests.accounts import Account
from tests.clones import ROOT, Clone, packages

ABALONES = list(csv.DictReader(io.StringIO(Bundled("abalone").read().decode())))[:3]
"""Records of animals, their rings among the fields: they are no column that the model wants."""

COMMANDS = (
    "list",
    "status",
    "history",
    "show",
    "train",
    "approve",
    "reject",
    "deploy",
    "invoke",
    "smoke",
    "add-customer",
    "shadow",
    "ab",
    "monitor",
    "rollback",
    "hold",
    "release",
    "logs",
    "watch",
    "teardown",
    "cost",
    "dashboard",
    "new",
    "remove",
    "ci",
    "local up",
    "local down",
)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.create(tmp_path)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_says_what_it_does_and_shows_an_example(command: str) -> None:
    done = CliRunner().invoke(app, [*command.split(), "--help"], prog_name="models")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"Usage: models {command} ")
    assert re.search(rf"^    .*models {command}", done.stdout, re.MULTILINE)


def test_help_names_every_command_with_a_summary_that_is_not_cut_off() -> None:
    done = Clone(ROOT).models(None, "--help")
    for command in {name.split()[0] for name in COMMANDS}:
        assert re.search(rf"^  {command} +[A-Z].*[.?]$", done.stdout, re.MULTILINE), command
    assert "..." not in done.stdout.partition("Commands:")[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("train",),
        ("deploy", "abalone", "--version", "six"),
        ("reject", "abalone"),
        ("rollback", "abalone"),
        ("hold", "abalone"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_how_it_is_meant(arguments: tuple[str, ...]) -> None:
    done = Clone(ROOT).models(None, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: models ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("invoke", "energy", "{}"), "energy has a model for each customer"),
        (("invoke", "energy", "{", "--customer", "8"), "The request is not JSON"),
        (("invoke", "energy", "{}", "--customer", "8", "--plot", "x.png"), "x.png is no file for a forecast's plot"),
        (("invoke", "abalone", "{}", "--customer", "8"), "abalone is one model, which answers for records"),
        (("monitor", "energy"), "energy is a fleet"),
        (("add-customer", "abalone", "8"), "abalone is one model, and has no customers"),
    ],
)
def test_what_is_for_the_other_kind_of_models_is_refused(arguments: tuple[str, ...], said: str, aws: Account) -> None:
    done = Clone(ROOT).models(aws, *arguments)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


@pytest.mark.long
def test_an_account_without_anything_is_no_error(clone: Clone, aws: Account) -> None:
    assert re.search(r"^abalone +rings +regression", clone.succeed(aws, "list"), re.MULTILINE)
    status = clone.succeed(aws, "status", "abalone").splitlines()[-1]
    assert re.fullmatch(r"abalone  [0-9a-f]{16} .* –  +–  +–  +–  +NO  +no approved package of main's source", status)
    assert len(clone.succeed(aws, "history", "abalone").splitlines()) == 2
    assert clone.succeed(aws, "cost") == "Nothing runs that costs money by the hour.\n"
    said = clone.succeed(aws, "dashboard").splitlines()
    assert said == ["1 of 1 models wants somebody's attention: abalone.", "build/dashboard.html has the whole."]
    assert (clone.path / "build/dashboard.html").read_text().startswith("<!DOCTYPE html>")
    due = clone.models(aws, "due", "--json")
    assert (due.returncode, json.loads(due.stdout)) == (0, {})
    assert "nothing of it serves" in due.stderr
    assert clone.succeed(aws, "teardown", "fraud").startswith("fraud: nothing of it runs")  # also of no folder here
    for arguments, message in (
        (("status", "--check"), "Not in step with main: abalone: no approved package of main's source"),
        (("show", "abalone"), "abalone has no packages yet"),
        (("approve", "abalone"), "No package of abalone was trained from this checkout's source"),
        (("reject", "abalone", "--reason", "x"), "Train it first: push the branch, or `models train abalone`"),
        (("reject", "abalone", "--reason", "x", "--version", "7"), "abalone has no package version 7"),
        (("deploy", "abalone"), "No package of abalone was ever trained from main's source"),
        (("deploy", "abalone", "--version", "7"), "`./models history abalone` lists the versions"),
        (("invoke", "abalone", json.dumps(ABALONES[0])), "There is no endpoint abalone"),
        (("rollback", "abalone", "--reason", "x"), "There is nothing to go back from: of abalone, it has no endpoint"),
        (("hold", "abalone", "--reason", "x"), "There is no endpoint abalone, so there is nothing to hold"),
        (("release", "abalone"), "abalone, with main's package, is neither held nor rolled back"),
        (("logs", "abalone"), "the endpoint abalone has never printed anything"),
        (("watch", "abalone"), "There is no endpoint abalone to watch"),
    ):
        done = clone.models(aws, *arguments)
        assert done.returncode == 1, arguments
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_a_model_from_training_to_rejection(clone: Clone, aws: Account) -> None:
    """One story, since each command shows what the ones before have done."""
    clone.succeed(aws, "train", "abalone")
    assert "version 1 is approved. Approved by " in clone.succeed(aws, "approve", "abalone")
    plan = clone.succeed(aws, "deploy", "abalone", "--plan")
    assert "create endpoint abalone" in plan
    assert aws.client("sagemaker").list_endpoints()["Endpoints"] == []
    clone.succeed(aws, "deploy", "abalone")
    assert "nothing: abalone serves" in clone.succeed(aws, "deploy", "abalone", "--plan")

    records = json.dumps(ABALONES)
    table = clone.succeed(aws, "invoke", "abalone", records).splitlines()
    assert table[0].split() == [*ABALONES[0], "prediction"]
    assert [line.split()[0] for line in table[2:]] == [record["sex"] for record in ABALONES]
    assert all(1 < float(line.split()[-1]) < 30 for line in table[2:])
    (clone.path.parent / "rows.csv").write_text(_csv())
    assert clone.succeed(aws, "invoke", "abalone", f"@{clone.path.parent / 'rows.csv'}").splitlines() == table
    bad = clone.models(aws, "invoke", "abalone", '{"sex": "M"}')
    assert (bad.returncode, "record 1, length: there is no such field" in bad.stderr) == (1, True)

    reason = "the unit of weight was wrong [grams], " + "very " * 40 + "wrong"
    assert "version 1 is rejected" in clone.succeed(aws, "reject", "abalone", "--reason", reason)
    assert packages(aws)[0]["ModelApprovalStatus"] == "Rejected"
    assert re.search(
        rf"^reason +Rejected by .*: {re.escape(reason)}$", clone.succeed(aws, "show", "abalone"), re.MULTILINE
    )
    [line] = clone.succeed(aws, "history", "abalone").splitlines()[2:]
    assert line.startswith("1 ")
    assert clone.git("rev-parse", "HEAD")[:8] in line
    assert "NO" in clone.succeed(aws, "status", "abalone").splitlines()[-1]
    assert "is rejected" in clone.models(aws, "deploy", "abalone").stderr


def _csv() -> str:
    rows = [",".join(record.values()) for record in ABALONES]
    return "\n".join([",".join(ABALONES[0]), *rows]) + "\n"


@dataclass(frozen=True)
class OwnAws:
    """A local AWS that the clone started on a state folder of its own."""

    clone: Clone
    state: Path

    def ci(self, *arguments: str) -> tuple[int, str]:
        done = self.clone.models(None, "ci", "--state", str(self.state), *arguments)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def own(clone: Clone, tmp_path: Path) -> Iterator[OwnAws]:
    """The AWS of `models local up --detach` and, at the end, `down`."""
    own = OwnAws(clone, tmp_path / "aws")
    state = ("--state", str(own.state))
    up = clone.models(None, "local", "up", "--detach", "--port", "0", *state, LOCAL_AWS_TIME_SCALE="0.01")
    try:
        assert re.search(r"^export AWS_ENDPOINT_URL=http://127\.0\.0\.1:\d+$", up.stdout, re.MULTILINE), up.stderr
        again = clone.models(None, "local", "up", "--detach", *state)
        assert (again.returncode, again.stdout) == (0, up.stdout)
        assert "It runs already at " in again.stderr
        yield own
    finally:
        down = clone.models(None, "local", "down", *state)
    assert down.returncode == 0
    assert daemon.status(own.state) is None
    assert clone.models(None, "local", "down", *state).returncode == 1


@pytest.mark.long
def test_ci_plays_a_branch_and_stops_at_the_approval(own: OwnAws) -> None:
    own.clone.git("switch", "-qc", "feature")
    own.clone.tune(max_depth=3)
    own.clone.commit()
    code, printed = own.ci("--branch", "feature", "--skip", "check", "--skip", "audit", "--no-approve")
    assert code == 0, printed
    assert re.search(r"train-abalone +success", printed)
    assert re.search(r"request-deployment +on_hold|request-deployment +on hold", printed)
    code, printed = own.ci("--branch", "feature", "--skip", "check", "--skip", "audit")
    assert (code, "nobody is there to ask" in printed) == (2, True), printed
    for arguments, message in (
        (("--branch", "missing"), "missing"),
        (("--parameter", "action"), "'action' is no parameter"),
        (("--branch", "main", "--parameter", "action=explode"), "explode"),
    ):
        code, printed = own.ci(*arguments)
        assert code in (1, 2)
        assert "Error: " in printed
        assert message in printed


def test_ci_without_a_local_aws_says_how_to_start_one(clone: Clone, tmp_path: Path) -> None:
    done = clone.models(None, "ci", "--state", str(tmp_path / "none"))
    assert done.returncode == 1
    assert "Start it: `./models local up --detach`" in done.stderr


@pytest.mark.long
def test_a_click_approves_its_own_pipelines_package_also_after_newer_data_were_gathered(
    clone: Clone, aws: Account, tmp_path: Path
) -> None:
    def in_pipeline(pipeline: str, *arguments: str, **variables: str) -> None:
        circleci = {"CIRCLECI": "true", "CIRCLE_WORKFLOW_ID": pipeline, "CIRCLE_BUILD_URL": "https://circleci.com/7"}
        done = clone.models(aws, *arguments, **circleci, **variables)
        assert done.returncode == 0, done.stdout + done.stderr

    in_pipeline("one", "train", "abalone")
    rows = Bundled("abalone").read().splitlines(keepends=True)
    (tmp_path / "fewer.csv").write_bytes(b"".join(rows[:3000]))
    in_pipeline("two", "train", "abalone", "--refresh", ABALONE_SOURCE=str(tmp_path / "fewer.csv"))
    in_pipeline("one", "approve", "abalone")
    assert [package["ModelApprovalStatus"] for package in packages(aws)] == ["Approved", "PendingManualApproval"]


def test_main_without_an_approved_package_is_told_at_once_whatever_the_wait(clone: Clone, aws: Account) -> None:
    done = clone.models(aws, "status", "--check", "--wait", "1")
    assert done.returncode == 1
    assert "waiting for" not in done.stdout


def test_a_wrong_declaration_is_told_without_a_traceback(clone: Clone, aws: Account) -> None:
    clone.edit("abalone_model/deploy.py", r"Canary\(percent=10", "Canary(percent=60")
    done = clone.run(aws, "-m", "abalone_model.deploy")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: A canary of 60 % is not possible.")
    assert "Traceback" not in done.stderr
