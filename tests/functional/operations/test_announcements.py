"""Deploys and rollbacks are told once, each time that they happen, with the links that help."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from common.aws import Aws
from common.errors import (
    DataError,
    DeploymentError,
    GateError,
    ModelsError,
    NotificationError,
    RolledBackError,
    TrainingError,
    UnlikeTrainedError,
)
from common.notifications.wire import wire_events
from common.registry import Package
from common.settings import Run
from common.steps import failures_explained
from common.steps.announce import announce_deployed, announce_waiting
from common.steps.context import Context
from tests.functional.deployment.deployment_kit import ENDPOINT, Project, prepared
from tests.functional.local.events_kit import Queue, queue
from tests.functional.operations.operations_kit import Main, OnCall

CONSOLE = "https://eu-west-1.console.aws.amazon.com/sagemaker/home?region=eu-west-1#/endpoints/abalone"


@pytest.fixture
def inbox(project: Project) -> Queue:
    return queue(project.account, "inbox", open_to_events=False)


@pytest.fixture
def person(project: Project, inbox: Queue) -> OnCall:
    """Package 1 was deployed; main's is 2, and a topic that the inbox subscribes to hears of everything from now on."""
    first, second = project.package(1), project.package(2)
    prepared(project, first)
    sns = project.account.client("sns")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=inbox.arn)
    aws = project.another_process()
    return OnCall(project, main=second, aws=replaced(aws, topic))


def replaced(aws: Aws, topic: str) -> Aws:
    """The same clients, with a topic."""
    told = Aws(replace(aws.settings, notify_topic=topic))
    vars(told).update({name: value for name, value in vars(aws).items() if name != "settings"})
    return told


