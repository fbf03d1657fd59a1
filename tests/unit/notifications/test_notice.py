"""What people are told: a subject that SNS takes, the links, and no secret."""

from types import SimpleNamespace

import pytest

from common.aws import Aws
from common.notifications import Notice, notify
from common.notifications.links import object_page, workflow_page
from common.notifications.scrub import REMOVED, scrub
from common.settings import Run, Settings


def notice(**changes: str) -> Notice:
    told = {"subject": "version 7", "text": "It serves.", "key": "k"} | changes
    return Notice(
        "deployed", "abalone", told["subject"], told["text"], {"Job": "https://ci/1", "Nothing": ""}, told["key"]
    )


def test_a_message_says_what_happened_and_where_to_look() -> None:
    assert notice().message == "abalone: deployed: version 7\n\nIt serves.\n\nJob: https://ci/1"


@pytest.mark.parametrize("subject", ["version 7 – größer\nthan before", "x" * 300, "version\t7 \x7f"])
def test_a_subject_is_one_short_line_of_ascii(subject: str) -> None:
    title = notice(subject=subject).title
    assert title.startswith("abalone: deployed: ")
    assert len(title) < 100
    assert title.isascii()
    assert title.isprintable()


@pytest.mark.parametrize(
    ("others", "title"),
    [(("dev", "production"), "[production] abalone: deployed: version 7"), ((), "abalone: deployed: version 7")],
)
def test_a_subject_says_where_only_where_there_are_several_environments(others: tuple[str, ...], title: str) -> None:
    said: list[str] = []
    settings = Settings("eu-west-1", "bucket", "", environment="production" if others else "", others=others)

    notify(SimpleNamespace(aws=Aws(settings), say=said.append), notice())

    assert said == [f"  nobody is notified of «{title}»: NOTIFY_TOPIC_ARN is not set"]


SECRETS = [
    ("https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIA&X-Amz-Signature=5d67", "https://b.s3.amazonaws.com/k"),
    ("https://b.s3.amazonaws.com/k?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=x", "https://b.s3.amazonaws.com/k"),
    ("key AKIAIOSFODNN7EXAMPLE is", f"key {REMOVED} is"),
    ("ASIAIOSFODNN7EXAMPLE", REMOVED),
    ("postgresql://reader:hunter2@host/db", f"postgresql://reader:{REMOVED}@host/db"),
    ("https://u:hunter2@host", f"https://u:{REMOVED}@host"),
    ("postgresql://reader:hunter@2@host/db", f"postgresql://reader:{REMOVED}@host/db"),
    ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", f"token {REMOVED}"),
    ("password=hunter2, and", f"password={REMOVED}, and"),
    ('{"db_password": "hunter 2"}', f'{{"db_password": {REMOVED}}}'),
    ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", f"AWS_SECRET_ACCESS_KEY={REMOVED}"),
    ("Authorization: Bearer abc.def", f"Authorization: Bearer {REMOVED}"),
    ("Circle-Token: CCIPAT_abc_def", f"Circle-Token: {REMOVED}"),
    ("ghp_abcdef", REMOVED),
    ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", REMOVED),
]


@pytest.mark.parametrize(("text", "left"), SECRETS)
def test_a_secret_is_taken_out(text: str, left: str) -> None:
    assert scrub(text) == left
    assert left in notice(text=text).message
    assert scrub(left) == left


def test_a_secret_where_a_long_text_is_cut_off_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.notifications._LONGEST_TEXT", 30)
    assert "AKIA" not in notice(text=f"{'x' * 20} AKIAIOSFODNN7EXAMPLE").message


@pytest.mark.parametrize(
    "text",
    [
        "https://app.circleci.com/pipelines/workflows/5034460f-c7c4-4c43-9457-de07e2029e7b",
        object_page("eu-west-1", "models", "churn/packages/0123456789abcdef-01234567/report.html"),
        "arn:aws:sagemaker:eu-west-1:111122223333:model-package/abalone/7",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "column «tokens» has drifted: 12:30 rows a minute; the secretary agreed",
    ],
)
def test_nothing_else_is(text: str) -> None:
    assert scrub(text) == text


def test_an_approval_is_clicked_on_the_page_of_its_workflow() -> None:
    assert workflow_page(Run("me", pipeline="5034460f")) == "https://app.circleci.com/pipelines/workflows/5034460f"
    assert workflow_page(Run("me")) == ""


def test_a_page_of_an_object_takes_any_key() -> None:
    page = object_page("eu-west-1", "models", "churn/a b&c.html")
    assert (
        page == "https://eu-west-1.console.aws.amazon.com/s3/object/models?region=eu-west-1&prefix=churn/a%20b%26c.html"
    )
