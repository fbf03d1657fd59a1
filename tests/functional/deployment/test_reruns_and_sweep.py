"""Deploying what serves changes nothing; old models and configurations go after their retention, and nothing else does."""

import os
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from common.deployment.alarms import Alarm
from common.deployment.hold import put_hold, release
from common.deployment.rollout import AllAtOnce
from common.deployment.sweep import sweep
from common.errors import RegistryError
from common.lineage import Checkout
from common.model import Model
from common.registry import Package, Registry
from common.settings import Run
from common.steps.context import Context
from common.steps.deploy import deploy_model
from tests.functional.deployment.deployment_kit import ENDPOINT, ERRORS, Project, cut_off, on_call, prepared

DIGEST = ENDPOINT.digest()
SWEPT_OF_FOUR = [f"abalone-model-3-{DIGEST}", "abalone-model-3", f"abalone-model-2-{DIGEST}", "abalone-model-2"]
"""What goes when package 1 serves, 2 to 4 were deployed long before in this order, and two are kept."""


def swept(project: Project, keep: int = 2) -> list[str]:
    return sweep(project.aws, project.registry, project.model, keep)


class Main(Checkout):
    """This checkout as if it were main's newest: the branch that is tested may hold another abalone."""

    def require_main(self, model: Model) -> None:
        self.source(model)


def context_of(project: Project) -> Context:
    return Context(project.aws, Main(), Run("tester"), project.said.append)


@pytest.fixture
def one(project: Project) -> Package:
    """Package 1, which serves."""
    one = project.package(1)
    project.deploy(one)
    return one


def test_deploying_what_serves_changes_nothing_in_aws(project: Project, one: Package) -> None:
    before = project.documents()
    assert not project.deploy(one)
    assert project.documents() == before


def test_deploying_what_serves_imports_no_library_that_trains(project: Project, one: Package) -> None:
    program = f"""
        import sys
        from common.deployment import Alarm, AllAtOnce, Endpoint
        from common.lineage import Checkout
        from common.model import Model
        from common.steps.context import Context
        from common.steps.deploy import deploy_model
        endpoint = Endpoint("ml.t2.medium", AllAtOnce(bake_seconds=0), (Alarm("Invocation5XXErrors", "Sum", above=0),))
        model = Model("abalone", "A model of the tests", "rings", "regression")
        Checkout.require_main = lambda *_: None  # the branch that is tested may hold another abalone than main
        deploy_model(Context.from_environment(), model, endpoint, version={one.version})
        heavy = {{"xgboost", "pandas", "numpy", "sklearn", "sagemaker"}} & set(sys.modules)
        sys.exit(f"imported: {{heavy}}" if heavy else 0)
    """
    lines = "\n".join(line.strip() for line in program.splitlines())
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=False, env=os.environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert "version 1 serves already, and its golden predictions match" in done.stdout


