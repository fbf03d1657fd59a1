"""Which of the batches that were scored are to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

from common.batch.declare import Batch
from common.batch.manifest import Manifest
from common.batch.partitions import Partition
from common.steps.windows import Scored, not_seen


def scored(name: str, at: str) -> Scored:
    manifest = Manifest(name, 1, "arn", "0f", {}, "0e", 1, 0, {}, (), (), {}, at)
    return Scored(Partition(name, ()), manifest, Batch("ml.m5.large"))


THREE = [scored(f"dt={day}", f"2026-11-0{day}T02:00:00+00:00") for day in (3, 1, 2)]


def names(found: Sequence[Scored]) -> list[str]:
    return [each.partition.name for each in found]


def test_of_a_package_that_nobody_has_looked_at_yet_the_newest_batch_is_looked_at() -> None:
    assert names(not_seen(THREE, set())) == ["dt=3"]
    assert not_seen([], set()) == []


def test_what_was_looked_at_is_not_looked_at_again_and_what_was_scored_before_the_first_look_never() -> None:
    assert names(not_seen(THREE, {("batch-dt=2", "2026-11-02T02:00:00+00:00")})) == ["dt=3"]
    assert not_seen(THREE, {("batch-dt=3", "2026-11-03T02:00:00+00:00")}) == []


def test_a_batch_whose_job_failed_is_looked_at_again_although_a_later_one_was_seen() -> None:
    seen = {("batch-dt=1", "2026-11-01T02:00:00+00:00"), ("batch-dt=3", "2026-11-03T02:00:00+00:00")}
    assert names(not_seen(THREE, seen)) == ["dt=2"]


def test_of_two_that_were_scored_in_the_same_second_both_are_looked_at() -> None:
    twins = [scored("dt=1", "2026-11-01T02:00:00+00:00"), scored("dt=2", "2026-11-01T02:00:00+00:00")]
    assert names(not_seen(twins, {("batch-dt=1", "2026-11-01T02:00:00+00:00")})) == ["dt=2"]


def test_what_was_scored_anew_is_looked_at_anew() -> None:
    again = [*THREE[:2], scored("dt=2", "2026-11-04T02:00:00+00:00")]
    seen = {(f"batch-dt={day}", f"2026-11-0{day}T02:00:00+00:00") for day in (1, 2, 3)}
    assert names(not_seen(again, seen)) == ["dt=2"]
