from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from common.errors import UsageError
from common.evaluation.fleet import FleetChampion, FleetEvaluation, assess_fleet
from common.evaluation.fleet_duel import compare
from common.evaluation.fleet_gate import FleetGate
from tests.fleets import GATE, Numbers, entry, errors, fleet, parts_of

CUSTOMERS = 1000
Change = Callable[[np.random.Generator, Numbers, Numbers], tuple[Numbers, Numbers]]


def failed(evaluation: FleetEvaluation) -> list[str]:
    return [check.name for check in evaluation.verdict.checks if not check.passed]


def test_an_equal_fleet_passes_every_check() -> None:
    evaluation = fleet()
    assert failed(evaluation) == []
    assert len(evaluation.verdict.checks) == 6


@pytest.mark.parametrize(
    ("worse", "worse_share"), [(1.1, 1.0), (3.0, 0.1)], ids=["all a little worse", "one in ten far worse"]
)
def test_a_degraded_fleet_is_refused_for_its_losers(worse: float, worse_share: float) -> None:
    evaluation = fleet(worse=worse, worse_share=worse_share)
    assert "customers against the champion" in failed(evaluation)
    assert "customers lose to their champion" in evaluation.verdict.reason


def test_without_a_champion_the_fleet_is_held_against_the_rest() -> None:
    names = [check.name for check in fleet(champion=False).verdict.checks]
    assert names == [
        "mase at most 1", "coverage of the 80 % interval", "customers against the naive forecast", "customers set aside",
    ]  # fmt: skip


def decided(customers: dict[str, Any], champion: FleetChampion | None = None, **aside: str) -> list[str]:
    return failed(assess_fleet(GATE, 0.02, parts_of(customers, aside), champion or FleetChampion()))


def test_a_fleet_that_is_no_better_than_the_naive_forecast_is_refused() -> None:
    assert decided({str(i): entry(1.5, naive=1.3) for i in range(50)}) == [
        "mase at most 1",
        "customers against the naive forecast",
    ]


def test_losing_to_the_naive_forecast_has_to_be_sure() -> None:
    def names(losers: int) -> list[str]:
        return decided({str(i): entry(1.0, naive=0.5 if i < losers else 1.3) for i in range(100)})

    assert names(12) == []
    assert names(20) == ["customers against the naive forecast"]


@pytest.mark.parametrize(("coverage", "refused"), [(0.6, True), (0.74, False), (0.8, False), (0.86, False), (1, True)])
def test_coverage_has_to_be_within_its_bounds_as_far_as_chance_allows(coverage: float, refused: bool) -> None:
    random = np.random.default_rng(0)
    customers = {str(i): entry(1.0, coverage80=random.binomial(28, coverage) / 28) for i in range(40)}
    assert (decided(customers) == ["coverage of the 80 % interval"]) is refused


def test_more_set_aside_than_the_tolerance_is_refused_with_the_commonest_reasons() -> None:
    customers = {str(i): entry(1.0) for i in range(97)}
    aside = {"a": "one reading only", "b": "one reading only", "c": "no reading is finite"}
    evaluation = assess_fleet(GATE, 0.02, parts_of(customers, aside), FleetChampion())
    assert failed(evaluation) == ["customers set aside"]
    assert evaluation.verdict.reason == (
        "3 of 100 customers are set aside (3.0 %), 2.0 % may be; the commonest reasons: "
        "2: one reading only; 1: no reading is finite"
    )
    assert failed(assess_fleet(GATE, 0.03, parts_of(customers, aside), FleetChampion())) == []


def test_more_customers_that_lose_their_model_than_may_is_refused() -> None:
    customers = {str(i): entry(1.0, 1.0) for i in range(90)}
    champion = FleetChampion("version 1", [*customers, "gone", "lost"])
    assert decided(customers, champion) == ["customers without a model"]


def test_a_figure_that_is_no_number_passes_no_check() -> None:
    nothing = entry(1.0, naive=1.0)
    nothing["holdout"] |= {"mase": None, "coverage80": None, "naive_mae": None}
    assert decided({"a": nothing}) == [
        "mase at most 1",
        "coverage of the 80 % interval",
        "customers against the naive forecast",
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"at_most_mase": 0}, "at_most_mase is not above 0"),
        ({"margin": -0.1}, "margin is below 0"),
        ({"may_lose_share": 2}, "may_lose_share is not from 0 to 1"),
        ({"may_drop_share": float("nan")}, "may_drop_share is not from 0 to 1"),
        ({"naive_lose_share": -1}, "naive_lose_share is not from 0 to 1"),
        ({"coverage": (0.85, 0.9)}, "does not hold 0.8"),
        ({"confidence": 0.3}, "is not from 0.5 to 0.999"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        FleetGate(**({"at_most_mase": 1.0} | wrong))


def equal(_: np.random.Generator, mine: Numbers, its: Numbers) -> tuple[Numbers, Numbers]:
    return mine, its


def all_worse(_: np.random.Generator, mine: Numbers, its: Numbers) -> tuple[Numbers, Numbers]:
    return 1.05 * mine, its


def some_broken(_: np.random.Generator, mine: Numbers, its: Numbers) -> tuple[Numbers, Numbers]:
    return np.where(np.arange(len(mine)) < 0.1 * len(mine), 2 * mine, mine), its


def refusals(fleets: int, change: Change, seed: int) -> tuple[float, float]:
    """The shares of fleets that the gate refuses, and that a count of losers alone would refuse."""
    random, gate = np.random.default_rng(seed), GATE
    refused = plain = 0
    for _ in range(fleets):
        mine, its = change(random, *errors(random, CUSTOMERS, 2))
        duel = compare(mine, its, np.full(CUSTOMERS, 28.0), gate.margin)
        assert duel is not None
        refused += duel.excess_at_least(gate.deviations) > gate.may_lose_share
        plain += duel.losers_share > gate.may_lose_share
    return refused / fleets, plain / fleets


def test_equal_fleets_pass_though_each_has_many_losers_and_degraded_ones_do_not() -> None:
    false_alarms, by_count = refusals(25, equal, seed=0)
    assert false_alarms <= 0.08
    assert by_count == 1, "a count of losers would refuse every equal fleet"
    assert refusals(25, some_broken, seed=1)[0] >= 0.92


def test_a_fleet_that_loses_just_what_is_allowed_is_refused_as_rarely_as_declared() -> None:
    """Exactly, over the binomial counts of winners and losers: their excess is 2 %, in fleets of many sizes."""
    random, gate = np.random.default_rng(0), GATE
    for customers in (50, 200, 1000):
        counts = random.multinomial(customers, [0.22, 0.2, 0.58], 3000)
        lose, win = (counts[:, :2].T + 0.5) / (customers + 2)
        bound = lose - win - gate.deviations * np.sqrt((lose + win - (lose - win) ** 2) / (customers + 2))
        assert 0.035 <= (bound > gate.may_lose_share).mean() <= 0.065


@pytest.mark.long
def test_the_share_of_false_alarms_over_many_fleets() -> None:
    assert refusals(1000, equal, seed=2)[0] <= 0.03
    assert refusals(1000, some_broken, seed=3)[0] >= 0.95
    assert refusals(1000, all_worse, seed=4)[0] >= 0.98
