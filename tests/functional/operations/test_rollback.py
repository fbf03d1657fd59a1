"""Going back in one command: to what was deployed before, and so that nothing undoes it silently."""

import time
from dataclasses import replace

import pytest

from common.deployment.hold import put_hold
from common.errors import DeploymentError, RegistryError
from common.operations.holds import hold_model, release_model
from tests.functional.deployment.deployment_kit import (
    ENDPOINT,
    MODEL,
    Project,
    constant_load,
    cut_off,
    eventually,
    on_call,
    prepared,
    trained,
)
from tests.functional.operations.operations_kit import OnCall


@pytest.fixture
def on_call_person(project: Project, monkeypatch: pytest.MonkeyPatch) -> OnCall:
    """Packages 1, 2 and 3 were deployed one after the other; main's is 3, which turns out to be bad."""
    monkeypatch.setattr("abalone_model.deploy.ENDPOINT", ENDPOINT)  # what status compares with
    packages = [project.package(number) for number in (1, 2, 3)]
    for package in packages[:2]:
        prepared(project, package)
    project.deploy(packages[2])
    return OnCall(project, main=project.registry.describe(packages[2].arn))


def metadata(person: OnCall, version: int) -> dict[str, str]:
    return person.registry.version(version).metadata


def test_one_command_brings_back_what_served_before_in_seconds_without_a_failed_request(
    project: Project, on_call_person: OnCall
) -> None:
    person, kept = on_call_person, metadata(on_call_person, 2)["deployed_as"]
    with constant_load(project) as load:
        eventually(lambda: 3 in load.answers, "the load runs")
        before = time.monotonic()
        said = person.roll_back("too old by a year")
        seconds = time.monotonic() - before
    assert not load.errors
    assert seconds < 20  # waits are short here, so that this is the work itself
    assert project.answers() == 2
    assert project.live().configuration == kept
    assert said[-2].startswith(
        "abalone: version 2 serves again, and answers as it did when it was trained. Version 3 is held"
    )
    bad = metadata(person, 3)
    assert (bad["rolled_back_by"], bad["rolled_back_reason"]) == ("CircleCI user 7", "too old by a year")
    assert project.live().changed.startswith("by CircleCI user 7 since ")
    jobs = project.account.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    assert jobs == []


def test_no_deploy_of_main_undoes_it_and_status_shows_it_as_held(project: Project, on_call_person: OnCall) -> None:
    person = on_call_person
    assert person.status().in_step
    person.roll_back("too old by a year")
    for version in (0, 3):  # a rerun of the old job, and a deploy of that version by hand
        with pytest.raises(
            RegistryError, match=r"Version 3 of abalone was rolled back at .* by CircleCI user 7: too old"
        ):
            person.deploy(version)
    assert project.answers() == 2
    status = person.status()
    assert status.in_step
    assert status.held.startswith("held: version 3 was rolled back at ")


def test_a_newer_package_of_mains_source_ends_it(project: Project, on_call_person: OnCall) -> None:
    person = on_call_person
    person.roll_back()
    person.main = project.package(4)
    status = person.status()
    assert (status.in_step, status.held) == (False, "")
    person.deploy()
    assert project.answers() == 4
    assert person.status().in_step
    assert project.registry.version(3).rolled_back  # what was bad stays so
    with pytest.raises(RegistryError, match="Version 3 of abalone was rolled back"):
        person.deploy(3)
    person.roll_back("4 is worse")  # back to what served before, not to the newest one
    assert project.answers() == 2


@pytest.mark.long
def test_a_released_package_is_deployed_again(project: Project, on_call_person: OnCall) -> None:
    person = on_call_person
    person.roll_back()
    hold_model(person.context, MODEL, "we measure")
    release_model(person.context, MODEL)  # ends the hold, and not the rollback with it
    assert project.live().hold is None
    assert person.said[-1].startswith("abalone: version 3 stays rolled back at ")
    assert project.registry.version(3).rolled_back
    release_model(person.context, MODEL)
    assert person.said[-1].startswith("abalone: version 3 was rolled back at ")
    assert person.status().problem == "version 2 serves, main's is version 3"
    person.deploy()
    assert project.answers() == 3
    with pytest.raises(DeploymentError, match="is neither held nor rolled back"):
        release_model(person.context, MODEL)
    with pytest.raises(DeploymentError, match="Version 2 of abalone is neither held nor rolled back"):
        release_model(person.context, MODEL, 2)


def test_a_rerun_finds_the_work_done_and_does_not_go_further_back(project: Project, on_call_person: OnCall) -> None:
    person = on_call_person
    person.roll_back("first")
    marked, documents = metadata(person, 3), project.documents()
    for to in (0, 2):
        said = person.roll_back("second", to=to)
        assert "version 2 serves already; version 3 was rolled back at" in said[-2]
        assert "Nothing was changed" in said[-2]
    assert metadata(person, 3) == marked
    assert project.documents() == documents
    person.roll_back("2 is bad, too", to=1)
    assert project.answers() == 1
    assert metadata(person, 2)["rolled_back_to"] == "1"
    with pytest.raises(RegistryError, match=r"cannot go back to version 3: it was rolled back at .*: first"):
        person.roll_back(to=3)


def test_the_plan_says_every_step_and_changes_nothing(project: Project, on_call_person: OnCall) -> None:
    documents = project.documents()
    said = "\n".join(on_call_person.roll_back("too old", plan=True))
    assert "1. mark version 3 as rolled back to version 2: too old" in said
    assert "(as it was kept), at once and unguarded" in said
    assert "5. hold: no deploy takes version 3" in said
    assert project.documents() == documents
    on_call_person.roll_back()
    assert on_call_person.roll_back(plan=True)[0].startswith("  1. nothing: version 2 serves already")


