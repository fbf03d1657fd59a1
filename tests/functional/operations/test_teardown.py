"""Taking one of three models down: nothing of it runs afterwards, and nothing of the others has changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from common.deployment.execute import Deployment
from common.deployment.hold import put_hold
from common.deployment.scaling import Scaling
from common.errors import DeploymentError, UsageError
from common.model import Model
from common.operations.cost import what_runs
from common.operations.teardown import tear_down
from common.settings import Run
from tests.accounts import Account
from tests.functional.deployment.deployment_kit import ENDPOINT, Project, cut_off
from tests.functional.local.training_support import XGBOOST, put, regression_csv
from tests.functional.local.transform_support import job_request, make_model, wait_until

SCALED = replace(ENDPOINT, instance_type="ml.m5.large", scaling=Scaling(1, 2, invocations_per_instance=1000))
OTHERS = ("abalone2", "bigabalone")
"""Names that begin and end with the one of the model that goes."""


def listed(account: Account) -> dict[str, dict[str, Any]]:
    """Everything that the services have for the account, by kind and name, described in full; time and state of alarms aside."""
    sagemaker, cloudwatch = account.client("sagemaker"), account.client("cloudwatch")
    found: dict[str, dict[str, Any]] = {}
    for kind, plural in (("Endpoint", "endpoints"), ("EndpointConfig", "endpoint_configs"), ("Model", "models")):
        names = [
            item[f"{kind}Name"]
            for page in sagemaker.get_paginator(f"list_{plural}").paginate()
            for item in page[f"{kind}s"]
        ]
        describe = getattr(sagemaker, f"describe_{plural[:-1]}")
        found[plural] = {name: described(describe(**{f"{kind}Name": name})) for name in names}
        for name, each in found[plural].items():
            found[plural][name] = each | {"tags": sagemaker.list_tags(ResourceArn=each[f"{kind}Arn"])["Tags"]}
    found["packages"] = {
        each["ModelPackageArn"]: described(sagemaker.describe_model_package(ModelPackageName=each["ModelPackageArn"]))
        for group in sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
        for each in sagemaker.list_model_packages(ModelPackageGroupName=group["ModelPackageGroupName"])[
            "ModelPackageSummaryList"
        ]
    }
    found["running jobs"] = {
        job["TrainingJobName"]: True
        for job in sagemaker.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"]
    }
    found["alarms"] = {
        alarm["AlarmName"]: {key: value for key, value in alarm.items() if not key.startswith("State")}
        for alarm in cloudwatch.describe_alarms()["MetricAlarms"]
    }
    scaling = account.client("application-autoscaling")
    found["targets"] = {
        target["ResourceId"]: target
        for target in scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    }
    found["policies"] = {
        policy["PolicyARN"]: policy
        for policy in scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    }
    objects = account.client("s3").list_objects_v2(Bucket=account.bucket).get("Contents", [])
    found["objects"] = {each["Key"]: each["ETag"] for each in objects}
    return found


def described(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def deploy(project: Project, number: int = 1) -> None:
    package = project.package(number)
    Deployment(
        project.aws, project.registry, project.wanted(package, SCALED), Run("tester"), project.said.append
    ).execute()


def train(account: Account, model: str) -> None:
    """Start a training job of the model that takes for ever."""
    account.client("s3").put_object(Bucket=account.bucket, Key="train/data.csv", Body=regression_csv())
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{account.bucket}/train/"}
    account.client("sagemaker").create_training_job(
        TrainingJobName=f"{model}-long",
        AlgorithmSpecification={"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        RoleArn=account.role,
        HyperParameters={"num_round": "10000000", "objective": "reg:squarederror"},
        InputDataConfig=[{"ChannelName": "train", "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": f"s3://{account.bucket}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 3600},
        Tags=[{"Key": "model", "Value": model}],
    )


@pytest.fixture
def three(project: Project) -> Project:
    """abalone and two models whose names hold its name, all of them deployed and scaled."""
    projects = [project, *(Project(project.account, Model(name, "Another", "rings", "regression")) for name in OTHERS)]
    for number, each in enumerate(projects, start=1):
        deploy(each, number)
    return project


def test_everything_of_the_model_goes_and_everything_of_the_others_stays(three: Project) -> None:
    account, said = three.account, list[str]()
    train(account, "abalone")
    train(account, "abalone2")
    cloudwatch, sagemaker = account.client("cloudwatch"), account.client("sagemaker")
    cloudwatch.put_metric_alarm(
        AlarmName="abalone-costs",
        Namespace="Mine",
        MetricName="X",
        Statistic="Sum",
        ComparisonOperator="GreaterThanThreshold",
        Threshold=1,
        Period=60,
        EvaluationPeriods=1,
    )
    sagemaker.create_model(ModelName="abalone-model-99", ExecutionRoleArn=account.role,
                           PrimaryContainer={"Image": XGBOOST, "ModelDataUrl": three.registry.version(1).artifact})  # fmt: skip
    before = listed(account)
    try:
        with pytest.raises(UsageError, match="Nothing of abalone was removed"):
            tear_down(three.aws, "abalone", said.append, confirmed=False)
        assert listed(account) == before
        job = account.client("sagemaker").describe_training_job(TrainingJobName="abalone-long")
        assert "stop training job abalone-long" in "\n".join(said), job

        tear_down(three.aws, "abalone", said.append, confirmed=True)
        after = listed(account)
        expected = {
            "endpoints": set(OTHERS),
            "endpoint_configs": {name for name in before["endpoint_configs"] if not name.startswith("abalone-")},
            "models": {*(f"{name}-model-1" for name in OTHERS), "abalone-model-99"},
            "running jobs": {"abalone2-long"},
            "alarms": {
                name
                for name in before["alarms"]
                if not name.startswith(("abalone-Inv", "TargetTracking-endpoint/abalone/"))
            },
            "targets": {f"endpoint/{name}/variant/AllTraffic" for name in OTHERS},
            "policies": {arn for arn, policy in before["policies"].items() if "/abalone/" not in policy["ResourceId"]},
        }
        for kind, things in before.items():
            assert set(after[kind]) == expected.get(kind, set(things)), kind
            assert after[kind] == {name: thing for name, thing in things.items() if name in after[kind]}, kind
        assert len(before["policies"]) == 3
        assert "packages of the registry" in said[-1]
        tear_down(three.aws, "abalone", said.append, confirmed=True)
        assert said[-1].startswith("abalone: nothing of it runs or waits to run.")
        assert listed(account) == after
    finally:
        sagemaker.stop_training_job(TrainingJobName="abalone2-long")
        for name in OTHERS:
            sagemaker.delete_endpoint(EndpointName=name)


def test_a_batch_that_runs_costs_and_is_stopped(project: Project) -> None:
    account = project.account
    make_model(account, "sums")
    put(account, "in/rows.csv", b"slow")
    for model in ("abalone", "abalone2"):
        request = job_request(account, f"{model}-batch") | {"Tags": [{"Key": "model", "Value": model}]}
        account.client("sagemaker").create_transform_job(**request)
    try:
        [cost] = what_runs(project.aws, ["abalone"])
        assert (cost.what, cost.use, cost.instance_type, cost.count) == (
            "transform job abalone-batch", "Tsform", "ml.m5.large", 1,
        )  # fmt: skip
        said: list[str] = []
        tear_down(project.aws, "abalone", said.append, confirmed=True)
        assert "stop transform job abalone-batch" in said[0]
        assert wait_until(account, "abalone-batch")["TransformJobStatus"] == "Stopped"
        described = account.client("sagemaker").describe_transform_job(TransformJobName="abalone2-batch")
        assert described["TransformJobStatus"] == "InProgress"
    finally:
        account.client("sagemaker").stop_transform_job(TransformJobName="abalone2-batch")


@pytest.mark.parametrize("operation", ["DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"])
def test_a_teardown_that_was_killed_is_continued_by_the_next(project: Project, operation: str) -> None:
    deploy(project)
    with cut_off(project.aws.sagemaker, operation):
        tear_down(project.aws, "abalone", project.said.append, confirmed=True)
    tear_down(project.aws, "abalone", project.said.append, confirmed=True)
    left = listed(project.account)
    assert not any(left[kind] for kind in left if kind not in ("packages", "objects"))


def test_a_held_model_is_not_taken_down(project: Project) -> None:
    deploy(project)
    put_hold(project.aws, "abalone", reason="we measure", by="CircleCI user 9")
    with pytest.raises(DeploymentError, match=r"abalone is held since .* by CircleCI user 9: we measure"):
        tear_down(project.aws, "abalone", project.said.append, confirmed=True)
    assert project.answers() == 1
