"""The monitor's processing program: a window of production and the training set in, the three result files out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common.errors import ModelsError
from common.experiments.outcomes import Truth
from common.monitoring.baseline import statistics
from common.monitoring.checks import Checks, Column, Sample
from common.monitoring.drift import compare
from common.monitoring.formats import violations_json
from common.monitoring.looked import BASELINE_PREDICTIONS, FOLDERS, RESULTS, Looked
from common.monitoring.reading import (
    MOST_ROWS,
    read_batch,
    read_captured,
    read_ground_truth,
    read_pairs,
    read_predictions,
    read_reference,
)
from common.serving.inference import Encoder


@dataclass(frozen=True)
class Folders:
    """What the program reads, and where it writes; live calls or a batch is there, and the truth may not be."""

    plan: Path
    reference: Path
    encoder: Path
    baseline: Path
    calls: Path
    truth: Path
    batch: Path
    answers: Path
    results: Path


@dataclass(frozen=True)
class Read:
    """A window as it was read.

    Attributes:
        rows: records in it, of which the sample may hold a part.
        notes: what could not be read, or was not.
    """

    sample: Sample
    rows: int
    notes: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare the window; where that cannot be done, say why in the job's exit message, and exit with 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in FOLDERS:
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--message", type=Path, required=True, help="the file of the exit message")
    given = vars(parser.parse_args(arguments))
    message: Path = given.pop("message")
    try:
        looked = look(Folders(**given))
    except ModelsError as error:
        message.write_text(str(error))
        sys.exit(str(error))
    sys.stdout.write(f"{looked.rows} records: {len(looked.findings.violations)} violations\n")


def look(folders: Folders) -> Looked:
    """Compare the window with the training set, and write the results.

    Raises:
        DataError: a file of ground truth is malformed.
    """
    plan = json.loads((folders.plan / "plan.json").read_bytes())
    columns = Column.described(plan["columns"], plan["label"])
    pairs = read_pairs((folders.baseline / Path(BASELINE_PREDICTIONS).name).read_bytes())
    reference = read_reference((folders.reference / "train.csv").read_bytes()).drop(columns=plan["label"])
    window = _live(folders, columns, plan) if plan["window"]["kind"] == "live" else _batch(folders, columns, plan)
    findings = compare(
        Sample(reference, pairs.predictions, pairs),
        window.sample,
        columns,
        plan["metric"],
        Checks.from_json(plan["checks"]),
    )
    findings = replace(findings, notes=(*window.notes, *findings.notes))
    about = plan["window"]
    looked = Looked(
        about["id"], about["kind"], about["ends"], window.rows, about["version"], about["inputs"], about, findings
    )
    contents = (statistics(window.sample.frame, columns), violations_json(findings.violations), looked.to_json())
    folders.results.mkdir(parents=True, exist_ok=True)
    for name, content in zip(RESULTS, contents, strict=True):
        (folders.results / name).write_text(json.dumps(content, indent=1, allow_nan=False))
    return looked


def _live(folders: Folders, columns: Sequence[Column], plan: dict[str, Any]) -> Read:
    encoder = Encoder.from_state(json.loads((folders.encoder / "encoder.json").read_bytes()))
    truth: Truth = {}
    if folders.truth.is_dir():
        truth = read_ground_truth(folders.truth, plan["truth_files"], tuple(plan["classes"]))
    captured = read_captured(folders.calls, encoder, plan["since"], plan["until"], plan["serves_since"], truth)
    notes = _sampled(captured.rows)
    if captured.unreadable:
        notes += (f"{captured.unreadable:,} captured requests cannot be read as records, and are left out.",)
    # Callers may send what the source has, too: the label, columns that are not used, keys.
    passed_over = {each["name"] for each in plan["columns"]}.union(plan["keys"]) - {column.name for column in columns}
    frame = captured.frame.drop(columns=list(passed_over), errors="ignore")
    return Read(Sample(frame, captured.predictions, captured.outcomes), captured.rows, notes)


def _batch(folders: Folders, columns: Sequence[Column], plan: dict[str, Any]) -> Read:
    frame, rows = read_batch(folders.batch, [column.name for column in columns])
    predictions = read_predictions(folders.answers, "probability" if plan["classes"] else "prediction")
    return Read(Sample(frame, predictions), rows, _sampled(rows))


def _sampled(rows: int) -> tuple[str, ...]:
    return (f"Of {rows:,} records, {MOST_ROWS:,} drawn at random are compared.",) if rows > MOST_ROWS else ()


if __name__ == "__main__":
    main()
