"""A multi-model endpoint of the local AWS with 1,000 models, beside FastAPI + uvicorn with the same models and code.

Requests/s and latency at concurrency 1 and 8 once all models are loaded: through boto3, through a bare HTTP client that
signs nothing anew (what boto3 itself costs), the container asked directly, and FastAPI, which has all models in memory from
the start. Before that, what the first request to each model takes, and the container's memory; at the end, an endpoint that
may hold 100 of the 1,000 models, asked for each in turn.

Each loaded model is a process of the container. On AWS each is started anew, where here it is forked from one that has imported
the script: cold loads and memory do not carry over from here.
"""

import http.client
import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import numpy as np
from botocore.config import Config

from benchmarks.kit import Ask, compare, free_port, local_aws, until_ready
from common.forecasting.fit import fit_series
from common.forecasting.series import Series
from common.local.containers import program
from common.training.code import SERVING_ENVIRONMENT, code_archive
from common.training.image import image_uri
from energy_model.consumers import days_since_1970, draw
from energy_model.train_register import TRAINING

CUSTOMERS, LIMIT = 1000, 100
_BODY, _JSON = b'{"period": 7}', "application/json"
_FASTAPI, _DIRECT = "FastAPI + uvicorn", "container, asked directly"
_ROOT = Path(__file__).parents[1]


def main() -> None:
    models = _fitted()
    with local_aws() as running, tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        code, folders = _unpacked(Path(scratch), models)
        _upload(models)
        _create_endpoint("fleet", {})
        _create_endpoint("small", {"SAGEMAKER_MULTI_MODEL_MAX_LOADED": str(LIMIT)})
        _first_requests(running.pid, list(models))
        with _container(Path(scratch), code, folders) as container, _fastapi(code, folders) as app:
            candidates = {
                _DIRECT: lambda: _direct(container, list(models)),
                "InvokeEndpoint, bare client": lambda: _bare(running.url, list(models)),
                "InvokeEndpoint, boto3": lambda: _boto3("fleet", list(models)),
            }
            if app is not None:
                candidates = {_FASTAPI: lambda: _direct(app, list(models)), **candidates}
            for concurrency in (1, 8):
                compare(concurrency, candidates, _FASTAPI if app else _DIRECT, seconds=1)
        _evict(list(models))


def _fitted() -> dict[str, bytes]:
    """The archives of as many of the generator's customers."""
    series = []
    for readings in draw(range(CUSTOMERS), seed=2026):
        days, first = np.unique(days_since_1970(readings.timestamps), return_index=True)
        series.append(Series(str(readings.customer.id), days, readings.consumption[first]))
    return fit_series(TRAINING.forecaster, series, TRAINING.holdout_days).models


def _unpacked(scratch: Path, models: Mapping[str, bytes]) -> tuple[Path, Path]:
    """The folders of the code, and of all models."""
    code, folders = scratch / "code", scratch / "models"
    for folder, archive in {
        code: code_archive(TRAINING.forecaster),
        **{folders / n: a for n, a in models.items()},
    }.items():
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
    return code, folders


def _upload(models: Mapping[str, bytes]) -> None:
    s3, bucket = boto3.client("s3", config=Config(max_pool_connections=8)), os.environ["SAGEMAKER_BUCKET"]
    s3.put_object(Bucket=bucket, Key="code.tar.gz", Body=code_archive(TRAINING.forecaster))
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda item: s3.put_object(Bucket=bucket, Key=f"models/{item[0]}.tar.gz", Body=item[1]), models.items()
            )
        )


def _create_endpoint(name: str, variables: Mapping[str, str]) -> None:
    bucket, sagemaker = os.environ["SAGEMAKER_BUCKET"], boto3.client("sagemaker")
    sagemaker.create_model(
        ModelName=name,
        PrimaryContainer={
            "Image": image_uri("eu-west-1", "sklearn"),
            "Mode": "MultiModel",
            "ModelDataUrl": f"s3://{bucket}/models/",
            "Environment": {
                **SERVING_ENVIRONMENT,
                **variables,
                "SAGEMAKER_SUBMIT_DIRECTORY": f"s3://{bucket}/code.tar.gz",
            },
        },
        ExecutionRoleArn=os.environ["SAGEMAKER_EXECUTION_ROLE_ARN"],
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {"VariantName": "one", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        ],
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})


def _first_requests(server: int, customers: list[str]) -> None:
    first, *others = customers
    _ask_each("fleet", [first])  # imports what all models share
    before = _memory(server)
    latencies = _ask_each("fleet", others)
    grown = (_memory(server) - before) / len(others)
    p50, p99 = np.percentile(latencies, (50, 99)) * 1000
    print(f"  first request to each of {len(others):,} models: p50 {p50:.2f} ms   p99 {p99:.2f} ms")
    print(f"  memory of the container: {grown * 1000 / 2**20:.1f} MB for 1,000 models")


