"""What a request may look like, what is answered, and that the code which answers stands alone."""

import ast
import csv
import importlib.util
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.serving.archive import CODE
from common.serving.inference import (
    Category,
    Encoder,
    Number,
    Predictor,
    Ratio,
    RequestError,
    features,
    parse,
    transform_fn,
)

ENCODER = Encoder((Category("sex", ("F", "M")), Number("length", at_most=1)), {"sex": ("F", "M")}, {})
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).map(str.strip).filter(bool)
JSON, CSV = "application/json", "text/csv"


@pytest.fixture(scope="module")
def model() -> Predictor:
    rows = np.random.default_rng(0).uniform(size=(50, 3))
    return Predictor(xgboost.train({"nthread": 1}, xgboost.DMatrix(rows, rows[:, 2]), 3), ENCODER)


def refusal(content: str | bytes, content_type: str) -> tuple[int, str]:
    with pytest.raises(RequestError) as caught:
        parse(content, content_type, ENCODER)
    return caught.value.status_code, str(caught.value)


RECORD = {"sex": "F", "length": "0.5"}


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        ('{"sex": "F", "length": "0.5"}', JSON),
        ('[{"sex": "F", "length": "0.5"}]', JSON),
        ('{"instances": [{"sex": "F", "length": "0.5"}]}', JSON),
        ('{"instances": {"sex": "F", "length": "0.5"}}', JSON),
        ('\ufeff{"sex": "F", "length": "0.5"}', "Application/JSON; charset=utf-8"),
        ("F,0.5", CSV),
        ("F,0.5\n", "text/csv; charset=utf-8"),
        ("sex,length\nF,0.5\n", CSV),
        ("length,sex\n0.5,F\n", CSV),
        ('\ufeff"sex","length"\r\n\r\n"F", 0.5 \r\n   \r\n', CSV),
    ],
)
def test_every_form_of_a_record_is_the_same_record(content: str, content_type: str) -> None:
    assert parse(content, content_type, ENCODER) == parse(content.encode(), content_type, ENCODER) == [RECORD]


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_csv_reads_back_line_by_line(rows: list[tuple[str, str]], header: bool, end: str) -> None:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator=end)
    writer.writerows([("sex", "length")] * header + rows)
    given_names = {"sex", "length"} & set(rows[0])
    if header or not given_names:
        assert parse(target.getvalue(), CSV, ENCODER) == [{"sex": a, "length": b} for a, b in rows]


WIDE = Encoder(
    (
        Category("state", optional=True),
        Number("minutes", at_least=0, at_most=1e6, decimals=2),
        Category("plan", ("no", "yes")),
        Number("calls", integer=True, optional=True),
    ),
    {"state": ("CA", "NY"), "plan": ("no", "yes")},
    {"calls": 4.0},
    (Ratio("minutes", "calls"), Ratio("calls", "minutes")),
)
CELLS = st.tuples(
    st.sampled_from(["CA", " NY ", "TX", "", '"C,A"']),
    st.floats(0, 1e6).map(repr) | st.sampled_from(["2.675", " 1e2", "-0.0", "0.005", "3.4e38"]),
    st.sampled_from(["no", "yes "]),
    st.integers(-3, 3).map(str) | st.sampled_from(["", "NA", "7.0", "-0"]),
)
ODD = st.sampled_from(["1_0", "true", "inf", "nan", "x", "-1", "", "1e999", "0.5", "a\0"])


@given(
    st.lists(CELLS, min_size=1, max_size=6), ODD | st.none(), st.integers(0, 3), st.sampled_from(["\n", "\r\n", "\n\n"])
)
def test_many_lines_at_once_are_what_each_is_by_itself(
    rows: list[tuple[str, ...]], odd: str | None, place: int, end: str
) -> None:
    lines = [",".join(row) for row in rows] * 40
    if odd is not None:
        cells = list(rows[0])
        cells[place] = odd
        lines[7] = ",".join(cells)
    text = end.join(lines)
    one_by_one = made_of(lambda: WIDE.encode(parse(text, CSV, WIDE)))
    assert made_of(lambda: features(text, CSV, WIDE)) == one_by_one
    if isinstance(one_by_one, bytes):  # and it did not come to the same by reading one by one, too
        records = parse(text, CSV, WIDE)
        columns = {column.name: [record[column.name] for record in records] for column in WIDE.columns}
        assert WIDE.encode_columns(columns, len(records)).tobytes() == one_by_one


