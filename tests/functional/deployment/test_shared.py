"""A shared endpoint: every model is deployed for itself, and none is lost, stale or harmed by another's deploy."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from common.deployment.shared.execute import sweep_generations
from common.deployment.shared.generation import CODE
from common.errors import ArtifactError, DeploymentError
from common.model import Model
from common.operations.teardown import tear_down
from common.registry import Package
from common.settings import Run
from common.storage import Bucket, split_uri
from common.training.code import pack
from tests.accounts import Account
from tests.functional.deployment.deployment_kit import cut_off, eventually, on_call, trained
from tests.functional.deployment.shared_kit import ABALONE, CHURN, TABULAR, Shared, constant_load


@pytest.fixture
def shared(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shared]:
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    shared = Shared(aws)
    yield shared
    shared.remove()


def test_models_of_both_kinds_are_served_by_one_endpoint_and_replaced_one_by_one(shared: Shared) -> None:
    one, six = shared.package(ABALONE, 1), shared.package(CHURN, 6)
    assert shared.plan(ABALONE, one)[0] == "add abalone version 1"
    assert shared.deploy(ABALONE, one)
    assert shared.answers(ABALONE) == 1

    with constant_load(shared, ABALONE) as load:
        assert shared.deploy(CHURN, six)
    assert set(load.of(ABALONE)) == {1}
    assert not load.errors
    assert (shared.answers(ABALONE), shared.answers(CHURN)) == (1, 6)
    assert shared.recorded(CHURN, six) == shared.live().configuration

    two = shared.package(ABALONE, 2)
    plan = shared.plan(ABALONE, two)
    assert plan[0] == "replace abalone version 1 by 2"
    assert "ask the endpoint for the golden predictions of all 2 models" in plan
    with constant_load(shared, ABALONE, CHURN) as load:
        assert shared.deploy(ABALONE, two)
        changed = len(load.of(ABALONE))
        eventually(lambda: len(load.of(ABALONE)) > changed + 5, "requests after the deploy")
    assert set(load.of(CHURN)) == {6}
    assert set(load.of(ABALONE)[changed + 1 :]) == {2}  # never again from what an instance still had
    assert not load.errors

    assert not shared.deploy(ABALONE, two)
    assert shared.plan(CHURN, six)[0] == "nothing: tabular serves version 1 of churn already"
    assert shared.deploy(ABALONE, one)  # what `--version 1` does
    assert (shared.answers(ABALONE), shared.answers(CHURN)) == (1, 6)


@pytest.mark.long
def test_what_the_endpoint_serves_is_read_from_aws(shared: Shared) -> None:
    shared.deploy(ABALONE, shared.package(ABALONE, 1))
    shared.deploy(CHURN, shared.package(CHURN, 6))
    live, served = shared.live(), shared.served()
    assert served is not None
    assert live.configuration == f"tabular-shared-{served.digest}-{TABULAR.settings.digest()}"
    container = shared.aws.sagemaker.describe_model(ModelName=live.model_name)["PrimaryContainer"]
    bucket, key = split_uri(container["Environment"]["SHARED_MANIFEST"])
    manifest = json.loads(shared.aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    assert {name: member["version"] for name, member in manifest["members"].items()} == {"abalone": 1, "churn": 1}

    Bucket(shared.aws).write(key, b"{}")
    with pytest.raises(ArtifactError, match="no manifest of a shared endpoint"):
        shared.deploy(ABALONE, shared.package(ABALONE, 2))
    shared.aws.s3.delete_object(Bucket=bucket, Key=key)
    with pytest.raises(ArtifactError, match=r"which says what tabular-shared-[0-9a-f]+-[0-9a-f]+ serves, is missing"):
        shared.deploy(CHURN, shared.package(CHURN, 7))
    assert (shared.answers(ABALONE), shared.answers(CHURN)) == (1, 6)


def test_an_endpoint_that_is_no_shared_one_is_left_alone(shared: Shared) -> None:
    one = shared.package(ABALONE, 1)
    shared.project(ABALONE).deploy(one)
    other = shared.with_endpoint(name="abalone")
    with pytest.raises(
        DeploymentError, match=r"serves abalone-model-1-[0-9a-f]+, which no deploy of a shared endpoint"
    ):
        other.deploy(ABALONE, one)
    shared.project(ABALONE).remove_endpoint()


@pytest.mark.long
def test_deploys_of_many_models_at_once_lose_none(shared: Shared) -> None:
    models = [Model(f"m{number}", "One of many", "rings", "regression") for number in range(1, 5)]
    packages = {model.name: shared.package(model, number) for number, model in enumerate(models, start=1)}
    start, failures = threading.Barrier(len(models)), list[BaseException]()

    def deploy(model: Model) -> None:
        aws = shared.project(model).another_process()
        start.wait()
        try:
            shared.deploy(model, packages[model.name], aws=aws, declared=None)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=deploy, args=[model]) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert {model.name: shared.answers(model) for model in models} == {"m1": 1, "m2": 2, "m3": 3, "m4": 4}
    assert shared.verified()
    assert all(shared.recorded(model, packages[model.name]) for model in models)


BEFORE_THE_UPDATE = ("GetObject", "CreateEndpointConfig", "AddTags", "UpdateEndpoint")
AFTER_THE_UPDATE = ("DescribeEndpoint", "InvokeEndpoint", "UpdateModelPackage", "DeleteTags")
QUICK = ("UpdateEndpoint",)


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(operation, marks=[] if operation in QUICK else pytest.mark.long)
        for operation in BEFORE_THE_UPDATE + AFTER_THE_UPDATE
    ],
)
def test_a_deploy_that_another_models_overtakes_at_any_step_loses_nothing(shared: Shared, operation: str) -> None:
    shared.deploy(ABALONE, shared.package(ABALONE, 1))
    shared.deploy(CHURN, shared.package(CHURN, 5))
    two, six = shared.package(ABALONE, 2), shared.package(CHURN, 6)
    mine, other = shared.project(ABALONE).aws, shared.project(CHURN).another_process()
    updated, overtaken = threading.Event(), threading.Event()

    def overtake() -> None:
        if not overtaken.is_set() and (operation in BEFORE_THE_UPDATE or updated.is_set()):
            overtaken.set()
            shared.deploy(CHURN, six, aws=other)

    client = {"GetObject": mine.s3, "InvokeEndpoint": mine.runtime}.get(operation, mine.sagemaker)
    with (
        constant_load(shared, ABALONE, CHURN) as load,
        on_call(mine.sagemaker, "UpdateEndpoint", updated.set, "after-call"),
        on_call(client, operation, overtake),
    ):
        assert shared.deploy(ABALONE, two)
    assert overtaken.is_set()
    assert (shared.answers(ABALONE), shared.answers(CHURN)) == (2, 6)
    assert shared.verified()
    assert shared.recorded(ABALONE, two)
    assert shared.recorded(CHURN, six)
    assert not load.errors


def test_rejected_and_withdrawn_models_leave_with_the_next_deploy(shared: Shared) -> None:
    third = Model("third", "Another regression", "rings", "regression")
    one, three = shared.package(ABALONE, 1), shared.package(third, 3)
    six = shared.package(CHURN, 6)
    for model, package in ((ABALONE, one), (CHURN, six), (third, three)):
        shared.deploy(model, package, declared=("abalone", "churn", "third"))
    assert shared.versions() == {"abalone": 1, "churn": 1, "third": 1}

    shared.project(CHURN).registry.reject(six, Run("reviewer"), "an afterthought")
    two = shared.package(ABALONE, 2)
    assert any(
        "remove churn version 1 (version 1 is rejected: Rejected by" in step for step in shared.plan(ABALONE, two)
    )
    assert shared.deploy(ABALONE, two, declared=None)  # of a checkout that cannot tell who was withdrawn
    assert shared.versions() == {"abalone": 2, "third": 1}
    with pytest.raises(ClientError, match="Failed to download model data"):
        shared.answers(CHURN)

    assert shared.deploy(ABALONE, shared.package(ABALONE, 4), declared=("abalone", "churn"))
    assert shared.versions() == {"abalone": 3}
    assert shared.answers(ABALONE) == 4


@pytest.mark.long
def test_a_rejected_package_is_not_followed_by_the_one_before_it(shared: Shared) -> None:
    six, one = shared.package(CHURN, 6), shared.package(ABALONE, 1)
    shared.deploy(ABALONE, one)
    two = shared.package(ABALONE, 2)
    shared.deploy(ABALONE, two)
    shared.project(CHURN).registry.reject(two, Run("reviewer"), "an afterthought")
    assert shared.deploy(CHURN, six)
    assert shared.versions() == {"churn": 1}
    assert not shared.deploy(CHURN, six)
    assert shared.versions() == {"churn": 1}


def test_a_package_that_is_rejected_while_it_is_checked_never_meets_traffic(shared: Shared) -> None:
    shared.deploy(ABALONE, shared.package(ABALONE, 1))
    two = shared.package(ABALONE, 2)

    def reject() -> None:
        other = shared.project(CHURN)
        other.aws.sagemaker.update_model_package(ModelPackageArn=two.arn, ModelApprovalStatus="Rejected")

    with (
        on_call(shared.aws.s3, "PutObject", reject),
        pytest.raises(DeploymentError, match="Version 2 of abalone is Rejected by now"),
    ):
        shared.deploy(ABALONE, two)
    assert shared.answers(ABALONE) == 1


def overwrite(shared: Shared, package: Package, content: bytes) -> None:
    shared.account.client("s3").put_object(
        Bucket=shared.account.bucket, Key=split_uri(package.artifact)[1], Body=content
    )


def test_an_artifact_that_is_not_the_approved_one_is_refused_before_anything_changes(shared: Shared) -> None:
    one, six = shared.package(ABALONE, 1), shared.package(CHURN, 6)
    shared.deploy(ABALONE, one)
    shared.deploy(CHURN, six)
    before = shared.live()
    two = shared.package(ABALONE, 2)
    overwrite(shared, two, trained(3)[0])
    with pytest.raises(DeploymentError, match="is not the artifact that was evaluated"):
        shared.deploy(ABALONE, two)
    wrong = shared.package(ABALONE, 4, golden=trained(1)[1])
    with pytest.raises(DeploymentError, match="Version 3 does not predict offline what it did"):
        shared.deploy(ABALONE, wrong)
    assert shared.live() == before


@pytest.mark.parametrize("harmed", [pytest.param("abalone", marks=pytest.mark.long), "churn"])
def test_when_any_model_answers_otherwise_after_the_switch_the_generation_before_comes_back(
    shared: Shared, harmed: str
) -> None:
    one, six = shared.package(ABALONE, 1), shared.package(CHURN, 6)
    shared.deploy(ABALONE, one)
    shared.deploy(CHURN, six)
    before = shared.live()
    two = shared.package(ABALONE, 2)

    def harm() -> None:
        key = shared.aws.s3.list_objects_v2(Bucket=shared.account.bucket, Prefix="tabular/")["Contents"]
        newest = max(
            (entry for entry in key if entry["Key"].endswith("manifest.json")), key=lambda e: e["LastModified"]
        )
        target = newest["Key"].replace("manifest.json", f"models/{harmed}.tar.gz")
        shared.account.client("s3").put_object(Bucket=shared.account.bucket, Key=target, Body=trained(9)[0])

    with on_call(shared.aws.sagemaker, "UpdateEndpoint", harm), pytest.raises(DeploymentError) as error:
        shared.deploy(ABALONE, two)
    assert f"{harmed} version" in str(error.value)
    assert f"Rolled back: {before.configuration} serves again" in str(error.value)
    assert (shared.answers(ABALONE), shared.answers(CHURN)) == (1, 6)
    assert not shared.recorded(ABALONE, two)
    assert shared.deploy(ABALONE, two)  # publishing mends what was written over
    assert (shared.answers(ABALONE), shared.answers(CHURN)) == (2, 6)


@pytest.mark.long
def test_the_next_deploy_verifies_what_a_killed_one_has_left(shared: Shared) -> None:
    shared.deploy(ABALONE, shared.package(ABALONE, 1))
    two, six = shared.package(ABALONE, 2), shared.package(CHURN, 6)
    with cut_off(shared.project(ABALONE).aws.runtime, "InvokeEndpoint"):
        shared.deploy(ABALONE, two)
    assert not shared.verified()
    assert shared.deploy(CHURN, six)
    assert (shared.answers(ABALONE), shared.answers(CHURN)) == (2, 6)
    assert shared.recorded(ABALONE, two)
    assert shared.verified()
    assert any("was not verified by the deploy that brought it" in line for line in shared.said)


@pytest.mark.long
def test_the_next_deploy_takes_back_a_bad_generation_that_a_killed_one_has_left(shared: Shared) -> None:
    shared.deploy(ABALONE, shared.package(ABALONE, 1))
    two, six = shared.package(ABALONE, 2), shared.package(CHURN, 6)
    with cut_off(shared.project(ABALONE).aws.runtime, "InvokeEndpoint"):
        shared.deploy(ABALONE, two)
    served = shared.served()
    assert served is not None
    shared.account.client("sagemaker").delete_endpoint(EndpointName="tabular")
    eventually(lambda: not shared.live().exists, "the endpoint is gone")
    Bucket(shared.aws).write(served.key("abalone"), trained(9)[0])
    shared.aws.sagemaker.create_endpoint(
        EndpointName="tabular", EndpointConfigName=f"{served.name}-{TABULAR.settings.digest()}"
    )
    assert shared.deploy(CHURN, six)
    assert (shared.answers(ABALONE), shared.answers(CHURN)) == (1, 6)
    assert shared.verified()


@pytest.mark.long
def test_a_deploy_killed_before_any_of_its_changes_harms_nobody_and_is_continued(shared: Shared) -> None:
    shared.deploy(ABALONE, shared.package(ABALONE, 1))
    shared.deploy(CHURN, shared.package(CHURN, 6))
    for nth in count(1):
        package, before = shared.package(ABALONE, 10 + nth), shared.answers(ABALONE)
        if not killed(shared, package, nth):
            break
        eventually(lambda: shared.live().status == "InService", "the endpoint settles")
        assert shared.answers(ABALONE) in (before, 10 + nth)
        assert shared.answers(CHURN) == 6
        shared.deploy(ABALONE, package)
        assert (shared.answers(ABALONE), shared.answers(CHURN)) == (10 + nth, 6)
        assert shared.verified()
        assert shared.recorded(ABALONE, package)
    assert nth > 8


def killed(shared: Shared, package: Package, nth: int) -> bool:
    """Deploy by a process that dies right before its n-th change; whether it came to that."""
    aws, changes = shared.project(ABALONE).another_process(), count(1)

    def die(model: Any, **_: Any) -> None:
        if not model.name.startswith(("Describe", "List", "Get")) and next(changes) >= nth:
            raise KeyboardInterrupt

    for client in (aws.s3, aws.sagemaker, aws.cloudwatch, aws.runtime):
        client.meta.events.register("before-call", die)
    try:
        shared.deploy(ABALONE, package, aws=aws)
    except KeyboardInterrupt:
        return True
    return False


def test_a_corrupt_artifact_harms_no_other_model(shared: Shared) -> None:
    shared.deploy(ABALONE, shared.package(ABALONE, 1))
    shared.deploy(CHURN, shared.package(CHURN, 6))
    served, live = shared.served(), shared.live()
    assert served is not None
    code, bucket = f"{served.prefix}code.tar.gz", Bucket(shared.aws)
    before = bucket.read(code) or b""
    for other in (
        b"no archive",
        pack({"inference.py": b"mine"}),
        pack({"inference.py": CODE.read_bytes(), "json.py": b""}),
    ):
        bucket.write(code, other)
        with pytest.raises(
            DeploymentError, match=r"code\.tar\.gz is not the code that the endpoint tabular was published"
        ):
            shared.deploy(CHURN, shared.project(CHURN).registry.version(1))
    bucket.write(code, before)
    bucket.write(served.key("abalone"), trained(1)[0][:-100])
    # An endpoint of its own loads everything anew, as a new instance would.
    sagemaker = shared.account.client("sagemaker")
    sagemaker.create_endpoint(EndpointName="another", EndpointConfigName=live.configuration)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="another", WaiterConfig={"Delay": 0.05})
    for _ in range(3):
        with pytest.raises(ClientError, match="ModelError"):
            shared.answers(ABALONE, "another")
        assert shared.answers(CHURN, "another") == 6
    sagemaker.delete_endpoint(EndpointName="another")
    with pytest.raises(DeploymentError, match=r"1 of 2 artifacts of the endpoint tabular are missing or not what"):
        shared.deploy(CHURN, shared.project(CHURN).registry.version(1))
    assert (shared.answers(ABALONE), shared.answers(CHURN)) == (1, 6)


@pytest.mark.long
def test_a_changed_declaration_is_deployed_and_old_generations_are_swept(shared: Shared) -> None:
    for number in (1, 2, 3):
        shared.deploy(ABALONE, shared.package(ABALONE, number))
    bigger = shared.with_endpoint(instance_count=2, keep=2)
    package = shared.project(ABALONE).registry.version(3)
    assert bigger.deploy(ABALONE, package)
    sagemaker = shared.account.client("sagemaker")
    variant = sagemaker.describe_endpoint(EndpointName="tabular")["ProductionVariants"][0]
    assert variant["CurrentInstanceCount"] == 2
    deleted = sweep_generations(shared.aws, bigger.endpoint)
    names = shared.project(ABALONE).names()
    assert len([name for name in names["configurations"] if name.startswith("tabular-shared-")]) == 2
    assert len([name for name in names["models"] if name.startswith("tabular-shared-")]) == 1
    assert len(deleted) == 4
    assert shared.answers(ABALONE) == 3
    tear_down(shared.aws, "abalone", shared.said.append, confirmed=True)
    assert shared.answers(ABALONE) == 3
    tear_down(shared.aws, "tabular", shared.said.append, confirmed=True)
    assert shared.project(ABALONE).names() == {"models": [], "configurations": [], "endpoints": []}
    assert package.is_approved
