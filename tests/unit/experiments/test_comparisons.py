"""Captured files, truth, assignment, pairs and arms."""

import base64
import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from common.errors import DataError
from common.experiments.ab_report import ab_report
from common.experiments.arms import Outcomes, outcomes, stand
from common.experiments.assignment import assigned_variant, new_inference_id, unit_of
from common.experiments.losses import loss_for
from common.experiments.outcomes import Answer, read_answers, read_truth
from common.experiments.paired import compare, pair
from common.experiments.report import Report
from common.experiments.run import Running
from common.experiments.shadow_report import shadow_report
from common.experiments.shift import shift
from common.experiments.traffic import Traffic
from common.model import ROOT, Model
from tests.pages import Page

MODEL = Model("churn", "Who leaves", "Churn?", "binary_classification")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BUSY = Traffic(1000, 3, 1, 4.25, 20.5)


def line(body: str, answer: str, *, kind: str = "application/json", encoding: str = "JSON", given: str = "") -> str:
    return json.dumps(
        {
            "captureData": {
                "endpointInput": {"observedContentType": kind, "mode": "INPUT", "data": body, "encoding": encoding},
                "endpointOutput": {"observedContentType": kind, "mode": "OUTPUT", "data": answer, "encoding": encoding},
            },
            "eventMetadata": {
                "eventId": f"event of {body}",
                "inferenceTime": "2026-03-01T12:00:00Z",
                **({"inferenceId": given} if given else {}),
            },
            "eventVersion": "0",
        }
    )


def answer(number: int, probability: float, label: str = "no", unit: str = "") -> Answer:
    moment = f"2026-03-01T12:{number // 60 % 60:02d}:{number % 60:02d}Z"
    return Answer(f"r{number}", f"r{number}", unit or f"r{number}", moment, (probability,), (label,))


def test_captured_answers_are_read_from_json_csv_and_base64_and_errors_are_left_out() -> None:
    found = '{"predictions": [{"probability": 0.75, "label": "yes"}, {"probability": 0.5, "label": "no"}]}'
    encoded = base64.b64encode(found.encode()).decode()
    answers = read_answers(
        [
            line("a", found, given="0123456789abcdef-1"),
            line("b", "0.25,no\n", kind="text/csv", encoding="CSV"),
            line("c", encoded, encoding="BASE64"),
            line("d", '{"predictions": [{"prediction": 9.5}]}'),
            line("e", '{"error": "record 1: missing"}'),
            "no JSON",
        ]
    )
    assert [each.predictions for each in answers] == [(0.75, 0.5), (0.25,), (0.75, 0.5), (9.5,)]
    assert [each.labels for each in answers] == [("yes", "no"), ("no",), ("yes", "no"), ()]
    assert (answers[0].event, answers[0].unit) == ("0123456789abcdef-1", "0123456789abcdef")
    assert answers[1].event == answers[1].unit == "event of b"


