"""What a smoke test of a model of rows asks, and what it says of wrong answers."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from common.evaluation.golden import Golden
from common.steps.smoke import CSV, JSON, Answer, probes_of_rows

RECORDS: list[dict[str, Any]] = [{"plan": "yes, daily", "minutes": 415.0}, {"plan": None, "minutes": 3.5}]
ANSWERS = [{"probability": 0.25, "label": "stays"}, {"probability": 0.75, "label": "leaves"}]
REFUSED = Answer(400, "record 1, plan: neither text nor a number")


def right(body: bytes, kind: str) -> Answer:
    """What a good server answers."""
    if b"[]" in body:
        return REFUSED
    count = len(json.loads(body)) if kind == JSON else body.count(b"\n") - 1
    if kind == JSON:
        return Answer(0, json.dumps({"predictions": ANSWERS[:count]}))
    return Answer(0, "".join(f"{answer['probability']},{answer['label']}\n" for answer in ANSWERS[:count]))


def problems(send: Callable[[bytes, str], Answer]) -> dict[str, str]:
    return {probe.request: probe.problem() for probe in probes_of_rows(Golden(RECORDS, ANSWERS), send)}


def test_right_answers_are_no_problem() -> None:
    expected = ["JSON, 1 record", "JSON, 2 records", "CSV, 1 record", "CSV, 2 records", "JSON, a bad record"]
    assert problems(right) == dict.fromkeys(expected, "")


def test_csv_is_sent_as_the_server_reads_json() -> None:
    asked: list[bytes] = []

    def send(body: bytes, kind: str) -> Answer:
        asked.extend([body] if kind == CSV else [])
        return right(body, kind)

    problems(send)
    assert asked[1] == b'plan,minutes\n"yes, daily",415\n,3.5\n'


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Answer(0, '{"predictions": [{"probability": 0.26, "label": "stays"}]}'), "expected 0.25, answered 0.26"),
        (Answer(0, '{"predictions": []}'), "0 answers to 1 records"),
        (Answer(0, "<html>"), "the answer holds no predictions: '<html>'"),
        (Answer(0, '{"predictions": [{"score": 1}]}'), "the answer holds no predictions"),
        (Answer(500, "out of memory"), "it answers with an error: out of memory"),
    ],
)
def test_wrong_answers_are_said_in_words(wrong: Answer, said: str) -> None:
    assert said in problems(lambda body, kind: REFUSED if b"[]" in body else wrong)["JSON, 1 record"]


@pytest.mark.parametrize(("text", "said"), [("0.25\n", "no predictions"), ("stays,0.25\n", "no predictions")])
def test_csv_of_another_form_is_no_answer(text: str, said: str) -> None:
    assert said in problems(lambda body, kind: Answer(0, text) if kind == CSV else right(body, kind))["CSV, 1 record"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(0, '{"predictions": [{}]}'), "to be refused with status 400, and is answered"),
        (Answer(500, "KeyError: 'plan'"), "to be refused with status 400, and not with 500: KeyError"),
    ],
)
def test_a_bad_record_has_to_be_refused_as_the_callers_fault(answer: Answer, said: str) -> None:
    assert said in problems(lambda body, kind: answer if b"[]" in body else right(body, kind))["JSON, a bad record"]
