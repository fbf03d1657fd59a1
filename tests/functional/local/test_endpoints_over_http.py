"""Endpoints with the real server and the real XGBoost container, as boto3 and sagemaker-core use them."""

import json
import os
import subprocess
import sys
import textwrap
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from common.local import daemon
from tests.accounts import Account
from tests.archives import archive
from tests.functional.local.training_support import SCIKIT_LEARN, put

IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:3.2-0"
SOON = {"Delay": 0.05, "MaxAttempts": 400}


@cache
def model_tar(slope: float) -> bytes:
    """A model.tar.gz as the training container leaves it: predicts about `slope` times the first of two columns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import xgboost

    rows = np.random.default_rng(1).random((200, 2))
    trained = xgboost.train({"max_depth": 2}, xgboost.DMatrix(rows, slope * rows[:, 0]), 20)
    return archive({"xgboost-model": bytes(trained.save_raw("ubj"))})


def configuration(aws: Account, name: str, slope: float) -> str:
    """A model and an endpoint configuration of that name."""
    sagemaker = aws.client("sagemaker")
    aws.client("s3").put_object(Bucket=aws.bucket, Key=f"{name}.tar.gz", Body=model_tar(slope))
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{aws.bucket}/{name}.tar.gz"}
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=aws.role)
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    return name


def predict(aws: Account, **members: Any) -> float:
    runtime = aws.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName="e", Body=b"0.5,0.5", ContentType="text/csv", **members)
    return float(answer["Body"].read())


@pytest.fixture
def endpoint(aws: Account) -> Account:
    """Endpoint `e` in service, which predicts ten times the first column."""
    sagemaker = aws.client("sagemaker")
    sagemaker.create_endpoint(
        EndpointName="e",
        EndpointConfigName=configuration(aws, "ten", 10),
        Tags=[{"Key": "team", "Value": "shells"}],
    )
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig=SOON)
    return aws


def test_an_endpoint_lives_from_creation_to_deletion_with_boto3_and_its_waiters(endpoint: Account) -> None:
    sagemaker = endpoint.client("sagemaker")
    answer = endpoint.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="e", Body=b"0.5,0.5\n0.1,0.9\n", ContentType="text/csv"
    )
    values = [float(line) for line in answer["Body"].read().decode().split()]
    assert values == pytest.approx([5, 1], abs=1)
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["ContentType"].startswith("text/csv")
    arn = sagemaker.describe_endpoint(EndpointName="e")["EndpointArn"]
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "shells"}]
    sagemaker.delete_endpoint(EndpointName="e")
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName="e", WaiterConfig=SOON)
    with pytest.raises(ClientError, match=r"Endpoint e of account \d+ not found"):
        predict(endpoint)


def test_a_canary_update_is_waited_for_and_described(endpoint: Account) -> None:
    sagemaker = endpoint.client("sagemaker")
    endpoint.client("cloudwatch").put_metric_alarm(
        AlarmName="errors",
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "AllTraffic"}],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.01,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    config = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 20},
                "WaitIntervalInSeconds": 30,
            },
            "TerminationWaitInSeconds": 5,
            "MaximumExecutionTimeoutInSeconds": 600,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
    }
    twenty = configuration(endpoint, "twenty", 20)
    sagemaker.update_endpoint(EndpointName="e", EndpointConfigName=twenty, DeploymentConfig=config)
    during = sagemaker.describe_endpoint(EndpointName="e")
    assert during["EndpointStatus"] == "Updating"
    assert during["PendingDeploymentSummary"]["EndpointConfigName"] == "twenty"
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig=SOON)
    after = sagemaker.describe_endpoint(EndpointName="e")
    assert (after["EndpointConfigName"], after["LastDeploymentConfig"]) == ("twenty", config)
    assert predict(endpoint) == pytest.approx(10, abs=1)
    [alarm] = endpoint.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert alarm["StateValue"] == "OK"


SCRIPT = """
import boto3
def model_fn(model_dir):
    return boto3.client("sts").get_caller_identity()["Arn"]
