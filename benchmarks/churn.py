"""Churn's tuned classifier beside published settings, defaults, a logistic regression and the ceiling; and its gate.

Run it with `python -m benchmarks.churn`. Each repetition has 5,000 customers of its own, drawn anew; ranges and fixed
hyperparameters were chosen on others (seeds from 1000). The ceiling is the true probabilities on the same test rows.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np
import xgboost
from scipy import stats

from benchmarks.gate import SHUFFLED, Retraining, counts
from benchmarks.gate import interval as share_interval
from churn_model.customers import Generated, ceiling, draw, probabilities
from churn_model.gather_data import DATA
from churn_model.train_register import TRAINING
from common.data.dataset import from_csv, read_records
from common.data.schema import Number
from common.evaluation.baselines import baselines
from common.evaluation.intervals import score
from common.evaluation.metrics import Values, evaluate
from common.training import Choice, Integer, Tuning

REPETITIONS = 24
_OTHER_CUSTOMERS = 500
"""Added to a seed: those that a champion was trained on."""
_MIDDLE: dict[str, str | int | float] = {"eta": 0.1, "max_depth": 3, "alpha": 3}
"""Of the ranges, for models that are compared as the gate does, and not tuned."""
METRICS = {"roc_auc": 1, "pr_auc": 1, "log_loss": -1}
"""Those that are shown, and whether more is better (1) or worse (-1)."""
Hyperparameters = dict[str, str | int | float]
DEFAULTS: Hyperparameters = {"objective": "binary:logistic", "num_round": 100}
PUBLISHED: Hyperparameters = DEFAULTS | {
    "max_depth": 5,
    "eta": 0.2,
    "gamma": 4,
    "min_child_weight": 6,
    "subsample": 0.8,
}


def candidates(tuning: Tuning, random: np.random.Generator) -> Iterator[Hyperparameters]:
    """One set of values for each training job, at random: so few are what a Bayesian search begins with, too."""
    for _ in range(tuning.jobs):
        values: Hyperparameters = {}
        for name, allowed in tuning.ranges.items():
            if isinstance(allowed, Choice):
                values[name] = str(random.choice(allowed.values))
            elif isinstance(allowed, Integer):
                values[name] = int(random.integers(allowed.low, allowed.high, endpoint=True))
            elif allowed.scale == "Logarithmic":
                values[name] = float(np.exp(random.uniform(np.log(allowed.low), np.log(allowed.high))))
            else:
                values[name] = float(random.uniform(allowed.low, allowed.high))
        yield values


def trained(hyperparameters: Hyperparameters, train: Values) -> xgboost.Booster:
    """A model trained on one core as the built-in algorithm would."""
    parameters = {name: value for name, value in hyperparameters.items() if name != "num_round"}
    matrix = xgboost.DMatrix(train[:, 1:], train[:, 0], nthread=1)
    return xgboost.train({"nthread": 1, **parameters}, matrix, num_boost_round=int(hyperparameters["num_round"]))


def scores(booster: xgboost.Booster, rows: Values) -> Values:
    return np.asarray(booster.predict(xgboost.DMatrix(rows[:, 1:], nthread=1)), dtype=float)


def tuned(seed: int, train: Values, validation: Values) -> xgboost.Booster:
    """The best on the validation rows, as a tuning job chooses it; by log loss, which is the gate's metric."""
    assert TRAINING.tuning is not None
    tried = candidates(TRAINING.tuning, np.random.default_rng(seed))
    boosters = [trained({**TRAINING.hyperparameters, **values}, train) for values in tried]

    def loss(booster: xgboost.Booster) -> float:
        return evaluate("binary_classification", validation[:, 0], scores(booster, validation))["log_loss"]

    return min(boosters, key=loss)


@dataclass(frozen=True)
class Repetition:
    metrics: dict[str, dict[str, float]]
    """Of each predictor on the test rows."""
    retraining: Retraining


def prepared(seed: int) -> tuple[Values, Values, Values, Values]:
    """Training, validation and test rows of customers of their own, and the true probabilities of the test rows."""
    dataset = replace(DATA, source=Generated(seed=seed))
    files = dataset.prepare(dataset.read()).files
    train, validation, test = (from_csv(files[f"{name}/{name}.csv"]) for name in ("train", "validation", "test"))
    numbers = [column.name for column in DATA.columns.inputs if isinstance(column, Number)]
    records = read_records(files["records/test.csv"], numbers)
    return train, validation, test, probabilities({str(name): records[name].to_numpy() for name in records})


def repetition(seed: int) -> Repetition:
    """What each predictor reaches on the test rows, and what the gate is to judge on them."""
    train, validation, test, chances = prepared(seed)
    predicted = {
        "ceiling": chances,
        "tuned": scores(tuned(seed, train, validation), test),
        "published": scores(trained(PUBLISHED, train), test),
        "defaults": scores(trained(DEFAULTS, train), test),
        **baselines("binary_classification", train, test),
    }
    metrics = {name: evaluate("binary_classification", test[:, 0], values) for name, values in predicted.items()}
    return Repetition(metrics, retraining(seed, train, test))


def retraining(seed: int, train: Values, test: Values) -> Retraining:
    """A champion of other customers, an equal challenger, and one that learns from labels of which some were shuffled."""
    random, dealt = np.random.default_rng(seed), train.copy()
    chosen = random.choice(len(train), round(SHUFFLED * len(train)), replace=False)
    dealt[chosen, 0] = random.permutation(dealt[chosen, 0])
    recipe = {**TRAINING.hyperparameters, **_MIDDLE}
    models = [
        trained(recipe | {"seed": number}, rows)
        for number, rows in enumerate((prepared(seed + _OTHER_CUSTOMERS)[0], train, dealt))
    ]
    return Retraining(*(score("binary_classification", test[:, 0], scores(model, test)) for model in models))


def interval(gains: Values) -> float:
    """Half the 95 % interval of the mean gain; the repetitions share no rows, so that they are independent."""
    return float(stats.t.ppf(0.975, len(gains) - 1) * stats.sem(gains))


def cell(results: list[Repetition], name: str, metric: str) -> str:
    values, chosen = (np.array([result.metrics[who][metric] for result in results]) for who in (name, "tuned"))
    gain = METRICS[metric] * (chosen - values)
    gained = f"({gain.mean():+.3f} ± {interval(gain):.3f})" if name != "tuned" else ""
    return f"{metric} {values.mean():.3f} {gained:<16}"


def main() -> None:
    started = time.monotonic()
    # Not forked: OpenMP's threads, which the caller may have started, do not survive a fork.
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(repetition, range(REPETITIONS)))
    best = ceiling(probabilities(draw(200_000, 0)))
    expected = ", ".join(f"{name} {value:.3f}" for name, value in best.items())
    print(f"churn, {REPETITIONS} × 5,000 synthetic customers; the most that can be expected: {expected}")
    print("metric on the test rows, and what the tuned model gains, with its paired 95 % interval")
    for name in results[0].metrics:
        print(f"  {name:<10} {'   '.join(cell(results, name, metric) for metric in METRICS)}".rstrip())
    print("share of retrainings that the gate refuses, with its 95 % interval")
    refused = counts([result.retraining for result in results], TRAINING.gate)
    for name, count in refused._asdict().items():
        low, high = share_interval(count, REPETITIONS)
        print(f"  {name:<22} {count / REPETITIONS:.0%} ({low:.0%} to {high:.0%})")
    print(f"  ({time.monotonic() - started:.1f} s)")


if __name__ == "__main__":
    main()