def test_truth_is_read_by_labels_and_numbers() -> None:
    def truth(event: str, data: object, encoding: str = "CSV") -> str:
        return json.dumps(
            {"groundTruthData": {"data": data, "encoding": encoding}, "eventMetadata": {"eventId": event}}
        )

    lines = [truth("a", "yes"), truth("b", "0,1"), "", truth("c", "[1, 0]", "JSON"), truth("d", "bm8=", "BASE64")]
    found = read_truth("t", lines, ("no", "yes"))
    assert found == {"a": (1.0,), "b": (0.0, 1.0), "c": (1.0, 0.0), "d": (0.0,)}
    assert read_truth("t", [truth("e", "9.5")], ()) == {"e": (9.5,)}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "t.jsonl, line 1, is no ground truth: "),
        ('{"groundTruthData": {"data": "1", "encoding": "CSV"}}', "it lacks 'eventMetadata'"),
        ('{"groundTruthData": {"data": "2", "encoding": "CSV"}, "eventMetadata": {"eventId": "a"}}', "neither 0 nor 1"),
        ('{"groundTruthData": {"data": "maybe", "encoding": "CSV"}, "eventMetadata": {"eventId": "a"}}', "'maybe'"),
    ],
)
def test_truth_that_is_none_is_refused_by_file_and_line(text: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_truth("t.jsonl", [text], ("no", "yes"))


def test_a_key_keeps_its_variant_and_the_variants_get_their_shares() -> None:
    weights = {"v3": 90.0, "v5": 10.0}
    keys = [f"customer-{number}" for number in range(20_000)]
    dealt = [assigned_variant(key, weights) for key in keys]
    assert dealt == [assigned_variant(key, {"v5": 0.1, "v3": 0.9, "v7": 0.0}) for key in keys]
    assert Counter(dealt)["v5"] == pytest.approx(2000, abs=150)
    # Other callers compute it, too: this example is the one of the documentation.
    assert assigned_variant("customer-17", {"v3": 50.0, "v5": 50.0}) == "v3"


def test_the_documented_recipe_deals_every_key_as_the_project_does() -> None:
    text = (ROOT / "docs/experiments.md").read_text()
    code = text.split("```python\n")[1].partition("\nanswer = ")[0]
    recipe: dict[str, Any] = {}
    exec(compile(code, "recipe", "exec"), recipe)  # noqa: S102 – the page of this repository
    weights = {"v9": 12.5, "v10": 60.0, "v3": 27.5}
    for number in range(2000):
        key = f"Kundin {number} ä"
        assert recipe["variant_of"](key, weights) == assigned_variant(key, weights)


def test_an_inference_id_tells_its_caller_s_requests_apart_and_together() -> None:
    one, two = new_inference_id("customer-17"), new_inference_id("customer-17")
    assert one != two
    assert len(one) <= 64
    assert unit_of(one) == unit_of(two) != unit_of(new_inference_id("customer-18"))
    assert unit_of("order 5") == "order 5"


def test_answers_to_the_same_request_are_paired_and_others_left_out() -> None:
    ours = [answer(1, 0.2), answer(2, 0.4), answer(2, 0.4), answer(3, 0.6)]
    theirs = [answer(2, 0.5, "yes"), answer(1, 0.1), answer(9, 0.9)]
    found = pair(ours, theirs, {"r1": (1.0,), "r2": (0.0, 1.0)})
    assert found.production.tolist() == [0.2, 0.4]
    assert found.shadow.tolist() == [0.1, 0.5]
    assert found.same_label.tolist() == [1.0, 0.0]
    assert found.requests == 2
    assert np.isnan(found.truth).tolist() == [False, True]  # a truth of two values is none of a request of one record


def test_too_few_pairs_are_refused_with_how_many_there_are() -> None:
    answers = [answer(number, 0.5, unit="one caller") for number in range(500)]
    with pytest.raises(DataError, match="500 captured requests of 1 callers were answered by both"):
        compare(pair(answers, answers, {}), loss_for("brier"))


def test_a_shift_is_certain_only_where_chance_cannot_explain_it_however_often_one_looks() -> None:
    random = np.random.default_rng(4)
    base = random.normal(size=20_000)
    same = shift(base, base + random.normal(0, 0.01, 20_000))
    assert not same.is_certain
    assert shift(base, base + 0.2).is_certain
    moved = shift(np.zeros(5000), np.r_[np.zeros(4000), np.ones(1000)])
    assert moved.distance == pytest.approx(0.2)
    assert moved.at == 0
    assert shift(base[:100], base[:100] + 0.2).bound > 0.4


@pytest.mark.parametrize(
    ("worse", "truth", "headline"),
    [
        (0.3, True, "version 5 is worse"),
        (-0.3, True, "version 5 is better"),
        (0.0, True, "not told apart yet"),
        (0.3, False, "no truth is known yet"),
    ],
)
def test_the_findings_of_a_shadow_test_open_with_what_the_truth_says(worse: float, truth: bool, headline: str) -> None:
    random = np.random.default_rng(5)
    chance = random.uniform(0.05, 0.6, 800)
    happened = (random.random(800) < chance).astype(float)
    errors = random.normal(0, 0.1, (2, 800))
    said = [
        np.clip(chance + errors[0] * (1 - 3 * min(worse, 0)), 0, 1),
        np.clip(chance + errors[1] * (1 + 10 * worse), 0, 1),
    ]
    ours, theirs = ([answer(n, p, "no" if p < 0.5 else "yes") for n, p in enumerate(each.tolist())] for each in said)
    known = {f"r{number}": (value,) for number, value in enumerate(happened.tolist())} if truth else {}
    pairs, loss = pair(ours, theirs, known), loss_for("brier")
    running = Running("shadow", "churn-model-3-shadow-5-0", {"AllTraffic": 3, "Shadow": 5}, {}, 100, NOON, "")
    report = shadow_report(MODEL, running, pairs, compare(pairs, loss), {"production": BUSY, "shadow": BUSY}, loss)
    if worse < 0:
        assert report.headline in (headline, "not told apart yet")
    else:
        assert report.headline == headline
    _require_whole(report)
    assert "same label" in report.text()


def arm(units: int, share: float, seed: int) -> Outcomes:
    random = np.random.default_rng(seed)
    return Outcomes(
        (random.random(units) < share).astype(float), np.arange(units), np.sort(random.random(units)), units, units
    )


def test_of_three_arms_one_wins_only_when_it_is_better_than_each() -> None:
    arms = {"v1": arm(8000, 0.3, 1), "v2": arm(8000, 0.1, 2), "v3": arm(8000, 0.3, 3)}
    weights = dict.fromkeys(arms, 1.0)
    found = stand(arms, weights, loss_for("brier"))
    assert found.winner == "v2"
    assert [duel.better for duel in found.duels] == ["v2", "", "v2"]
    running = Running("ab", "churn-ab-0", {"v1": 1, "v2": 2, "v3": 3}, weights, 0, NOON, "")
    report = ab_report(MODEL, running, found, dict.fromkeys(arms, BUSY))
    assert report.headline == "v2 is better"
    _require_whole(report)
    tied = stand({**arms, "v3": arm(8000, 0.1, 4)}, weights, loss_for("brier"))
    assert tied.winner == ""
    assert "--conclude N" in ab_report(MODEL, running, tied, dict.fromkeys(arms, BUSY)).consequence


def test_callers_who_are_not_dealt_as_declared_leave_no_winner() -> None:
    arms = {"v1": arm(8000, 0.3, 1), "v2": arm(8000, 0.1, 2)}
    weights = {"v1": 90.0, "v2": 10.0}
    found = stand(arms, weights, loss_for("brier"))
    assert (found.mismatched, found.winner) == (("v1", "v2"), "")
    running = Running("ab", "churn-ab-0", {"v1": 1, "v2": 2}, weights, 0, NOON, "")
    assert "not dealt as declared" in ab_report(MODEL, running, found, dict.fromkeys(arms, BUSY)).headline


def test_outcomes_are_answers_whose_truth_is_known() -> None:
    answers = {"v1": [answer(1, 0.5), answer(2, 0.25, unit="u"), answer(3, 0.75, unit="u")], "v2": [answer(4, 1.0)]}
    found = outcomes(answers, {"r1": (1.0,), "r3": (1.0,)}, loss_for("rmse"))
    assert found["v1"].loss.tolist() == [0.25, 0.0625]
    assert (found["v1"].answered, found["v1"].callers, found["v2"].records) == (3, 2, 0)
    with pytest.raises(DataError, match="Variant v2 has 1 captured requests, and the truth of those of 0 callers"):
        stand(found, {"v1": 1, "v2": 1}, loss_for("rmse"))


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("mae", [1.0, 0.0]), ("rmse", [1.0, 0.0]), ("log_loss", [36.04, 0.0]), ("roc_auc", [1.0, 0.0])],
)
def test_a_loss_is_zero_at_best_and_finite_at_worst(metric: str, expected: list[float]) -> None:
    lost = loss_for(metric).of(np.array([1.0, 0.0]), np.array([0.0, 0.0]))
    assert lost == pytest.approx(expected, abs=0.01)


def _require_whole(report: Report) -> None:
    """The page says what the terminal says, closes every tag and fetches nothing."""
    page = Page(report.html())
    assert not page.open
    assert not [link for link in page.links if link.startswith(("http:", "//"))]
    text = " ".join(page.text.split())
    for told in (report.headline, report.consequence, *(section.title for section in report.sections)):
        assert " ".join(told.split()) in text
        assert told in report.text()
