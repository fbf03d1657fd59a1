"""Multi-model endpoints of the local AWS with the scikit-learn image's container, through boto3."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.accounts import Account
from tests.archives import archive
from tests.functional.local.training_support import SCIKIT_LEARN

HANDLERS = """
import json, os, pathlib, signal, time

class BadRequest(Exception):
    status_code = 400
    message = "period must be a whole number, not twelve"

def model_fn(folder):
    model = json.loads(pathlib.Path(folder, "model.json").read_text())
    print("loading", model["name"], flush=True)
    time.sleep(model.get("seconds", 0))
    return model

def transform_fn(model, content, content_type, accept):
    if content == "bad":
        raise BadRequest
    if content == "crash":
        os._exit(3)
    if content == "crash container":
        os.killpg(os.getpgrp(), signal.SIGKILL)
    if content == "environment":
        return json.dumps(dict(os.environ))
    processes = {"pid": os.getpid(), "container": os.getpgrp()}
    return json.dumps({"name": model["name"], "type": type(content).__name__, **processes})
"""
SOON = {"Delay": 0.05, "MaxAttempts": 400}


def packed(name: str, **members: Any) -> bytes:
    """A model's archive: what the handlers answer, and how they behave."""
    return archive({"model.json": json.dumps({"name": name, **members})})


@dataclass
class MultiModel:
    """An account with code and models in S3, and endpoints over them."""

    aws: Account

    def __post_init__(self) -> None:
        self.put("code.tar.gz", archive({"inference.py": HANDLERS}))

    def put(self, key: str, body: bytes) -> None:
        self.aws.client("s3").put_object(Bucket=self.aws.bucket, Key=key, Body=body)

    def put_models(self, prefix: str, *names: str, **members: Any) -> None:
        """Models that answer `<prefix><name>`, at `<prefix><name>.tar.gz`."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: self.put(f"{prefix}{name}.tar.gz", packed(prefix + name, **members)), names))

    def container(self, prefix: str, environment: dict[str, str] | None = None, **members: Any) -> dict[str, Any]:
        code = {
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": f"s3://{self.aws.bucket}/code.tar.gz",
        }
        url = f"s3://{self.aws.bucket}/{prefix}"
        environment = {**code, **(environment or {})}
        return {"Image": SCIKIT_LEARN, "Mode": "MultiModel", "ModelDataUrl": url, "Environment": environment, **members}

    def configure(self, name: str, container: dict[str, Any], instances: int = 1) -> str:
        """A model and an endpoint configuration of that name."""
        sagemaker = self.aws.client("sagemaker")
        sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=self.aws.role)
        variant = {"VariantName": "all", "ModelName": name, "InstanceType": "ml.m5.large"}
        variants = [{**variant, "InitialInstanceCount": instances}]
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
        return name

    def variant(self, name: str, container: dict[str, Any]) -> dict[str, Any]:
        """A variant with a model of its own, both of that name."""
        self.aws.client("sagemaker").create_model(
            ModelName=name, PrimaryContainer=container, ExecutionRoleArn=self.aws.role
        )
        capacity = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1, "InitialVariantWeight": 1.0}
        return {"VariantName": name, "ModelName": name, **capacity}

    def start(self, **configuration: Any) -> None:
        """Endpoint `e` in service, with a configuration `first`."""
        sagemaker = self.aws.client("sagemaker")
        sagemaker.create_endpoint_config(EndpointConfigName="first", **configuration)
        sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="first")
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig=SOON)

    def change(self, **configuration: Any) -> None:
        """Endpoint `e` updated to a configuration `second`."""
        sagemaker = self.aws.client("sagemaker")
        sagemaker.create_endpoint_config(EndpointConfigName="second", **configuration)
        sagemaker.update_endpoint(EndpointName="e", EndpointConfigName="second")
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig=SOON)

    def serve(self, container: dict[str, Any], instances: int = 1, name: str = "e") -> None:
        """An endpoint in service."""
        sagemaker = self.aws.client("sagemaker")
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=self.configure(name, container, instances))
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=SOON)

    def ask(self, target: str | None, body: str = "{}", endpoint: str = "e", **members: Any) -> dict[str, Any]:
        """What a model answers."""
        chosen = {} if target is None else {"TargetModel": target}
        request = {"EndpointName": endpoint, "Body": body.encode(), "ContentType": "application/json"}
        answer = self.aws.client("sagemaker-runtime").invoke_endpoint(**request | chosen | members)
        content: dict[str, Any] = json.loads(answer["Body"].read())
        return content

    def refused(self, target: str | None, body: str = "{}", endpoint: str = "e") -> dict[str, Any]:
        """The error that an invocation is answered with."""
        with pytest.raises(ClientError) as error:
            self.ask(target, body, endpoint)
        return dict(error.value.response)

    def log(self, endpoint: str = "e") -> list[str]:
        """What the endpoint's containers have printed."""
        logs = self.aws.client("logs")
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            return []
        streams = [each["logStreamName"] for each in logs.describe_log_streams(logGroupName=group)["logStreams"]]
        return [
            event["message"]
            for stream in streams
            for event in logs.get_log_events(logGroupName=group, logStreamName=stream)["events"]
        ]
