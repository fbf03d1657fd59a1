"""Partitions through the real jobs of the local AWS, to rows with predictions."""

import json

from tests.functional.batch.batch_kit import Batches, animals, lines_of


def test_every_record_comes_out_once_with_its_prediction_or_its_reason(batches: Batches) -> None:
    good = animals(30)
    spoilt = good + b'0.5,"never closed,0.5,0.5,\n0.5,tag x,0.5,many,\n\n0.5,tag y,0.5\n0.5,,0.5,0.5,\n'
    record = {"animal": "tag j", "length": 0.25, "width": 0.5, "weight": 1}
    listed = "\n".join([json.dumps(record), "{", json.dumps({**record, "width": None})]).encode()
    batches.put("dt=1", a_csv=spoilt, b_jsonl=listed)
    batches.score()
    assert batches.fates("dt=1") == {("a.csv", line): 1 for line in lines_of(spoilt)} | {
        ("b.jsonl", n): 1 for n in (1, 2, 3)
    }
