import re

import pytest

from common.local.containers.base import UserError
from common.local.containers.hyperparameters import validate


def test_values_become_numbers_texts_and_lists() -> None:
    assert validate({"num_round": "50", "eta": "0.2", "objective": "reg:linear", "eval_metric": "rmse,mae"}) == {
        "num_round": 50,
        "eta": 0.2,
        "objective": "reg:linear",
        "eval_metric": ["rmse", "mae"],
    }


@pytest.mark.parametrize(
    ("alias", "name"),
    [("learning_rate", "eta"), ("min_split_loss", "gamma"), ("reg_lambda", "lambda"), ("reg_alpha", "alpha")],
)
def test_an_alias_stands_for_its_name(alias: str, name: str) -> None:
    assert validate({"num_round": "1", alias: "0.5"})[name] == 0.5


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ({}, "Missing required hyperparameter: num_round"),
        ({"depth": "3"}, "Extraneous hyperparameter found: depth"),
        ({"eta": "1.5"}, "Hyperparameter eta: 1.5 is not in [0, 1]"),
        ({"eta": "fast"}, "Hyperparameter eta: could not parse value (caused by ValueError)"),
        ({"num_round": "0"}, "Hyperparameter num_round: 0 is not in [1, +inf)"),
        ({"num_round": "1.5"}, "Hyperparameter num_round: could not parse value (caused by ValueError)"),
        ({"booster": "gbforest"}, "Hyperparameter booster: gbforest is not in ['gbtree', 'gblinear', 'dart']"),
        ({"eval_metric": "rmse,quality"}, "Hyperparameter eval_metric: value ['rmse', 'quality'] not in range"),
        ({"eval_metric": "rmse@2"}, "Metric 'rmse@2' is not supported."),
        ({"eval_metric": "error@x"}, "Threshold value 't' in 'error@t' expects float input."),
        ({"eval_metric": "auc"}, "Metric 'auc' can only be applied for classification and ranking problems."),
        ({"eval_metric": "aft-nloglik"}, "Metric 'aft-nloglik' can only be applied for 'survival:aft' objective."),
        ({"objective": "multi:softmax"}, "Require input for parameter 'num_class' for multi-classification"),
        ({"objective": "reg:magic"}, "Hyperparameter objective: reg:magic is not in ["),
        ({"updater": "grow_colmaker,grow_histmaker"}, "Only one tree grow plugin can be selected."),
        ({"updater": "shotgun"}, "Tree updater should be selected from these options"),
        ({"updater": "prune", "booster": "gblinear"}, "Linear updater should be one of these options"),
        ({"updater": "sync", "process_type": "update"}, "process_type 'update' can only be used with updater"),
        ({"monotone_constraints": "(1,0)"}, "monotone_constraints can be used only when the tree_method"),
        ({"monotone_constraints": "(1,2)", "tree_method": "hist"}, "value (1, 2) not in range [-1, 0, 1]"),
        ({"interaction_constraints": "[[1,2]]"}, "interaction_constraints can be used only when the tree_method"),
        ({"interaction_constraints": "[[0]]", "tree_method": "hist"}, "value [[0]] not in range [1, +inf)"),
        ({"interaction_constraints": "__import__('os')", "tree_method": "hist"}, "could not parse value"),
    ],
)
def test_a_bad_hyperparameter_is_refused_in_the_images_words(hyperparameters: dict[str, str], message: str) -> None:
    given = {"num_round": "10"} | hyperparameters if hyperparameters else {}
    with pytest.raises(UserError, match=re.escape(message)):
        validate(given)


_RANGES = [
    ("early_stopping_rounds", "1", "0"),
    ("eta", "1", "1.01"),
    ("eta", "0", "-0.01"),
    ("gamma", "0", "-1"),
    ("max_depth", "0", "-1"),
    ("min_child_weight", "0", "-1"),
    ("max_delta_step", "0", "-1"),
    ("subsample", "1", "0"),
    ("colsample_bytree", "0.1", "0"),
    ("colsample_bylevel", "1", "1.1"),
    ("colsample_bynode", "1", "0"),
    ("lambda", "0", "-1"),
    ("alpha", "0", "-1"),
    ("max_bin", "0", "-1"),
    ("max_leaves", "0", "-1"),
    ("scale_pos_weight", "0.1", "0"),
    ("num_parallel_tree", "1", "0"),
    ("num_class", "2", "1"),
    ("verbosity", "3", "4"),
    ("tweedie_variance_power", "1.5", "2"),
    ("tweedie_variance_power", "1.01", "1"),
    ("tree_method", "gpu_hist", "fast"),
    ("grow_policy", "lossguide", "wide"),
    ("process_type", "update", "new"),
    ("sampling_method", "gradient_based", "none"),
    ("csv_weights", "1", "2"),
    ("_kfold", "2", "1"),
    ("save_model_on_termination", "true", "yes"),
    ("_tuning_objective_metric", "validation:rmse", "train:rmse"),
    ("seed", "-5", str(2**31)),
]


@pytest.mark.parametrize(("name", "accepted", "refused"), _RANGES)
def test_each_range_ends_where_the_image_ends_it(name: str, accepted: str, refused: str) -> None:
    assert name in validate({"num_round": "1", name: accepted})
    with pytest.raises(UserError, match=f"Hyperparameter {name}: .* is not in"):
        validate({"num_round": "1", name: refused})
