"""Serving in script mode: the handlers that a model brings, and the frameworks' own for those that it does not."""

import json
from pathlib import Path

import pytest

from tests.functional.local.serving_support import ROW, expected, put_model, serving, start, trained

HANDLERS = """
import json
def model_fn(model_dir):
    return {"factor": 2}
def input_fn(body, content_type):
    if content_type != "application/json":
        raise ValueError("only JSON")
    return json.loads(body)
def predict_fn(data, model):
    return [value * model["factor"] for value in data]
def output_fn(prediction, accept):
    return json.dumps({"doubled": prediction}), "application/json"
"""
TRANSFORM = """
def model_fn(model_dir):
    return "model"
def transform_fn(model, data, content_type, accept):
    return f"{model} {data} {content_type}"
"""


@pytest.mark.parametrize("place", ["inference.py", "code/inference.py"])
def test_inference_py_of_the_artifact_serves(tmp_path: Path, place: str) -> None:
    path = tmp_path / "model" / place
    path.parent.mkdir(parents=True)
    path.write_text(HANDLERS)
    with serving(tmp_path, "sagemaker_scikit_learn") as server:
        assert server.invoke("[1, 2]", "application/json") == (200, '{"doubled": [2, 4]}')
        assert server.invoke("[1, 2]") == (500, "only JSON")


def test_the_program_may_have_another_name_and_transform_alone(tmp_path: Path) -> None:
    path = tmp_path / "model" / "code" / "serve_it.py"
    path.parent.mkdir(parents=True)
    path.write_text(TRANSFORM)
    environment = {"SAGEMAKER_PROGRAM": "serve_it.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
    with serving(tmp_path, "sagemaker_xgboost", **environment) as server:
        assert server.invoke("1,2") == (200, "model 1,2 text/csv")
        assert server.invoke(b"caf\xe9", "text/csv") == (200, "model caf\ufffd text/csv")


SCIKIT_MODEL = """
import numpy as np
from sklearn.dummy import DummyRegressor
def model_fn(model_dir):
    return DummyRegressor(strategy="constant", constant=7).fit([[0, 0]], [1])
def predict_fn(data, model):
    np.testing.assert_equal(data.ndim, 2)
    return model.predict(data)
"""


def test_scikit_learns_default_handlers_have_the_toolkits_faults(tmp_path: Path) -> None:
    path = tmp_path / "model" / "inference.py"
    path.parent.mkdir(parents=True)
    path.write_text(SCIKIT_MODEL)
    with serving(tmp_path, "sagemaker_scikit_learn") as server:
        assert server.invoke("1,2\n3,4") == (200, "[7, 7]")
        assert server.invoke("[[1, 2]]", "application/json", "text/csv") == (200, "7\n")
        assert server.invoke("1,2")[0] == 500
        assert server.invoke("1,2\n3,4", "text/csv; charset=utf-8")[0] == 415
        assert server.invoke("[[1, 2]]", "application/json", "image/png")[0] == 406


def test_xgboosts_default_handlers_read_csv_for_the_script(tmp_path: Path) -> None:
    regressor = trained("reg:squarederror")
    put_model(tmp_path, regressor)
    path = tmp_path / "model" / "inference.py"
    path.write_text(
        "import pathlib, xgboost\n"
        "def model_fn(folder):\n"
        "    return xgboost.Booster(model_file=bytearray(pathlib.Path(folder, 'xgboost-model').read_bytes()))\n"
    )
    with serving(tmp_path) as server:
        status, answer = server.invoke(ROW)
        assert (status, json.loads(answer)) == (200, pytest.approx(expected(regressor, ROW)))


WRAPPED = """
import pathlib, xgboost
def model_fn(folder):
    model = xgboost.XGBRegressor()
    model.load_model(bytearray(pathlib.Path(folder, "xgboost-model").read_bytes()))
    return model
def transform_fn(model, body, content_type, accept):
    return str(model.predict([[float(value) for value in body.split(",")]])[0]), accept
"""
BARE = """
def model_fn(folder):
    import xgboost
    return xgboost
def transform_fn(model, body, content_type, accept):
    return str(model.compat.SKLEARN_INSTALLED), accept
"""


@pytest.mark.long
def test_scikit_learn_is_there_for_scripts_that_name_it_and_costs_the_others_no_time(tmp_path: Path) -> None:
    regressor = trained("reg:squarederror")
    put_model(tmp_path, regressor)
    path = tmp_path / "model" / "inference.py"
    path.write_text(WRAPPED)
    with serving(tmp_path) as server:
        assert float(server.invoke(ROW)[1]) == pytest.approx(expected(regressor, ROW)[0])
    path.write_text(BARE)
    with serving(tmp_path) as server:
        assert server.invoke(ROW) == (200, "False")


@pytest.mark.parametrize(
    ("files", "environment", "message"),
    [
        ({}, {"SAGEMAKER_PROGRAM": "gone.py"}, "SAGEMAKER_PROGRAM gone.py is neither"),
        ({"inference.py": "x = 1"}, {}, "inference.py defines no model_fn"),
        ({"inference.py": TRANSFORM + "def input_fn(b, c): pass"}, {}, "Cannot use transform_fn implementation with"),
        ({}, {}, "no inference script"),
    ],
)
def test_a_script_that_cannot_serve_ends_the_container_with_the_reason(
    tmp_path: Path, files: dict[str, str], environment: dict[str, str], message: str
) -> None:
    (tmp_path / "model").mkdir()
    for name, text in files.items():
        (tmp_path / "model" / name).write_text(text)
    process, _ = start(tmp_path, environment, "sagemaker_scikit_learn")
    with process:
        assert process.stdout is not None
        output = process.stdout.read().decode()
    assert process.returncode == 1
    assert message in output