def links(message: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z][^:\n]*): (https://\S+)$", message, re.MULTILINE))


def test_a_deploy_and_a_rollback_are_told_once_each(project: Project, person: OnCall, inbox: Queue) -> None:
    person.deploy()
    person.deploy()
    (deployed,) = inbox.events()
    assert deployed["Subject"] == "abalone: deployed: version 2"
    assert links(deployed["Message"])["Job"] == "https://ci/7"
    assert links(deployed["Message"])["Endpoint"] == CONSOLE
    assert "packages/0000000000000002-00000002/report.html" in links(deployed["Message"])["Report"]
    person.roll_back("password=hunter2 is what it answers")
    person.roll_back("again")
    (back,) = inbox.events()
    assert back["Subject"] == "abalone: rolled back: from version 2 to 1"
    assert "Version 1 serves again. Version 2 was rolled back at " in back["Message"]
    assert "CircleCI user 7" in back["Message"]
    assert "hunter2" not in back["Message"]
    assert links(back["Message"])["Endpoint"] == CONSOLE
    assert inbox.is_quiet()
    assert project.answers() == 1


def test_a_deploy_by_hand_leads_to_no_job_of_an_earlier_one(project: Project, person: OnCall, inbox: Queue) -> None:
    one, context = project.registry.version(1), person.context
    for run in (context.run, Run("ada")):
        project.registry.record_deployment(one, "abalone-model-1-0f", run)
    announce_deployed(context, project.model, "abalone", one)
    (told,) = inbox.events()
    assert set(links(told["Message"])) == {"Endpoint", "Report"}


def test_a_deploy_that_takes_its_package_back_is_told(
    project: Project, person: OnCall, inbox: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.deploy(project.registry.version(1))
    monkeypatch.setattr("common.deployment.execute.check_endpoint", lambda *_: "rings: 200 and not 201")
    with pytest.raises(RolledBackError) as caught:
        person.deploy()
    (told,) = inbox.events()
    assert told["Subject"] == "abalone: rolled back: version 2 did not answer as it was trained"
    assert caught.value.told  # CircleCI's job tells it no second time
    assert "rings: 200 and not 201. Rolled back:" in told["Message"]
    assert links(told["Message"])["Job"] == "https://ci/7"
    assert project.answers() == 1


def test_a_deploy_that_cannot_take_back_what_it_brought_is_told(
    project: Project, person: OnCall, inbox: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with the first package of a model."""
    monkeypatch.setattr("common.deployment.execute.check_endpoint", lambda *_: "rings: 200 and not 201")
    with pytest.raises(UnlikeTrainedError, match="nothing verified to return to"):
        person.deploy()
    (told,) = inbox.events()
    assert told["Subject"] == "abalone: job failed: version 2 did not answer as it was trained"
    assert "It serves nevertheless" in told["Message"]
    assert links(told["Message"])["Job"] == "https://ci/7"


def test_a_topic_that_is_gone_hides_no_way_back(
    project: Project, person: OnCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.deploy(project.registry.version(1))
    project.account.client("sns").delete_topic(TopicArn=person.context.aws.settings.notify_topic)
    monkeypatch.setattr("common.deployment.execute.check_endpoint", lambda *_: "rings: 200 and not 201")
    with pytest.raises(RolledBackError, match="rings: 200 and not 201") as caught:
        person.deploy()
    assert not caught.value.told
    assert "could not be sent" in person.said[-1]


def test_an_update_that_sagemaker_takes_back_is_told_by_aws_alone(
    project: Project, person: OnCall, inbox: Queue
) -> None:
    wire_events(person.context.aws, lambda _: None)
    project.deploy(project.registry.version(1))
    broken = project.package(3, image="141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:9.9-9")
    with pytest.raises(DeploymentError, match="cannot be run") as caught:
        OnCall(project, main=broken, aws=person.aws).deploy()
    assert caught.value.told
    (told,) = inbox.events()
    first, second, _ = told["Message"].splitlines()
    assert first.startswith('"Endpoint abalone: ROLLING_BACK, ')
    assert f" {CONSOLE} " in second
    assert inbox.is_quiet()


@pytest.fixture
def in_circleci(project: Project, person: OnCall, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of main's job `monitor-abalone`."""
    topic, number = person.context.aws.settings.notify_topic, {"CIRCLE_BUILD_URL": "https://ci/8"}
    ci = {"CIRCLECI": "true", "CIRCLE_BRANCH": "main", "CIRCLE_JOB": "monitor-abalone", **number}
    for name, value in (project.account.env | ci | {"NOTIFY_TOPIC_ARN": topic}).items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def fail(error: ModelsError) -> None:
    with pytest.raises(SystemExit), failures_explained():
        raise error


def test_a_job_on_main_that_fails_is_told_once(inbox: Queue, in_circleci: pytest.MonkeyPatch) -> None:
    error = DataError("The data of dt=1 lack length.\nThey have: password=hunter2", "Mend them.")
    fail(error)
    fail(error)
    (told,) = inbox.events()
    assert told["Subject"] == "monitor-abalone: job failed: The data of dt=1 lack length."
    assert links(told["Message"]) == {"Job": "https://ci/8"}
    assert "Mend them." in told["Message"]
    assert "hunter2" not in told["Message"]
    assert inbox.is_quiet()


def test_what_is_told_otherwise_or_read_by_whoever_pushed_is_not(
    inbox: Queue, in_circleci: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for error in (TrainingError("a job", told=True), GateError("no better"), NotificationError("x")):
        fail(error)
    in_circleci.setenv("CIRCLE_BRANCH", "mine")
    fail(DataError("x"))
    in_circleci.delenv("CIRCLECI")
    in_circleci.setenv("CIRCLE_BRANCH", "main")
    fail(DataError("x"))
    assert inbox.is_quiet()
    assert "Error: x" in capsys.readouterr().err


def test_a_job_that_fails_before_anybody_can_be_told_says_so(
    in_circleci: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_circleci.delenv("SAGEMAKER_BUCKET")
    fail(DataError("nothing came"))
    said = capsys.readouterr()
    assert said.out == ""
    assert "nobody could be told" in said.err
    assert said.err.endswith("\nError: nothing came\n")


def test_a_package_that_waits_is_told_in_circleci_once_with_the_page_where_one_clicks(
    project: Project, person: OnCall, inbox: Queue
) -> None:
    waiting = project.package(3, approved=False)
    run = Run("ada", pipeline="5034460f")

    def announce(run: Run, package: Package | None) -> None:
        context = Context(person.context.aws, Main(), run, person.said.append)
        announce_waiting(context, project.model, package)

    announce(Run("ada"), waiting)
    announce(run, None)
    announce(run, project.registry.version(1))
    assert inbox.is_quiet(0)
    announce(run, waiting)
    announce(run, waiting)
    (told,) = inbox.events()
    assert told["Subject"] == "abalone: approval waiting: version 3"
    assert links(told["Message"])["Click request-deployment here"] == (
        "https://app.circleci.com/pipelines/workflows/5034460f"
    )
    assert inbox.is_quiet()


def test_a_deploy_of_a_model_without_a_topic_says_that_nobody_hears_of_it(project: Project) -> None:
    first = project.package(1)
    assert ENDPOINT.rollout is not None
    said = OnCall(project, main=first).deploy()
    assert said[-1] == "  nobody is notified of «abalone: deployed: version 1»: NOTIFY_TOPIC_ARN is not set"