def test_a_changed_declaration_alone_deploys_the_same_package_again(project: Project, one: Package) -> None:
    two_instances = replace(ENDPOINT, instance_count=2)
    assert project.deploy(one, two_instances)
    live = project.live()
    assert (live.configuration, live.package_arn) == (f"abalone-model-1-{two_instances.digest()}", one.arn)
    [variant] = project.account.client("sagemaker").describe_endpoint(EndpointName="abalone")["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == 2
    assert project.names()["models"] == ["abalone-model-1"]


def test_a_package_serves_since_it_took_the_place_of_another_however_often_it_is_deployed(project: Project) -> None:
    one, two, registry = project.package(1), project.package(2), project.registry
    prepared(project, one)
    prepared(project, two)
    registry.record_deployment(registry.describe(two.arn), "abalone-model-2-other", Run("tester"))
    two = registry.describe(two.arn)
    assert two.deployed_at > two.serves_since == "2020-01-01T00:00:02+00:00"
    registry.record_deployment(registry.describe(one.arn), "abalone-model-1-back", Run("tester"))
    one = registry.describe(one.arn)
    assert one.serves_since == one.deployed_at > "2020-01-01T00:00:02+00:00"


def test_a_change_of_rollout_and_alarms_is_no_reason_to_deploy(project: Project, one: Package) -> None:
    other = replace(ENDPOINT, rollout=AllAtOnce(5), alarms=(ERRORS, Alarm("ModelLatency", "p99", above=1e6)), keep=7)
    assert not project.deploy(one, other)


def test_a_version_can_be_named_to_go_back_to(project: Project, one: Package) -> None:
    two = project.package(2)
    deploy_model(context_of(project), project.model, ENDPOINT, version=2)
    assert project.answers() == 2
    deploy_model(context_of(project), project.model, ENDPOINT, version=1)
    assert project.live().package_arn == one.arn
    assert "deployed_as" in project.registry.describe(two.arn).metadata


def test_a_plan_changes_nothing_and_names_the_steps(project: Project, one: Package) -> None:
    project.package(2)
    before = project.documents()
    deploy_model(context_of(project), project.model, ENDPOINT, plan=True, version=2)
    assert project.documents() == before
    said = "\n".join(project.said)
    assert f"update endpoint abalone from abalone-model-1-{DIGEST}" in said
    assert "alarm abalone-Invocation5XXErrors-Sum: Sum of Invocation5XXErrors above 0 for 60 s" in said
    # The rollout of the tests bakes for no time at all.
    assert "warning: alarm abalone-Invocation5XXErrors-Sum cannot fire in time" in said


def test_versions_that_are_not_approved_or_do_not_exist_are_refused(project: Project, one: Package) -> None:
    project.package(2, approved=False)
    before = project.documents()
    with pytest.raises(RegistryError, match="Version 2 of abalone is PendingManualApproval"):
        deploy_model(context_of(project), project.model, ENDPOINT, version=2)
    with pytest.raises(RegistryError, match="has no package version 9"):
        deploy_model(context_of(project), project.model, ENDPOINT, version=9)
    assert project.documents() == before


def test_models_and_configurations_go_after_their_retention_and_what_serves_stays(project: Project) -> None:
    packages = [project.package(number) for number in (1, 2, 3, 4)]
    prepared(project, packages[0])
    project.account.client("sagemaker").create_endpoint_config(
        EndpointConfigName="abalone-model-1-0123abcd", **ENDPOINT.request("abalone-model-1", "")
    )
    for package in packages[1:3]:
        prepared(project, package)
    project.deploy(packages[3])
    assert swept(project, keep=3) == ["abalone-model-1-0123abcd", f"abalone-model-1-{DIGEST}", "abalone-model-1"]
    assert project.names()["models"] == ["abalone-model-2", "abalone-model-3", "abalone-model-4"]
    assert swept(project, keep=3) == []
    assert swept(project, keep=2) == [f"abalone-model-2-{DIGEST}", "abalone-model-2"]
    assert project.answers() == 4
    assert project.deploy(packages[0])  # a swept package can be deployed again
    assert project.answers() == 1


def test_what_serves_stays_however_long_ago_it_was_deployed(project: Project, one: Package) -> None:
    sagemaker = project.account.client("sagemaker")
    for number in (2, 3, 4):
        prepared(project, project.package(number))
    sagemaker.update_model_package(
        ModelPackageArn=one.arn, CustomerMetadataProperties={"deployed_at": "2019-01-01T00:00:00+00:00"}
    )
    assert swept(project) == [f"abalone-model-2-{DIGEST}", "abalone-model-2"]  # 4 and 3 are the last two, 1 serves
    assert "abalone-model-1" in project.names()["models"]


def test_the_sweep_leaves_siblings_and_what_it_did_not_make(project: Project, one: Package) -> None:
    sagemaker = project.account.client("sagemaker")
    container = {"ModelPackageName": one.arn}
    sibling = Project(project.account, Model("abalone2", "Another", "rings", "regression"))
    prepared(sibling, sibling.package(7))
    foreign = ["abalone-model-1x", "abalone-model-2-by-hand", "abalone-model-99", "my-abalone-model-2"]
    for name in foreign:
        sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=project.account.role)
    for number in (2, 3, 4):
        prepared(project, project.package(number))
    by_hand = {"abalone-model-2-experiment": "abalone-model-2", "abalone-model-2-0123abcd": "abalone-model-2-by-hand"}
    for name, model in by_hand.items():
        sagemaker.create_endpoint_config(EndpointConfigName=name, **ENDPOINT.request(model, ""))
    assert swept(project) == SWEPT_OF_FOUR
    left = project.names()
    assert {*foreign, "abalone2-model-1"} <= set(left["models"])
    assert {*by_hand, sibling.wanted(sibling.registry.version(1)).configuration} <= set(left["configurations"])


