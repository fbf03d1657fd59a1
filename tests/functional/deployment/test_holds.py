"""While somebody holds an endpoint no deploy changes what serves, and everybody is told who holds it."""

import pytest

from common.deployment.hold import hold_of, put_hold, release
from common.errors import DeploymentError
from tests.functional.deployment.deployment_kit import Project, on_call


def test_a_held_endpoint_refuses_every_deploy_that_would_change_it_and_says_who_holds_it(project: Project) -> None:
    one, two = project.package(1), project.package(2)
    project.deploy(one)
    held = put_hold(project.aws, "abalone", reason="we measure (until noon), please wait", by="CircleCI user 7")
    assert (held.kind, held.by, held.reason) == ("hold", "CircleCI user 7", "we measure _until noon__ please wait")
    assert hold_of(project.aws, "abalone") == held == project.live().hold
    assert project.deploy(one) is False  # changes nothing
    with pytest.raises(DeploymentError, match=r"abalone is held since .* by CircleCI user 7: we measure") as refused:
        project.deploy(two)
    assert "`./models release abalone`" in refused.value.remedy
    assert project.answers() == 1
    assert release(project.aws, "abalone") == held
    assert release(project.aws, "abalone") is None
    assert project.deploy(two)
    assert project.answers() == 2


@pytest.mark.parametrize(
    ("kind", "way_out"), [("shadow", "models shadow abalone --promote"), ("ab", "models ab abalone --conclude")]
)
def test_a_running_experiment_holds_the_endpoint_and_its_refusal_says_how_to_end_it(
    project: Project, kind: str, way_out: str
) -> None:
    project.deploy(project.package(1))
    put_hold(project.aws, "abalone", reason="version 2 is compared", by="somebody", kind=kind)  # type: ignore[arg-type]
    with pytest.raises(DeploymentError, match=r"held by an? (shadow|A/B) test since") as refused:
        put_hold(project.aws, "abalone", reason="mine", by="me")
    assert way_out in refused.value.remedy


def test_of_two_holds_at_once_one_is_refused_and_says_whose_stands(project: Project) -> None:
    project.deploy(project.package(1))
    other = project.another_process()

    def overtake() -> None:
        arn = other.sagemaker.describe_endpoint(EndpointName="abalone")["EndpointArn"]
        tags = {"hold": "hold", "held-by": "B", "held-at": "2026-01-01", "held-because": "theirs"}
        other.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": key, "Value": value} for key, value in tags.items()])

    with (
        on_call(project.aws.sagemaker, "AddTags", overtake, "after-call"),
        pytest.raises(DeploymentError, match="held since 2026-01-01 by B: theirs"),
    ):
        put_hold(project.aws, "abalone", reason="mine", by="A")


def test_a_hold_that_is_released_at_once_is_not_reported_as_one(project: Project) -> None:
    project.deploy(project.package(1))
    other = project.another_process()
    with (
        on_call(project.aws.sagemaker, "AddTags", lambda: release(other, "abalone"), "after-call"),  # type: ignore[arg-type]
        pytest.raises(DeploymentError, match="Somebody released the hold on abalone at once"),
    ):
        put_hold(project.aws, "abalone", reason="mine", by="A")


def test_without_an_endpoint_there_is_nothing_to_hold(project: Project) -> None:
    assert hold_of(project.aws, "abalone") is None
    assert release(project.aws, "abalone") is None
    with pytest.raises(DeploymentError, match="There is no endpoint abalone"):
        put_hold(project.aws, "abalone", reason="mine", by="A")
