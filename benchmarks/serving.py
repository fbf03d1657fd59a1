"""InvokeEndpoint of the local AWS through boto3, beside the same container asked directly.

Requests/s and latency at concurrency 1 and 8, one row of abalone in each request. Client and server share two cores.
"""

import functools
import http.client
import io
import os
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import xgboost
from botocore.config import Config

from abalone_model.gather_data import DATA
from benchmarks.kit import IMAGE, local_aws
from common.local.containers import program

_SECONDS, _ROUNDS = 2.0, 3
Ask = Callable[[], object]


def main() -> None:
    files = DATA.prepare(DATA.read()).files
    rows = np.loadtxt(io.BytesIO(files["train"]), delimiter=",")
    booster = xgboost.train({"max_depth": 5}, xgboost.DMatrix(rows[:, 1:], rows[:, 0]), 200)
    row = files["test"].splitlines()[0].split(b",", 1)[1]
    with local_aws(), tempfile.TemporaryDirectory() as folder:
        model = bytes(booster.save_raw("ubj"))
        _create_endpoint(model)
        port = _free_port()
        with subprocess.Popen(
            program(IMAGE).serve_command, env=_container(Path(folder), model, port), stderr=subprocess.DEVNULL
        ) as container:
            try:
                _until_ready(port)
                for concurrency in (1, 8):
                    _compare(concurrency, lambda: _boto3(row), lambda: _direct(port, row))
            finally:
                container.terminate()


def _compare(concurrency: int, endpoint: Callable[[], Ask], direct: Callable[[], Ask]) -> None:
    """Load both in turn, and print rate and latency of each, and the median ratio of the rates."""
    measured: dict[str, list[list[float]]] = {"InvokeEndpoint (boto3)": [], "container, asked directly": []}
    for _ in range(_ROUNDS):
        for name, connect in zip(measured, (endpoint, direct), strict=True):
            measured[name].append(_load(concurrency, connect))
    rates = {name: [len(latencies) / _SECONDS for latencies in rounds] for name, rounds in measured.items()}
    for name, rounds in measured.items():
        p50, p99 = (statistics.median(float(np.percentile(r, q)) * 1000 for r in rounds) for q in (50, 99))
        rate = statistics.median(rates[name])
        print(f"  concurrency {concurrency}  {name:<28} {rate:7.0f} requests/s   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms")
    ratio = statistics.median(a / b for a, b in zip(*rates.values(), strict=True))
    print(f"  concurrency {concurrency}  {ratio:.2f} × the container's own rate")


def _load(concurrency: int, connect: Callable[[], Ask]) -> list[float]:
    """Ask from several threads for a while; the seconds that each answer took."""
    latencies: list[float] = []
    deadline = time.perf_counter() + _SECONDS

    def worker() -> None:
        ask = connect()
        while (started := time.perf_counter()) < deadline:
            ask()
            latencies.append(time.perf_counter() - started)

    threads = [threading.Thread(target=worker) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies


@functools.cache
def _client() -> Any:
    """One client for all threads, as boto3 recommends."""
    return boto3.client("sagemaker-runtime", config=Config(max_pool_connections=16))


def _boto3(row: bytes) -> Ask:
    client = _client()
    return lambda: client.invoke_endpoint(EndpointName="bench", ContentType="text/csv", Body=row)["Body"].read()


def _direct(port: int, row: bytes) -> Ask:
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def ask() -> bytes:
        connection.request("POST", "/invocations", row, {"Content-Type": "text/csv"})
        return connection.getresponse().read()

    return ask


def _create_endpoint(model: bytes) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        member = tarfile.TarInfo("xgboost-model")
        member.size = len(model)
        tar.addfile(member, io.BytesIO(model))
    bucket = os.environ["SAGEMAKER_BUCKET"]
    boto3.client("s3").put_object(Bucket=bucket, Key="model.tar.gz", Body=archive.getvalue())
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_model(
        ModelName="bench",
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": f"s3://{bucket}/model.tar.gz"},
        ExecutionRoleArn=os.environ["SAGEMAKER_EXECUTION_ROLE_ARN"],
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName="bench",
        ProductionVariants=[
            {"VariantName": "one", "ModelName": "bench", "InstanceType": "ml.t2.medium", "InitialInstanceCount": 1}
        ],
    )
    sagemaker.create_endpoint(EndpointName="bench", EndpointConfigName="bench")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="bench", WaiterConfig={"Delay": 1})


def _container(folder: Path, model: bytes, port: int) -> dict[str, str]:
    (folder / "model").mkdir()
    (folder / "model/xgboost-model").write_bytes(model)
    python_path = {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": str(Path(sys.executable).parent)}
    return {**python_path, "SAGEMAKER_BASE_DIR": str(folder), "SAGEMAKER_BIND_TO_PORT": str(port)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until_ready(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", "/ping")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the container did not start")


if __name__ == "__main__":
    main()
