"""What `models shadow` and `models ab` refuse before anything is asked of AWS, and what their help teaches."""

import pytest
from typer.testing import CliRunner

from common.cli import app


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("shadow abalone --version 3 --stop", "ask for several things at once"),
        ("shadow abalone --promote --stop", "ask for several things at once"),
        ("ab abalone --versions 3,5 --conclude 3", "ask for several things at once"),
        ("ab abalone --versions three,5", "'three,5' is no list of numbers"),
        ("ab abalone --weights 50,50", "--weights goes with --versions"),
        ("shadow nothing", "There is no model 'nothing'"),
        ("invoke energy {} --customer 8 --key k", "energy has a model for each customer"),
    ],
)
def test_calls_that_can_never_work_are_refused(line: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("SAGEMAKER_BUCKET", "bucket")
    monkeypatch.setenv("SAGEMAKER_EXECUTION_ROLE_ARN", "arn:aws:iam::123456789012:role/R")
    result = CliRunner().invoke(app, line.split())
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())


@pytest.mark.parametrize("command", ["shadow", "ab"])
def test_the_help_shows_how_a_test_is_begun_looked_at_and_ended(command: str) -> None:
    text = CliRunner().invoke(app, [command, "--help"]).output
    assert text.count(f"models {command} abalone") >= 4
    assert "--stop" in text
