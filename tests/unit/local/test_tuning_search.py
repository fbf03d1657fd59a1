"""What the strategies of a tuning job try."""

from collections import Counter
from typing import Any

import pytest

from common.local.tuning.ranges import read_ranges
from common.local.tuning.search import Search

X: dict[str, Any] = {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "10"}]}
GRID: dict[str, Any] = {
    "CategoricalParameterRanges": [{"Name": "a", "Values": ["1", "2", "3"]}, {"Name": "b", "Values": ["u", "v"]}]
}


def config(strategy: str, ranges: dict[str, Any], **members: Any) -> dict[str, Any]:
    objective = {"Type": members.pop("type", "Minimize"), "MetricName": "m"}
    return {
        "Strategy": strategy,
        "ParameterRanges": ranges,
        "HyperParameterTuningJobObjective": objective,
        "RandomSeed": 1,
        **members,
    }


def search(strategy: str, ranges: dict[str, Any] = X, max_resource: int | None = None, **members: Any) -> Search:
    given = config(strategy, ranges, **members)
    return Search(given, read_ranges(given), max_resource)


def run(found: Search, trials: int, target: float = 3.0, sign: int = 1) -> list[float]:
    """The values of x that are tried, one after another, when the objective is the distance from a target."""
    tried = []
    for _ in range(trials):
        number, values = found.ask()
        tried.append(float(values["x"]))
        found.tell(number, sign * abs(tried[-1] - target))
    return tried


def distance(tried: list[float], target: float = 3.0) -> float:
    return min(abs(x - target) for x in tried)


@pytest.mark.parametrize("strategy", ["Bayesian", "Random"])
def test_the_same_seed_gives_the_same_trials_and_another_seed_others(strategy: str) -> None:
    assert run(search(strategy), 8) == run(search(strategy), 8) != run(search(strategy, RandomSeed=2), 8)


def test_values_are_texts_within_the_range() -> None:
    for _ in range(20):
        _, values = search("Random").ask()
        assert list(values) == ["x"]
        assert 0 <= float(values["x"]) <= 10


@pytest.mark.parametrize(("direction", "sign"), [("Minimize", 1), ("Maximize", -1)])
def test_bayesian_search_comes_nearer_than_random_search(direction: str, sign: int) -> None:
    def total(strategy: str) -> float:
        tries = [run(search(strategy, type=direction, RandomSeed=seed), 20, sign=sign) for seed in range(8)]
        return sum(distance(tried) for tried in tries)

    assert total("Bayesian") < total("Random") / 2


def test_grid_search_tries_every_combination_once() -> None:
    found = search("Grid", GRID)
    tried = Counter(tuple(found.ask()[1].values()) for _ in range(6))
    assert tried == Counter((a, b) for a in "123" for b in "uv")


def test_parallel_trials_of_a_bayesian_search_differ() -> None:
    found = search("Bayesian")
    run(found, 10)
    at_once = [found.ask()[1]["x"] for _ in range(5)]
    assert len(set(at_once)) == 5


def test_parents_trials_lead_a_new_search_to_their_best_at_once() -> None:
    def first_trials(seed: int, warm: bool) -> float:
        found = search("Bayesian", RandomSeed=seed)
        if warm:
            for x in [0.5 * step for step in range(21)]:
                assert found.add_prior({"x": str(x), "num_round": "3"}, abs(x - 3))
        return distance(run(found, 3))

    assert (
        sum(first_trials(seed, warm=True) for seed in range(8))
        < sum(first_trials(seed, warm=False) for seed in range(8)) / 2
    )


@pytest.mark.parametrize("hyperparameters", [{"x": "11"}, {"x": "-1"}, {"x": "text"}, {"y": "3"}])
def test_a_parents_trial_outside_of_the_range_is_skipped(hyperparameters: dict[str, str]) -> None:
    assert not search("Bayesian").add_prior(hyperparameters, 0.0)


def test_failed_and_stopped_trials_do_not_end_the_search() -> None:
    found = search("Bayesian")
    for objective, stopped_after in ((None, None), (5.0, 3), (None, 2), (1.0, None)) * 4:
        number, _ = found.ask()
        found.tell(number, objective, stopped_after=stopped_after)
    assert found.ask()[0] == 16


def test_hyperband_stops_most_bad_trials_before_their_end_and_not_the_best() -> None:
    found = search("Hyperband", max_resource=27)
    ended: dict[float, int] = {}
    for _ in range(30):
        number, values = found.ask()
        level = abs(float(values["x"]) - 3)
        curve: list[float] = []
        while len(curve) < 27:
            curve.append(level)
            if found.stops(number, curve):
                break
        ended[level] = len(curve)
        found.tell(number, level, stopped_after=None if len(curve) == 27 else len(curve))
    assert ended[min(ended)] == 27
    assert sum(epochs < 27 for epochs in ended.values()) > 10


def test_hyperband_stops_no_trial_before_its_least_resource_and_every_one_beyond_the_most() -> None:
    hyperband = {"HyperbandStrategyConfig": {"MinResource": 5, "MaxResource": 9}}
    found = search("Hyperband", max_resource=9, StrategyConfig=hyperband)
    for bad in range(20):
        number, _ = found.ask()
        curve = [float(bad)] * 4
        assert not any(found.stops(number, curve[:epochs]) for epochs in range(1, 5))
        found.tell(number, float(bad))
    number, _ = found.ask()
    assert not found.stops(number, [-1.0] * 9)
    assert found.stops(number, [-1.0] * 10)


def test_only_hyperband_looks_at_epochs() -> None:
    found = search("Random")
    number, _ = found.ask()
    assert not found.stops(number, [1e9] * 1000)
