"""What the processing jobs of a batch do: every line has one fate, and what is sent to the model is always answered."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import xgboost
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.batch.manifest import unaccounted
from common.batch.program import join
from common.batch.program import prepare as prepare_module
from common.batch.program.lines import LONGEST_LINE, lines, pieces
from common.batch.program.prepare import main, prepare
from common.batch.program.records import Reader
from common.serving import inference
from common.serving.archive import pack
from common.serving.inference import Category, Encoder, Number, Predictor, transform_fn

COLUMNS = (
    Number("size", at_least=0, at_most=10),
    Number("legs", at_least=0, at_most=100, integer=True),
    Number("weight", optional=True),
    Category("sex", ("F", "M")),
    Category("place"),
)
ENCODER = Encoder(COLUMNS, {"sex": ("F", "M"), "place": ("here", "over, there")}, {"weight": 0.5})
HEADER = "animal,size,legs,weight,sex,place"


def predictor() -> Predictor:
    rows = np.random.default_rng(0).uniform(size=(50, len(ENCODER.names)))
    matrix = xgboost.DMatrix(rows, label=rows[:, 0] > rows[:, 4])
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, matrix, 5)
    return Predictor(booster, ENCODER, ("no", "yes, it is"))


PREDICTOR = predictor()
EXAMPLES = 15


def reader() -> Reader:
    return Reader.of(inference, PREDICTOR.state(), ["animal"])


def answered(todo: Path, payload_lines: int) -> str:
    """What SageMaker stores of a transform of that file: the number of each line, and the answer of the package's own code."""
    given = todo.read_bytes().decode().split("\n")[:-1]
    told = io.StringIO()
    for start in range(0, len(given), payload_lines):
        payload = list(csv.reader(given[start : start + payload_lines]))
        body = io.StringIO()
        csv.writer(body, lineterminator="\n").writerows(record[1:] for record in payload)
        answers, kind = transform_fn(PREDICTOR, body.getvalue(), "text/csv", "text/csv")
        assert kind == "text/csv"
        cells = list(csv.reader(answers.splitlines()))
        csv.writer(told, lineterminator="\n").writerows(
            [record[0], *answer] for record, answer in zip(payload, cells, strict=True)
        )
        told.write("\n")  # AssembleWith
    return told.getvalue()


def through(folder: Path, piece_bytes: int, payload_lines: int, form: str = "parquet") -> dict[str, Any]:
    """Prepare what is in `input/`, let the package answer, and join; what `prepared.json` tells."""
    (folder / "model").mkdir()
    (folder / "model/model.tar.gz").write_bytes(pack(PREDICTOR))
    digest = hashlib.sha256((folder / "model" / "model.tar.gz").read_bytes()).hexdigest()
    told = [
        "--input",
        folder / "input",
        "--model",
        folder / "model",
        "--output",
        folder / "prepared",
        "--digest",
        digest,
    ]
    main([*map(str, told), f"--piece-bytes={piece_bytes}", "--key=animal"])
    (folder / "answers").mkdir()
    for todo in (folder / "prepared/todo").iterdir():
        (folder / f"answers/{todo.name}.out").write_text(answered(todo, payload_lines))
    folders = {name: folder / "prepared" / name for name in ("records", "rejected")}
    folders |= {"prepared": folder / "prepared", "answers": folder / "answers", "output": folder / "rows"}
    join.main([*(f"--{k}={v}" for k, v in folders.items()), f"--report={folder}", "--version=7", f"--format={form}"])
    return dict(json.loads((folder / "prepared/prepared.json").read_text()))


