"""Which partitions are scored, and how far each has come: pure functions of what lies in S3."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import churn_model
import energy_model
from abalone_model import MODEL as ABALONE
from common.batch import Batch
from common.batch.declare import declared_batch
from common.batch.jobs import Place, join_request, prepare_request, transform_request
from common.batch.manifest import Manifest, unaccounted
from common.batch.partitions import File, Partition, Task, partitions, tasks
from common.batch.progress import Progress, answer, progress, todo
from common.batch.run import Scoring
from common.commands.batch import batch
from common.errors import BatchError, ModelsError, UsageError
from common.registry import Package
from common.settings import Settings
from common.steps.batch import _failure
from common.training.processing import Cluster

BATCH = Batch("ml.m5.large", keys=("Phone",))
FIRST, SECOND = (
    Package(f"arn:aws:sagemaker:eu-west-1:123456789012:model-package/churn/{n}", n, "Approved",
            datetime(2026, 11, 20, tzinfo=UTC), "image", "s3://bucket/model.tar.gz") for n in (1, 2)
)  # fmt: skip
LISTING = {"dt=1/a.csv": ("e1", 10), "dt=1/b.jsonl": ("e2", 20), "dt=2/a.csv": ("e3", 30), "dt=2/_SUCCESS": ("e4", 0)}
PLACE = Place("s3://b/code.tar.gz", "s3://b/in/dt=1/", "s3://b/work/", "s3://b/out/")


def manifest(task: Task, at: str = "2026-11-20") -> Manifest:
    """What is written when the task is done."""
    version, arn = task.package.version, task.package.arn
    declared, digest = task.batch.of_output(), task.digest
    return Manifest(
        task.partition.name, version, arn, task.partition.inputs, declared, digest, 1, 0, {}, (), (), {}, at
    )


def waiting(listing: dict[str, tuple[str, int]], done: list[Manifest], package: Package, **options: Any) -> list[str]:
    """The partitions that would be scored."""
    batch, only = options.get("batch", BATCH), options.get("only", "")
    return [t.partition.name for t in tasks(partitions(listing), done, package, batch, only) if not t.done]


def done_by(package: Package) -> list[Manifest]:
    return [manifest(task) for task in tasks(partitions(LISTING), [], package, BATCH)]


def test_a_partition_is_the_files_of_a_folder() -> None:
    one, two = partitions(LISTING)
    assert one == Partition("dt=1", (File("a.csv", "e1", 10), File("b.jsonl", "e2", 20)))
    assert two == Partition("dt=2", (File("a.csv", "e3", 30),))


def test_folders_may_lie_in_folders_and_files_that_nobody_can_read_are_named() -> None:
    found = partitions({"dt=1/eu/a.csv": ("e", 1), "dt=1/x.parquet": ("e", 1), "loose.csv": ("e", 1), "dt=3/": ("", 0)})
    assert [(each.name, len(each.files), each.strange) for each in found] == [
        ("dt=1/eu", 1, ()), ("dt=1", 0, ("x.parquet",)), ("", 0, ("loose.csv",))
    ]  # fmt: skip


def test_what_was_scored_is_not_scored_again() -> None:
    assert waiting(LISTING, [], FIRST) == ["dt=1", "dt=2"]
    assert waiting(LISTING, done_by(FIRST), FIRST) == []


def test_a_deploy_scores_no_old_partition_again_unless_it_is_asked_for() -> None:
    assert waiting(LISTING, done_by(FIRST), SECOND) == []
    assert waiting(LISTING, done_by(FIRST), SECOND, only="dt=1") == ["dt=1"]
    assert waiting(LISTING, done_by(FIRST) + done_by(SECOND), SECOND, only="dt=1") == []


@pytest.mark.parametrize("changed", [("e9", 10), ("e1", 11)], ids=["other content of the same size", "another size"])
def test_changed_files_are_scored_again(changed: tuple[str, int]) -> None:
    assert waiting(LISTING | {"dt=1/a.csv": changed}, done_by(FIRST), FIRST) == ["dt=1"]


def test_a_file_more_or_less_is_another_input() -> None:
    assert waiting(LISTING | {"dt=2/late.csv": ("e", 1)}, done_by(FIRST), FIRST) == ["dt=2"]
    assert waiting({name: LISTING[name] for name in ("dt=1/a.csv",)}, done_by(FIRST), FIRST) == ["dt=1"]


def test_partitions_with_the_same_files_have_jobs_of_their_own() -> None:
    same = tasks(partitions({"dt=1/a.csv": ("e", 1), "dt=2/a.csv": ("e", 1)}), [], FIRST, BATCH)
    aws: Any = None  # none is asked
    names = {Scoring(aws, churn_model.MODEL, task, "", "", print)._job("join") for task in same}
    assert len(names) == 2


def test_another_output_is_scored_anew_and_another_instance_is_not() -> None:
    for other in (replace(BATCH, keys=()), replace(BATCH, format="csv")):
        assert waiting(LISTING, done_by(FIRST), FIRST, batch=other) == ["dt=1", "dt=2"]
    other = replace(BATCH, instance_type="ml.m5.4xlarge", instance_count=4, piece_mb=64)
    assert waiting(LISTING, done_by(FIRST), FIRST, batch=other) == []


def test_a_partition_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(UsageError, match=r"no partition 'dt=9'(.|\n)*dt=1, dt=2"):
        tasks(partitions(LISTING), [], FIRST, BATCH, "dt=9")


def test_a_manifest_survives_its_document() -> None:
    [one, _] = done_by(FIRST)
    assert Manifest.from_json(one.to_json()) == one


@pytest.mark.parametrize("told", [True, False])
def test_people_hear_of_failures_that_no_event_tells(told: bool) -> None:
    failures: dict[str, ModelsError] = {"dt=1": BatchError("a", told=True), "dt=2": BatchError("b", told=told)}
    together = _failure(churn_model.MODEL, failures, 3)
    assert (together.what.splitlines()[1:], together.told) == (["  - dt=1: a", "  - dt=2: b"], told)


def test_a_task_says_what_is_done_or_to_be_done() -> None:
    [one, _] = tasks(partitions(LISTING), [], FIRST, BATCH)
    assert str(one) == "dt=1: version 1 scores 2 files, 0.0 MB"
    assert str(replace(one, done=manifest(one))) == "dt=1: 1 of 1 records scored by version 1 at 2026-11-20"


PREPARED = {
    "answers": ["probability", "label"],
    "files": [{"name": "a.csv", "bytes": 10}],
    "parts": [{"name": f"part-0000{n}", "records": n, "rejected": 2 - n} for n in range(3)],
    "rejected": 3,
}
FILES = (File("a.csv", "e1", 10),)
WHOLE = {
    "prepared/prepared.json": 1,
    "prepared/rejected/part-00000.jsonl": 1,
    "prepared/rejected/part-00001.jsonl": 1,
    **{f"prepared/records/part-0000{n}.parquet": 1 for n in (1, 2)},
    **{todo(f"part-0000{n}"): 1 for n in (1, 2)},
}
ANSWERS = {answer(f"part-0000{n}"): 1 for n in (1, 2)}
ROWS = {"part-00001.parquet": 5, "_rejected/part-00000.jsonl": 6}
JOINED = {"files": ROWS, "parts": []}


def test_a_partition_goes_through_its_stages() -> None:
    assert progress(FILES, {}, None, {}, None) == Progress()
    assert progress(FILES, WHOLE, PREPARED, {}, None).pending == ("part-00001", "part-00002")
    answered = progress(FILES, WHOLE | ANSWERS, PREPARED, {}, None)
    assert (answered.pending, answered.joined) == ((), None)
    assert progress(FILES, WHOLE | ANSWERS, PREPARED, ROWS, JOINED).joined == JOINED


def test_a_piece_that_is_answered_need_not_be_there_to_be_sent() -> None:
    work = {name: size for name, size in (WHOLE | ANSWERS).items() if not name.startswith("prepared/todo")}
    assert progress(FILES, work, PREPARED, {}, None).prepared == PREPARED


@given(st.data())
def test_whatever_is_lost_is_made_again(data: st.DataObject) -> None:
    """A job's name says that it has completed; only what lies in S3 says that its files are there."""
    everything = WHOLE | ANSWERS
    lost = data.draw(st.sampled_from(sorted(everything)))
    work = {name: size for name, size in everything.items() if name != lost}
    prepared = PREPARED if "prepared/prepared.json" in work else None
    found = progress(FILES, work, prepared, ROWS, JOINED)
    if lost.startswith("prepared/todo"):
        assert found.joined == JOINED  # it was answered
    elif lost.startswith("answers"):
        assert found.prepared == PREPARED
        assert len(found.pending) == 1
        assert found.joined is None
    else:
        assert found == Progress()


