"""The program of the monitor's job, from the files that it is given to those that it leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.local.hosting.capture import CaptureSpec, Event, line
from common.monitoring.checks import Checks
from common.monitoring.looked import FOLDERS, RESULTS
from common.monitoring.program import main
from common.serving.inference import Encoder, Number

COLUMNS = [{"kind": "number", "name": "a"}, {"kind": "ignored", "name": "phone"}, {"kind": "number", "name": "y"}]
PLAN = {
    "window": {"id": "live-1", "kind": "live", "ends": "2026-11-21", "version": 1, "inputs": "0f"},
    "columns": COLUMNS, "label": "y", "classes": [], "metric": "rmse", "checks": Checks().to_json(), "keys": ["id"],
    "since": "2026-11-20T00:00:00Z", "until": "2026-11-21T00:00:00Z", "serves_since": "", "truth_files": {},
}  # fmt: skip
SPEC = CaptureSpec(True, 100, "s3://b/capture", "", ("Input", "Output"), ("text/csv",), ("application/json",))
NOON = 1_795_176_000.0  # 2026-11-20T12:00:00Z


def put(folder: Path, name: str, content: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)


def given(folder: Path, record: dict[str, Any]) -> list[str]:
    """The program's arguments, once its folders hold a training set and one captured call."""
    random = np.random.default_rng(1)
    put(folder / "plan", "plan.json", json.dumps(PLAN))
    put(folder / "reference", "train.csv", pd.DataFrame(random.random((50, 2)), columns=["a", "y"]).to_csv(index=False))
    put(folder / "encoder", "encoder.json", json.dumps(Encoder((Number("a"),), {}, {}).state()))
    put(folder / "baseline", "predictions.csv", "1,1\n2,2\n")
    kind = "application/json"
    event = Event(json.dumps(record).encode(), kind, b'{"predictions": [{"prediction": 0.5}]}', kind, "call", NOON)
    put(folder / "calls", "a.jsonl", json.dumps(line(event, SPEC)))
    return [*(f"--{name}={folder / name}" for name in FOLDERS), f"--message={folder / 'message'}"]


def test_what_callers_send_along_and_the_source_knows_is_no_column_too_much(tmp_path: Path) -> None:
    main(given(tmp_path, {"a": 0.5, "y": 0.5, "phone": "555", "id": 7, "colour": "red"}))
    statistics, violations, findings = (json.loads((tmp_path / "results" / name).read_text()) for name in RESULTS)
    assert [each["name"] for each in statistics["features"]] == ["a"]
    [violation] = violations["violations"]
    assert (violation["feature_name"], violation["constraint_check_type"]) == ("colour", "extra_column_check")
    assert findings["window"]["rows"] == 1


def test_truth_that_cannot_be_read_is_the_exit_message(tmp_path: Path) -> None:
    arguments = given(tmp_path, {"a": 0.5})
    put(tmp_path / "truth", "t.jsonl", "nonsense\n")
    with pytest.raises(SystemExit, match="is no ground truth"):
        main(arguments)
    assert (tmp_path / "message").read_text().startswith("t.jsonl, line 1, is no ground truth")
    assert not (tmp_path / "results").exists()
