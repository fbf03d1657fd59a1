"""The XGBoost image behind a multi-model endpoint: a script of the endpoint's, models of their own."""

import json
from pathlib import Path

from tests.functional.local.serving_support import ROW, expected, put_model, serving, start, trained

LOADS = """
import pathlib, xgboost

def model_fn(folder):
    booster = xgboost.Booster()
    booster.load_model(bytearray(pathlib.Path(folder, "xgboost-model").read_bytes()))
    return booster
"""


def test_each_booster_is_asked_by_name_and_reads_csv_by_the_frameworks_own_handlers(tmp_path: Path) -> None:
    boosters = {name: trained("reg:squarederror", rounds=rounds) for name, rounds in (("a", 1), ("b", 9))}
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(LOADS)
    environment = {"SAGEMAKER_MULTI_MODEL": "true", "SAGEMAKER_PROGRAM": "inference.py"}
    with serving(tmp_path, "sagemaker_xgboost", **environment) as server:
        for name, booster in boosters.items():
            put_model(tmp_path / name, booster)
            body = json.dumps({"model_name": name, "url": str(tmp_path / name / "model")}).encode()
            assert server.send("POST", "/models", body)[0] == 200
        for name, booster in boosters.items():
            status, answer, _ = server.send("POST", f"/models/{name}/invoke", ROW.encode(), Content_Type="text/csv")
            assert (status, json.loads(answer)) == (200, expected(booster, ROW))


def test_a_multi_model_container_without_a_script_says_so_and_ends(tmp_path: Path) -> None:
    process, _ = start(tmp_path, {"SAGEMAKER_MULTI_MODEL": "true"})
    assert process.wait(timeout=20) == 1  # before its standard input closes, which would end it, too
    output, _ = process.communicate()
    assert b"a multi-model container needs a script" in output
