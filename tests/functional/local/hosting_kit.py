"""A local AWS inside the test's own process, whose containers are fakes that do as their artifact says."""

import json
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moto.backends import get_backend

from common.local.api import OPERATIONS, Answer, ApiError, Call
from common.local.containers import Program
from common.local.context import LocalAws
from common.local.hosting.host import Hosting
from common.local.sagemaker import endpoints  # noqa: F401 - declares the operations
from common.local.sagemaker.runtime import invoke_endpoint
from common.local.services import Services
from common.local.store import Store
from tests.archives import archive

FAKE = str(Path(__file__).with_name("fake_container.py"))
REGION = "eu-west-1"
IMAGE = "1.dkr.ecr.eu-west-1.amazonaws.com/fake:1"
DEADLINE_SECONDS = 20.0


def fake_program(_image: str) -> Program:
    command = (sys.executable, "-S", FAKE)
    return Program("fake", "1", command, command)


def eventually(holds: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """What `holds` returns as soon as it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s: {what}")


def artifact(**behaviour: Any) -> bytes:
    """A model.tar.gz for the fake container."""
    return archive({"behaviour.json": json.dumps(behaviour)})


@dataclass
class Local:
    """One account of a local AWS in this process."""

    aws: LocalAws
    account: str = field(default_factory=lambda: f"{uuid.uuid4().int % 10**12:012d}")

    @property
    def scope(self) -> str:
        return f"{self.account}/{REGION}"

    def do(self, name: str, **request: Any) -> Answer:
        return OPERATIONS[name](Call(self.aws, self.account, REGION, request))

    def invoke(self, body: bytes = b"", endpoint: str = "e", **members: str) -> tuple[bytes, dict[str, str]]:
        return invoke_endpoint(Call(self.aws, self.account, REGION, {"EndpointName": endpoint, **members}), body)

    def put_object(self, key: str, body: bytes) -> str:
        """The URL of a new object in the account's bucket."""
        bucket = f"models-{self.account}"
        s3: Any = get_backend("s3")[self.account]["aws"]
        if bucket not in s3.buckets:
            s3.create_bucket(bucket, REGION)
        self.aws.services.write_object(self.account, bucket, key, body)
        return f"s3://{bucket}/{key}"

    def model(self, name: str, **behaviour: Any) -> None:
        """A model whose container answers its name and the request, unless the behaviour says otherwise."""
        url = self.put_object(f"{name}.tar.gz", artifact(**{"answer": f"{name}:", **behaviour}))
        self.model_from(name, {"Image": IMAGE, "ModelDataUrl": url})

    def model_from(self, name: str, *containers: dict[str, Any]) -> None:
        self.aws.store.put(self.scope, "model", name, {"ModelName": name, "ResolvedContainers": list(containers)})

    def config(self, name: str, *models: str, instances: int = 1, **members: Any) -> str:
        """An endpoint configuration with a variant `v1`, `v2`, … of equal weight for each model."""
        variants = [
            {
                "VariantName": f"v{index}",
                "ModelName": model,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": instances,
                "InitialVariantWeight": 1,
            }
            for index, model in enumerate(models or (name,), 1)
        ]
        document = {"EndpointConfigName": name, "ProductionVariants": variants, **members}
        self.aws.store.put(self.scope, "endpoint-config", name, document)
        return name

    def shadowed(self, name: str, production: str, shadow: str, weight: float = 1.0, **members: Any) -> str:
        """An endpoint configuration with a production variant `v1` and a shadow variant `s`."""
        variant = {"VariantName": "s", "ModelName": shadow, "InitialInstanceCount": 1, "InitialVariantWeight": weight}
        return self.config(name, production, ShadowProductionVariants=[variant], **members)

    def captured(self, variant: str = "v1", endpoint: str = "e", prefix: str = "capture") -> list[dict[str, Any]]:
        """What data capture has written of a variant to the account's bucket, in order."""
        bucket, folder = f"models-{self.account}", f"{prefix}/{endpoint}/{variant}/"
        files = self.aws.services.list_objects(self.account, bucket, folder)
        bodies = (self.aws.services.read_object(self.account, bucket, key) for key, _ in files)
        return [json.loads(line) for body in bodies for line in body.splitlines()]

    def values(self, metric: str, variant: str = "v1") -> list[float]:
        """A metric of endpoint `e`, so far."""
        self.aws.part(Hosting).telemetry.flush()
        dimensions = {"EndpointName": "e", "VariantName": variant}
        found = self.aws.services.metric_values(self.account, REGION, "AWS/SageMaker", metric, dimensions, 0, 1e12)
        return [value for _, value in found]

    def serverless(self, name: str, *models: str, **limits: int) -> str:
        """An endpoint configuration with a serverless variant `v1`."""
        self.config(name, *models)
        document = self.aws.store.get(self.scope, "endpoint-config", name) or {}
        [variant] = document["ProductionVariants"]
        del variant["InstanceType"], variant["InitialInstanceCount"]
        variant["ServerlessConfig"] = {"MemorySizeInMB": 2048, "MaxConcurrency": 5, **limits}
        self.aws.store.put(self.scope, "endpoint-config", name, document)
        return name

    def serving(self, name: str, **behaviour: Any) -> None:
        """An endpoint `e` in service with a model and configuration of that name."""
        self.model(name, **behaviour)
        self.do("CreateEndpoint", EndpointName="e", EndpointConfigName=self.config(name))
        assert self.settled()["EndpointStatus"] == "InService"

    def describe(self, endpoint: str = "e") -> Answer:
        return self.do("DescribeEndpoint", EndpointName=endpoint)

    def settled(self, endpoint: str = "e") -> Answer:
        """The endpoint's description once nothing is under way any more."""
        done = ("InService", "Failed", "UpdateRollbackFailed")
        eventually(lambda: self.describe(endpoint)["EndpointStatus"] in done, f"{endpoint} settles")
        return self.describe(endpoint)

    def update(self, config: str, **members: Any) -> None:
        self.do("UpdateEndpoint", EndpointName="e", EndpointConfigName=config, **members)

    def put_alarm(self, name: str, **definition: Any) -> None:
        """An alarm on 5XX answers of the endpoint's first variant: one bad period of ten seconds (scaled) is enough."""
        cloudwatch: Any = get_backend("cloudwatch")[self.account][REGION]
        cloudwatch.put_metric_alarm(
            **{
                "name": name,
                "namespace": "AWS/SageMaker",
                "metric_name": "Invocation5XXErrors",
                "comparison_operator": "GreaterThanThreshold",
                "evaluation_periods": 1,
                "period": 10,
                "threshold": 0.1,
                "statistic": "Average",
                "treat_missing_data": "notBreaching",
                "description": "",
                "dimensions": [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "v1"}],
                "alarm_actions": [],
                **definition,
            }
        )

    def alarm_state(self, name: str) -> str:
        [alarm] = self.aws.services.alarms(self.account, REGION, [name])
        return alarm.state

    def process_ids(self, endpoint: str = "e") -> list[int]:
        live = self.aws.part(Hosting).live(self.scope, endpoint)
        return live.fleet.process_ids() if live and live.fleet else []


@dataclass
class Load:
    """What callers saw who kept calling."""

    answers: list[str] = field(default_factory=list)
    """The model that answered each request, in order."""
    errors: list[ApiError] = field(default_factory=list)

    def counts(self, since: int = 0) -> Counter[str]:
        return Counter(self.answers[since:])


@contextmanager
def constant_load(local: Local, threads: int = 4, pause: float = 0.002) -> Iterator[Load]:
    """Callers that invoke endpoint `e` one request after the other until the block ends."""
    load, ended = Load(), threading.Event()

    def call() -> None:
        while not ended.wait(pause):
            try:
                body, _ = local.invoke(b"")
                load.answers.append(body.decode().removesuffix(":"))
            except ApiError as error:
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


def open_local(root: Path, time_scale: float = 0.01) -> LocalAws:
    root.mkdir(exist_ok=True)
    return LocalAws(
        root, Store(root / "store.sqlite"), Services(lambda _service: None), "http://127.0.0.1:1", time_scale
    )
