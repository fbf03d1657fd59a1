"""A rollout that fails leaves the old package serving, says why, and stands in nobody's way."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.aws import explained
from common.deployment.alarms import Alarm
from common.deployment.declare import Endpoint
from common.deployment.rollout import Canary
from common.errors import ArtifactError, AwsError, DeploymentError
from common.registry import Package
from common.storage import Layout
from tests.archives import archive
from tests.functional.deployment.deployment_kit import (
    ENDPOINT,
    Load,
    Project,
    constant_load,
    eventually,
    on_call,
    trained,
)

UNKNOWN_IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:9.9-9"
TWO = replace(ENDPOINT, instance_count=2)
"""A canary needs a fleet that it can be a part of."""


OTHER_CODE = b"""
def model_fn(folder):
    return None
def transform_fn(model, body, content_type, accept):
    return '{"predictions": [{"prediction": 100.0}]}', "application/json"
"""
"""What a container runs that does not take its code from the archive: it answers, but not as the model does."""


@pytest.fixture
def load(project: Project) -> Iterator[Load]:
    """Constant load on the endpoint, which serves package 1."""
    project.deploy(project.package(1))
    with constant_load(project) as load:
        eventually(lambda: len(load.answers) > 5, "the load runs")
        yield load
    assert not load.errors


def failure(project: Project, package: Package, endpoint: Endpoint = ENDPOINT) -> str:
    """What the deploy of the package says when it fails; package 1 serves afterwards, with all that belongs to it."""
    with pytest.raises(DeploymentError) as error:
        project.deploy(package, endpoint)
    assert error.value.remedy
    live = project.live()
    assert (live.status, live.model_name, project.answers()) == ("InService", "abalone-model-1", 1)
    return str(error.value)


@contextmanager
def every_new_worker_killed(root: Path, account: str) -> Iterator[None]:
    """Kill each container of the account's endpoint that is started meanwhile, before it can be healthy."""
    mark = f"SAGEMAKER_BASE_DIR={root}/endpoints/{account}/".encode()
    ended = threading.Event()

    def workers() -> set[int]:
        found = set()
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in path.read_bytes():
                    found.add(int(path.parent.name))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it has just ended, or is somebody else's
        return found

    old = workers()

    def hunt() -> None:
        while not ended.wait(0.005):
            for process in workers() - old:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue

    hunter = threading.Thread(target=hunt)
    hunter.start()
    try:
        yield
    finally:
        ended.set()
        hunter.join()


def test_a_canary_that_refuses_its_callers_is_stopped_by_its_alarm(project: Project) -> None:
    project.deploy(project.package(1))
    careful = replace(
        ENDPOINT, instance_count=2, rollout=Canary(10, 3600), alarms=(Alarm("Invocation4XXErrors", "Sum", above=0),)
    )
    artifact, golden = trained(2, columns=("length", "width", "height"))  # it wants a column that callers do not send
    with constant_load(project) as load:
        said = failure(project, project.package(2, artifact=artifact, golden=golden), careful)
    assert "abalone-Invocation4XXErrors-Sum" in said
    assert "abalone-model-1-" in said
    assert load.errors  # the canary's share, and no more
    assert len(load.errors) < 0.2 * len(load.answers)
    assert set(load.answers) == {1}
    assert project.deploy(project.package(3), replace(careful, rollout=Canary(10, 60)))
    assert project.answers() == 3


@pytest.mark.long
def test_an_alarm_that_somebody_sets_by_hand_rolls_back_too(project: Project, load: Load) -> None:
    slow = replace(
        ENDPOINT, instance_count=2, rollout=Canary(10, 3600), alarms=(replace(ENDPOINT.alarms[0], period_seconds=3600),)
    )
    two, cloudwatch = project.package(2), project.account.client("cloudwatch")

    def alarm() -> None:
        if 2 in load.answers:  # the canary bakes
            [name] = project.wanted(two, slow).alarm_names
            cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a drill")

    with on_call(project.aws.sagemaker, "DescribeEndpoint", alarm):
        assert "abalone-Invocation5XXErrors-Sum" in failure(project, two, slow)
    assert project.deploy(two)
    assert project.answers() == 2


def test_a_fleet_that_cannot_start_is_rolled_back_and_said_to_be(project: Project, load: Load) -> None:
    said = failure(project, project.package(2, image=UNKNOWN_IMAGE))
    assert "cannot be run" in said
    assert "/aws/sagemaker/Endpoints/abalone" in said
    assert set(load.answers) == {1}
    assert project.deploy(project.package(3))
    assert project.answers() == 3


