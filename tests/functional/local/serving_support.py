"""Serving containers as processes, for the tests of what they answer."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from common.local.containers.boosting import save_model

ROW = "1.5,0.25,3,0.5"


@dataclass(frozen=True)
class Server:
    """A serving container that answers."""

    port: int

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes, str | None]:
        """(status, body, content type)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.getheader("Content-Type")
        finally:
            connection.close()

    def invoke(
        self, body: str | bytes, content_type: str | None = "text/csv", accept: str | None = None
    ) -> tuple[int, str]:
        headers = {"Content_Type": content_type, "Accept": accept}
        given = {name: value for name, value in headers.items() if value is not None}
        status, answer, _ = self.send(
            "POST", "/invocations", body if isinstance(body, bytes) else body.encode(), **given
        )
        return status, answer.decode()


def start(
    folder: Path, environment: Mapping[str, str], image: str = "sagemaker_xgboost"
) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", f"common.local.containers.{image}", "serve"],
        env={**os.environ, "SAGEMAKER_BASE_DIR": str(folder), "SAGEMAKER_BIND_TO_PORT": str(port), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return process, port


@contextmanager
def serving(folder: Path, image: str = "sagemaker_xgboost", **environment: str) -> Iterator[Server]:
    process, port = start(folder, environment, image)
    server = Server(port)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                assert server.send("GET", "/ping")[0] == 200
                break
            except ConnectionError:
                assert process.poll() is None, process.stdout and process.stdout.read().decode()
                assert time.monotonic() < deadline, "the container does not come up"
                time.sleep(0.02)
        yield server
    finally:
        process.kill()
        process.communicate()


def trained(objective: str, labels: int = 2, rounds: int = 5, **parameters: Any) -> xgboost.Booster:
    random = np.random.default_rng(0)
    features = random.normal(size=(120, 4))
    target = np.abs(features[:, 0]) + 0.5 if objective.startswith("reg:") else random.integers(0, labels, 120)
    settings = {"objective": objective, **parameters} | ({"num_class": labels} if "multi" in objective else {})
    return xgboost.train(settings, xgboost.DMatrix(features, label=target), rounds)


def expected(booster: xgboost.Booster, *rows: str) -> list[Any]:
    values = [[float(value) for value in row.split(",")] for row in rows]
    answer: list[Any] = booster.predict(xgboost.DMatrix(np.array(values)), validate_features=False).tolist()
    return answer


def put_model(folder: Path, booster: xgboost.Booster, name: str = "xgboost-model") -> None:
    save_model(booster, folder / "model" / name)