def made_of(work: Callable[[], NDArray[np.float64]]) -> bytes | str:
    """The features' bytes, or what is said against the request."""
    try:
        return work().tobytes()
    except RequestError as error:
        return str(error)


def test_a_header_may_name_more_than_the_columns_and_a_first_row_that_names_one_is_a_header() -> None:
    assert parse("id,length,sex\n7,0.5,F\n", CSV, ENCODER) == [{"id": "7", **RECORD}]
    assert parse("length\n0.5\n", CSV, ENCODER) == [{"length": "0.5"}]


def test_a_line_of_commas_is_a_record_that_lacks_everything() -> None:
    assert parse("F,0.5\n,\nM,1\n", CSV, ENCODER)[1] == {"sex": "", "length": ""}


@pytest.mark.parametrize(
    ("content", "content_type", "said"),
    [
        ("", JSON, "the body is no application/json: Expecting value"),
        ("", CSV, "the body holds no records"),
        ("\n  \n", CSV, "the body holds no records"),
        ("sex,length\n", CSV, "the body holds no records"),
        ("[]", JSON, "the body holds no records"),
        ('{"instances": []}', JSON, "the body holds no records"),
        ("{", JSON, "the body is no application/json: Expecting property name"),
        ("7", JSON, "records are JSON objects"),
        ("null", JSON, "records are JSON objects"),
        ('[{"sex": "F"}, [1]]', JSON, "records are JSON objects"),
        ('{"instances": 7}', JSON, "records are JSON objects"),
        ("[" * 100_000, JSON, "the body is no application/json: maximum recursion depth"),
        ('{"length": 1' + "0" * 5000 + "}", JSON, "the body is no application/json: Exceeds the limit"),
        (b"\xff\xfe", JSON, "the body is no application/json: it is not UTF-8"),
        ('{"sex": "\ufffd"}', JSON, "the body is no application/json: it is not UTF-8"),
        ("caf\ufffd,0.5", CSV, "the body is no text/csv: it is not UTF-8"),
        (b"\x1f\x8b\x08\x00\xff", CSV, "the body is no text/csv: it is not UTF-8"),
        ('F,"0.5', CSV, "the body is no text/csv: unexpected end of data"),
        ('F,"0.5"x', CSV, "the body is no text/csv: "),
        ("F," + "5" * 200_000, CSV, "the body is no text/csv: field larger than field limit"),
        ("F,0.5\nM\n", CSV, "record 2 has 1 values, 2 are wanted: sex, length"),
        ("F,0.5,9\n", CSV, "record 1 has 3 values, 2 are wanted: sex, length"),
        ("sex,length\nF,0.5,9\n", CSV, "record 1 has 3 values, 2 are wanted: sex, length"),
        ("sex,length,sex\nF,0.5,M\n", CSV, "the header names a column twice: sex, length, sex"),
    ],
)
def test_what_holds_no_records_is_refused_with_400(content: str | bytes, content_type: str, said: str) -> None:
    status, message = refusal(content, content_type)
    assert status == 400
    assert message.startswith(said), message[:200]


@given(st.binary() | st.text(), st.sampled_from([JSON, CSV]))
def test_garbage_is_refused_or_is_records_and_never_anything_else(content: str | bytes, content_type: str) -> None:
    try:
        records = parse(content, content_type, ENCODER)
        ENCODER.encode(records)
    except RequestError:
        return
    assert records


def test_other_types_of_content_are_refused_with_415() -> None:
    assert refusal("F,0.5", "text/libsvm") == (415, "text/libsvm is not supported: send application/json or text/csv")


def answer(model: Predictor, content: str, content_type: str | None, accept: str) -> tuple[int, str, str]:
    """(status, body, type) of the image's answer."""
    answered = transform_fn(model, content, content_type, accept)
    if isinstance(answered, tuple):
        return 200, answered[0], answered[1]
    return answered.status_code, answered.get_data(as_text=True), answered.mimetype


