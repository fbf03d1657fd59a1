"""The environment is read once, and everything that is wrong with it is said at once."""

import base64
import json

import pytest

from common.errors import SettingsError
from common.settings import Run, Settings

GOOD = {
    "AWS_REGION": "eu-west-1",
    "SAGEMAKER_BUCKET": "models",
    "SAGEMAKER_EXECUTION_ROLE_ARN": "arn:aws:iam::123456789012:role/jobs",
}


def test_a_complete_environment_is_read() -> None:
    role = "arn:aws:iam::123456789012:role/jobs"
    assert Settings.from_environment(GOOD) == Settings("eu-west-1", "models", role, account="123456789012")


def test_the_default_region_is_taken_where_the_region_is_not_set() -> None:
    environ = {name: value for name, value in GOOD.items() if name != "AWS_REGION"} | {
        "AWS_DEFAULT_REGION": "us-east-2"
    }
    assert Settings.from_environment(environ).region == "us-east-2"


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_environment({})
    assert all(name in str(error.value) for name in GOOD)


@pytest.mark.parametrize(
    ("name", "value"),
    [("AWS_REGION", "Ireland"), ("SAGEMAKER_BUCKET", "s3://models"), ("SAGEMAKER_EXECUTION_ROLE_ARN", "jobs")],
)
def test_a_malformed_value_is_shown(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is malformed: '{value}'"):
        Settings.from_environment(GOOD | {name: value})


def test_circleci_says_who_runs_and_where() -> None:
    environ = {"CIRCLECI": "true", "CIRCLE_USERNAME": "ada", "CIRCLE_BUILD_URL": "https://circle/7", "CIRCLE_BUILD_NUM": "7",
               "CIRCLE_WORKFLOW_ID": "w", "CIRCLE_BRANCH": "deeper", "CIRCLE_JOB": "train-abalone"}  # fmt: skip
    assert Run.from_environment(environ) == Run("ada", "https://circle/7", "7", "w", "deeper", job="train-abalone")


def token(claims: object) -> str:
    """An identity token as CircleCI gives it to a job, without a signature that counts."""
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.x"


def test_who_caused_the_job_is_read_from_its_identity() -> None:
    subject = "org/o/project/p/user/6c7f-clicker/vcs-origin/github.com/o/r/vcs-ref/refs/heads/a/user/b"
    environ = {"CIRCLECI": "true", "CIRCLE_USERNAME": "pusher", "CIRCLE_OIDC_TOKEN_V2": token({"sub": subject})}
    assert Run.from_environment(environ) == Run("pusher", actor="6c7f-clicker")


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "a.é.c", token([]), token({}), token({"sub": "org/o/user/x"})])
def test_an_identity_that_names_nobody_is_nobodys(text: str) -> None:
    assert Run.from_environment({"CIRCLECI": "true", "CIRCLE_OIDC_TOKEN_V2": text}) == Run("circleci")


def test_on_a_persons_machine_it_is_the_login_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    assert Run.from_environment({}) == Run("grace")


def test_a_user_without_a_name_is_known_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4711)
    assert Run.from_environment({}) == Run("4711")


def test_an_endpoint_that_is_no_url_is_refused() -> None:
    with pytest.raises(SettingsError, match="AWS_ENDPOINT_URL is malformed: 'localhost:4566'"):
        Settings.from_environment(GOOD | {"AWS_ENDPOINT_URL": "localhost:4566"})
    assert Settings.from_environment(GOOD | {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}).bucket == "models"


def test_a_topic_is_optional_and_belongs_to_the_region() -> None:
    assert Settings.from_environment(GOOD).notify_topic == ""
    topic = "arn:aws:sns:eu-west-1:123456789012:alerts"
    assert Settings.from_environment({**GOOD, "NOTIFY_TOPIC_ARN": topic}).notify_topic == topic
    for wrong in (topic.replace("eu-west-1", "eu-west-2"), f"{topic}.fifo", "alerts"):
        with pytest.raises(SettingsError, match=f"NOTIFY_TOPIC_ARN is malformed: '{wrong}'"):
            Settings.from_environment({**GOOD, "NOTIFY_TOPIC_ARN": wrong})