@pytest.fixture(autouse=True, scope="module")
def _in_this_process() -> Iterator[None]:
    """To start processes for files of some lines is all that the tests would do; see `test_shares.py`."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (prepare_module, join):
            patch.setattr(module, "each", lambda work, items: [work(item) for item in items])
        yield


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [row for part in sorted((folder / "rows").glob("*.parquet")) for row in pq.read_table(part).to_pylist()]


def rejected_of(folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / "rows/_rejected").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


_NASTY = st.text(st.characters(), max_size=6) | st.sampled_from(
    ["", "NA", "1e400", "nan", "-0", "1_0", "yes", "size", "legs", "a\rb", "\ufeff", "\ufffd", "\x00", '"', "M ", "7.0"]
)
_GOOD = st.tuples(
    st.text("abc", min_size=1, max_size=3),
    st.floats(0, 10).map(repr),
    st.integers(0, 100).map(str),
    st.sampled_from(["", "1.5", " 2"]),
    st.sampled_from("FM"),
    st.sampled_from(["here", "over, there", "no,where", 'a "quoted" one', " x"]),
)
_FIELDS = _GOOD | st.lists(_NASTY, max_size=8).map(tuple)


def _csv_line(fields: tuple[str, ...]) -> bytes:
    target = io.StringIO()
    csv.writer(target, lineterminator="").writerow(fields)
    return target.getvalue().encode(errors="surrogatepass")


def _json_line(fields: tuple[str, ...]) -> bytes:
    return json.dumps(dict(zip(HEADER.split(","), fields, strict=False))).encode()


def _file(lines_: st.SearchStrategy[bytes], header: bytes) -> st.SearchStrategy[bytes]:
    ends = st.sampled_from([b"\n", b"\r\n"])
    body = st.lists(st.tuples(lines_ | st.binary(max_size=12), ends), max_size=12)
    ended = body.map(lambda given: b"".join(line + end for line, end in given))
    return st.tuples(ended, st.booleans()).map(
        lambda given: header + (given[0].rstrip(b"\n") if given[1] else given[0])
    )


@settings(max_examples=EXAMPLES)
@given(
    _file(_FIELDS.map(_csv_line), f"{HEADER}\n".encode()),
    _file(_FIELDS.map(_json_line), b""),
    st.integers(1, 200),
    st.integers(1, 5),
)
@example(b"", b"", 10, 1)
@example(f"{HEADER}\n".encode(), b"\n\n", 10, 1)
@example(f"{HEADER}\na,1,2,3,F,here\na,1,2,3,F,size\n".encode(), b"", 1000, 1)
def test_every_line_is_scored_or_rejected_once_in_whatever_pieces(
    table: bytes, listed: bytes, piece_bytes: int, payload_lines: int
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "input").mkdir()
        (folder / "input/a.csv").write_bytes(table)
        (folder / "input/b.jsonl").write_bytes(listed)
        prepared = through(folder, piece_bytes, payload_lines)
        rows, rejected = rows_of(folder), rejected_of(folder)
    fates = Counter((row["input_file"], row["input_line"]) for row in rows)
    fates += Counter((record["file"], record["line"]) for record in rejected)
    wanted = {("a.csv", n) for n, line in enumerate(table.split(b"\n"), 1) if n > 1 and line.strip()}
    wanted |= {("b.jsonl", n) for n, line in enumerate(listed.split(b"\n"), 1) if line.strip()}
    assert fates == dict.fromkeys(wanted, 1)
    assert (len(rows), len(rejected)) == (prepared["records"], prepared["rejected"])
    assert unaccounted(prepared["files"]) == 0
    scored = [PREDICTOR.answers([{name: row[name] for name in HEADER.split(",")[1:]}])[0] for row in rows]
    assert [row["probability"] for row in rows] == pytest.approx([one["probability"] for one in scored], abs=1e-7)
    assert [row["label"] for row in rows] == [one["label"] for one in scored]
    assert {row["package_version"] for row in rows} <= {7}


@given(st.binary(max_size=60).map(lambda b: b.replace(b"a", b"\n")), st.integers(1, 80))
def test_pieces_are_all_lines_of_a_file_in_order(content: bytes, size: int) -> None:
    with tempfile.NamedTemporaryFile() as file:
        path = Path(file.name)
        path.write_bytes(content)
        found = [line for piece in pieces(path, size) for line in lines(path, piece)]
    given = content.split(b"\n")
    given = given if given[-1] else given[:-1]
    assert found == [(number, line.removesuffix(b"\r")) for number, line in enumerate(given, start=1)]


def test_a_line_without_end_is_cut_not_held(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x\n" + b"y" * (3 * LONGEST_LINE) + b"\nz")
    found = [line for piece in pieces(path, 10) for line in lines(path, piece)]
    assert [(number, len(line)) for number, line in found] == [(1, 1), (2, LONGEST_LINE + 1), (3, 1)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a,11,2,3,F,here", "size: above 10"),
        ("a,1,2.5,3,X,here", "legs: not whole; sex: none of F, M"),
        ("a,1,2,3,F,", "place: missing"),
        (",1,2,3,F,here", "animal: missing"),
        ("a,1,2,3,F", "5 fields where the header has 6"),
        ('a,1,2,3,F,"here', "no CSV: unexpected end of data"),
        ("a,1,2,3,F,place", "place: the name of a column"),
        ("a,1,2,3,F,\ufffd", "place: a line break, or a character that is none"),
        ("a" * (LONGEST_LINE + 1), "longer than 100,000 bytes"),
    ],
)
def test_a_rejected_record_says_what_is_wrong_with_it(line: str, reason: str) -> None:
    own = reader()
    chunk = own.read([(5, line.encode())], own.taking(HEADER.encode()))
    assert chunk.rejected == [(5, reason, line[:2000])]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "no JSON: Expecting property name enclosed in double quotes"),
        (b"[1]", "no JSON object"),
        (b'{"animal": "a"}', "size: there is no such field"),
        (b'{"animal": "a", "size": 1, "legs": true, "weight": null, "sex": "F", "place": "x"}',
         "legs: a boolean where a number is wanted"),
        (b'{"animal": "a", "size": [1], "legs": 1, "weight": null, "sex": "F", "place": "x"}',
         "size: neither text nor a number"),
        (b"\xff", "not UTF-8"),
    ],
)  # fmt: skip
def test_json_lines_are_rejected_with_their_reason_too(line: bytes, reason: str) -> None:
    own = reader()
    assert [found[1] for found in own.read([(1, line)], own.taking(None)).rejected] == [reason]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"animal,size,legs,weight,sex", "the file's header has no place"),
        (b"animal,size,legs,weight,sex,place,sex", "the file's header names sex twice"),
        (b'"animal', "the file's header: no CSV: unexpected end of data"),
        (b"", "the file's header has no animal, size, legs, weight, sex, place"),
    ],
)
def test_a_file_without_the_columns_is_rejected_line_by_line(header: bytes, reason: str) -> None:
    own = reader()
    chunk = own.read([(2, b"a,1,2,3,F,here")], own.taking(header))
    assert chunk.rejected == [(2, reason, "a,1,2,3,F,here")]


def test_rows_are_typed_as_the_columns_declare(tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    (tmp_path / "input/a.csv").write_text(f"{HEADER}\na,1.5,2,,F,over there\n")
    through(tmp_path, 1000, 1)
    [row] = rows_of(tmp_path)
    assert list(row) == ["input_file", "input_line", *HEADER.split(","), "probability", "label", "package_version"]
    assert (row["size"], row["legs"], row["weight"], type(row["legs"])) == (1.5, 2, None, int)


def test_rows_may_be_csv(tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    (tmp_path / "input/a.csv").write_text(f'{HEADER}\na,1.5,2,,F,"over, there"\nb,1.5,2,,Q,x\n')
    through(tmp_path, 1000, 1, form="csv")
    [row] = pyarrow.csv.read_csv(tmp_path / "rows/part-00000.csv").to_pylist()
    assert (row["animal"], row["place"], row["package_version"]) == ("a", "over, there", 7)


def test_what_tools_leave_to_mark_a_folder_is_passed_over_as_in_the_plan(tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    for name in ("a.csv", "_committed.csv", ".b.jsonl"):
        (tmp_path / "input" / name).write_text(f"{HEADER}\na,1,2,3,F,here\n")
    prepared = prepare(tmp_path / "input", tmp_path / "prepared", reader(), 1000)
    assert [file["name"] for file in prepared["files"]] == ["a.csv"]


def test_answers_for_other_records_are_never_joined(tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    (tmp_path / "input/a.csv").write_text(f"{HEADER}\na,1.5,2,,F,x\nb,1.5,2,,M,x\n")
    through(tmp_path, 1000, 1)
    (tmp_path / "answers/part-00000.csv.out").write_text("3,0.5,no\n2,0.5,no\n")
    folders = {"prepared": "prepared", "records": "prepared/records", "answers": "answers", "output": "again"}
    given = [*(f"--{name}={tmp_path / where}" for name, where in folders.items()), f"--report={tmp_path}"]
    with pytest.raises(SystemExit, match="part-00000: the answers are not for its records: 2 records, 2 answers"):
        join.main([*given, "--version=7", "--format=parquet"])


def test_columns_that_the_output_has_itself_are_refused(tmp_path: Path) -> None:
    own = Reader.of(inference, PREDICTOR.state(), ["label"])
    with pytest.raises(SystemExit, match="the output has columns label of its own"):
        prepare(tmp_path, tmp_path / "out", own, 1000)
