"""The serving containers as processes: the answers that the real images give to each kind of request."""

import http.client
import json
import pickle
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from common.local.containers.scoring import Model
from tests.functional.local.serving_support import ROW, Server, expected, put_model, serving, start, trained

MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def regressor() -> xgboost.Booster:
    return trained("reg:squarederror")


@pytest.fixture(scope="module")
def server(regressor: xgboost.Booster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("regressor")
    put_model(folder, regressor)
    with serving(folder) as running:
        yield running


def test_csv_is_answered_with_one_value_per_line_and_a_trailing_newline(
    server: Server, regressor: xgboost.Booster
) -> None:
    other = "0,0,0,0"
    values = expected(regressor, ROW, other)
    assert server.invoke(f"{ROW}\n{other}\n") == (200, f"{values[0]}\n{values[1]}\n")
    assert server.send("POST", "/invocations", ROW.encode(), Content_Type="text/csv")[2] == "text/csv; charset=utf-8"


@pytest.mark.parametrize("content_type", [None, "text/libsvm", "text/x-libsvm"])
def test_libsvm_and_no_type_are_answered_alike(
    server: Server, regressor: xgboost.Booster, content_type: str | None
) -> None:
    body = "1:1.5 2:0.25 3:3 4:0.5"
    assert server.invoke(body, content_type) == (200, f"{expected(regressor, ROW)[0]}\n")


def test_json_is_answered_when_it_is_accepted(server: Server, regressor: xgboost.Booster) -> None:
    status, answer = server.invoke(ROW, accept="application/json")
    assert (status, json.loads(answer)) == (200, {"predictions": [{"score": expected(regressor, ROW)[0]}]})


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('{"instances": [[1, 2]]}', "application/json"),
        ('{"a": 1}', "application/jsonlines"),
        ("PAR1", "application/x-parquet"),
        ("a,b,c,d", "text/csv"),
        ("1,2,3,4\n1,2", "text/csv"),
    ],
)
def test_other_types_and_bodies_that_cannot_be_parsed_are_415(server: Server, body: str, content_type: str) -> None:
    assert server.invoke(body, content_type)[0] == 415


def test_more_columns_than_features_are_400(server: Server) -> None:
    status, message = server.invoke(ROW + ",1")
    assert status == 400
    assert message.startswith("Unable to evaluate payload provided: ")


def test_fewer_columns_are_missing_values(server: Server, regressor: xgboost.Booster) -> None:
    assert server.invoke("1.5,0.25") == (200, f"{expected(regressor, '1.5,0.25,nan,nan')[0]}\n")


@pytest.mark.parametrize("accept", ["image/png", "text/csv, application/json", "application/x-recordio-protobuf"])
def test_an_accept_that_is_not_supported_or_a_list_is_406(server: Server, accept: str) -> None:
    assert server.invoke(ROW, accept=accept)[0] == 406


@pytest.mark.parametrize("accept", ["*/*", "text/csv; charset=utf-8", "TEXT/CSV"])
def test_an_accept_is_read_without_its_parameters_and_case(server: Server, accept: str) -> None:
    assert server.invoke(ROW, accept=accept)[0] == 200


def test_an_empty_body_is_204(server: Server) -> None:
    assert server.invoke("") == (204, "")


