import json
from dataclasses import replace

import numpy as np
import pytest

from common.errors import ArtifactError, TrainingError
from common.evaluation.fleet import FleetChampion, assess_fleet
from common.evaluation.fleet_duel import compare, log_ratios
from common.evaluation.fleet_parts import read_parts, scores_of
from tests.fleets import GATE, entry, errors, fleet, part_file, parts_of


def test_parts_are_united_and_the_final_parameters_left_in_the_archives() -> None:
    parts = read_parts(
        [
            ("a", part_file({"8": entry(1.0)}, {"9": "one reading only"})),
            ("b", part_file({"10": entry(2.0)}, {"11": "no reading is finite"})),
        ]
    )
    assert list(parts.customers) == ["8", "10"]
    assert "parameters" not in parts.customers["8"]
    assert parts.customers["8"]["before"] == {"level": 1.0}
    assert parts.set_aside == {"9": "one reading only", "11": "no reading is finite"}


def test_a_customer_in_two_parts_is_refused() -> None:
    with pytest.raises(ArtifactError, match="b and a part before it both hold customer 8 "):
        read_parts([("a", part_file({"8": entry(1.0)})), ("b", part_file({"8": entry(1.0)}))])


@pytest.mark.parametrize("content", [b"", b"{}", part_file({})[:-9], b"\x1f\x8b\x08 not gzip at all"])
def test_a_damaged_part_is_named(content: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"^part-00007.json.gz is no part of a fleet"):
        read_parts([("part-00007.json.gz", content)])


def test_scores_are_those_of_the_customers_with_a_holdout() -> None:
    parts = parts_of({"b": entry(2.0, 3.0), "a": entry(1.0), "short": entry(9.0, holdout=False)})
    scores = scores_of(parts, compared=True)
    assert scores.customers == ("a", "b")
    assert scores.mae.tolist() == [1.0, 2.0]
    assert np.isnan(scores.champion[0])
    assert scores.champion[1] == 3.0
    assert np.isnan(scores_of(parts, compared=False).champion).all()


def test_metrics_are_over_all_readings_and_the_mase_is_the_median_customers() -> None:
    heavy = entry(4.0, coverage80=0.5)
    heavy["holdout"]["n"] = 84
    evaluation = assess_fleet(
        GATE, 0, parts_of({"a": entry(1.0), "b": entry(2.0), "c": heavy}), FleetChampion(reason="x")
    )
    metrics = evaluation.figures.metrics
    assert metrics["mae"] == pytest.approx((28 * 1 + 28 * 2 + 84 * 4) / 140)
    assert metrics["coverage80"] == pytest.approx((28 * 0.8 + 28 * 0.8 + 84 * 0.5) / 140)
    assert metrics["mase"] == pytest.approx(2.0 / 1.2)


def test_a_customer_whose_naive_forecast_never_errs_has_no_mase_and_takes_none_from_the_others() -> None:
    constant = entry(0.5)
    constant["holdout"]["mase"] = None
    evaluation = assess_fleet(GATE, 0, parts_of({"a": entry(1.0), "b": constant}), FleetChampion())
    assert evaluation.figures.metrics["mase"] == pytest.approx(1.0 / 1.2)
    assert evaluation.figures.intervals["mase"].low == pytest.approx(1.0 / 1.2)


def test_the_interval_of_a_metric_holds_it_as_often_as_it_says() -> None:
    """40 fleets whose true median and mean are known from a thousand times as many customers."""
    random = np.random.default_rng(1)
    [many] = errors(random, 200_000, 1)
    held = {"mae": 0, "mase": 0}
    for _ in range(40):
        [mae] = errors(random, 150, 1)
        evaluation = assess_fleet(
            GATE, 0, parts_of({str(i): entry(value) for i, value in enumerate(mae)}), FleetChampion()
        )
        for name, true in (("mae", many.mean()), ("mase", np.median(many) / 1.2)):
            interval = evaluation.figures.intervals[name]
            held[name] += bool(interval.low <= true <= interval.high)
    assert min(held.values()) >= 34  # fewer than one in a thousand has so few at 95 %


def test_who_loses_and_wins_is_symmetric_and_measured_by_the_margin() -> None:
    mae, rival = np.array([1.0, 1.1, 1.2, 1.0, 1.0, np.nan]), np.array([1.0, 1.0, 1.0, 1.1, 1.2, 1.0])
    duel = compare(mae, rival, np.full(6, 28.0), margin=0.15)
    assert duel is not None
    assert (duel.customers, duel.losers, duel.winners) == (5, 1, 1)
    assert duel.ratio == pytest.approx(1.0)
    assert duel.excess == 0


