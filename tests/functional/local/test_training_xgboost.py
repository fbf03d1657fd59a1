"""The built-in XGBoost's training, in its folder, without a platform around it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xgboost

from common.local.containers.base import Folders, UserError
from common.local.containers.boosting import train
from tests.functional.local.training_support import binary_csv, job_folder, regression_csv

REGRESSION = {"num_round": "5", "objective": "reg:squarederror"}
BINARY = {"num_round": "5", "objective": "binary:logistic"}


def load_model(folders: Folders, name: str = "xgboost-model") -> xgboost.Booster:
    booster = xgboost.Booster()
    booster.load_model(bytearray((folders.model / name).read_bytes()))
    return booster


def rounds_in(output: str) -> list[str]:
    return [line for line in output.splitlines() if re.match(r"\[\d+\]\t", line)]


def test_each_round_is_logged_with_its_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"train/a.csv": regression_csv(), "validation/a.csv": regression_csv(seed=1)}
    train(job_folder(tmp_path, REGRESSION, files))
    lines = rounds_in(capsys.readouterr().out)
    assert len(lines) == 5
    assert re.fullmatch(r"\[0\]\ttrain-rmse:\d+\.\d{5}\tvalidation-rmse:\d+\.\d{5}", lines[0])


def test_the_model_is_what_xgboost_trains_on_the_same_rows(tmp_path: Path) -> None:
    text = regression_csv()
    rows = np.array([[float(value) for value in line.split(",")] for line in text.splitlines()])
    folders = job_folder(tmp_path, {**REGRESSION, "max_depth": "3"}, {"train/a.csv": text})
    train(folders)
    matrix = xgboost.DMatrix(rows[:, 1:], label=rows[:, 0])
    expected = xgboost.train({"objective": "reg:squarederror", "max_depth": 3}, matrix, 5)
    np.testing.assert_allclose(load_model(folders).predict(matrix), expected.predict(matrix), rtol=1e-6)


def test_the_artifact_is_ubjson_and_the_same_for_the_same_job(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        folders = job_folder(tmp_path / name, {**REGRESSION, "subsample": "0.5"}, {"train/a.csv": regression_csv()})
        train(folders)
        contents.append((folders.model / "xgboost-model").read_bytes())
    assert contents[0] == contents[1]
    assert contents[0].startswith(b"{L")


def test_a_header_is_read_as_a_row_and_textual_booleans_as_zero(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "label,a,b\n" + "True,1,2\nFalse,3,4\n" * 20
    train(job_folder(tmp_path, REGRESSION, {"train/a.csv": rows}))
    output = capsys.readouterr().out
    assert "Train matrix has 41 rows and 2 columns" in output
    assert rounds_in(output)[-1] == "[4]\ttrain-rmse:0.00000"


def test_the_old_name_of_squared_error_is_accepted_also_with_early_stopping(tmp_path: Path) -> None:
    files = {"train/a.csv": regression_csv(), "validation/a.csv": regression_csv(seed=1)}
    stopping = {"num_round": "50", "early_stopping_rounds": "2", "eval_metric": "rmse"}
    folders = job_folder(tmp_path, {"objective": "reg:linear", **stopping}, files)
    train(folders)
    assert (folders.model / "xgboost-model").exists()


@pytest.mark.parametrize("name", ["Müller", "c#", "who?", "a;b", "two words"])
def test_the_job_may_lie_in_any_folder(tmp_path: Path, name: str) -> None:
    folders = job_folder(tmp_path / name, REGRESSION, {"train/a.csv": regression_csv()})
    train(folders)
    assert load_model(folders).num_boosted_rounds() == 5


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_delimiter_is_sniffed(tmp_path: Path, separator: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = regression_csv().replace(",", separator)
    train(job_folder(tmp_path, REGRESSION, {"train/a.csv": text}))
    assert "200 rows and 4 columns" in capsys.readouterr().out


def test_csv_weights_takes_the_weight_from_the_column_after_the_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{label},{weight},{x}\n" for label, weight, x in [(0, 1, 5), (10, 0, 5)] * 20)
    folders = job_folder(tmp_path, {"num_round": "50", "csv_weights": "1"}, {"train/a.csv": rows})
    train(folders)
    assert "40 rows and 1 columns" in capsys.readouterr().out
    assert load_model(folders).predict(xgboost.DMatrix(np.array([[5.0]])))[0] == pytest.approx(0, abs=0.1)


def test_all_files_of_a_channel_are_read_in_folders_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"train/a.csv": regression_csv(30).rstrip(), "train/x/b.csv": regression_csv(40), "train/x/y/z/c": "1,2\n"}
    train(job_folder(tmp_path, REGRESSION, files))
    output = capsys.readouterr().out
    assert "Train matrix has 70 rows" in output
    assert "exceeds the limit 3" in output


@pytest.mark.parametrize("content_type", [None, "text/libsvm", "text/x-libsvm", "libsvm"])
def test_libsvm_is_the_default_content_type(
    tmp_path: Path, content_type: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    train(job_folder(tmp_path, REGRESSION, {"train/a": "1 1:1 2:0.5\n0 1:0.3 2:1\n" * 10}, content_type))
    # features are counted from zero in training
    assert "20 rows and 3 columns" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("files", "content_type", "message"),
    [
        ({"validation/a.csv": "1,2\n"}, "text/csv", "Missing required channel: train"),
        ({"train/a.csv": "1,2\n", "test/a.csv": "1,2\n"}, "text/csv", "Extraneous channel found: test"),
        ({"train/a.csv": "1,2\n"}, "text/csv; charset=utf-8", "Channel configuration for 'train' channel is not"),
        ({"train/a.csv": "1,2\n"}, "application/json", "Channel configuration for 'train' channel is not supported"),
        ({"train/a.csv": "1,2\n"}, "text/libsvm", "is not 'LIBSVM' format"),
        ({"train/a": "x"}, "application/x-recordio-protobuf", "recordio-protobuf is not supported"),
        (
            {"train/a": "x"},
            "application/x-parquet",
            "parquet is not supported by the local container; use csv or libsvm",
        ),
        ({"train/a.csv": "1,2\n", "train/.a": "x"}, "text/csv", "Hidden file found in the data path!"),
        ({"train/": ""}, "text/csv", "No data in training channel path"),
        ({"train/a.csv": ""}, "text/csv", "No data in training channel path"),
        ({"train/a.csv": "1,2\n", "validation/": ""}, "text/csv", "No data in validation channel path"),
        ({"train/a.csv": "\n"}, "text/csv", "Could not determine delimiter"),
    ],
)
def test_channels_and_files_that_the_image_refuses(
    tmp_path: Path, files: dict[str, str], content_type: str, message: str
) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        train(job_folder(tmp_path, REGRESSION, files, content_type))


def test_fast_file_mode_is_refused(tmp_path: Path) -> None:
    folders = job_folder(tmp_path, REGRESSION, {"train/a.csv": regression_csv()})
    path = folders.config / "inputdataconfig.json"
    path.write_text(path.read_text().replace('"File"', '"FastFile"'))
    with pytest.raises(UserError, match="Channel configuration for 'train' channel is not supported"):
        train(folders)


@pytest.mark.parametrize("objective", ["binary:logistic", "binary:logitraw", "binary:hinge"])
def test_labels_outside_zero_and_one_fail_binary_objectives(tmp_path: Path, objective: str) -> None:
    folders = job_folder(tmp_path, {**BINARY, "objective": objective}, {"train/a.csv": regression_csv()})
    with pytest.raises(UserError, match=re.escape("label must be in [0,1] for logistic regression")):
        train(folders)


def test_multiclass_labels_must_be_below_the_number_of_classes(tmp_path: Path) -> None:
    hyperparameters = {"num_round": "2", "objective": "multi:softmax", "num_class": "2"}
    with pytest.raises(UserError, match="label must be discrete values"):
        train(job_folder(tmp_path, hyperparameters, {"train/a.csv": "0,1\n1,2\n2,3\n" * 5}))


@pytest.mark.parametrize(
    ("hyperparameters", "channels", "expected"),
    [
        ({"early_stopping_rounds": "3", "eval_metric": "rmse"}, ("train", "validation"), "stops"),
        ({"early_stopping_rounds": "3"}, ("train", "validation"), "ignored"),
        ({"early_stopping_rounds": "3", "eval_metric": "rmse"}, ("train",), "ignored"),
        (
            {"early_stopping_rounds": "3", "_tuning_objective_metric": "validation:rmse"},
            ("train", "validation"),
            "stops",
        ),
    ],
)
def test_early_stopping_needs_validation_data_and_a_metric(
    tmp_path: Path,
    hyperparameters: dict[str, str],
    channels: tuple[str, ...],
    expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # the more trees learn noise, the worse they do on other rows
    noise = np.random.default_rng(0).integers(0, 100, size=(2, 60, 3)).tolist()
    files = {
        f"{name}/a.csv": "".join(",".join(map(str, row)) + "\n" for row in rows)
        for name, rows in zip(channels, noise, strict=False)
    }
    folders = job_folder(tmp_path, {"num_round": "200", "eta": "0.1", **hyperparameters}, files)
    train(folders)
    lines = rounds_in(capsys.readouterr().out)
    kept = load_model(folders).num_boosted_rounds()
    if expected == "ignored":
        assert len(lines) == kept == 200
    else:
        scores = [float(line.rpartition(":")[2]) for line in lines]
        assert kept == int(np.argmin(scores)) + 1 == len(lines) - 3


def test_the_containers_own_metrics_are_logged_beside_xgboosts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = "logloss,accuracy,balanced_accuracy,f1,f1_binary,f1_macro,precision,recall,recall_micro,auc"
    train(job_folder(tmp_path, {**BINARY, "eval_metric": metrics}, {"train/a.csv": binary_csv()}))
    last = rounds_in(capsys.readouterr().out)[-1]
    found = dict(re.findall(r"train-([\w-]+):(\S+)", last))
    assert set(found) == set(metrics.split(","))
    assert 0.9 < float(found["accuracy"]) <= 1.0


def test_regression_metrics_of_the_container_agree_with_xgboosts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(job_folder(tmp_path, {**REGRESSION, "eval_metric": "rmse,mse,r2"}, {"train/a.csv": regression_csv()}))
    found = dict(re.findall(r"train-(\w+):(\S+)", rounds_in(capsys.readouterr().out)[-1]))
    assert float(found["mse"]) == pytest.approx(float(found["rmse"]) ** 2, rel=1e-3)
    assert 0 < float(found["r2"]) < 1


def test_cross_validation_keeps_a_model_for_each_fold_and_the_held_out_predictions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"train/a.csv": binary_csv(60), "validation/a.csv": binary_csv(30, seed=1)}
    folders = job_folder(tmp_path, {**BINARY, "_kfold": "3", "_num_cv_round": "2"}, files)
    train(folders)
    assert sorted(path.name for path in folders.model.iterdir()) == [f"xgboost-model-{fold}" for fold in range(6)]
    predictions = np.loadtxt(folders.output_data / "predictions.csv", delimiter=",")
    assert predictions.shape == (90, 3)
    assert (predictions[:, 0] == predictions[:, 2]).mean() > 0.8
    assert capsys.readouterr().out.count("The metrics of round") == 2


def test_checkpoints_are_kept_and_a_restart_continues_where_they_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = regression_csv()
    straight = job_folder(tmp_path / "straight", {**REGRESSION, "num_round": "12"}, {"train/a.csv": text})
    train(straight)
    checkpoints = tmp_path / "checkpoints"
    for name, rounds in (("first", "8"), ("second", "12")):
        folders = job_folder(tmp_path / name, {**REGRESSION, "num_round": rounds}, {"train/a.csv": text})
        (folders.config / "checkpointconfig.json").write_text(json.dumps({"LocalPath": str(checkpoints)}))
        capsys.readouterr()
        train(folders)
    lines = rounds_in(capsys.readouterr().out)
    assert [line.partition("\t")[0] for line in lines] == ["[8]", "[9]", "[10]", "[11]"]
    assert sorted(int(path.suffix[1:]) for path in checkpoints.iterdir()) == [7, 8, 9, 10, 11]
    rows = xgboost.DMatrix(np.ones((1, 4)))
    assert load_model(folders).predict(rows) == pytest.approx(load_model(straight).predict(rows))


def start_container(folders: Folders) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "common.local.containers.sagemaker_xgboost", "train"],
        env={**os.environ, "SAGEMAKER_BASE_DIR": str(folders.base)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def read_rounds(process: subprocess.Popen[bytes], count: int) -> None:
    assert process.stdout is not None
    seen = 0
    while seen < count:
        line = process.stdout.readline()
        assert line, "the container ended early"
        seen += line.startswith(b"[")


def read_to_end(process: subprocess.Popen[bytes]) -> str:
    """The rest of the output. (`communicate` would close the container's standard input, which ends it.)"""
    assert process.stdout is not None
    return process.stdout.read().decode()


@pytest.mark.parametrize(("keep", "code"), [("true", 0), ("false", -signal.SIGTERM)])
def test_a_stop_keeps_the_model_only_when_that_is_asked_for(tmp_path: Path, keep: str, code: int) -> None:
    hyperparameters = {"num_round": "1000000", "save_model_on_termination": keep}
    folders = job_folder(tmp_path, hyperparameters, {"train/a.csv": regression_csv()})
    with start_container(folders) as process:
        read_rounds(process, 5)
        process.terminate()
        read_to_end(process)
    assert process.returncode == code
    if keep == "true":
        assert load_model(folders).num_boosted_rounds() >= 5
    else:
        assert not folders.model.exists()


def test_a_failure_exits_with_1_and_says_why_in_the_failure_file(tmp_path: Path) -> None:
    folders = job_folder(tmp_path, {"num_round": "5", "depth": "3"}, {"train/a.csv": regression_csv()})
    with start_container(folders) as process:
        output = read_to_end(process)
    assert process.returncode == 1
    message = "UserError: Extraneous hyperparameter found: depth"
    assert (folders.output / "failure").read_text() == message
    assert message in output


def test_an_algorithm_error_is_told_without_the_stack_of_native_frames(tmp_path: Path) -> None:
    folders = job_folder(tmp_path, {"num_round": "5", "tree_method": "gpu_hist"}, {"train/a.csv": regression_csv()})
    with start_container(folders) as process:
        read_to_end(process)
    failure = (folders.output / "failure").read_text()
    assert failure.startswith("AlgorithmError: XGB train call failed with exception:")
    assert "gpu_hist" in failure
    assert "libxgboost" not in failure


def test_the_container_ends_when_its_platform_is_gone(tmp_path: Path) -> None:
    folders = job_folder(tmp_path, {"num_round": "1000000"}, {"train/a.csv": regression_csv()})
    with start_container(folders) as process:
        read_rounds(process, 1)
        assert process.stdin is not None
        process.stdin.close()
        deadline = time.monotonic() + 5
        while process.poll() is None and time.monotonic() < deadline:
            assert process.stdout is not None
            process.stdout.read1(65536)  # type: ignore[attr-defined]  # a buffered reader has it
    assert process.returncode == -signal.SIGKILL