def test_a_body_may_have_6_mib_and_no_more(server: Server) -> None:
    line = "1,2,3,4\n"
    full = (line * (6 * MEBIBYTE // len(line))).encode()
    assert len(full) == 6 * MEBIBYTE
    status, answer = server.invoke(full)
    assert (status, answer.count("\n")) == (200, len(full) // len(line))
    assert refused_status(server.port, len(full) + 1) == 413


def refused_status(port: int, length: int) -> int:
    """What a request of that length is answered before its body is sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status


def test_other_paths_are_404(server: Server) -> None:
    assert server.send("GET", "/invocations")[0] == 404
    assert server.send("POST", "/models")[0] == 404


def test_batch_transform_learns_how_to_send(server: Server) -> None:
    status, answer, _ = server.send("GET", "/execution-parameters")
    parameters = json.loads(answer)
    assert status == 200
    assert (parameters["BatchStrategy"], parameters["MaxPayloadInMB"]) == ("MULTI_RECORD", 6)


def test_a_request_takes_a_few_milliseconds(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    durations = []
    for _ in range(300):
        begin = time.perf_counter()
        connection.request("POST", "/invocations", ROW, {"Content-Type": "text/csv"})
        connection.getresponse().read()
        durations.append(time.perf_counter() - begin)
    connection.close()
    assert sorted(durations)[len(durations) // 10] < 0.002


@pytest.mark.parametrize(
    ("objective", "parameters"),
    [
        ("reg:squarederror", {}),
        ("reg:squarederror", {"booster": "dart", "rate_drop": 0.5}),
        ("reg:squarederror", {"booster": "gblinear"}),
        ("reg:gamma", {}),
        ("binary:logistic", {}),
        ("binary:logitraw", {}),
        ("binary:hinge", {}),
        ("multi:softmax", {"labels": 3}),
        ("multi:softprob", {"labels": 3}),
    ],
)
def test_predictions_are_those_of_the_booster(tmp_path: Path, objective: str, parameters: dict[str, Any]) -> None:
    booster = trained(objective, **parameters)
    put_model(tmp_path, booster)
    answer = Model(tmp_path / "model").predict(np.array([[float(value) for value in ROW.split(",")]]))
    np.testing.assert_allclose(answer.tolist(), expected(booster, ROW), rtol=1e-6)


def test_selected_content_is_what_the_environment_asks_for(tmp_path: Path) -> None:
    booster = trained("binary:logistic")
    put_model(tmp_path, booster)
    with serving(tmp_path, SAGEMAKER_INFERENCE_OUTPUT="predicted_label,probability") as server:
        (probability,) = expected(booster, ROW)
        label = int(probability > 0.5)
        assert server.invoke(ROW) == (200, f"{label},{probability}")
        record = {"predicted_label": label, "probability": probability}
        assert json.loads(server.invoke(ROW, accept="application/json")[1]) == {"predictions": [record]}
        assert server.invoke(ROW, accept="application/jsonlines") == (200, json.dumps(record) + "\n")


def test_in_batch_mode_every_prediction_is_one_line(tmp_path: Path) -> None:
    booster = trained("multi:softprob", labels=3)
    put_model(tmp_path, booster)
    (probabilities,) = expected(booster, ROW)
    with serving(tmp_path) as server:
        assert server.invoke(ROW) == (200, ",".join(map(str, probabilities)) + "\n")
    with serving(tmp_path, SAGEMAKER_BATCH="true") as server:
        assert server.invoke(f"{ROW}\n{ROW}") == (200, f"{probabilities}\n" * 2)


def test_the_models_of_a_cross_validation_are_averaged(tmp_path: Path) -> None:
    boosters = [trained("reg:squarederror", rounds=rounds) for rounds in (1, 9)]
    for fold, booster in enumerate(boosters):
        put_model(tmp_path, booster, f"xgboost-model-{fold}")
    answer = Model(tmp_path / "model").predict(np.array([[1.5, 0.25, 3, 0.5]]))
    assert answer[0] == pytest.approx(np.mean([expected(booster, ROW)[0] for booster in boosters]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"a": "model"}), "is a pickle, which could run any code"),
        (b"binf\x00\x00", "is neither UBJSON nor JSON"),
        (b"{L\x00\x00", "Unable to load model"),
        (None, "no model file in"),
    ],
)
def test_a_model_that_cannot_be_loaded_ends_the_container_with_the_reason(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    (tmp_path / "model").mkdir()
    if content is not None:
        (tmp_path / "model" / "xgboost-model").write_bytes(content)
    process, _ = start(tmp_path, {})
    with process:
        assert process.stdout is not None
        output = process.stdout.read().decode()
    assert process.returncode == 1
    assert message in output


def test_the_container_ends_when_its_platform_is_gone(tmp_path: Path, regressor: xgboost.Booster) -> None:
    put_model(tmp_path, regressor)
    process, _ = start(tmp_path, {})
    with process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=10) == -9