@pytest.mark.parametrize("gone", [pytest.param("configuration", marks=pytest.mark.long), "model and configuration"])
def test_what_was_swept_is_made_anew(project: Project, on_call_person: OnCall, gone: str) -> None:
    sagemaker = project.account.client("sagemaker")
    sagemaker.delete_endpoint_config(EndpointConfigName=metadata(on_call_person, 2)["deployed_as"])
    if "model" in gone:
        sagemaker.delete_model(ModelName="abalone-model-2")
    assert "(made anew, as deploy.py declares)" in "\n".join(on_call_person.roll_back(plan=True))
    on_call_person.roll_back()
    assert project.answers() == 2


@pytest.mark.long
def test_the_kept_configuration_serves_again_although_deploy_py_declares_another_by_now(
    project: Project, on_call_person: OnCall
) -> None:
    kept = metadata(on_call_person, 2)["deployed_as"]
    project.deploy(project.registry.version(3), replace(ENDPOINT, instance_type="ml.m5.large"))
    on_call_person.roll_back()
    assert project.live().configuration == kept


@pytest.mark.parametrize("operation", [pytest.param("UpdateEndpoint", marks=pytest.mark.long), "InvokeEndpoint"])
def test_a_killed_rollback_is_continued_by_the_next(project: Project, on_call_person: OnCall, operation: str) -> None:
    client = project.aws.runtime if operation == "InvokeEndpoint" else project.aws.sagemaker
    with cut_off(client, operation):
        on_call_person.roll_back("first")
    assert not on_call_person.status().in_step
    on_call_person.roll_back("second")
    assert project.answers() == 2
    assert project.live().rollback == ""
    assert on_call_person.status().held
    assert metadata(on_call_person, 3)["rolled_back_reason"] == "first"


def test_a_killed_rollback_may_be_continued_to_another_version(project: Project, on_call_person: OnCall) -> None:
    person = on_call_person
    with cut_off(project.aws.sagemaker, "UpdateEndpoint"):
        person.roll_back("first")
    person.roll_back("further", to=1)
    person.roll_back("again")  # the work is done: version 1 is not taken for bad
    assert project.answers() == 1
    assert not metadata(person, 1).get("rolled_back_at")
    assert metadata(person, 3)["rolled_back_to"] == "1"


def test_a_package_that_no_longer_answers_as_it_did_is_not_gone_back_to(
    project: Project, on_call_person: OnCall
) -> None:
    artifact = project.registry.version(2).artifact
    key, s3 = artifact.split("/", 3)[3], project.account.client("s3")

    def swap() -> None:
        s3.put_object(Bucket=project.account.bucket, Key=key, Body=trained(1)[0])

    with on_call(project.aws.sagemaker, "UpdateEndpoint", swap), pytest.raises(DeploymentError, match="Rolled back"):
        on_call_person.roll_back("too old")
    assert project.answers() == 3
    status = on_call_person.status()
    assert status.problem.startswith("version 3 serves, although it was rolled back at ")
    on_call_person.roll_back("too old", to=1)
    assert project.answers() == 1


def test_what_cannot_be_gone_back_to_is_refused_with_the_reason(project: Project, on_call_person: OnCall) -> None:
    person, registry = on_call_person, project.registry
    project.package(4)
    registry.reject(registry.version(1), person.context.run, "wrong unit")
    for version, problem in (
        (9, "no such version"),
        (4, "it never served"),
        (1, "it is Rejected: Rejected by CircleCI user 7"),
    ):
        with pytest.raises(RegistryError, match=f"cannot go back to version {version}: .*{problem}"):
            person.roll_back(to=version)
    registry.reject(registry.version(2), person.context.run, "wrong unit")
    with pytest.raises(DeploymentError, match="Nothing to go back to: no other package of abalone was ever deployed"):
        person.roll_back()
    assert project.answers() == 3
    assert not registry.version(3).rolled_back


def test_a_held_or_changing_endpoint_is_left_alone_and_the_refusal_names_who(
    project: Project, on_call_person: OnCall
) -> None:
    person = on_call_person
    put_hold(project.aws, "abalone", reason="version 4 is compared", by="CircleCI user 9", kind="shadow")
    with pytest.raises(DeploymentError, match=r"held by a shadow test since .* by CircleCI user 9"):
        person.roll_back()
    project.aws.sagemaker.delete_tags(
        ResourceArn=project.aws.sagemaker.describe_endpoint(EndpointName="abalone")["EndpointArn"], TagKeys=["hold"]
    )
    sagemaker, first = project.aws.sagemaker, metadata(person, 1)["deployed_as"]
    arn = sagemaker.describe_endpoint_config(EndpointConfigName=first)["EndpointConfigArn"]
    who = {"changed-by": "CircleCI user 9", "changed-at": "noon"}
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": key, "Value": value} for key, value in who.items()])
    sagemaker.update_endpoint(EndpointName="abalone", EndpointConfigName=first)
    with pytest.raises(DeploymentError, match=f"is Updating towards {first}, by CircleCI user 9 since noon"):
        person.roll_back()
    assert not project.registry.version(3).rolled_back


def test_without_an_endpoint_or_a_package_that_serves_there_is_nothing_to_go_back_from(project: Project) -> None:
    person = OnCall(project, main=project.package(1))
    with pytest.raises(DeploymentError, match="of abalone, it has no endpoint"):
        person.roll_back()