def test_what_a_failed_deploy_prepared_goes_once_a_newer_package_serves_and_not_while_the_endpoint_is_held(
    project: Project, one: Package
) -> None:
    for number in (2, 4):
        with cut_off(project.aws.sagemaker, "UpdateEndpoint"):
            project.deploy(project.package(number))
        if number == 2:
            project.deploy(project.package(3))
    put_hold(project.aws, "abalone", reason="version 2 is compared", by="somebody", kind="shadow")
    assert swept(project) == []
    release(project.aws, "abalone")
    assert swept(project) == [f"abalone-model-2-{DIGEST}", "abalone-model-2"]
    assert project.names()["models"] == [
        "abalone-model-1",
        "abalone-model-3",
        "abalone-model-4",
    ]  # 4 is newer than what serves
    assert project.answers() == 3


@pytest.mark.long
def test_the_sweep_sees_beyond_the_first_page(project: Project, one: Package) -> None:
    sagemaker = project.account.client("sagemaker")
    for number in (2, 3, 4):
        prepared(project, project.package(number))
    for number in range(110):  # newer than those to sweep, and named alike: they fill the first pages
        name = f"abalone-model-2-{number}"
        sagemaker.create_model(
            ModelName=name, PrimaryContainer={"ModelPackageName": one.arn}, ExecutionRoleArn=project.account.role
        )
        sagemaker.create_endpoint_config(EndpointConfigName=name, **ENDPOINT.request(name, ""))
    assert swept(project) == SWEPT_OF_FOUR


def test_sweeps_at_once_end_like_one(project: Project, one: Package) -> None:
    for number in (2, 3, 4, 5):
        prepared(project, project.package(number))
    deleted: list[str] = []
    start = threading.Barrier(3)

    def run() -> None:
        aws = project.another_process()
        start.wait()
        deleted.extend(sweep(aws, Registry(aws, project.model), project.model, 2))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = [f"abalone-model-{number}{suffix}" for number in (2, 3, 4) for suffix in (f"-{DIGEST}", "")]
    assert sorted(deleted) == sorted(expected)
    assert project.names()["models"] == ["abalone-model-1", "abalone-model-5"]


def test_nothing_is_swept_while_the_endpoint_is_changed_or_not_verified(project: Project, one: Package) -> None:
    for number in (2, 3, 4):
        prepared(project, project.package(number))
    sagemaker = project.account.client("sagemaker")
    with cut_off(project.aws.runtime, "InvokeEndpoint"):
        project.deploy(project.package(5))
    assert swept(project) == []
    sagemaker.update_endpoint(EndpointName="abalone", EndpointConfigName=f"abalone-model-3-{DIGEST}")
    assert swept(project) == []
    project.settled()
    assert swept(project)


def test_a_deploy_that_begins_during_the_sweep_stops_it(project: Project, one: Package) -> None:
    for number in (2, 3, 4, 5):
        prepared(project, project.package(number))
    sagemaker = project.account.client("sagemaker")

    def go_back() -> None:
        if project.live().in_service:
            sagemaker.update_endpoint(EndpointName="abalone", EndpointConfigName=f"abalone-model-2-{DIGEST}")

    with on_call(project.aws.sagemaker, "DeleteModel", go_back):
        deleted = swept(project)
    assert deleted == [f"abalone-model-4-{DIGEST}", "abalone-model-4"]
    assert project.settled().model_name == "abalone-model-2"


def test_a_sweep_with_nothing_to_do_asks_aws_once(project: Project, one: Package) -> None:
    calls: list[str] = []

    def count(model: object, **_: object) -> None:
        calls.append(str(model))

    for number in (2, 3, 4):
        project.registry.record_deployment(project.package(number), "swept long ago", Run("tester"))
    project.aws.sagemaker.meta.events.register("before-call", count)
    assert swept(project) == []
    assert len(calls) == 1