def test_a_fleet_whose_containers_die_is_rolled_back_and_can_be_tried_again(
    project: Project, load: Load, aws_root: Path
) -> None:
    two = project.package(2)
    with every_new_worker_killed(aws_root, project.account.account):
        assert "did not pass the ping health check" in failure(project, two)
    assert set(load.answers) == {1}
    assert project.deploy(two)
    assert project.answers() == 2


@pytest.mark.long
def test_a_rollback_that_failed_is_no_outage_and_the_next_deploy_mends_it(
    project: Project, load: Load, aws_root: Path
) -> None:
    two = project.package(2)
    [folder] = (aws_root / "endpoints" / project.account.account).glob("*/abalone")
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.touch()  # the disk of the service is broken: no artifact can be unpacked
    with pytest.raises(DeploymentError, match=r"abalone-model-1-\w+ serves, and the endpoint is UpdateRollbackFailed"):
        project.deploy(two)
    assert project.answers() == 1
    folder.unlink()
    aside.rename(folder)
    assert project.deploy(two)
    assert project.answers() == 2


def test_an_update_that_aws_refuses_changes_nothing_that_serves(project: Project, load: Load) -> None:
    two, cloudwatch = project.package(2), project.account.client("cloudwatch")

    def lose_the_alarms() -> None:
        cloudwatch.delete_alarms(AlarmNames=project.wanted(two).alarm_names)

    with (
        on_call(project.aws.sagemaker, "UpdateEndpoint", lose_the_alarms),
        pytest.raises(AwsError, match=r"AWS refused UpdateEndpoint: .*alarms") as error,
        explained(),
    ):
        project.deploy(two)
    assert error.value.exit_code == 1
    assert project.answers() == 1
    assert project.deploy(two)
    assert project.answers() == 2


def test_a_first_endpoint_that_fails_is_created_again_by_the_next_deploy(project: Project, aws_root: Path) -> None:
    one = project.package(1)
    with (
        every_new_worker_killed(aws_root, project.account.account),
        pytest.raises(DeploymentError, match=r"is Failed and serves nothing.*ping health check") as failed,
    ):
        project.deploy(one)
    assert failed.value.told  # by AWS's event
    assert project.deploy(one)
    assert project.answers() == 1


def test_a_first_endpoint_that_another_package_brought_down_is_replaced(project: Project) -> None:
    with pytest.raises(DeploymentError, match="cannot be run"):
        project.deploy(project.package(1, image=UNKNOWN_IMAGE))
    assert project.deploy(project.package(2))
    assert project.answers() == 2


def test_an_artifact_that_is_swapped_after_the_offline_check_is_noticed_and_rolled_back(
    project: Project, load: Load
) -> None:
    two = project.package(2)
    s3, key = project.account.client("s3"), two.artifact.split("/", 3)[3]

    def put(content: bytes) -> None:
        s3.put_object(Bucket=project.account.bucket, Key=key, Body=content)

    with on_call(project.aws.sagemaker, "UpdateEndpoint", lambda: put(trained(3)[0])):
        said = failure(project, two)
    assert "10 of 10 records differ" in said
    assert "Rolled back: abalone-model-1-" in said
    put(trained(2)[0])
    assert project.deploy(two)
    assert project.answers() == 2


@pytest.mark.long
def test_a_model_made_by_hand_with_another_environment_is_noticed_and_rolled_back(project: Project, load: Load) -> None:
    two, sagemaker = project.package(2), project.account.client("sagemaker")
    other = archive({"inference.py": OTHER_CODE})
    project.account.client("s3").put_object(Bucket=project.account.bucket, Key="other.tar.gz", Body=other)
    sagemaker.create_model(
        ModelName="abalone-model-2",
        PrimaryContainer={
            "ModelPackageName": two.arn,
            "Environment": {"SAGEMAKER_SUBMIT_DIRECTORY": f"s3://{project.account.bucket}/other.tar.gz"},
        },
        ExecutionRoleArn=project.account.role,
    )
    assert "Rolled back: abalone-model-1-" in failure(project, two)
    sagemaker.delete_model(ModelName="abalone-model-2")
    assert project.deploy(two)
    assert project.answers() == 2