def _evict(customers: list[str]) -> None:
    began = time.perf_counter()
    latencies = _ask_each("small", customers)
    seconds = time.perf_counter() - began
    p50, p99 = np.percentile(latencies, (50, 99)) * 1000
    print(
        f"  room for {LIMIT} models, {len(customers):,} asked for in turn: {len(customers) / seconds:.0f} requests/s   "
        f"p50 {p50:.2f} ms   p99 {p99:.2f} ms   no error"
    )


def _ask_each(endpoint: str, customers: list[str]) -> list[float]:
    """The seconds that one request to each takes; an error ends the benchmark."""
    ask, latencies = _boto3_to(endpoint), []
    for customer in customers:
        started = time.perf_counter()
        ask(customer)
        latencies.append(time.perf_counter() - started)
    return latencies


def _memory(server: int) -> int:
    """Bytes of the containers that the local AWS has started; what several processes share counts once."""
    parents: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # a process that has just ended
            process, rollup = int(folder.name), (folder / "smaps_rollup").read_text()
            parents[process] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            sizes[process] = int(rollup.partition("\nPss:")[2].split()[0]) * 1024

    def is_below(process: int) -> bool:
        parent = parents.get(process)
        return parent is not None and (parent == server or is_below(parent))

    return sum(size for process, size in sizes.items() if is_below(process))


@contextmanager
def _container(scratch: Path, code: Path, folders: Path) -> Iterator[int]:
    """The port of a container of the image with all models loaded."""
    base, port = scratch / "container", free_port()
    base.mkdir()
    environment = {
        **_environment(),
        **SERVING_ENVIRONMENT,
        "SAGEMAKER_MULTI_MODEL": "true",
        "SAGEMAKER_SUBMIT_DIRECTORY": str(code),
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_BIND_TO_PORT": str(port),
    }
    with _started([*program(image_uri("eu-west-1", "sklearn")).serve_command], environment, port):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for folder in folders.iterdir():
            connection.request("POST", "/models", json.dumps({"model_name": folder.name, "url": str(folder)}))
            connection.getresponse().read()
        yield port


@contextmanager
def _fastapi(code: Path, folders: Path) -> Iterator[int | None]:
    """The port of the yardstick; None where it is not installed, which is said."""
    if not all(importlib.util.find_spec(name) for name in ("fastapi", "uvicorn")):
        print("  FastAPI and uvicorn are not installed (make setup-bench): without this yardstick")
        yield None
        return
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "benchmarks.fleet_app:app",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]
    environment = {**_environment(), "FLEET_CODE": str(code), "FLEET_MODELS": str(folders)}
    with _started(command, environment, port):
        yield port


@contextmanager
def _started(command: list[str], environment: Mapping[str, str], port: int) -> Iterator[None]:
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            until_ready(port)
            yield
        finally:
            process.terminate()


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": str(_ROOT), "PATH": str(Path(sys.executable).parent)}


def _direct(port: int, customers: list[str]) -> Ask:
    connection, targets = http.client.HTTPConnection("127.0.0.1", port), _in_any_order(customers)

    def ask() -> None:
        path = f"/models/{next(targets)}/invoke"
        _send(connection, path, {"Content-Type": _JSON})

    return ask


def _bare(url: str, customers: list[str]) -> Ask:
    """A client that signs nothing: the local AWS reads from the signature whose key it is, and does not verify it."""
    connection, targets = http.client.HTTPConnection(urlsplit(url).netloc), _in_any_order(customers)
    key = f"{os.environ['AWS_ACCESS_KEY_ID']}/20260101/eu-west-1/sagemaker/aws4_request"
    signed = {"Content-Type": _JSON, "Authorization": f"AWS4-HMAC-SHA256 Credential={key}, SignedHeaders=, Signature="}

    def ask() -> None:
        target = {"X-Amzn-SageMaker-Target-Model": f"{next(targets)}.tar.gz"}
        _send(connection, "/endpoints/fleet/invocations", signed | target)

    return ask


def _send(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> None:
    connection.request("POST", path, _BODY, headers)
    response = connection.getresponse()
    if response.status != 200 or len(json.loads(response.read())) != 7:
        raise RuntimeError(f"{path} was not answered: {response.status}")


def _boto3(endpoint: str, customers: list[str]) -> Ask:
    ask, targets = _boto3_to(endpoint), _in_any_order(customers)
    return lambda: ask(next(targets))


def _in_any_order(customers: list[str]) -> Iterator[str]:
    """All of them, over and over."""
    return cycle(np.random.default_rng().permutation(customers).tolist())


def _boto3_to(endpoint: str) -> Callable[[str], object]:
    client = _client()
    return lambda customer: client.invoke_endpoint(
        EndpointName=endpoint, TargetModel=f"{customer}.tar.gz", ContentType=_JSON, Body=_BODY
    )["Body"].read()


@cache
def _client() -> Any:
    """One client for all threads, as boto3 recommends."""
    return boto3.client("sagemaker-runtime", config=Config(max_pool_connections=16))


if __name__ == "__main__":
    main()