@pytest.mark.parametrize("output", [{}, {"part-00001.parquet": 5}, {**ROWS, "part-00001.parquet": 4}])
def test_rows_that_are_not_what_was_joined_are_joined_again(output: dict[str, int]) -> None:
    assert progress(FILES, WHOLE | ANSWERS, PREPARED, output, JOINED).joined is None


def test_what_was_prepared_of_files_of_other_sizes_counts_for_nothing() -> None:
    assert progress((File("a.csv", "e1", 11),), WHOLE, PREPARED, {}, None) == Progress()


def test_lines_that_nobody_accounts_for_are_counted() -> None:
    file = {"lines": 10, "headers": 1, "blank": 2, "records": 6, "rejected": 1}
    assert unaccounted([file]) == 0
    assert unaccounted([file, {**file, "records": 4}, {**file, "records": 7}]) == 3


def test_the_line_number_is_kept_from_the_model_and_returned_with_its_answer() -> None:
    [one, _] = tasks(partitions(LISTING), [], FIRST, BATCH)
    request = transform_request(churn_model.MODEL, one, PLACE, PREPARED, "churn-model-1")
    assert request["DataProcessing"] == {"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-2,-1]"}
    assert request["ModelName"] == "churn-model-1"
    assert request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] == "s3://b/work/prepared/todo/"


