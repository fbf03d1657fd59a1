"""A shared endpoint of 200 models whose container has memory for 50, beside an endpoint of one model with the same load.

19 of 20 requests go to 20 models in demand, the others to the remaining 180 in turn, which therefore are loaded anew each
time: 180 are more than the 30 places that those in demand leave. Every answer is compared with its model's own. Both
endpoints are asked in turn, by as many callers.

The local limit counts models, where an instance has gigabytes. On AWS the image starts a process for each loaded model,
which imports NumPy and XGBoost: cold loads take longer there, and do not carry over from here.
"""

import json
import math
import os
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any

import boto3
import numpy as np
import xgboost
from botocore.config import Config

from abalone_model.gather_data import DATA
from benchmarks.kit import IMAGE, local_aws
from common.data.dataset import from_csv, read_records, to_records
from common.serving.archive import CODE, ENVIRONMENT, pack
from common.serving.inference import Encoder, Number, Predictor
from common.training.code import pack as pack_files

MODELS, ROOM, IN_DEMAND = 200, 50, 20
_COLD_EVERY = 20
_ROUNDS, _SECONDS = 5, 3.0
_MOST = 3.0


@dataclass
class Asked:
    """The seconds that each answer took: of the model that has an endpoint for itself, and of the shared endpoint's."""

    alone: list[float] = field(default_factory=list)
    hot: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)


def main() -> None:
    predictors, record = _models()
    body = json.dumps(record).encode()
    expected = [predictor.answers([record])[0]["prediction"] for predictor in predictors]
    with local_aws():
        _upload(predictors)
        _create_endpoint("alone", _alone())
        _create_endpoint("shared", _shared())
        for concurrency in (1, 4):
            rounds = [Asked() for _ in range(_ROUNDS)]
            for turn in (Asked(), *rounds):  # the first one warms up
                _load(concurrency, lambda: _ask_alone(turn, body, expected))  # noqa: B023 - called at once
                _load(concurrency, lambda: _ask_shared(turn, body, expected))  # noqa: B023
            _report(concurrency, rounds)


def _report(concurrency: int, rounds: list[Asked]) -> None:
    def quantile(name: str, q: float) -> float:
        return statistics.median(float(np.percentile(getattr(turn, name), q)) * 1000 for turn in rounds)

    for name, what in (("alone", "one model"), ("hot", "shared, in demand"), ("cold", "shared, loaded anew")):
        number = sum(len(getattr(turn, name)) for turn in rounds)
        print(
            f"  concurrency {concurrency}  {what:<20} {number:6,} requests   p50 {quantile(name, 50):6.2f} ms   "
            f"p99 {quantile(name, 99):6.2f} ms"
        )
    ratio = statistics.median(float(np.percentile(t.hot, 99) / np.percentile(t.alone, 99)) for t in rounds)
    print(
        f"  concurrency {concurrency}  p99 of models in demand: {ratio:.2f} × one model's "
        f"({'within' if ratio <= _MOST else 'MORE than'} {_MOST:g} ×)   no wrong answer, no error"
    )


def _models() -> tuple[list[Predictor], dict[str, Any]]:
    """Boosters of 100 to 299 trees, each with answers of its own, and a record to ask them with."""
    files = DATA.prepare(DATA.read()).files
    rows = from_csv(files["train/train.csv"])
    booster = xgboost.train(
        {"max_depth": 5, "eta": 0.05, "nthread": 1}, xgboost.DMatrix(rows[:, 1:], rows[:, 0]), 100 + MODELS
    )
    numbers = [column.name for column in DATA.columns.used if isinstance(column, Number)]
    records = to_records(read_records(files["records/test.csv"], numbers))
    encoder = Encoder.from_state(json.loads(files["encoder.json"]))
    return [Predictor(booster[: 100 + number], encoder) for number in range(MODELS)], records[0]


def _upload(predictors: list[Predictor]) -> None:
    s3, bucket = boto3.client("s3", config=Config(max_pool_connections=8)), os.environ["SAGEMAKER_BUCKET"]
    s3.put_object(Bucket=bucket, Key="code.tar.gz", Body=pack_files({CODE.name: CODE.read_bytes()}))

    def put(number: int) -> None:
        s3.put_object(Bucket=bucket, Key=f"models/{number}.tar.gz", Body=pack(predictors[number]))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(MODELS)))


def _alone() -> dict[str, Any]:
    url = f"s3://{os.environ['SAGEMAKER_BUCKET']}/models/0.tar.gz"
    return {"Image": IMAGE, "ModelDataUrl": url, "Environment": ENVIRONMENT}


def _shared() -> dict[str, Any]:
    bucket = os.environ["SAGEMAKER_BUCKET"]
    environment = {
        **ENVIRONMENT,
        "SAGEMAKER_SUBMIT_DIRECTORY": f"s3://{bucket}/code.tar.gz",
        "SAGEMAKER_MULTI_MODEL_MAX_LOADED": str(ROOM),
    }
    return {"Image": IMAGE, "Mode": "MultiModel", "ModelDataUrl": f"s3://{bucket}/models/", "Environment": environment}


def _create_endpoint(name: str, container: dict[str, Any]) -> None:
    sagemaker: Any = boto3.client("sagemaker")
    sagemaker.create_model(
        ModelName=name, PrimaryContainer=container, ExecutionRoleArn=os.environ["SAGEMAKER_EXECUTION_ROLE_ARN"]
    )
    variant = {"VariantName": "one", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})


def _ask_alone(turn: Asked, body: bytes, expected: list[float]) -> Callable[[], None]:
    return lambda: turn.alone.append(_timed(body, expected[0], EndpointName="alone"))


_COLD = count()
"""Which of the models that are not in demand is next: each caller takes another one."""


def _ask_shared(turn: Asked, body: bytes, expected: list[float]) -> Callable[[], None]:
    choice = np.random.default_rng()

    def ask() -> None:
        is_cold = choice.integers(_COLD_EVERY) == 0
        number = IN_DEMAND + next(_COLD) % (MODELS - IN_DEMAND) if is_cold else int(choice.integers(IN_DEMAND))
        seconds = _timed(body, expected[number], EndpointName="shared", TargetModel=f"{number}.tar.gz")
        (turn.cold if is_cold else turn.hot).append(seconds)

    return ask


def _timed(body: bytes, expected: float, **target: str) -> float:
    """The seconds that an answer takes; an error or another model's answer ends the benchmark."""
    started = time.perf_counter()
    answer = _client().invoke_endpoint(ContentType="application/json", Body=body, **target)["Body"].read()
    seconds = time.perf_counter() - started
    found = json.loads(answer)["predictions"][0]["prediction"]
    if not math.isclose(found, expected, rel_tol=1e-6):
        raise RuntimeError(f"{target} answered {found}, and {expected} is its model's")
    return seconds


@cache
def _client() -> Any:
    """One client for all threads, as boto3 recommends."""
    return boto3.client("sagemaker-runtime", config=Config(max_pool_connections=16))


def _load(concurrency: int, connect: Callable[[], Callable[[], None]]) -> None:
    """Ask from several threads for a while. An error in one of them ends the benchmark."""
    deadline = time.perf_counter() + _SECONDS
    faults: list[BaseException] = []

    def caller() -> None:
        ask = connect()
        try:
            while time.perf_counter() < deadline and not faults:
                ask()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=caller) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


if __name__ == "__main__":
    main()
