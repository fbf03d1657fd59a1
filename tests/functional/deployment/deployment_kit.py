"""A model with real packages in a fresh account, deploys of them, and callers who keep asking its endpoint.

Packages are numbered from 1 as they are registered, and package n predicts about 100·n: every answer names its package.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import boto3
import botocore.loaders
import botocore.session
import numpy as np
import pytest
import xgboost
from botocore.exceptions import ClientError

from common.aws import Aws
from common.deployment.alarms import Alarm
from common.deployment.declare import Endpoint
from common.deployment.execute import Deployment
from common.deployment.live import Live, observe
from common.deployment.modes import DeclaredEndpoint
from common.deployment.plan import Wanted
from common.deployment.rollout import AllAtOnce
from common.evaluation.golden import Golden
from common.model import Model
from common.registry import PENDING, Package, Registry
from common.serving.archive import ENVIRONMENT, pack
from common.serving.inference import Encoder, Number, Predictor
from common.settings import Run, Settings
from common.storage import Bucket, Layout
from tests.accounts import Account

IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:3.2-0"
MODEL = Model("abalone", "A model of the tests", "rings", "regression")
ERRORS = Alarm("Invocation5XXErrors", "Sum", above=0)
ENDPOINT = Endpoint("ml.t2.medium", AllAtOnce(bake_seconds=0), (ERRORS,))
COLUMNS = ("length", "width", "weight")
ROWS = np.random.default_rng(7).uniform(size=(40, 3))
DEADLINE_SECONDS = 30.0
_LOADER = botocore.loaders.create_loader()
"""Shared by all sessions: to parse the services' models is most of the work of building clients."""


