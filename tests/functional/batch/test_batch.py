"""Partitions through the real jobs of the local AWS, to rows with predictions."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import BatchError, RegistryError
from common.serving.archive import load_predictor
from common.steps.batch import NothingServes
from tests.accounts import Account
from tests.functional.batch.batch_kit import BATCH, LAYOUT, Batches, Killed, animals, killed_at_call, lines_of
from tests.functional.deployment.deployment_kit import COLUMNS, MODEL, Project, on_call, trained

SMALL = replace(BATCH, piece_mb=2)
"""With `small_pieces`: 2 kB, some thirty records."""
WORK = LAYOUT.batch_work("")[:-1]
MOST_CALLS = 60
"""To score one partition takes fewer calls of AWS, those that wait for jobs aside."""


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a thousandth of what is declared: files of many pieces are written in no time."""
    monkeypatch.setattr("common.batch.jobs._MEGABYTE", 1000)


@pytest.mark.usefixtures("small_pieces")
def test_every_record_comes_out_once_although_the_step_is_killed_at_any_call(batches: Batches, tmp_path: Path) -> None:
    spoilt = animals(60) + b'0.5,"never closed,0.5,0.5,\n0.5,tag x,0.5,many,\n\n0.5,tag y,0.5\n0.5,,0.5,0.5,\n'
    record = {"animal": "tag j", "length": 0.25, "width": 0.5, "weight": 1}
    listed = "\n".join([json.dumps(record), "{", json.dumps({**record, "width": None})]).encode()
    batches.put("dt=1", a_csv=spoilt, b_jsonl=listed, _SUCCESS=b"")
    before, scoring = batches.jobs(), batches.scoring(SMALL, "dt=1")
    for call in range(1, MOST_CALLS):
        with suppress(Killed), killed_at_call(batches, call):
            scoring.run()
            break
    jobs = batches.jobs()
    assert len(set(jobs) - set(before)) == 3, "no job was done twice"
    assert not batches.context.bucket.listing(WORK), "what the jobs have left for each other is gone"

    wanted = [("a.csv", line) for line in lines_of(spoilt)] + [("b.jsonl", line) for line in (1, 2, 3)]
    assert batches.fates("dt=1") == dict.fromkeys(wanted, 1)
    rows = batches.rows("dt=1")
    assert sorted(row["animal"] for row in rows) == sorted([*(f"tag {n}" for n in range(60)), "tag j"])
    (tmp_path / "model.tar.gz").write_bytes(trained(1)[0])
    answers = load_predictor(tmp_path / "model.tar.gz").answers([{name: row[name] for name in COLUMNS} for row in rows])
    assert [row["prediction"] for row in rows] == pytest.approx([answer["prediction"] for answer in answers])
    assert {row["package_version"] for row in rows} == {1}
    manifest = batches.manifest("dt=1")
    assert (manifest.records, manifest.rejected, manifest.package_version) == (61, 6, 1)
    assert manifest.reasons["width: no number"] == 1
    assert len(manifest.parts) > 1

    assert batches.score(SMALL, partition="dt=1") == [
        f"abalone dt=1: 61 of 67 records scored by version 1 at {manifest.scored_at}"
    ]
    assert batches.jobs() == jobs