def test_answers_are_json_or_a_csv_line_for_each_record(model: Predictor) -> None:
    records = [{"sex": "F", "length": 0.5}, {"sex": "M", "length": 0.1}]
    first, second = model.scores(records).tolist()
    body = {"predictions": [{"prediction": first}, {"prediction": second}]}
    for accept in (JSON, "*/*", "", "application/json; charset=utf-8"):
        assert answer(model, json.dumps(records), JSON, accept) == (200, json.dumps(body), JSON)
    assert answer(model, "F,0.5\nM,0.1\n", CSV, CSV) == (200, f"{first}\n{second}\n", CSV)


def test_a_classification_answers_probability_and_label(model: Predictor) -> None:
    classifier = Predictor(model.booster, ENCODER, ("no", "yes, sir"), threshold=0)
    [score] = classifier.scores([RECORD]).tolist()
    told = {"predictions": [{"probability": score, "label": "yes, sir"}]}
    assert json.loads(answer(classifier, "F,0.5", CSV, JSON)[1]) == told
    assert answer(classifier, "F,0.5", CSV, CSV)[1] == f'{score},"yes, sir"\n'


@pytest.mark.parametrize(
    ("content", "content_type", "accept", "status", "error"),
    [
        ("F,2", CSV, CSV, 400, "record 1, length: above 1: '2'"),
        ('{"sex": "F"}', JSON, JSON, 400, "record 1, length: there is no such field"),
        ("F,0.5", "image/png", JSON, 415, "image/png is not supported"),
        ("F,0.5", CSV, "image/png", 406, "image/png cannot be answered: accept application/json or text/csv"),
        ("F,0.5", CSV, "text/csv, application/json", 406, "text/csv, application/json cannot be answered"),
    ],
)
def test_a_refusal_has_its_status_and_says_why(
    model: Predictor, content: str, content_type: str, accept: str, status: int, error: str
) -> None:
    answered, body, kind = answer(model, content, content_type, accept)
    assert (answered, kind) == (status, JSON)
    assert json.loads(body)["error"].startswith(error)


def test_behind_a_multi_model_endpoint_a_refusal_is_raised_with_its_status(
    model: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_MULTI_MODEL", "true")
    assert json.loads(answer(model, '{"sex": "F", "length": 0.5}', None, JSON)[1])["predictions"]
    with pytest.raises(RequestError, match="above 1") as refused:
        transform_fn(model, "F,2", CSV, CSV)
    assert (refused.value.status_code, refused.value.phrase) == (400, "Bad Request")


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "a relative import finds nothing in the image"
            names.add(str(node.module).partition(".")[0])
    return names


def test_the_code_runs_in_the_image_which_has_python_3_10_and_nothing_of_this_repository() -> None:
    tree = ast.parse(CODE.read_text(), feature_version=(3, 10))
    assert imported(tree) - set(sys.stdlib_module_names) <= {"numpy", "xgboost", "flask", "sagemaker_inference"}
    # `typing.Self`, `datetime.UTC` and so on would parse, and are not there
    since_3_11 = {
        "Self",
        "assert_never",
        "reveal_type",
        "Never",
        "LiteralString",
        "UTC",
        "StrEnum",
        "tomllib",
        "file_digest",
    }
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    named |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert not named & since_3_11


def test_the_code_as_a_file_of_its_own_answers_as_the_repositorys(
    model: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("inference", CODE)
    assert spec is not None
    assert spec.loader is not None
    alone = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "inference", alone)
    spec.loader.exec_module(alone)
    (tmp_path / "serving.json").write_text(json.dumps(model.state()))
    (tmp_path / "xgboost-model").write_bytes(model.booster.save_raw("ubj"))
    loaded = alone.model_fn(str(tmp_path))
    for body in ("F,0.5\nM,0.1\n", "sex,length\nM,0.9\n"):
        assert alone.transform_fn(loaded, body, CSV, CSV) == transform_fn(model, body, CSV, CSV)
