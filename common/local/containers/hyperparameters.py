"""The built-in XGBoost's own validation of its hyperparameters: names, types, ranges, and what depends on what.

Every value arrives as a string. The messages are those of the image, since people search for them.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from common.local.containers.base import UserError

MAXIMIZED_METRICS = (
    "accuracy", "auc", "aucpr", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "map", "ndcg", "precision", "r2",
    "recall", "precision_macro", "precision_micro", "recall_macro", "recall_micro",
)  # fmt: skip
MINIMIZED_METRICS = (
    "aft-nloglik", "cox-nloglik", "error", "gamma-deviance", "gamma-nloglik", "interval-regression-accuracy", "logloss",
    "mae", "mape", "merror", "mlogloss", "mphe", "mse", "poisson-nloglik", "rmse", "rmsle", "tweedie-nloglik",
)  # fmt: skip
METRICS = MAXIMIZED_METRICS + MINIMIZED_METRICS
"""Metrics that the image computes; tuning may optimise `validation:<metric>` of each."""

ALIASES = {"learning_rate": "eta", "min_split_loss": "gamma", "reg_lambda": "lambda", "reg_alpha": "alpha"}

_OBJECTIVES = (
    "aft_loss_distribution", "binary:logistic", "binary:logitraw", "binary:hinge", "count:poisson", "multi:softmax",
    "multi:softprob", "rank:pairwise", "rank:ndcg", "rank:map", "reg:linear", "reg:squarederror", "reg:logistic",
    "reg:gamma", "reg:pseudohubererror", "reg:squaredlogerror", "reg:absoluteerror", "reg:tweedie", "survival:aft",
    "survival:cox",
)  # fmt: skip
_GROWERS = ("grow_colmaker", "distcol", "grow_histmaker", "grow_quantile_histmaker")
_TREE_UPDATERS = (*_GROWERS, "grow_skmaker", "sync", "refresh", "prune")
_LINEAR_UPDATERS = ("shotgun", "coord_descent")


@dataclass(frozen=True)
class Interval:
    """A range of numbers; an end is open when its value itself is outside."""

    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = self.low is None or value > self.low or (value == self.low and not self.open_low)
        below = self.high is None or value < self.high or (value == self.high and not self.open_high)
        return above and below

    def __str__(self) -> str:
        left = "(-inf" if self.low is None else f"{'(' if self.open_low else '['}{self.low}"
        right = "+inf)" if self.high is None else f"{self.high}{')' if self.open_high else ']'}"
        return f"{left}, {right}"


@dataclass(frozen=True)
class _Kind:
    parse: Callable[[str], Any]
    allowed: Any
    several: bool = False
    """The value is a sequence, each of whose items has to be allowed."""


def _choice(*options: str) -> _Kind:
    return _Kind(str, list(options))


def _integer(low: int | None = None, high: int | None = None, **ends: bool) -> _Kind:
    return _Kind(int, Interval(low, high, **ends))


def _real(low: float | None = None, high: float | None = None, **ends: bool) -> _Kind:
    return _Kind(float, Interval(low, high, **ends))


def _comma_separated(value: str) -> list[str]:
    return value.split(",")


_FLAG = _choice("true", "false")
_SHARE = _real(0, 1, open_low=True)

_TABLE: dict[str, _Kind] = {
    "num_round": _integer(1),
    "csv_weights": _integer(0, 1),
    "early_stopping_rounds": _integer(1),
    "booster": _choice("gbtree", "gblinear", "dart"),
    "verbosity": _integer(0, 3),
    "nthread": _integer(1),
    "eta": _real(0, 1),
    "gamma": _real(0),
    "max_depth": _integer(0),
    "min_child_weight": _real(0),
    "max_delta_step": _real(0),
    "subsample": _SHARE,
    "colsample_bytree": _SHARE,
    "colsample_bylevel": _SHARE,
    "colsample_bynode": _SHARE,
    "lambda": _real(0),
    "alpha": _real(0),
    "tree_method": _choice("auto", "exact", "approx", "hist", "gpu_hist"),
    "sketch_eps": _real(0, 1, open_low=True, open_high=True),
    "scale_pos_weight": _real(0, open_low=True),
    "updater": _Kind(_comma_separated, [*_TREE_UPDATERS, *_LINEAR_UPDATERS], several=True),
    "dsplit": _choice("row", "col"),
    "refresh_leaf": _integer(0, 1),
    "process_type": _choice("default", "update"),
    "grow_policy": _choice("depthwise", "lossguide"),
    "max_leaves": _integer(0),
    "max_bin": _integer(0),
    "predictor": _choice("auto", "cpu_predictor", "gpu_predictor"),
    "monotone_constraints": _Kind(ast.literal_eval, [-1, 0, 1], several=True),
    "interaction_constraints": _Kind(ast.literal_eval, Interval(1)),
    "sample_type": _choice("uniform", "weighted"),
    "normalize_type": _choice("tree", "forest"),
    "rate_drop": _real(0, 1),
    "one_drop": _integer(0, 1),
    "skip_drop": _real(0, 1),
    "lambda_bias": _real(0, 1),
    "tweedie_variance_power": _real(1, 2, open_low=True, open_high=True),
    "objective": _choice(*_OBJECTIVES),
    "num_class": _integer(2),
    "base_score": _real(0),
    "_kfold": _integer(2),
    "_num_cv_round": _integer(1),
    "_tuning_objective_metric": _choice(*(f"validation:{metric}" for metric in METRICS)),
    "eval_metric": _Kind(_comma_separated, METRICS, several=True),
    "seed": _integer(-(2**31), 2**31 - 1, open_low=True, open_high=True),
    "num_parallel_tree": _integer(1),
    "save_model_on_termination": _FLAG,
    "aft_loss_distribution": _choice("normal", "logistic", "extreme"),
    "aft_loss_distribution_scale": _real(0),
    "deterministic_histogram": _FLAG,
    "sampling_method": _choice("uniform", "gradient_based"),
    "prob_buffer_row": _integer(1, open_low=True),
    "use_dask_gpu_training": _FLAG,
}


def validate(hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """The hyperparameters under their own names (aliases resolved) as numbers, texts and lists.

    Raises:
        UserError: one is unknown, missing, of the wrong type, out of range, or at odds with another.
    """
    named = {ALIASES.get(name, name): value for name, value in hyperparameters.items()}
    if "num_round" not in named:
        raise UserError("Missing required hyperparameter: num_round")
    values = {name: _parse(name, value) for name, value in named.items()}
    for name, value in values.items():
        _check_range(name, value)
    for check in (_check_objective, _check_metrics, _check_updaters, _check_constraints):
        check(values)
    return values


def _parse(name: str, value: str) -> Any:
    if name not in _TABLE:
        raise UserError(f"Extraneous hyperparameter found: {name}")
    try:
        return _TABLE[name].parse(value)
    except (ValueError, SyntaxError) as error:
        raise UserError(f"Hyperparameter {name}: could not parse value (caused by {type(error).__name__})") from error


def _check_range(name: str, value: Any) -> None:
    kind = _TABLE[name]
    if name == "interaction_constraints":
        fits = isinstance(value, list) and all(index in kind.allowed for group in value for index in group)
    elif name == "eval_metric":
        fits = all(_is_metric(metric) for metric in value)
    elif kind.several:
        fits = isinstance(value, list | tuple) and all(item in kind.allowed for item in value)
    else:
        if value not in kind.allowed:
            raise UserError(f"Hyperparameter {name}: {value} is not in {kind.allowed}")
        return
    if not fits:
        allowed = list(kind.allowed) if kind.several else kind.allowed
        raise UserError(f"Hyperparameter {name}: value {value} not in range {allowed}")


def _is_metric(metric: str) -> bool:
    name, at, threshold = (part.strip() for part in metric.partition("@"))
    if not at:
        return metric in METRICS
    if name not in ("error", "ndcg", "map"):
        raise UserError(
            f"Metric '{metric}' is not supported. Parameter 'eval_metric' with customized threshold should "
            "be one of these options: 'error', 'ndcg', 'map'."
        )
    try:
        float(threshold)
    except ValueError as error:
        raise UserError(f"Threshold value 't' in '{name}@t' expects float input.") from error
    return True


def _check_objective(values: Mapping[str, Any]) -> None:
    if str(values.get("objective")).startswith("multi:") and "num_class" not in values:
        raise UserError("Require input for parameter 'num_class' for multi-classification")


def _check_metrics(values: Mapping[str, Any]) -> None:
    metrics = values.get("eval_metric", ())
    objective = values.get("objective", "reg:squarederror")
    if "auc" in metrics and not objective.startswith(("binary:", "rank:")):
        raise UserError("Metric 'auc' can only be applied for classification and ranking problems.")
    if "aft-nloglik" in metrics and objective != "survival:aft":
        raise UserError("Metric 'aft-nloglik' can only be applied for 'survival:aft' objective.")


def _check_updaters(values: Mapping[str, Any]) -> None:
    updaters = values.get("updater")
    if updaters is None:
        return
    if values.get("booster") == "gblinear":
        if len(updaters) != 1 or updaters[0] not in _LINEAR_UPDATERS:
            raise UserError("Linear updater should be one of these options: 'shotgun', 'coord_descent'.")
    elif values.get("process_type") == "update":
        if not set(updaters) <= {"refresh", "prune"}:
            raise UserError("process_type 'update' can only be used with updater 'refresh' and 'prune'")
    elif not set(updaters) <= set(_TREE_UPDATERS):
        raise UserError(f"Tree updater should be selected from these options: {', '.join(_TREE_UPDATERS)}.")
    elif sum(updater in _GROWERS for updater in updaters) > 1:
        raise UserError(f"Only one tree grow plugin can be selected. Choose one from: {', '.join(_GROWERS)}")


def _check_constraints(values: Mapping[str, Any]) -> None:
    method = values.get("tree_method")
    if "monotone_constraints" in values and method not in ("exact", "hist"):
        raise UserError(
            "monotone_constraints can be used only when the tree_method parameter is set to either 'exact' or 'hist'."
        )
    if "interaction_constraints" in values and method not in ("exact", "hist", "approx"):
        raise UserError(
            "interaction_constraints can be used only when the tree_method parameter is set to either 'exact', 'hist' "
            "or 'approx'."
        )
