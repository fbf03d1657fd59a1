"""How a record becomes features, and how a model answers for it."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.serving.inference import Category, Encoder, Fault, Number, Predictor, Ratio, RequestError

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=6).map(str.strip).filter(bool)
ENCODER = Encoder(
    (
        Category("state"),
        Number("minutes", at_least=0, at_most=100, decimals=2),
        Category("plan", ("no", "yes")),
        Number("calls", integer=True, optional=True),
        Category("colour", optional=True),
    ),
    {"state": ("CA", "NY"), "plan": ("no", "yes"), "colour": ("red",)},
    {"calls": 4.0},
    (Ratio("minutes", "calls"),),
)
RECORD: dict[str, Any] = {"state": "CA", "minutes": 12.0, "plan": "yes", "calls": 3, "colour": "red"}
ENCODED = [1.0, 0.0, 12.0, 0.0, 1.0, 3.0, 1.0, 4.0]


def encode(**changes: object) -> list[float]:
    """The features of the record with these values instead."""
    features: list[float] = ENCODER.encode([RECORD | changes])[0].tolist()
    return features


def fault(column: Number | Category, value: object) -> str:
    with pytest.raises(Fault) as caught:
        column.read(value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "number"),
    [(3, 3.0), (3.5, 3.5), ("3", 3.0), (" 3.5 ", 3.5), ("-1e2", -100.0), (np.float64(2.5), 2.5), (np.int64(7), 7.0)],
)
def test_a_number_is_read_from_text_and_from_json(value: object, number: float) -> None:
    assert Number("x").read(value) == number


@given(FINITE)
def test_text_and_number_are_read_alike(number: float) -> None:
    assert Number("x").read(number) == Number("x").read(repr(number)) == Number("x").read(json.dumps(number)) == number


@pytest.mark.parametrize("value", [None, "", "  ", "NA", "n/a", "NaN", "null", "None", "?", math.nan])
def test_what_stands_for_a_missing_value_is_refused_unless_the_column_is_optional(value: object) -> None:
    for column in (Number("x"), Category("x"), Category("x", ("a", "b"))):
        assert fault(column, value) == "missing"
    assert math.isnan(Number("x", optional=True).read(value))
    assert Category("x", optional=True).read(value) == Category("x", ("a", "b"), optional=True).read(value) == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, "a boolean where a number is wanted"),
        ("False.", "a boolean where a number is wanted"),
        ("yes", "a boolean where a number is wanted"),
        ("tall", "no number"),
        ("1_000", "no number"),
        ("1,5", "no number"),
        ("0x10", "no number"),
        ([3], "neither text nor a number"),
        ({"value": 3}, "neither text nor a number"),
        (math.inf, "infinite"),
        ("-Infinity", "infinite"),
        (10**400, "infinite"),
        (-(10**39), "infinite"),
        ("3.5e38", "infinite"),
    ],
)
def test_what_is_no_number_that_a_model_can_take_is_refused(value: object, said: str) -> None:
    assert fault(Number("x"), value) == fault(Number("x", optional=True), value) == said


def test_bounds_are_inclusive() -> None:
    column = Number("x", at_least=0, at_most=40, integer=True)
    assert [column.read(value) for value in (0, "40", 40.0)] == [0, 40, 40]
    assert fault(column, -1) == "below 0"
    assert fault(column, 41) == "above 40"
    assert fault(column, 39.5) == "not whole"


def test_a_number_is_rounded_to_what_was_measured() -> None:
    assert Number("x", decimals=4).read(0.10099999999999999) == 0.101


@pytest.mark.parametrize("value", ["415", 415, 415.0, " 415 ", np.int64(415), np.float64(415)])
def test_a_category_that_was_made_a_number_is_the_same_category(value: object) -> None:
    assert Category("area").read(value) == Category("area", ("408", "415")).read(value) == "415"


def test_a_closed_category_takes_its_values_as_they_are_spelled() -> None:
    column = Category("plan", ("no", "yes"))
    assert fault(column, "Yes") == fault(column, True) == fault(column, "perhaps") == "none of no, yes"
    assert Category("answer", ("none", "some")).read("none") == "none"  # declared, so not taken for missing


@pytest.mark.parametrize("value", [["CA"], {"code": "CA"}, []])
def test_a_nested_value_is_no_category_not_even_an_unseen_one(value: object) -> None:
    assert fault(Category("state"), value) == "neither text nor a number"


def test_features_are_named_and_traced_to_their_columns() -> None:
    assert ENCODER.names == [
        "state=CA", "state=NY", "minutes", "plan=no", "plan=yes", "calls", "colour=red", "minutes / calls",
    ]  # fmt: skip
    assert ENCODER.origin() == ["state", "state", "minutes", "plan", "plan", "calls", "colour", "minutes / calls"]
    assert encode() == ENCODED


def test_a_category_that_no_training_row_had_is_none_of_the_known_ones() -> None:
    assert encode(state="TX") == [0.0, 0.0, *ENCODED[2:]]


def test_what_is_missing_counts_as_the_median_and_as_no_category() -> None:
    assert encode(calls=None, colour="") == [*ENCODED[:5], 4.0, 0.0, 12.0 / 4.0]


def test_a_ratio_over_zero_is_zero() -> None:
    assert encode(calls=0) == [*ENCODED[:5], 0.0, 1.0, 0.0]


def test_a_ratio_stays_within_what_xgboost_can_take() -> None:
    encoder = Encoder((Number("a"), Number("b")), {}, {}, (Ratio("a", "b"),))
    rows = encoder.encode([{"a": 1e30, "b": 1e-30}, {"a": -1e30, "b": 1e-320}])
    assert rows[:, 2].tolist() == [np.finfo(np.float32).max, np.finfo(np.float32).min]


@given(st.dictionaries(NAMES, st.none() | FINITE | NAMES | st.lists(FINITE)), st.randoms())
def test_extra_fields_and_the_order_of_fields_change_nothing(extra: dict[str, Any], random: Any) -> None:
    fields = list((extra | RECORD).items())
    random.shuffle(fields)
    assert ENCODER.encode([dict(fields)]).tolist() == [ENCODED]


@given(st.permutations(range(6)))
def test_each_record_is_encoded_by_itself(order: list[int]) -> None:
    records = [RECORD | {"minutes": n, "calls": n or None, "state": "CNT"[n % 3]} for n in range(6)]
    alone = [ENCODER.encode([records[n]])[0].tolist() for n in order]
    assert ENCODER.encode([records[n] for n in order]).tolist() == alone


def test_every_fault_is_told_by_record_and_column() -> None:
    good, bad = RECORD, {"state": "CA", "minutes": 101, "plan": "maybe", "calls": "few"}
    with pytest.raises(RequestError) as caught:
        ENCODER.encode([good, bad])
    assert caught.value.status_code == 400
    assert str(caught.value) == (
        "record 2, minutes: above 100: '101'; record 2, plan: none of no, yes: 'maybe'; "
        "record 2, calls: no number: 'few'; record 2, colour: there is no such field"
    )


def test_many_faults_are_counted_and_long_values_are_cut() -> None:
    with pytest.raises(RequestError) as caught:
        ENCODER.encode([{**RECORD, "minutes": "x" * 1000}] * 9)
    assert str(caught.value).endswith("record 5, minutes: no number: '" + "x" * 40 + "' (and 4 more)")


COLUMNS = st.lists(
    st.builds(
        Number,
        NAMES,
        at_least=FINITE | st.just(-math.inf),
        at_most=FINITE | st.just(math.inf),
        integer=st.booleans(),
        decimals=st.none() | st.integers(0, 9),
        optional=st.booleans(),
    )
    | st.builds(
        Category,
        NAMES,
        values=st.lists(NAMES, unique=True).map(tuple),
        codes=st.dictionaries(st.integers(0, 9), NAMES),
        optional=st.booleans(),
    ),
    unique_by=lambda column: column.name,
).map(tuple)


@given(COLUMNS, st.data())
def test_an_encoder_reads_back_from_json_as_it_was(columns: tuple[Number | Category, ...], data: st.DataObject) -> None:
    known = st.lists(NAMES, unique=True).map(tuple)
    categories = {column.name: data.draw(known) for column in columns if isinstance(column, Category)}
    medians = {column.name: data.draw(FINITE) for column in columns if isinstance(column, Number) and column.optional}
    encoder = Encoder(columns, categories, medians, (Ratio("a", "b"),))
    assert Encoder.from_state(json.loads(json.dumps(encoder.state(), allow_nan=False))) == encoder


class Constant:
    """A booster that gives every row the same score."""

    def __init__(self, score: float) -> None:
        self.score = score

    def predict(self, matrix: Any, **_: Any) -> Any:
        return np.full(matrix.num_row(), self.score, dtype=np.float32)


def test_a_regression_answers_with_its_prediction() -> None:
    assert Predictor(Constant(9.5), ENCODER).answers([RECORD, RECORD]) == [{"prediction": 9.5}] * 2


@pytest.mark.parametrize(("score", "label"), [(0.25, "True."), (0.2499, "False."), (1.0, "True."), (0.0, "False.")])
def test_a_label_is_positive_from_the_threshold_on(score: float, label: str) -> None:
    [answer] = Predictor(Constant(score), ENCODER, ("False.", "True."), threshold=0.25).answers([RECORD])
    assert answer == {"probability": pytest.approx(score), "label": label}
