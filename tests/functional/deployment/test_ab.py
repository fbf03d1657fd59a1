"""An A/B test on the local AWS: begun, asked by sticky callers, compared with the truth, concluded; and refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from common.errors import DataError, DeploymentError, RegistryError, UsageError
from common.experiments.assignment import assigned_variant
from common.steps import experiments as step
from common.steps.invoke import invoke_model
from tests.functional.deployment.deployment_kit import COLUMNS, ENDPOINT, ROWS, Project, cut_off
from tests.functional.deployment.experiment_kit import ask_all, context, put_truth, wait_for_captured
from tests.functional.deployment.test_shadow import interrupted, replaced
from tests.pages import Page

EVEN = {"v1": 0.6, "v2": 0.4}


def test_the_better_of_two_versions_is_found_by_their_outcomes_and_concluded(project: Project) -> None:
    one, two = project.package(1), project.package(2)
    project.deploy(one)
    before, since = project.live().configuration, datetime.now(UTC)
    step.start_ab(context(project), project.model, ENDPOINT, [1, 2], [60, 40])
    held = project.live().hold
    assert held is not None
    assert (held.kind, held.reason) == (
        "ab",
        "60 percent of the callers ask version 1 and 40 percent of the callers ask version 2",
    )
    asked = ask_all(project, 330, EVEN)
    assert {each.variant: round(each.prediction / 100) for each in asked} == {"v1": 1, "v2": 2}
    record = dict(zip(COLUMNS, ROWS[0].tolist(), strict=True))
    for key in ("customer-1", "customer-2", "customer-3", "customer-4"):
        [answer] = invoke_model(context(project), project.model, [record], key)
        assert f"v{round(answer['prediction'] / 100)}" == assigned_variant(key, EVEN)

    counts = {name: sum(each.variant == name for each in asked) for name in EVEN}
    wait_for_captured(project, since, **counts)
    with pytest.raises(DataError, match="the truth of those of 0 callers; a comparison takes 100"):
        step.ab_findings(context(project), project.model, ENDPOINT)
    put_truth(project, asked, value=201.5, spread=30)
    report = step.ab_findings(context(project), project.model, ENDPOINT)
    assert report.headline == "v2 is better"
    assert "v2 is better" in Page(report.html()).text

    with interrupted(project, "UpdateEndpoint"):
        step.conclude_ab(context(project), project.model, ENDPOINT, "winner")
    step.conclude_ab(context(project), project.model, ENDPOINT, "winner")
    live = project.live()
    assert (live.hold, live.rollback) == (None, "")
    assert project.answers() == 2
    assert project.registry.describe(two.arn).metadata["deployed_as"] == live.configuration
    names = project.names()["configurations"]
    assert sorted(names) == sorted([before, live.configuration])


@pytest.mark.long
def test_without_a_winner_a_conclusion_names_its_version_or_the_test_is_stopped(project: Project) -> None:
    project.deploy(project.package(1))
    project.package(2)
    before, here = project.live().configuration, context(project)
    step.start_ab(here, project.model, ENDPOINT, [2, 1], [])
    with pytest.raises(DataError, match="a comparison takes 100 of each variant"):
        step.conclude_ab(here, project.model, ENDPOINT, "winner")
    with pytest.raises(UsageError, match="'7' is no version of this A/B test"):
        step.conclude_ab(here, project.model, ENDPOINT, "7")
    with cut_off(project.aws.sagemaker, "UpdateEndpoint"):
        step.conclude_ab(here, project.model, ENDPOINT, "2")
    hold = project.live().hold
    assert hold is not None, "no deploy may end the test unasked"
    assert hold.kind == "ab"
    step.stop_experiment(here, project.model, ENDPOINT, "ab")
    assert (project.live().configuration, project.live().hold) == (before, None)
    assert project.answers() == 1


def test_what_cannot_be_an_ab_test_is_refused_and_changes_nothing(project: Project) -> None:
    project.deploy(project.package(1))
    project.package(2, approved=False)
    here, as_before = context(project), project.documents()
    for versions, weights, error, told in (
        ([1], [], UsageError, "An A/B test of 1 is not possible"),
        ([1, 1], [], UsageError, "An A/B test of 1, 1 is not possible"),
        ([1, 2], [100.0], UsageError, "The weights 100 do not fit 2 versions"),
        ([1, 2], [100.0, 0.0], UsageError, "The weights 100, 0 do not fit"),
        ([1, 2], [], RegistryError, "Version 2 of abalone is PendingManualApproval"),
        ([1, 9], [], RegistryError, "has no package version 9"),
    ):
        with pytest.raises(error, match=told):
            step.start_ab(here, project.model, ENDPOINT, versions, weights)
    with pytest.raises(DeploymentError, match="An A/B test does not run on abalone"):
        step.conclude_ab(here, project.model, ENDPOINT, "1")
    assert project.documents() == as_before


def test_a_variant_that_does_not_answer_as_its_package_did_ends_the_test_at_once(project: Project) -> None:
    one = project.package(1)
    project.deploy(one)
    before, here = project.live().configuration, context(project)
    project.package(2)
    with (
        replaced(project, "abalone-model-2", one),
        pytest.raises(DeploymentError, match="Variant v2 did not answer as version 2 did"),
    ):
        step.start_ab(here, project.model, ENDPOINT, [1, 2], [])
    assert (project.live().configuration, project.live().hold) == (before, None)
    assert project.answers() == 1