def test_keys_reach_the_checks_and_version_and_format_the_join() -> None:
    [one, _] = tasks(partitions(LISTING), [], SECOND, replace(BATCH, format="csv", piece_mb=3))
    settings = Settings("eu-west-1", "b", "arn:aws:iam::123456789012:role/r")
    first = prepare_request(churn_model.MODEL, settings, one, PLACE)["AppSpecification"]["ContainerArguments"]
    assert first[-2:] == ["--piece-bytes=3000000", "--key=Phone"]
    last = join_request(churn_model.MODEL, settings, one, PLACE, PREPARED)
    assert last["AppSpecification"]["ContainerArguments"][-2:] == ["--version=2", "--format=csv"]
    assert [given["InputName"] for given in last["ProcessingInputs"]] == [
        "code", "prepared", "records", "answers", "rejected"
    ]  # fmt: skip


def test_a_job_is_given_no_folder_that_holds_nothing() -> None:
    [one, _] = tasks(partitions(LISTING), [], FIRST, BATCH)
    settings = Settings("eu-west-1", "b", "arn:aws:iam::123456789012:role/r")
    nothing = {**PREPARED, "parts": [], "rejected": 0}
    request = join_request(churn_model.MODEL, settings, one, PLACE, nothing)
    assert [given["InputName"] for given in request["ProcessingInputs"]] == ["code", "prepared"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"input": "s3://bucket/no-slash"}, "is no prefix in S3"),
        ({"keys": "Phone"}, r"Declare keys=\('Phone',\)"),
        ({"format": "xml"}, "cannot be written as 'xml'"),
        ({"instance_count": 0}, "needs instances"),
        ({"requests_at_once": 101}, "asked 101 requests at a time"),
        ({"processing": Cluster("ml.m5.large", instance_count=2)}, "2 instances cannot share"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_declared(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Batch("ml.m5.large", **wrong)


def test_models_without_batches_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert declared_batch(churn_model.MODEL).keys == ("Phone",)
    monkeypatch.delattr("abalone_model.deploy.BATCH")
    with pytest.raises(UsageError, match="abalone scores no batches"):
        declared_batch(ABALONE)
    with pytest.raises(UsageError, match="energy is a fleet"):
        declared_batch(energy_model.MODEL)


def test_the_command_says_which_models_score_no_batches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        batch("energy")
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("Error: energy is a fleet: batches are scored with models of rows.\n  → ")
