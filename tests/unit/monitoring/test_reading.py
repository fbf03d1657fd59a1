"""What a job of the monitor makes of captured files, batches and ground truth."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import DataError
from common.experiments.outcomes import read_answers
from common.local.hosting.capture import CaptureSpec, Event, line
from common.monitoring.reading import (
    Thinned,
    outcomes,
    read_batch,
    read_captured,
    read_ground_truth,
    read_predictions,
)
from common.serving.inference import Category, Encoder, Number

ENCODER = Encoder((Number("length"), Category("sex", ("F", "M"))), {"sex": ("F", "M")}, {})
SPEC = CaptureSpec(True, 100, "s3://b/capture", "", ("Input", "Output"), ("text/csv",), ("application/json",))
SINCE, UNTIL = "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"
NOON = 1_795_176_000.0  # 2026-11-20T12:00:00Z
DAY = 86_400


def call(body: str, answer: str, *, moment: float = NOON, kind: str = "application/json", **changes: Any) -> str:
    """A captured call, as the local AWS writes it."""
    event = Event(body.encode(), kind, answer.encode(), kind, changes.pop("id", None), moment)
    return json.dumps(line(event, SPEC) | changes)


def answers(*values: float) -> str:
    return json.dumps({"predictions": [{"prediction": value} for value in values]})


def captured(folder: Path, *lines: str) -> Path:
    path = folder / "2026/11/20/12/a.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"{each}\n" for each in lines))
    return folder


def test_records_come_out_of_json_csv_and_base64_and_answers_with_them(tmp_path: Path) -> None:
    encoded = call('{"length": 4, "sex": "F"}', answers(4))
    document = json.loads(encoded)
    given = document["captureData"]["endpointInput"]
    given |= {"data": base64.b64encode(given["data"].encode()).decode(), "encoding": "BASE64"}
    lines = (
        call('[{"length": 1, "sex": "F"}, {"length": null, "sex": "M"}]', answers(1, 2)),
        call("length,sex\n3,F\n", "3.5\n", kind="text/csv"),
        json.dumps(document),
    )
    read = read_captured(captured(tmp_path, *lines), ENCODER, SINCE, UNTIL, SINCE, {})
    assert read.frame["sex"].tolist() == ["F", "M", "F", "F"]
    assert read.frame["length"].tolist() == [1, None, "3", 4]
    assert read.predictions.tolist() == [1, 2, 3.5, 4]
    assert (read.rows, read.unreadable, read.outcomes) == (4, 0, None)


# "Capture data from real-time endpoint", SageMaker developer guide: a line of a captured file, with fewer columns.
DOCUMENTED = """\
{"captureData":{"endpointInput":{"observedContentType":"text/csv","mode":"INPUT","data":"132,F","encoding":"CSV"},\
"endpointOutput":{"observedContentType":"text/csv; charset=utf-8","mode":"OUTPUT","data":"0.01076381653547287",\
"encoding":"CSV"}},"eventMetadata":{"eventId":"feca1ab1-8025-47e3-8f6a-99e3fdd7b8d9",\
"inferenceTime":"2019-11-20T23:33:12Z"},"eventVersion":"0"}"""


def test_a_line_as_sagemaker_documents_it_is_read_and_joined_with_its_truth(tmp_path: Path) -> None:
    known = {"feca1ab1-8025-47e3-8f6a-99e3fdd7b8d9": (1.0,)}
    since, until = "2019-11-20T00:00:00Z", "2019-11-21T00:00:00Z"
    read = read_captured(captured(tmp_path, DOCUMENTED), ENCODER, since, until, since, known)
    assert read.frame.to_dict("records") == [{"length": "132", "sex": "F"}]
    assert read.outcomes is not None
    assert (read.outcomes.predictions.tolist(), read.outcomes.truth.tolist()) == ([0.01076381653547287], [1.0])


def test_a_separator_of_lines_within_a_text_ends_no_call(tmp_path: Path) -> None:
    encoded = call('{"length": 1, "sex": "F\\u2028"}', answers(1)).replace("\\\\u2028", "\u2028")
    assert "\u2028" in encoded
    read = read_captured(captured(tmp_path, encoded), ENCODER, SINCE, UNTIL, SINCE, {})
    assert (read.rows, read.unreadable) == (1, 0)


def test_what_is_no_captured_call_is_counted_and_what_is_of_another_time_is_not_looked_at(tmp_path: Path) -> None:
    good = call('{"length": 1, "sex": "F"}', answers(1))
    lines = (
        good,
        good[: len(good) // 2],
        call("{", answers(1)),
        call('{"length": 1, "sex": "F"}', answers(7), moment=NOON - DAY, id="before"),
        call('{"length": 1, "sex": "F"}', answers(8), moment=NOON + DAY, id="after"),
        json.dumps({"captureData": {}, "eventMetadata": {"inferenceTime": SINCE}}),
    )
    truth = {"before": (5.0,), "after": (6.0,)}
    read = read_captured(captured(tmp_path, *lines), ENCODER, SINCE, UNTIL, "", truth)
    assert (read.rows, read.unreadable) == (1, 3)
    assert read.predictions.tolist() == [1, 1]
    assert read.outcomes is not None
    assert read.outcomes.predictions.tolist() == [7]


def test_what_another_package_has_answered_before_is_left_out(tmp_path: Path) -> None:
    body = '{"length": 1, "sex": "F"}'
    minutes = (-1500, 0, 1)
    lines = [call(body, answers(number), moment=NOON + 60 * number, id=str(number)) for number in minutes]
    truth = {str(number): (0.0,) for number in minutes}
    read = read_captured(captured(tmp_path, *lines), ENCODER, SINCE, UNTIL, "2026-11-20T12:00:30Z", truth)
    assert (read.rows, read.predictions.tolist()) == (1, [1])
    assert read.outcomes is not None
    assert read.outcomes.predictions.tolist() == [1]


def test_truth_joins_the_predictions_it_is_about_whenever_they_were_made(tmp_path: Path) -> None:
    given = read_answers([call("{}", answers(1, 2), id="a", moment=NOON - DAY), call("{}", answers(3), id="b")])
    path = tmp_path / "2026/11/20/05/t.jsonl"
    path.parent.mkdir(parents=True)
    truth = [{"groundTruthData": {"data": data, "encoding": "CSV"}, "eventMetadata": {"eventId": event}}
             for event, data in (("a", "1.5,2.5"), ("b", "1,2"), ("c", "9"))]  # fmt: skip
    path.write_text("".join(f"{json.dumps(each)}\n" for each in truth))
    known = outcomes(given, read_ground_truth(tmp_path, {}, ()))
    assert known is not None
    assert (known.predictions.tolist(), known.truth.tolist()) == ([1, 2], [1.5, 2.5])
    assert outcomes(given, {}) is None


def test_malformed_truth_is_named_as_it_lies_in_the_bucket(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text("nonsense\n")
    with pytest.raises(DataError, match=r"abalone/truth/t\.jsonl, line 1, is no ground truth"):
        read_ground_truth(tmp_path, {"t.jsonl": "abalone/truth/t.jsonl"}, ())


def test_a_batch_is_read_raw_and_what_is_no_record_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('\ufefflength,sex,name\n1,F,x\n"a,b",M,y\n1,2,3,4\n\n1,"2,3\nNA, ,z\n2\n')
    with (tmp_path / "a.csv").open("a") as file:
        file.write(f'"{"x" * 200_000}",F,z\n')
    (tmp_path / "b.jsonl").write_text(
        '{"length": 3, "name": "x"}\n{\n[1]\n{"length": "4", "sex": "M"}\n' + "[" * 99_999
    )
    (tmp_path / "c.csv").write_text("")
    (tmp_path / "d.txt").write_text("length\n9\n")
    frame, rows = read_batch(tmp_path, ["length", "sex"])
    assert (list(frame), rows) == (["length", "sex"], 5)
    assert frame["length"].tolist() == ["1", "a,b", "NA", 3, "4"]


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(1, 30))
def test_a_sample_holds_as_many_rows_as_it_may_each_once_in_order(sizes: list[int], most: int) -> None:
    thinned, total = Thinned(most), sum(sizes)
    start = 0
    for size in sizes:
        thinned.add(pd.DataFrame({"row": range(start, start + size)}))
        start += size
    kept = thinned.frame.get("row", pd.Series(dtype=int)).tolist()
    assert (thinned.rows, len(kept)) == (total, min(total, most))
    assert kept == sorted(set(kept))


def test_every_row_is_as_likely_to_be_sampled() -> None:
    counts = np.zeros(60)
    for seed in range(300):
        thinned = Thinned(10, seed)
        for start in range(0, 60, 12):
            thinned.add(pd.DataFrame({"row": range(start, start + 12)}))
        counts[thinned.frame["row"]] += 1
    expected = 300 / 6
    assert ((counts - expected) ** 2 / expected).sum() < 100  # chi-squared with 59 degrees of freedom: p 0.0007


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_predictions_of_a_batch_are_those_of_all_its_parts(suffix: str, tmp_path: Path) -> None:
    for number in range(2):
        part = pd.DataFrame({"name": ["x", "y"], "probability": [number, number + 0.5]})
        write = part.to_parquet if suffix == "parquet" else part.to_csv
        write(tmp_path / f"part-0000{number}.{suffix}", index=False)
    assert read_predictions(tmp_path, "probability").tolist() == [0, 0.5, 1, 1.5]
    assert read_predictions(tmp_path / "none", "probability").tolist() == []