def transform_fn(model, data, content_type, accept):
    return model
"""


def test_a_script_in_s3_serves_and_acts_as_the_models_role(aws: Account) -> None:
    sagemaker = aws.client("sagemaker")
    put(aws, "code/source.tar.gz", archive({"serve.py": SCRIPT}))
    submitted = f"s3://{aws.bucket}/code/source.tar.gz"
    environment = {
        "SAGEMAKER_PROGRAM": "serve.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": submitted,
        "PYTHONPATH": "/opt/ml/code",
    }
    container = {"Image": SCIKIT_LEARN, "Environment": environment}
    sagemaker.create_model(ModelName="scripted", PrimaryContainer=container, ExecutionRoleArn=aws.role)
    variant = {"VariantName": "v", "ModelName": "scripted", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="scripted", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="scripted")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig=SOON)
    answer = aws.client("sagemaker-runtime").invoke_endpoint(EndpointName="e", Body=b"who", ContentType="text/plain")
    assert answer["Body"].read().decode() == f"arn:aws:sts::{aws.account}:assumed-role/SageMakerExecution/SageMaker"


def test_a_model_error_reaches_boto3_with_its_members(endpoint: Account) -> None:
    with pytest.raises(ClientError) as error:
        endpoint.client("sagemaker-runtime").invoke_endpoint(
            EndpointName="e", Body=b"[1]", ContentType="application/json"
        )
    response: Any = error.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == ("ModelError", 424)
    assert response["OriginalStatusCode"] == 415
    assert "application/json" in response["OriginalMessage"]
    assert response["LogStreamArn"].endswith(":log-group:/aws/sagemaker/Endpoints/e")


@pytest.mark.parametrize(
    "members", [{"TargetModel": "a.tar.gz"}, {"TargetVariant": "other"}], ids=["target model", "unknown variant"]
)
def test_a_request_that_does_not_fit_the_endpoint_is_a_validation_error(
    endpoint: Account, members: dict[str, str]
) -> None:
    with pytest.raises(ClientError) as error:
        predict(endpoint, **members)
    assert error.value.response["Error"]["Code"] == "ValidationError"


def test_sagemaker_core_creates_waits_and_invokes(aws: Account) -> None:
    configuration(aws, "ten", 10)
    script = """
        import json
        from sagemaker.core.resources import Endpoint
        endpoint = Endpoint.create(endpoint_name="e", endpoint_config_name="ten")
        endpoint.wait_for_status("InService", poll=1)
        answer = endpoint.invoke(body=b"0.5,0.5", content_type="text/csv")
        print(json.dumps({"answer": float(answer.body.read()), "variant": answer.invoked_production_variant}))
    """
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **aws.env},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["answer"] == pytest.approx(5, abs=1)
    assert told["variant"] == "AllTraffic"


def test_a_server_that_was_stopped_in_an_update_serves_the_old_model_when_it_is_up_again(
    tmp_path: Path, account: str
) -> None:
    servers: list[daemon.Running] = []

    def start() -> Account:
        daemon.up(tmp_path, port=0, detach=True, time_scale=0.01, announce=servers.append)
        return Account(servers[-1].url, account)

    try:
        before = start()
        before.client("s3").create_bucket(
            Bucket=before.bucket, CreateBucketConfiguration={"LocationConstraint": before.region}
        )
        sagemaker = before.client("sagemaker")
        sagemaker.create_endpoint(EndpointName="e", EndpointConfigName=configuration(before, "ten", 10))
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig=SOON)
        routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 3600}
        sagemaker.update_endpoint(
            EndpointName="e",
            EndpointConfigName=configuration(before, "twenty", 20),
            DeploymentConfig={"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}},
        )
        daemon.down(tmp_path)
        after = start()
        assert predict(after) == pytest.approx(5, abs=1)  # at once: the request waits for the worker
        described = after.client("sagemaker").describe_endpoint(EndpointName="e")
        assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "ten")
        assert "interrupted" in described["FailureReason"]
    finally:
        daemon.down(tmp_path)
