"""Several deploys of one model at once: one consistent end, and each says truly whether what it wanted serves."""

import threading

import pytest

from common.aws import Aws
from common.errors import DeploymentError
from common.registry import Package
from tests.functional.deployment.deployment_kit import (
    ENDPOINT,
    Project,
    constant_load,
    cut_off,
    eventually,
    on_call,
    trained,
)


def client_of(aws: Aws, operation: str) -> object:
    if operation == "PutMetricAlarm":
        return aws.cloudwatch
    return {"GetObject": aws.s3, "InvokeEndpoint": aws.runtime}.get(operation, aws.sagemaker)


def verified(project: Project, package: Package) -> bool:
    """Whether the package serves, was verified and recorded, and nothing is left to do."""
    live = project.settled()
    recorded = project.registry.describe(package.arn).metadata.get("deployed_as")
    return (live.package_arn, live.rollback, recorded) == (package.arn, "", live.configuration)


def at_once(project: Project, *packages: Package) -> list[bool]:
    """Deploy them all at the same moment; which succeeded."""
    outcomes = [False] * len(packages)
    start = threading.Barrier(len(packages))

    def run(index: int, package: Package) -> None:
        aws = project.another_process()
        start.wait()
        try:
            project.deploy(package, aws=aws)
        except DeploymentError as error:
            project.said.append(str(error))
        else:
            outcomes[index] = True

    threads = [threading.Thread(target=run, args=each) for each in enumerate(packages)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_two_deploys_of_one_package_at_once_both_succeed(project: Project) -> None:
    project.deploy(project.package(1))
    two = project.package(2)
    with constant_load(project) as load:
        assert at_once(project, two, two) == [True, True]
    assert verified(project, two)
    assert not load.errors


def test_two_first_deploys_of_one_package_at_once_both_succeed(project: Project) -> None:
    one = project.package(1)
    assert at_once(project, one, one) == [True, True]
    assert verified(project, one)


def test_of_two_deploys_of_different_packages_at_once_the_last_one_serves(project: Project) -> None:
    project.deploy(project.package(1))
    two, three = project.package(2), project.package(3)
    with constant_load(project) as load:
        outcomes = at_once(project, two, three)
    assert any(outcomes)
    serving = {2: two, 3: three}[project.answers()]
    assert verified(project, serving)
    assert outcomes[[two, three].index(serving)]
    assert not load.errors


BEFORE_THE_UPDATE = ["GetObject", "CreateEndpointConfig", "AddTags", "UpdateEndpoint"]
AFTER_THE_UPDATE = ["DescribeEndpoint", "InvokeEndpoint"]
VERIFIED = ["UpdateModelPackage", "DeleteTags"]
QUICK = ("UpdateEndpoint", "InvokeEndpoint")


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(operation, marks=[] if operation in QUICK else pytest.mark.long)
        for operation in BEFORE_THE_UPDATE + AFTER_THE_UPDATE + VERIFIED
    ],
)
def test_a_deploy_that_another_one_overtakes_at_any_step_tells_the_truth(project: Project, operation: str) -> None:
    project.deploy(project.package(1))
    two, three = project.package(2), project.package(3)
    other, updated, overtaken = project.another_process(), threading.Event(), threading.Event()

    def overtake() -> None:
        after = operation in AFTER_THE_UPDATE
        if not overtaken.is_set() and (not after or updated.is_set()):
            overtaken.set()
            project.deploy(three, aws=other)

    with (
        constant_load(project) as load,
        on_call(project.aws.sagemaker, "UpdateEndpoint", updated.set, "after-call"),
        on_call(client_of(project.aws, operation), operation, overtake),
    ):
        if operation in BEFORE_THE_UPDATE:
            assert project.deploy(two)  # it began its update last
            serving = two
        elif operation in AFTER_THE_UPDATE:
            with pytest.raises(DeploymentError, match=r"somebody else deployed abalone-model-3-"):
                project.deploy(two)
            serving = three
        else:
            project.deploy(two)  # it was verified before it was replaced
            serving = three
    assert overtaken.is_set()
    assert verified(project, serving)
    assert project.answers() == (2 if serving is two else 3)
    assert not load.errors