def eventually(holds: Callable[[], Any], what: str) -> Any:
    """What `holds` returns as soon as it is true."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {DEADLINE_SECONDS} s: {what}")


@cache
def trained(number: int, columns: tuple[str, ...] = COLUMNS) -> tuple[bytes, bytes]:
    """(model.tar.gz, golden.json) of a small booster that predicts about 100 times its number."""
    matrix = xgboost.DMatrix(ROWS, label=100 * number + ROWS.sum(axis=1))
    booster = xgboost.train({"max_depth": 2, "nthread": 1, "base_score": 100 * number}, matrix, num_boost_round=3)
    predictor = Predictor(booster, Encoder(tuple(map(Number, columns)), {}, {}))
    records = [dict(zip(columns, row, strict=True)) for row in ROWS[:10].tolist()]
    return pack(predictor), Golden(records, predictor.answers(records)).to_json()


@dataclass
class Project:
    """One model in one account, as a process with the account's environment sees it."""

    account: Account
    model: Model = MODEL
    said: list[str] = field(default_factory=list)

    @cached_property
    def aws(self) -> Aws:
        return self.another_process()

    @property
    def registry(self) -> Registry:
        return Registry(self.aws, self.model)

    def package(
        self, number: int, image: str = IMAGE, artifact: bytes = b"", golden: bytes = b"", approved: bool = True
    ) -> Package:
        """Register what `trained(number)` gives, or the artifact and golden predictions given instead, and approve it."""
        real_artifact, real_golden = trained(number)
        artifact, golden = artifact or real_artifact, golden or real_golden
        source, data_version = f"{number:016x}", f"{number:08x}"
        bucket, layout = Bucket(self.aws), Layout(self.model.name)
        key = layout.package(source, data_version, "model.tar.gz")
        bucket.write(key, artifact)
        bucket.write(layout.package(source, data_version, "golden.json"), golden)
        container = {"Image": image, "ModelDataUrl": bucket.uri(key), "Environment": ENVIRONMENT}
        metadata = {
            "source": source,
            "data_version": data_version,
            "artifact_digest": hashlib.sha256(artifact).hexdigest(),
            "golden_digest": hashlib.sha256(golden).hexdigest(),
        }
        types = ["application/json", "text/csv"]
        inference = {"Containers": [container], "SupportedContentTypes": types, "SupportedResponseMIMETypes": types}
        package = self.registry.register(
            {"InferenceSpecification": inference}, metadata, commit="0" * 40, status=PENDING
        )
        return self.registry.approve(package, Run("reviewer", url="https://ci/1")) if approved else package

    def wanted(self, package: Package, endpoint: DeclaredEndpoint = ENDPOINT) -> Wanted:
        return Wanted(self.model, self.registry.describe(package.arn), endpoint)

    def deploy(
        self,
        package: Package,
        endpoint: DeclaredEndpoint = ENDPOINT,
        aws: Aws | None = None,
        *,
        despite_alarms: bool = False,
    ) -> bool:
        """Run one deploy of the package, as `Deployment.execute` does; by other clients if they are given."""
        aws = aws or self.aws
        wanted, registry = self.wanted(package, endpoint), Registry(aws, self.model)
        return Deployment(aws, registry, wanted, Run("tester"), self.said.append, despite_alarms).execute()

    def another_process(self) -> Aws:
        """Clients of their own, so that faults can be injected into one of two deploys."""
        aws = Aws(Settings.from_environment(self.account.env))
        session = botocore.session.Session()
        session.register_component("data_loader", _LOADER)
        vars(aws)["_session"] = boto3.Session(botocore_session=session, region_name=aws.settings.region)
        return aws

    def live(self) -> Live:
        return observe(self.aws, self.model)

    def settled(self) -> Live:
        """The endpoint once nothing is under way."""
        done = ("InService", "Failed", "UpdateRollbackFailed")
        eventually(lambda: self.live().status in done, "the endpoint settles")
        return self.live()

    def answers(self) -> int:
        """The number of the package that answers now."""
        return asking(self.account, self.model.name)()

    def names(self) -> dict[str, list[str]]:
        """Names of all models, endpoint configurations and endpoints of the account, sorted."""
        sagemaker = self.account.client("sagemaker")

        def listed(operation: str, member: str, name: str) -> list[str]:
            pages = sagemaker.get_paginator(operation).paginate()
            return sorted(item[name] for page in pages for item in page[member])

        return {
            "models": listed("list_models", "Models", "ModelName"),
            "configurations": listed("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
            "endpoints": listed("list_endpoints", "Endpoints", "EndpointName"),
        }

    def documents(self) -> str:
        """Everything that SageMaker and CloudWatch hold for the account, as one text that two moments can be compared by."""
        sagemaker, names = self.account.client("sagemaker"), self.names()
        found = [sagemaker.describe_model(ModelName=name) for name in names["models"]]
        found += [sagemaker.describe_endpoint_config(EndpointConfigName=name) for name in names["configurations"]]
        found += [sagemaker.describe_endpoint(EndpointName=name) for name in names["endpoints"]]
        found += [sagemaker.list_tags(ResourceArn=arn) for each in found for key, arn in each.items() if "Arn" in key
                  and not key.startswith("Execution")]  # fmt: skip
        packages = sagemaker.list_model_packages(ModelPackageGroupName=self.model.name)["ModelPackageSummaryList"]
        found += [sagemaker.describe_model_package(ModelPackageName=each["ModelPackageArn"]) for each in packages]
        alarms = self.account.client("cloudwatch").describe_alarms()["MetricAlarms"]
        for each in found:
            each.pop("ResponseMetadata")
        definitions = [{k: v for k, v in alarm.items() if not k.startswith("State")} for alarm in alarms]
        return json.dumps([*found, *definitions], default=str, sort_keys=True, indent=1)

    def remove_endpoint(self) -> None:
        """Delete the endpoint as soon as that is possible, so that its processes end with the test."""
        sagemaker = self.account.client("sagemaker")
        while self.live().exists:
            self.settled()
            try:
                sagemaker.delete_endpoint(EndpointName=self.model.name)
            except sagemaker.exceptions.ClientError as refusal:
                if "in-progress" not in str(refusal):  # autoscaling may have begun a change since
                    raise
            else:
                return


class Unanswered(Exception):
    """An asynchronous request has ended in a failure."""


def asking(account: Account, endpoint: str) -> Callable[[], int]:
    """Asks an endpoint about a raw record, each time: the number of the package that answers. Waits for asynchronous answers."""
    runtime, s3, sagemaker = (account.client(name) for name in ("sagemaker-runtime", "s3", "sagemaker"))
    record = json.dumps(dict(zip(COLUMNS, ROWS[0].tolist(), strict=True))).encode()

    def at_once() -> int:
        answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="application/json", Body=record)
        return _package_of(answer["Body"].read())

    def later() -> int:
        asked = runtime.invoke_endpoint_async(
            EndpointName=endpoint, ContentType="application/json", InputLocation=f"s3://{account.bucket}/asked.json"
        )
        answered, failed = asked["OutputLocation"], asked["FailureLocation"]
        eventually(lambda: read(answered) or read(failed), "an answer in S3")
        if not (found := read(answered)):
            raise Unanswered(read(failed).decode(errors="replace"))
        return _package_of(found)

    def read(uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        try:
            return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except s3.exceptions.NoSuchKey:
            return b""

    if "AsyncInferenceConfig" not in sagemaker.describe_endpoint(EndpointName=endpoint):
        return at_once
    s3.put_object(Bucket=account.bucket, Key="asked.json", Body=record)
    return later


def _package_of(answer: bytes) -> int:
    [prediction] = json.loads(answer)["predictions"]
    return round(float(prediction["prediction"]) / 100)


def prepared(project: Project, package: Package, endpoint: Endpoint = ENDPOINT) -> None:
    """Model, configuration and record of a package that was deployed some time before those that are deployed now."""
    wanted, sagemaker = project.wanted(package, endpoint), project.account.client("sagemaker")
    sagemaker.create_model(
        ModelName=wanted.model_name,
        PrimaryContainer={"ModelPackageName": package.arn},
        ExecutionRoleArn=project.account.role,
    )
    variants = endpoint.request(wanted.model_name, "")["ProductionVariants"]
    sagemaker.create_endpoint_config(EndpointConfigName=wanted.configuration, ProductionVariants=variants)
    sagemaker.update_model_package(
        ModelPackageArn=package.arn,
        CustomerMetadataProperties={
            "deployed_as": wanted.configuration,
            "deployed_at": f"2020-01-01T00:00:{package.version:02}+00:00",
        },
    )


@dataclass
class Load:
    """What callers saw who kept asking: the number of the package that answered, and every failure."""

    answers: list[int] = field(default_factory=list)
    errors: list[ClientError | Unanswered] = field(default_factory=list)


@contextmanager
def constant_load(project: Project, threads: int = 2) -> Iterator[Load]:
    """Callers that ask the endpoint one request after the other until the block ends."""
    load, ended = Load(), threading.Event()
    ask = asking(project.account, project.model.name)

    def call() -> None:
        while not ended.wait(0.02):
            try:
                load.answers.append(ask())
            except (ClientError, Unanswered) as error:
                load.errors.append(error)

    callers = [threading.Thread(target=call) for _ in range(threads)]
    for caller in callers:
        caller.start()
    try:
        yield load
    finally:
        ended.set()
        for caller in callers:
            caller.join()


@contextmanager
def on_call(client: Any, operation: str, do: Callable[[], None], event: str = "before-call") -> Iterator[None]:
    """Do something right before (or `after-call`) each call of that operation by this client; `*` stands for any."""
    name = f"{event}.{client.meta.service_model.service_id.hyphenize()}.{operation}"

    def handle(**_: Any) -> None:
        do()

    client.meta.events.register(name, handle)
    try:
        yield
    finally:
        client.meta.events.unregister(name, handle)


@contextmanager
def cut_off(client: Any, operation: str, event: str = "before-call") -> Iterator[None]:
    """What is done meanwhile has to come to that operation of this client, and ends there, as by Ctrl-C."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), on_call(client, operation, interrupt, event):
        yield


__all__ = ["COLUMNS", "ENDPOINT", "ERRORS", "IMAGE", "MODEL", "Load", "Project", "Unanswered", "asking", "constant_load",
           "cut_off", "eventually", "on_call", "prepared", "trained"]  # fmt: skip
