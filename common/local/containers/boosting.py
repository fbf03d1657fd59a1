"""Training of the built-in XGBoost: what `sagemaker-xgboost` does without a script."""

import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.local.containers.base import AlgorithmError, Folders, UserError, log
from common.local.containers.cluster import cluster
from common.local.containers.custom_metrics import CONTAINER_METRICS, evaluation
from common.local.containers.data import brief, find_files, load_matrix, validate_channels
from common.local.containers.folds import Predictions, mean_metrics, splits
from common.local.containers.hyperparameters import MAXIMIZED_METRICS, validate
from common.local.containers.lean import import_xgboost

MODEL_NAME = "xgboost-model"
_CHECKPOINT = "xgboost-checkpoint"
_CHECKPOINTS_KEPT = 5
_USER_FAULTS = (
    "label must be",
    "Target is multiclass but average='binary'",
    "feature_names mismatch",
    "Check failed: preds.size() == info.labels_.size()",
    "AUC: the dataset only contains pos or neg samples",
    "base_score must be in (0,1)",
    "Parameter reg_lambda should be greater equal to 0",
)
"""Messages of xgboost that mean the job's author, not the algorithm."""


@dataclass(frozen=True)
class Data:
    """The matrices of one host; `validation` is None where the job has no such channel."""

    train: Any
    validation: Any

    @property
    def watched(self) -> list[tuple[Any, str]]:
        return [(self.train, "train")] + ([] if self.validation is None else [(self.validation, "validation")])


def train(folders: Folders) -> None:
    """Run the job of this host: validate, read, boost, and leave the model in `model/`.

    Raises:
        UserError: hyperparameters, channels or data are not what the image accepts.
        AlgorithmError: xgboost failed on them.
    """
    parameters = validate(folders.read_config("hyperparameters"))
    channels = folders.read_config("inputdataconfig")
    file_format = validate_channels(channels)
    hosts = folders.read_config("resourceconfig")
    files = {name: find_files(folders.channel(name)) for name in ("train", "validation") if name in channels}
    complete = all(files.values())
    if len(hosts["hosts"]) == 1 and not complete:
        empty = "train" if not files["train"] else "validation"
        raise UserError(f"No data in {'training' if empty == 'train' else empty} channel path {folders.channel(empty)}")
    weighted = parameters.pop("csv_weights", 0) == 1
    # xgboost would read only this host's part of a file once the hosts are connected, so the data are loaded before
    matrices = {
        name: load_matrix(found, file_format, folders.base, weighted) for name, found in files.items() if complete
    }
    with cluster(hosts["hosts"], hosts["current_host"], has_data=complete) as is_master, _explained():
        data = Data(matrices["train"], matrices.get("validation"))
        log(f"Train matrix has {data.train.num_row()} rows and {data.train.num_col()} columns")
        if data.validation is not None:
            log(f"Validation matrix has {data.validation.num_row()} rows")
        if "_kfold" in parameters:
            everything = [*files["train"], *files.get("validation", [])]
            _train_folds(
                parameters, data, load_matrix(everything, file_format, folders.base, weighted), folders, is_master
            )
        else:
            _train_one(parameters, data, folders, is_master)