def test_a_deploy_waits_for_an_update_that_is_under_way_and_then_makes_its_own(project: Project) -> None:
    project.deploy(project.package(1))
    two, three = project.package(2), project.package(3)
    project.deploy(three)
    sagemaker, first = project.account.client("sagemaker"), f"abalone-model-1-{ENDPOINT.digest()}"
    with constant_load(project) as load:
        sagemaker.update_endpoint(EndpointName="abalone", EndpointConfigName=first)
        assert project.deploy(two)
    assert any(f"is Updating, towards {first}, by arn:aws:" in line for line in project.said)
    assert verified(project, two)
    assert not load.errors


@pytest.mark.long
def test_an_unverified_package_is_never_what_a_later_deploy_returns_to(project: Project) -> None:
    project.deploy(project.package(1))
    two, three = project.package(2), project.package(3)
    s3, key = project.account.client("s3"), three.artifact.split("/", 3)[3]

    def swap() -> None:
        s3.put_object(Bucket=project.account.bucket, Key=key, Body=trained(2)[0])

    with cut_off(project.aws.runtime, "InvokeEndpoint"):
        project.deploy(two)
    with on_call(project.aws.sagemaker, "UpdateEndpoint", swap), pytest.raises(DeploymentError, match="Rolled back"):
        project.deploy(three)
    assert project.answers() == 1


@pytest.mark.long
def test_the_verification_of_one_deploy_does_not_take_the_way_back_from_the_next(project: Project) -> None:
    project.deploy(project.package(1))
    two, three = project.package(2), project.package(3)
    s3, key = project.account.client("s3"), three.artifact.split("/", 3)[3]
    other, told = project.another_process(), list[str]()

    def swap() -> None:
        s3.put_object(Bucket=project.account.bucket, Key=key, Body=trained(1)[0])

    def other_deploy() -> None:
        with on_call(other.sagemaker, "UpdateEndpoint", swap):
            try:
                project.deploy(three, aws=other)
            except DeploymentError as error:
                told.append(str(error))

    begun = threading.Event()
    thread = threading.Thread(target=other_deploy)

    def begin() -> None:
        if not begun.is_set():
            begun.set()
            thread.start()
            eventually(lambda: project.live().status == "Updating", "the other deploy has begun")

    with on_call(project.aws.sagemaker, "DeleteTags", begin):
        project.deploy(two)
    thread.join()
    [said] = told
    assert "Rolled back: abalone-model-" in said
    assert project.answers() in (1, 2)


@pytest.mark.parametrize("operation", ["GetObject", "UpdateEndpoint"])
def test_an_endpoint_that_is_deleted_before_the_update_is_created_again(project: Project, operation: str) -> None:
    project.deploy(project.package(1))
    gone = threading.Event()

    def delete() -> None:
        if not gone.is_set():
            gone.set()
            project.account.client("sagemaker").delete_endpoint(EndpointName="abalone")
            eventually(lambda: not project.live().exists, "the endpoint is gone")

    two = project.package(2)
    with on_call(client_of(project.aws, operation), operation, delete):
        assert project.deploy(two)
    assert verified(project, two)


@pytest.mark.long
def test_an_endpoint_that_is_deleted_before_its_verification_is_an_error(project: Project) -> None:
    project.deploy(project.package(1))
    two = project.package(2)

    def delete() -> None:
        if project.live().exists:
            project.account.client("sagemaker").delete_endpoint(EndpointName="abalone")
            eventually(lambda: not project.live().exists, "the endpoint is gone")

    with (
        on_call(project.aws.runtime, "InvokeEndpoint", delete),
        pytest.raises(DeploymentError, match="somebody else deleted the endpoint"),
    ):
        project.deploy(two)
    assert project.deploy(two)
    assert verified(project, two)


@pytest.mark.long
def test_a_failed_endpoint_that_another_deploy_has_replaced_meanwhile_is_not_deleted(project: Project) -> None:
    bad = project.package(1, image="141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:9.9-9")
    with pytest.raises(DeploymentError):
        project.deploy(bad)
    two, three = project.package(2), project.package(3)
    other, overtaken, deleted = project.another_process(), threading.Event(), list[int]()

    def overtake() -> None:
        if not overtaken.is_set():
            overtaken.set()
            project.deploy(three, aws=other)

    with (
        on_call(project.aws.cloudwatch, "PutMetricAlarm", overtake),
        on_call(project.aws.sagemaker, "DeleteEndpoint", lambda: deleted.append(1)),
    ):
        assert project.deploy(two)
    assert not deleted
    assert verified(project, two)
