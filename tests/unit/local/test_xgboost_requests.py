"""How the built-in XGBoost reads requests and selects content; no model is needed for that."""

import json

import numpy as np
import pytest

from common.local.containers.http import Refusal
from common.local.containers.scoring import parse
from common.local.containers.selection import CONTENT, select


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b"1,2.5,3e1", [[1, 2.5, 30]]),
        (b"1,2\n3,4\n", [[1, 2], [3, 4]]),
        (b"1,2\r\n3,4\r\n", [[1, 2], [3, 4]]),
        (b"1;2", [[1, 2]]),
        (b"1\t2\n3\t4", [[1, 2], [3, 4]]),
        (b"1 2", [[1, 2]]),
        (b"7", [[7]]),
        (b"0.25", [[0.25]]),
        (b"1,,nan", [[1, np.nan, np.nan]]),
    ],
)
def test_csv_is_read_with_its_delimiter_sniffed_and_gaps_as_missing(body: bytes, rows: list[list[float]]) -> None:
    np.testing.assert_array_equal(parse(body, "text/csv"), rows)


@pytest.mark.parametrize("content_type", [None, "text/libsvm", "text/x-libsvm", "libsvm", "TEXT/LIBSVM; charset=utf-8"])
def test_libsvm_is_the_default_type_and_counts_from_one_or_zero(content_type: str | None) -> None:
    expected = [[0.5, np.nan, 2.0]]
    np.testing.assert_array_equal(parse(b"1:0.5 3:2", content_type), expected)
    np.testing.assert_array_equal(parse(b"0:0.5 2:2", content_type), expected)
    np.testing.assert_array_equal(parse(b"9 1:0.5 3:2\n", content_type), expected)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"instances": []}', "application/json"),
        (b"{}", "application/jsonlines"),
        (b"PAR1", "application/x-parquet"),
        (b"\x00", "application/x-recordio-protobuf"),
        (b"1,2", "text/csv; label_size=2"),
        (b"a,b", "text/csv"),
        (b"1,2\n3", "text/csv"),
        (b"\xff\xfe", "text/csv"),
        (b"  \n", "text/csv"),
        (b"1,2", "text/libsvm"),
        (b"1:a", "text/libsvm"),
    ],
)
def test_what_cannot_be_read_is_answered_with_415(body: bytes, content_type: str) -> None:
    with pytest.raises(Refusal) as refusal:
        parse(body, content_type)
    assert refusal.value.response.status == 415


def test_selected_content_of_a_binary_model_comes_in_the_asked_order() -> None:
    predictions = np.array([0.25, 0.75], dtype=np.float32)
    lines = select(predictions, "predicted_label, probabilities,labels", "binary:logistic", 0, "text/csv")
    assert lines == '0,"[0.75, 0.25]","[0, 1]"\n1,"[0.25, 0.75]","[0, 1]"'


def test_selected_content_of_a_multiclass_model_names_the_likeliest_class() -> None:
    predictions = np.array([[0.25, 0.5, 0.25]], dtype=np.float32)
    answer = json.loads(
        select(predictions, "predicted_label,probability,labels", "multi:softprob", 3, "application/json")
    )
    assert answer == {"predictions": [{"predicted_label": 1, "probability": 0.5, "labels": [0, 1, 2]}]}


def test_content_that_the_objective_does_not_have_is_nan() -> None:
    assert select(np.array([2.5]), "predicted_score,probability", "reg:squarederror", 0, "text/csv") == "2.5,nan"


@pytest.mark.parametrize(("objective", "names"), CONTENT.items())
def test_every_objective_gives_all_content_that_it_has(objective: str, names: tuple[str, ...]) -> None:
    prediction = np.array([[0.1, 0.9]] if objective == "multi:softprob" else [1.0])
    line = json.loads(select(prediction, ",".join(names), objective, 2, "application/jsonlines"))
    assert list(line) == list(names)
    assert "NaN" not in json.dumps(line)


def test_an_objective_without_selectable_content_is_an_error() -> None:
    with pytest.raises(Refusal, match="Objective `rank:ndcg` unsupported"):
        select(np.array([1.0]), "predicted_score", "rank:ndcg", 0, "text/csv")
