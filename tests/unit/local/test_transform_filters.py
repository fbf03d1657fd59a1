"""What of an input goes to a model, and what of its answer is kept beside it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.local.transform.association import Mismatch, association
from common.local.transform.filters import FilterError, parse

VALUE = {"id": 7, "x": [1, 2, 3, 4], "deep": {"a": 1, "b": 2}, "SageMakerOutput": {"score": 0.5}}


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("$", VALUE),
        ("$.id", 7),
        ("$['id']", 7),
        ("$['id','SageMakerOutput']", {"id": 7, "SageMakerOutput": {"score": 0.5}}),
        ("$.x[0]", 1),
        ("$.x[-1]", 4),
        ("$.x[0,2:]", [1, 3, 4]),
        ("$.x[:2]", [1, 2]),
        ("$.x[1:-1]", [2, 3]),
        ("$.x.*", [1, 2, 3, 4]),
        ("$.deep.*", [1, 2]),
        ("$.deep['b','a']", {"b": 2, "a": 1}),
        ("$.deep.['b','a']", {"b": 2, "a": 1}),
    ],
)
def test_a_filter_chooses_of_a_value(text: str, chosen: Any) -> None:
    assert parse(text).of_value(VALUE) == chosen


@pytest.mark.parametrize(
    ("text", "cells"),
    [("$", "abcd"), ("$[1:]", "bcd"), ("$[0,-1]", "ad"), ("$[2]", "c"), ("$[0,2:]", "acd"), ("$[:2,3]", "abd")],
)
def test_a_filter_chooses_cells_of_a_row(text: str, cells: str) -> None:
    assert [list(row) for row in parse(text).of_rows([list("abcd"), list("abcd")])] == [list(cells)] * 2


@pytest.mark.parametrize(
    "text",
    ["x", "", "$.", "$x", "$[", "$[a]", "$[1:2:3]", "$[-:2]", "$..id", "$.x[0:2].y", "$[?(@.x)]", "$['a'", "$.a b"],
)
def test_other_expressions_are_refused(text: str) -> None:
    with pytest.raises(FilterError):
        parse(text)


@pytest.mark.parametrize("text", ["$.none", "$['id','none']", "$.x[4]", "$.id[0]", "$.x.a", "$.id.*"])
def test_what_is_not_in_the_data_is_an_error(text: str) -> None:
    with pytest.raises(FilterError):
        parse(text).of_value(VALUE)


def job(kind: str, split: str = "Line", accept: str = "", **processing: str) -> dict[str, Any]:
    given, output = {"ContentType": kind, "SplitType": split}, {"Accept": accept or kind, "AssembleWith": split}
    return {"DataProcessing": processing, "TransformInput": given, "TransformOutput": output}


def through(described: dict[str, Any], payload: str, answer: str) -> tuple[str, str]:
    """What the model gets of a payload, and what is written when it answers that."""
    made = association(described)
    assert made
    return made.sent(payload.encode()).decode(), made.associated(payload.encode(), answer.encode()).decode()


def test_csv_rows_lose_their_id_on_the_way_in_and_keep_it_on_the_way_out() -> None:
    """SageMaker's own example: `$[1:]` in, `$[0,-1]` out."""
    described = job("text/csv", InputFilter="$[1:]", JoinSource="Input", OutputFilter="$[0,-1]")
    assert through(described, 'a7,1,"x, y"\r\nb8,3,z\n', "0.1\n0.2\n") == ('1,"x, y"\n3,z', "a7,0.1\nb8,0.2")


@given(st.lists(st.lists(st.text("ab7. ", max_size=3), min_size=3, max_size=5), min_size=1, max_size=4))
def test_rows_with_quotes_lose_them_and_nothing_else(rows: list[list[str]]) -> None:
    described = job("text/csv", InputFilter="$[1:]", JoinSource="Input", OutputFilter="$[0,-1]")
    plain = "\n".join(",".join(row) for row in rows)
    quoted = "\n".join(",".join(f'"{cell}"' for cell in row) for row in rows)
    answer = "0.5\n" * len(rows)
    assert through(described, plain, answer) == through(described, quoted, answer)


def test_joined_rows_keep_their_own_text() -> None:
    described = job("text/csv", JoinSource="Input")
    assert through(described, '"1" ,2\r\n\n3,4', "0.1,yes\r\n0.2,no\n")[1] == '"1" ,2,0.1,yes\n3,4,0.2,no'


def test_json_lines_get_the_answer_as_a_member() -> None:
    described = job(
        "application/jsonlines", InputFilter="$.x", JoinSource="Input", OutputFilter="$['id','SageMakerOutput']"
    )
    payload = "".join(json.dumps({"id": i, "x": [i]}) + "\n" for i in (1, 2))
    sent, kept = through(described, payload, '{"score": 0.1}\n{"score": 0.2}\n')
    assert sent == "[1]\n[2]"
    assert [json.loads(line) for line in kept.splitlines()] == [
        {"id": 1, "SageMakerOutput": {"score": 0.1}},
        {"id": 2, "SageMakerOutput": {"score": 0.2}},
    ]


def test_json_that_is_no_object_stands_beside_its_answer() -> None:
    described = job("application/json", split="None", JoinSource="Input")
    written = through(described, "[[1], [2]]", '{"predictions": [0.1, 0.2]}')[1]
    assert json.loads(written) == {"SageMakerInput": [[1], [2]], "SageMakerOutput": {"predictions": [0.1, 0.2]}}


def test_an_answer_alone_can_be_filtered() -> None:
    described = job("application/jsonlines", OutputFilter="$.score")
    assert through(described, "{}\n{}", '{"score": 1}\n{"score": 2}')[1] == "1\n2"


@pytest.mark.parametrize(
    ("processing", "payload", "answer", "message"),
    [
        ({"JoinSource": "Input"}, "1,2\n3,4", "0.1\n", "2 records were sent, and 1 lines were answered"),
        ({"InputFilter": "$[5]"}, "1,2", "", "not within the data, which have 2 elements"),
        ({"InputFilter": "$[1:]"}, '1,"2\n3"', "", "a quoted cell does not end on its line"),
        ({"JoinSource": "Input", "OutputFilter": "$[0,3]"}, "1,2", "0.1", "not within the data, which have 3 elements"),
    ],
)
def test_what_does_not_fit_fails_the_payload(processing: Any, payload: str, answer: str, message: str) -> None:
    with pytest.raises(Mismatch, match=message):
        through(job("text/csv", **processing), payload, answer)


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (job("text/csv", InputFilter="$.features"), r"\$.features does not fit text/csv"),
        (job("text/csv", accept="application/json", JoinSource="Input"), "not text/csv and application/json"),
        (job("text/libsvm", JoinSource="Input"), "both one of text/csv"),
        (job("text/csv", OutputFilter="[0]"), "begins with"),
        (
            job("text/csv", JoinSource="Input") | {"TransformOutput": {"Accept": "text/csv"}},
            "AssembleWith Line: without",
        ),
        (job("text/csv", split="None", JoinSource="Input"), "of text/csv needs SplitType Line"),
    ],
)
def test_what_cannot_be_associated_is_refused(described: dict[str, Any], message: str) -> None:
    with pytest.raises(FilterError, match=message):
        association(described)


def test_nothing_is_associated_by_default() -> None:
    assert association(job("text/libsvm")) is None
    assert association(job("text/csv", InputFilter="$", OutputFilter="$", JoinSource="None")) is None
