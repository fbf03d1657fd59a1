"""A shadow test on the local AWS: begun, asked, compared, promoted; interrupted and run again; and refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from common.errors import DataError, DeploymentError, RegistryError, UsageError
from common.registry import Package
from common.steps import experiments as step
from tests.functional.deployment.deployment_kit import ENDPOINT, Project, cut_off, on_call
from tests.functional.deployment.experiment_kit import ask_all, context, like, put_truth, wait_for_captured
from tests.pages import Page


def test_a_shadow_is_compared_by_predictions_then_by_the_truth_and_promoted(project: Project) -> None:
    one, two = project.package(1), project.package(2)
    project.deploy(one)
    before, since = project.live(), datetime.now(UTC)
    step.start_shadow(context(project), project.model, ENDPOINT, two.version, 100)
    assert project.answers() == 1
    held = project.live().hold
    assert held is not None
    assert (held.kind, held.reason) == ("shadow", "version 2 gets copies of 100 percent of the requests to version 1")
    with pytest.raises(DeploymentError, match="held by a shadow test"):
        project.deploy(two)

    asked = ask_all(project, 150)
    assert {round(each.prediction / 100) for each in asked} == {1}
    wait_for_captured(project, since, AllTraffic=150, Shadow=150)
    said = step.shadow_findings(context(project), project.model, ENDPOINT).text()
    assert "no truth is known yet" in said
    assert "distributed differently" in said
    put_truth(project, asked, value=101.5)
    report = step.shadow_findings(context(project), project.model, ENDPOINT)
    assert report.headline == "version 2 is worse"
    assert "production, version 1" in report.text()
    assert "version 2 is worse" in Page(report.html()).text

    with replaced(project, "abalone-model-2", one), pytest.raises(DeploymentError, match="was not made from"):
        step.promote_shadow(context(project), project.model, ENDPOINT)
    again = project.live().hold
    assert again is not None
    assert (again.kind, again.reason) == (held.kind, held.reason)
    assert step.is_running(context(project), project.model, "shadow")
    project.aws.sagemaker.delete_model(ModelName="abalone-model-2")

    with interrupted(project, "UpdateEndpoint"):
        step.promote_shadow(context(project), project.model, ENDPOINT)
    step.promote_shadow(context(project), project.model, ENDPOINT)
    assert project.answers() == 2
    assert (project.live().hold, project.live().rollback) == (None, "")
    assert project.registry.describe(two.arn).metadata["deployed_as"] == project.live().configuration
    names = project.names()
    assert not [name for name in [*names["configurations"], *names["models"]] if "-shadow-" in name]
    assert before.configuration in names["configurations"]


@pytest.mark.long
def test_a_package_that_nobody_has_approved_may_be_a_shadow_and_is_not_promoted(project: Project) -> None:
    project.deploy(project.package(1))
    before, since = project.live().configuration, datetime.now(UTC)
    pending = like(project, 3, other=1, approved=False)
    step.start_shadow(context(project), project.model, ENDPOINT, pending.version, 100)
    ask_all(project, 120)
    wait_for_captured(project, since, AllTraffic=120, Shadow=120)
    report = step.shadow_findings(context(project), project.model, ENDPOINT)
    assert ("equal predictions", "100.0 %", "of the records") in report.facts
    assert "distributed alike" in report.consequence
    with pytest.raises(RegistryError, match="only approved packages answer callers"):
        step.promote_shadow(context(project), project.model, ENDPOINT)
    assert step.is_running(context(project), project.model, "shadow")

    step.stop_experiment(context(project), project.model, ENDPOINT, "shadow")
    assert (project.live().configuration, project.live().hold) == (before, None)
    assert project.answers() == 1
    with pytest.raises(DeploymentError, match="A shadow test does not run"):
        step.stop_experiment(context(project), project.model, ENDPOINT, "shadow")


def test_what_cannot_be_a_shadow_test_is_refused_and_changes_nothing(project: Project) -> None:
    one, two = project.package(1), project.package(2)
    here = context(project)
    with pytest.raises(DeploymentError, match="The endpoint abalone does not exist"):
        step.start_shadow(here, project.model, ENDPOINT, two.version, 100)
    project.deploy(one)
    as_before = project.documents()
    with pytest.raises(RegistryError, match="has no package version 9"):
        step.start_shadow(here, project.model, ENDPOINT, 9, 100)
    with pytest.raises(RegistryError, match="serves already"):
        step.start_shadow(here, project.model, ENDPOINT, one.version, 100)
    with pytest.raises(UsageError, match="shadow of 0 %"):
        step.start_shadow(here, project.model, ENDPOINT, two.version, 0)
    with pytest.raises(DeploymentError, match="A shadow test does not run on abalone"):
        step.shadow_findings(here, project.model, ENDPOINT)
    assert project.documents() == as_before

    three = project.package(3)
    step.start_shadow(here, project.model, ENDPOINT, two.version, 100)
    with pytest.raises(DataError, match=r"captured requests of .* were answered by both variants"):
        step.shadow_findings(here, project.model, ENDPOINT)
    with pytest.raises(DeploymentError, match="A shadow test runs on abalone already"):
        step.start_shadow(here, project.model, ENDPOINT, three.version, 100)
    project.registry.reject(project.registry.describe(two.arn), here.run, "of no use")
    with pytest.raises(RegistryError, match="is Rejected"):
        step.promote_shadow(here, project.model, ENDPOINT)


@pytest.mark.parametrize(
    ("at_start", "at_stop"),
    [
        pytest.param("AddTags", "DeleteTags", marks=pytest.mark.long),
        pytest.param("CreateModel", "DeleteEndpointConfig", marks=pytest.mark.long),
        pytest.param("CreateEndpointConfig", "InvokeEndpoint", marks=pytest.mark.long),
        ("UpdateEndpoint", "UpdateEndpoint"),
    ],
)
def test_what_is_interrupted_right_after_a_change_is_ended_by_the_same_command(
    project: Project, at_start: str, at_stop: str
) -> None:
    project.deploy(project.package(1))
    before, two = project.live().configuration, project.package(2)
    with interrupted(project, at_start):
        step.start_shadow(context(project), project.model, ENDPOINT, two.version, 100)
    step.start_shadow(context(project), project.model, ENDPOINT, two.version, 100)
    held = project.live().hold
    assert held is not None
    assert held.kind == "shadow"
    assert step.is_running(context(project), project.model, "shadow")
    assert project.answers() == 1
    if at_start == "UpdateEndpoint":
        running = project.documents()
        step.start_shadow(context(project), project.model, ENDPOINT, two.version, 100)  # says so, and changes nothing
        assert project.documents() == running

    with interrupted(project, at_stop):
        step.stop_experiment(context(project), project.model, ENDPOINT, "shadow")
    if step.is_running(context(project), project.model, "shadow"):
        step.stop_experiment(context(project), project.model, ENDPOINT, "shadow")
    live = project.settled()
    assert (live.configuration, live.rollback, live.hold) == (before, "", None)
    assert project.answers() == 1


def test_a_hold_that_a_killed_start_has_left_is_ended_by_a_stop(project: Project) -> None:
    project.deploy(project.package(1))
    with interrupted(project, "AddTags"):
        step.start_shadow(context(project), project.model, ENDPOINT, project.package(2).version, 100)
    assert project.live().hold is not None
    step.stop_experiment(context(project), project.model, ENDPOINT, "shadow")
    assert project.live().hold is None


def test_a_deploy_that_ends_while_a_test_is_prepared_is_not_undone_by_it(project: Project) -> None:
    project.deploy(project.package(1))
    two, three, other = project.package(2), project.package(3), project.another_process()

    def overtake() -> None:
        if project.live().package_arn != two.arn:
            project.deploy(two, aws=other)

    with (
        on_call(project.aws.s3, "GetObject", overtake),
        pytest.raises(DeploymentError, match="somebody else has changed the endpoint abalone"),
    ):
        step.start_shadow(context(project), project.model, ENDPOINT, three.version, 100)
    assert (project.answers(), project.live().hold) == (2, None)


@pytest.mark.long
def test_a_test_is_stopped_also_when_what_serves_was_rejected_meanwhile(project: Project) -> None:
    one = project.package(1)
    project.deploy(one)
    before, here = project.live().configuration, context(project)
    step.start_shadow(here, project.model, ENDPOINT, project.package(2, approved=False).version, 100)
    project.registry.reject(one, here.run, "an afterthought")
    step.stop_experiment(here, project.model, ENDPOINT, "shadow")
    assert (project.live().configuration, project.live().hold, project.answers()) == (before, None, 1)


@pytest.mark.long
def test_a_test_whose_configuration_somebody_deleted_is_stopped_and_deployed_over(project: Project) -> None:
    project.deploy(project.package(1))
    two = project.package(2)
    step.start_shadow(context(project), project.model, ENDPOINT, two.version, 100)
    project.aws.sagemaker.delete_endpoint_config(EndpointConfigName=project.live().configuration)
    with pytest.raises(DeploymentError, match="A shadow test does not run"):
        step.shadow_findings(context(project), project.model, ENDPOINT)
    step.stop_experiment(context(project), project.model, ENDPOINT, "shadow")
    assert project.deploy(two)
    assert project.answers() == 2


@contextmanager
def replaced(project: Project, name: str, package: Package) -> Iterator[None]:
    """The SageMaker model of that name is made from another package."""

    def other(params: dict[str, object], **_: object) -> None:
        if params["ModelName"] == name:
            params["PrimaryContainer"] = {"ModelPackageName": package.arn}

    events, event = project.aws.sagemaker.meta.events, "provide-client-params.sagemaker.CreateModel"
    events.register(event, other)
    try:
        yield
    finally:
        events.unregister(event, other)


@contextmanager
def interrupted(project: Project, operation: str) -> Iterator[None]:
    """The process is interrupted right after its first call of that operation."""
    client = project.aws.runtime if operation == "InvokeEndpoint" else project.aws.sagemaker
    with cut_off(client, operation, "after-call"):
        yield