@contextmanager
def _explained() -> Iterator[None]:
    """Tell the user's faults from the algorithm's by xgboost's message."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        if any(message in str(error) for message in _USER_FAULTS):
            raise UserError(brief(error)) from error
        raise AlgorithmError(f"XGB train call failed with exception:\n {brief(error)}") from error


def _train_one(parameters: dict[str, Any], data: Data, folders: Folders, is_master: bool) -> None:
    run = Boosting.plan(parameters, data)
    checkpoints = folders.read_config("checkpointconfig").get("LocalPath")
    target = folders.model / MODEL_NAME
    begin, booster = 0, None
    callbacks: list[Any] = []
    if checkpoints:
        booster, begin = _load_checkpoint(Path(checkpoints))
        if is_master:
            callbacks.append(_checkpoints(Path(checkpoints)))
    if run.keep_on_stop and is_master:
        callbacks.append(_intermediate(target))
    if is_master:
        callbacks.append(_round_log(begin))
    trained = run.train(data, callbacks, rounds=run.rounds - begin, booster=booster, save_best=is_master)
    if is_master:
        save_model(trained, target)


def _train_folds(
    hyperparameters: dict[str, Any], data: Data, everything: Any, folders: Folders, is_master: bool
) -> None:
    """Cross-validation: one model for each fold, and the predictions of the rows that it has not seen."""
    run = Boosting.plan(hyperparameters, data)
    folds, repeats = hyperparameters["_kfold"], hyperparameters.get("_num_cv_round", 1)
    classes = "num_class" in run.parameters or run.parameters.get("objective", "").startswith("binary:")
    seen = Predictions(everything.get_label(), repeats, classes)
    histories: list[Any] = []
    for fold, (fit, held_out) in enumerate(splits(everything.get_label(), folds, repeats, classes)):
        log(f"Train cross validation fold {fold % folds + 1}")
        part = Data(everything.slice(fit), everything.slice(held_out))
        histories.append({})
        callbacks = [_round_log(0)] if is_master else []
        booster = run.train(part, callbacks, rounds=run.rounds, booster=None, save_best=True, history=histories[-1])
        save_model(booster, folders.model / f"{MODEL_NAME}-{fold}")
        seen.record(held_out, booster.predict(part.validation))
        if (fold + 1) % folds == 0:
            log(f"The metrics of round {(fold + 1) // folds} cross validation")
            log(mean_metrics(run.rounds, histories[-folds:]))
    seen.save(folders.output_data / "predictions.csv")


@dataclass(frozen=True)
class Boosting:
    """The validated hyperparameters, split into xgboost's own and those that steer the training."""

    parameters: Mapping[str, Any]
    rounds: int
    early_stopping: tuple[int, str] | None
    """Rounds without improvement, and the metric; None without validation data or metric, as in the image."""
    custom_metric: Any
    keep_on_stop: bool

    @classmethod
    def plan(cls, hyperparameters: Mapping[str, Any], data: Data) -> "Boosting":
        """Which metrics are computed, and whether the training may stop early."""
        own = {key: value for key, value in hyperparameters.items() if not key.startswith("_")}
        tuned = hyperparameters.get("_tuning_objective_metric", "").removeprefix("validation:")
        asked: list[str] = own.pop("eval_metric", [])
        metrics = sorted({tuned, *asked}) if tuned else asked
        watched = tuned or (asked[-1] if asked else None)
        patience = own.pop("early_stopping_rounds", None)
        own_metrics = [metric for metric in metrics if metric in CONTAINER_METRICS]
        others = [metric for metric in metrics if metric not in CONTAINER_METRICS]
        rounds = own.pop("num_round")
        keep = own.pop("save_model_on_termination", "false") == "true"
        own.pop("use_dask_gpu_training", None)
        if "updater" in own:
            own["updater"] = ",".join(own["updater"])
        if others:
            own["eval_metric"] = others
        if own.get("objective") == "reg:linear":  # the old name, which xgboost still trains but no longer slices
            own["objective"] = "reg:squarederror"
        objective = own.get("objective", "reg:squarederror")
        return cls(
            parameters=own,
            rounds=rounds,
            early_stopping=(patience, watched) if patience and watched and data.validation is not None else None,
            custom_metric=evaluation(own_metrics, objective) if own_metrics else None,
            keep_on_stop=keep,
        )

    def train(
        self, data: Data, callbacks: list[Any], *, rounds: int, booster: Any, save_best: bool, history: Any = None
    ) -> Any:
        """A trained booster; with early stopping it ends at its best round."""
        xgboost = import_xgboost()
        objective = self.parameters.get("objective", "")
        if objective.startswith("binary:") or objective == "reg:logistic":
            _check_binary(data)
        if self.early_stopping:
            patience, metric = self.early_stopping
            stop = xgboost.callback.EarlyStopping(
                rounds=patience,
                data_name="validation",
                metric_name=metric,
                maximize=metric in MAXIMIZED_METRICS,
                save_best=save_best,
            )
            callbacks = [*callbacks, stop]
        return xgboost.train(
            dict(self.parameters),
            data.train,
            num_boost_round=rounds,
            evals=data.watched,
            custom_metric=self.custom_metric,
            callbacks=callbacks,
            xgb_model=booster,
            evals_result=history,
            verbose_eval=False,
        )


def save_model(booster: Any, target: Path) -> None:
    """Write UBJSON. Atomically: a stop may come at any moment, and what lies in `model/` is what gets uploaded."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent.parent / f"{target.name}.partial"
    temporary.write_bytes(booster.save_raw("ubj"))
    temporary.replace(target)


def _check_binary(data: Data) -> None:
    for matrix, name in data.watched:
        labels = matrix.get_label()
        if ((labels < 0) | (labels > 1)).any():
            raise UserError(f"label must be in [0,1] for logistic regression; the {name} channel has others")


def _round_log(begin: int) -> Any:
    """Prints `[0]\\ttrain-rmse:2.1\\tvalidation-rmse:2.3` as each round is done, counted from `begin`."""
    base = import_xgboost().callback.TrainingCallback

    class RoundLog(base):  # type: ignore[misc, valid-type]
        def after_iteration(self, _model: Any, epoch: int, history: Any) -> bool:
            scores = [(data, name, values[-1]) for data, metrics in history.items() for name, values in metrics.items()]
            log(f"[{begin + epoch}]" + "".join(f"\t{data}-{name}:{value:.5f}" for data, name, value in scores))
            return False

    return RoundLog()


def _checkpoints(folder: Path) -> Any:
    """Saves the booster after every round and keeps the newest few."""
    base = import_xgboost().callback.TrainingCallback
    folder.mkdir(parents=True, exist_ok=True)

    class Checkpoints(base):  # type: ignore[misc, valid-type]
        def after_iteration(self, model: Any, _epoch: int, _history: Any) -> bool:
            done = model.num_boosted_rounds() - 1
            save_model(model, folder / f"{_CHECKPOINT}.{done}")
            (folder / f"{_CHECKPOINT}.{done - _CHECKPOINTS_KEPT}").unlink(missing_ok=True)
            return False

    return Checkpoints()


def _load_checkpoint(folder: Path) -> tuple[Any, int]:
    """The newest checkpoint and the number of rounds in it; (None, 0) where there is none."""
    rounds = [
        int(m[1]) for p in folder.glob(f"{_CHECKPOINT}.*") if (m := re.fullmatch(rf"{_CHECKPOINT}\.(\d+)", p.name))
    ]
    if not rounds:
        return None, 0
    newest = folder / f"{_CHECKPOINT}.{max(rounds)}"
    booster = import_xgboost().Booster()
    booster.load_model(bytearray(newest.read_bytes()))
    log(f"Checkpoint loaded from {newest}, resuming from iteration {max(rounds) + 1}")
    return booster, max(rounds) + 1


def _intermediate(target: Path) -> Any:
    """Keeps the model of the last finished round in `model/`, and ends well when the job is stopped."""
    base = import_xgboost().callback.TrainingCallback
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

    class Intermediate(base):  # type: ignore[misc, valid-type]
        def after_iteration(self, model: Any, _epoch: int, _history: Any) -> bool:
            save_model(model, target)
            return False

    return Intermediate()