@pytest.mark.usefixtures("small_pieces")
def test_after_a_failed_transform_only_what_has_no_answer_is_scored_again(batches: Batches) -> None:
    body = animals(150, seed=2)
    batches.put("dt=2", a_csv=body)
    bucket, asked = batches.context.bucket, "prepared/todo/part-00002.csv"
    kept: dict[str, bytes] = {}

    def spoil() -> None:
        for key in [WORK + name for name in bucket.listing(WORK) if name.endswith(asked)]:
            kept[key] = bucket.read(key) or b""
            bucket.write(key, b"1,many,2,3\n")

    refused = pytest.raises(BatchError, match=r"Transform job abalone-score-\w+ is Failed: (.|\n)*length: no number")
    with refused, on_call(batches.project.aws.sagemaker, "CreateTransformJob", spoil):
        batches.score(SMALL, partition="dt=2")
    [(key, content)] = kept.items()
    bucket.write(key, content)
    sent: list[str] = []
    todo = key.removesuffix("part-00002.csv")
    with on_call(batches.project.aws.sagemaker, "CreateTransformJob", lambda: sent.extend(bucket.listing(todo))):
        batches.score(SMALL, partition="dt=2")
    assert sent == ["part-00002.csv"]
    assert batches.fates("dt=2") == {("a.csv", line): 1 for line in lines_of(body)}


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("call", [pytest.param("CreateProcessingJob", marks=pytest.mark.long), "CreateTransformJob"])
def test_two_that_score_the_same_end_with_the_same(batches: Batches, call: str) -> None:
    body, name, faster = animals(40, seed=3), f"at={call}", Batches(batches.project)
    batches.put(name, a_csv=body)
    one, other = batches.scoring(SMALL, name), faster.scoring(SMALL, name)
    runs = [other.run]

    def be_faster() -> None:
        if runs and batches.context.bucket.listing(WORK):  # the records were checked already
            runs.pop()()

    with on_call(batches.project.aws.sagemaker, call, be_faster):
        assert one.run() == batches.manifest(name)
    assert not runs
    assert batches.fates(name) == {("a.csv", line): 1 for line in lines_of(body)}
    assert not batches.context.bucket.listing(WORK)


@pytest.mark.usefixtures("small_pieces")
def test_a_partition_that_cannot_be_scored_keeps_no_other_from_it(batches: Batches) -> None:
    batches.put("dt=2", a_csv=b"animal,length,width,weight\n")  # scored before, with many rows
    batches.put("dt=3", a_xml=b"<animal/>")
    batches.put("dt=4", a_csv=b"animal,length\ntag 1,0.5\n")
    batches.context.bucket.write(f"{LAYOUT.batch_input()}loose.csv", animals(1))
    assert batches.score(SMALL, plan=True)[-4:] == [
        "abalone dt=2: version 1 scores 1 file, 0.0 MB",
        "abalone dt=3: version 1 scores 0 files, 0.0 MB",
        "abalone dt=4: version 1 scores 1 file, 0.0 MB",
        "abalone files in no folder: version 1 scores 0 files, 0.0 MB",
    ]
    with pytest.raises(BatchError) as caught:
        batches.score(SMALL)
    assert caught.value.what.splitlines() == [
        "3 of 4 partitions of abalone were not scored:",
        "  - dt=3: dt=3 has files that are neither CSV nor JSON lines: a.xml.",
        "  - dt=4: None of the 1 records of dt=4 can be scored: the file's header has no width, weight.",
        "  - files in no folder: Files lie beside the partitions, in no folder: loose.csv.",
    ]
    assert (batches.manifest("dt=4").records, batches.fates("dt=4")) == (0, {("a.csv", 2): 1})
    with pytest.raises(BatchError, match="2 of 2 partitions"):  # what was set aside as a whole is done, too
        batches.score(SMALL)
    assert batches.manifest("dt=2").records == 0
    assert list(batches.output("dt=2")) == ["version=1/_manifest.json"], "what other files have left is gone"


def test_a_package_that_is_rejected_by_now_scores_nothing(batches: Batches) -> None:
    sagemaker, arn = batches.project.account.client("sagemaker"), batches.project.live().package_arn
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Rejected", ApprovalDescription="biased")
    try:
        with pytest.raises(RegistryError, match="Version 1 of abalone serves, but is Rejected by now: biased"):
            batches.score()
    finally:
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")


def test_what_was_never_deployed_scores_nothing_and_what_is_not_there_any_more_is_missed(
    aws: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    project = Project(aws)
    batches, package = Batches(project), project.package(1)
    batches.put("dt=1", a_csv=animals(1))
    [said] = batches.score()
    assert said.startswith("abalone: nothing is scored, for it was never deployed. `./models status abalone` says why")
    with pytest.raises(NothingServes, match="No package of abalone serves"):
        batches.score(partition="dt=1")
    context = batches.context
    context.registry(MODEL).record_deployment(package, "abalone-1", context.run)
    with pytest.raises(NothingServes, match="No package of abalone serves"):
        batches.score()