@pytest.mark.long
def test_a_model_made_by_hand_from_another_package_is_refused_before_it_serves(project: Project, load: Load) -> None:
    two, three = project.package(2), project.package(3)
    sagemaker = project.account.client("sagemaker")
    sagemaker.create_model(
        ModelName="abalone-model-2",
        PrimaryContainer={"ModelPackageName": three.arn},
        ExecutionRoleArn=project.account.role,
    )
    before = project.documents()
    said = failure(project, two)
    assert "was not made from" in said
    assert "delete that model" in said
    assert project.documents() == before
    sagemaker.delete_model(ModelName="abalone-model-2")
    assert project.deploy(two)


@pytest.mark.long
def test_a_rollback_that_cannot_be_made_is_not_called_one(project: Project, aws_root: Path) -> None:
    one, two = project.package(1), project.package(2)
    project.deploy(one)
    s3, old_key, key = project.account.client("s3"), *(each.artifact.split("/", 3)[3] for each in (one, two))
    updates: list[int] = []

    def break_both() -> None:
        updates.append(1)
        if len(updates) == 1:
            s3.put_object(Bucket=project.account.bucket, Key=key, Body=trained(3)[0])
        else:
            s3.delete_object(Bucket=project.account.bucket, Key=old_key)

    with (
        on_call(project.aws.sagemaker, "UpdateEndpoint", break_both),
        pytest.raises(DeploymentError, match=r"The way back to abalone-model-1-\w+ failed, too: abalone-model-2-"),
    ):
        project.deploy(two)
    assert len(updates) == 2


def test_what_cannot_be_returned_to_is_said(project: Project) -> None:
    project.deploy(project.package(1))
    two = project.package(2)
    s3, key = project.account.client("s3"), two.artifact.split("/", 3)[3]
    sagemaker, configuration = project.account.client("sagemaker"), project.live().configuration

    def put(content: bytes) -> None:
        s3.put_object(Bucket=project.account.bucket, Key=key, Body=content)

    def lose_the_old_one() -> None:
        sagemaker.delete_endpoint_config(EndpointConfigName=configuration)

    with (
        on_call(project.aws.sagemaker, "UpdateEndpoint", lambda: put(trained(3)[0])),
        on_call(project.aws.runtime, "InvokeEndpoint", lose_the_old_one),
        pytest.raises(DeploymentError, match="nothing verified to return to"),
    ):
        project.deploy(two)


def _swap(project: Project, package: Package) -> None:
    key = package.artifact.split("/", 3)[3]
    project.account.client("s3").put_object(Bucket=project.account.bucket, Key=key, Body=trained(1)[0])


def _lose_artifact(project: Project, package: Package) -> None:
    key = package.artifact.split("/", 3)[3]
    project.account.client("s3").delete_object(Bucket=project.account.bucket, Key=key)


def _lose_golden(project: Project, package: Package) -> None:
    key = Layout("abalone").package(package.source, package.data_version, "golden.json")
    project.account.client("s3").delete_object(Bucket=project.account.bucket, Key=key)


def _nothing(project: Project, package: Package) -> None:
    pass


FALSE_CLAIMS: list[tuple[dict[str, Any], Callable[[Project, Package], None], str]] = [
    ({"golden": trained(1)[1]}, _nothing, "does not predict offline what it did when it was trained: 10 of 10"),
    ({}, _swap, "is not the artifact that was evaluated: its SHA-256 is"),
    ({}, _lose_artifact, "There is no artifact at s3://"),
    ({}, _lose_golden, "golden predictions of version .* are missing"),
    ({"artifact": trained(2)[0][:-200]}, _nothing, "is damaged"),
    (
        {"artifact": archive({"../outside": b"{}", "xgboost-model": b"{}", "serving.json": b"{}"})},
        _nothing,
        "is unsafe to unpack",
    ),
    ({"artifact": archive({"readme": b""})}, _nothing, "holds no xgboost-model"),
    (
        {"artifact": archive({"xgboost-model": b"\x80\x04pickle", "serving.json": b"{}"})},
        _nothing,
        "a pickle is never loaded",
    ),
]


def test_a_package_that_is_not_what_it_claims_changes_nothing_at_all(project: Project) -> None:
    project.deploy(project.package(1))
    for number, (made, spoil, said) in enumerate(FALSE_CLAIMS, start=2):
        package = project.package(number, **made)
        spoil(project, package)
        before = project.documents()
        with pytest.raises((DeploymentError, ArtifactError), match=said) as error:
            project.deploy(package)
        assert error.value.remedy
        assert project.documents() == before
    assert project.answers() == 1