def test_the_ratio_is_the_geometric_mean_and_one_absurd_customer_does_not_decide_it() -> None:
    assert log_ratios(np.array([0.0, 1.0, 0.0, 2.0]), np.array([0.0, 0.0, 1.0, 1.0])).tolist() == pytest.approx(
        [0, np.log(100), -np.log(100), np.log(2)]
    )
    duel = compare(np.array([2.0, 1.0]), np.array([1.0, 2.0]), np.ones(2), 0.1)
    assert duel is not None
    assert duel.ratio == pytest.approx(1)


def test_new_dropped_kept_and_set_aside_customers_are_told_apart() -> None:
    population = fleet().figures.population
    assert population.new == ("1",)
    assert population.dropped == ("gone",)
    assert population.kept == ("7",)
    assert population.short == ("3",)
    assert population.set_aside == {"7": "no reading is finite", "8": "one reading only"}
    assert (population.seen, population.served, population.before) == (400, 399, 399)


def test_a_customer_set_aside_whose_model_cannot_be_kept_loses_it() -> None:
    parts = parts_of({"a": entry(1.0, 1.0)}, {"b": "one reading only", "c": "one reading only"})
    champion = FleetChampion("version 2", ["a", "b", "c"], kept=["b"])
    population = assess_fleet(GATE, 1, parts, champion).figures.population
    assert (population.kept, population.dropped, population.served) == (("b",), ("c",), 2)


def test_reasons_that_differ_in_numbers_and_quoted_texts_are_of_one_kind() -> None:
    aside = {
        "a": "a value above 1,000 in 1 of 730 readings; the highest is 1e30",
        "b": "a value above 1,000 in 12 of 60 readings; the highest is 1001.5",
        "c": "a time in the future in 1 of 9 readings: the last is of 2999-01-01",
        "d": "no number in 1 of 730 readings, e.g. 'n/a'",
        "e": 'no number in 2 of 730 readings, e.g. "it\'s"',
        "f": "one reading only",
        "g": "one reading only",
        "h": "no number in 3 of 9 readings, e.g. '12,5'",
    }
    population = assess_fleet(GATE, 1, parts_of({"x": entry(1.0)}, aside), FleetChampion()).figures.population
    assert population.reasons == [
        ("no number in … of … readings, e.g. …", ("d", "e", "h")),
        ("a value above … in … of … readings; the highest is …", ("a", "b")),
        ("one reading only", ("f", "g")),
        (aside["c"], ("c",)),
    ]


def test_without_a_champion_nobody_is_new_or_gone() -> None:
    evaluation = fleet(champion=False)
    population = evaluation.figures.population
    assert (population.new, population.dropped, population.before) == ((), (), None)
    assert evaluation.figures.champion is None
    assert evaluation.no_champion == "no package of the registry is deployed"


def test_the_worst_customers_are_those_that_lose_most() -> None:
    customers = {name: entry(2.0, rival) for name, rival in (("a", 2.0), ("b", 0.5), ("c", 1.0), ("d", None))}
    parts = parts_of(customers)
    assert assess_fleet(GATE, 0, parts, FleetChampion("version 1", customers)).worst == ("b", "c", "a")
    customers["d"]["holdout"]["naive_mae"] = 0.1
    assert assess_fleet(GATE, 0, parts_of(customers), FleetChampion()).worst[0] == "d"


def test_a_champion_that_could_not_be_scored_is_named_with_the_reason() -> None:
    parts = parts_of({"a": entry(1.0)})
    lost = assess_fleet(GATE, 0, parts, FleetChampion("version 2", ["a"], reason="its parts are gone"))
    assert (lost.champion, lost.no_champion) == ("version 2", "its parts are gone")
    unseen = assess_fleet(GATE, 0, parts, FleetChampion("version 2", ["a"]))
    assert unseen.no_champion == "none of its customers could be scored on readings that it had not seen"


def test_a_fleet_of_which_nothing_can_be_scored_is_an_error_with_the_reasons() -> None:
    with pytest.raises(TrainingError, match=r"0 were fitted, .* and 2 set aside \(2: one reading only\)"):
        assess_fleet(GATE, 1, parts_of({}, {"a": "one reading only", "b": "one reading only"}), FleetChampion())


def test_the_document_is_json_with_what_sagemaker_reads() -> None:
    evaluation = fleet()
    document = json.loads(json.dumps(evaluation.document(), allow_nan=False))
    assert document["regression_metrics"]["mae"]["value"] == evaluation.figures.metrics["mae"]
    assert document["regression_metrics"]["mae"]["standard_deviation"] > 0
    assert document["customers"]["set_aside"] == {"7": "no reading is finite", "8": "one reading only"}
    assert document["rivals"]["champion"]["customers"] == 396
    assert document["gate"]["passed"] is True
    assert replace(evaluation, champion="").document()["champion"]["package"] == ""
