"""InvokeEndpoint of the local AWS through boto3, for a raw record, beside the same container asked directly.

Requests/s and latency at concurrency 1 and 8, one animal in each request. Beside it the same booster behind the image's
built-in scoring, which is sent features: what it costs that the endpoint takes raw records. Client and server share two
cores. At the end, how long answering 1,000 records takes, of which the booster's own part is the yardstick.
"""

import functools
import http.client
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import xgboost
from botocore.config import Config

from abalone_model.gather_data import DATA
from benchmarks.kit import IMAGE, Ask, compare, free_port, local_aws, paired, table, until_ready
from common.data.dataset import from_csv, read_records, to_csv, to_records
from common.local.containers import program
from common.serving.archive import ENVIRONMENT, pack
from common.serving.inference import Encoder, Number, Predictor, transform_fn

_DIRECT = "container, asked directly"
_JSON, _CSV = "application/json", "text/csv"


def main() -> None:
    predictor, records = _predictor_and_records()
    record, features = json.dumps(records[0]).encode(), to_csv(predictor.encoder.encode(records[:1]))
    with local_aws(), tempfile.TemporaryDirectory() as folder:
        _create_endpoint("raw", pack(predictor), ENVIRONMENT)
        _create_endpoint("features", _job_output(predictor.booster), {})
        port = free_port()
        with subprocess.Popen(
            program(IMAGE).serve_command, env=_container(Path(folder), predictor, port), stderr=subprocess.DEVNULL
        ) as container:
            try:
                until_ready(port)
                for concurrency in (1, 8):
                    candidates = {
                        _DIRECT: lambda: _direct(port, record),
                        "InvokeEndpoint, raw record": lambda: _boto3("raw", _JSON, record),
                        "InvokeEndpoint, features": lambda: _boto3("features", _CSV, features),
                    }
                    compare(concurrency, candidates, _DIRECT)
            finally:
                container.terminate()
    _answer_many(predictor, (records * 2)[:1000])


def _predictor_and_records() -> tuple[Predictor, list[dict[str, Any]]]:
    """Abalone's model of 200 trees of depth 5, and its test records."""
    files = DATA.prepare(DATA.read()).files
    rows = from_csv(files["train/train.csv"])
    booster = xgboost.train({"max_depth": 5, "nthread": 1}, xgboost.DMatrix(rows[:, 1:], rows[:, 0]), 200)
    numbers = [column.name for column in DATA.columns.used if isinstance(column, Number)]
    records = to_records(read_records(files["records/test.csv"], numbers))
    return Predictor(booster, Encoder.from_state(json.loads(files["encoder.json"]))), records


def _answer_many(predictor: Predictor, records: list[dict[str, Any]]) -> None:
    body, rows = json.dumps(records), predictor.encoder.encode(records)
    print(f"  {len(records):,} records in one request, without the network")
    own = "the booster alone"
    seconds = paired(
        20,
        **{
            own: lambda: predictor.booster.inplace_predict(rows),
            "JSON in, JSON out": lambda: transform_fn(predictor, body, _JSON, _JSON),
        },
    )
    table(seconds, own)


@functools.cache
def _client() -> Any:
    """One client for all threads, as boto3 recommends."""
    return boto3.client("sagemaker-runtime", config=Config(max_pool_connections=16))


def _boto3(endpoint: str, content_type: str, body: bytes) -> Ask:
    client = _client()
    return lambda: client.invoke_endpoint(EndpointName=endpoint, ContentType=content_type, Body=body)["Body"].read()


def _direct(port: int, body: bytes) -> Ask:
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def ask() -> bytes:
        connection.request("POST", "/invocations", body, {"Content-Type": _JSON})
        return connection.getresponse().read()

    return ask


def _job_output(booster: xgboost.Booster) -> bytes:
    """What a training job leaves: the booster alone."""
    model, archive = bytes(booster.save_raw("ubj")), BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        member = tarfile.TarInfo("xgboost-model")
        member.size = len(model)
        tar.addfile(member, BytesIO(model))
    return archive.getvalue()


def _create_endpoint(name: str, archive: bytes, variables: Mapping[str, str]) -> None:
    bucket, key = os.environ["SAGEMAKER_BUCKET"], f"{name}.tar.gz"
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=archive)
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_model(
        ModelName=name,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": f"s3://{bucket}/{key}", "Environment": variables},
        ExecutionRoleArn=os.environ["SAGEMAKER_EXECUTION_ROLE_ARN"],
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {"VariantName": "one", "ModelName": name, "InstanceType": "ml.t2.medium", "InitialInstanceCount": 1}
        ],
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})


def _container(folder: Path, predictor: Predictor, port: int) -> dict[str, str]:
    """The environment of a container that serves the model, as the platform starts it."""
    with tarfile.open(fileobj=BytesIO(pack(predictor))) as tar:
        tar.extractall(folder / "model", filter="data")
    python_path = {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": str(Path(sys.executable).parent)}
    return {**ENVIRONMENT, **python_path, "SAGEMAKER_BASE_DIR": str(folder), "SAGEMAKER_BIND_TO_PORT": str(port)}


if __name__ == "__main__":
    main()
