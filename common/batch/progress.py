"""How far a partition has come, by what lies in S3: jobs may have failed, been stopped, or been forgotten. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from common.batch.partitions import File

PREPARED, JOINED = "prepared/prepared.json", "report/joined.json"


@dataclass(frozen=True)
class Progress:
    """What is there already.

    Attributes:
        prepared: what `prepared.json` tells; None where the records have yet to be checked.
        pending: the pieces that the transform has not answered yet.
        joined: what `joined.json` tells; None where the rows have yet to be written.
    """

    prepared: Mapping[str, Any] | None = None
    pending: tuple[str, ...] = ()
    joined: Mapping[str, Any] | None = None


def progress(
    files: Collection[File],
    work: Mapping[str, int],
    prepared: Mapping[str, Any] | None,
    output: Mapping[str, int],
    joined: Mapping[str, Any] | None,
) -> Progress:
    """How far it has come.

    Args:
        files: of the partition, as they are now.
        work, output: bytes of what lies in the partition's work folder and in its output, by name.
        prepared, joined: the documents of that name, where they are.
    """
    if prepared is None or not _is_whole(files, work, prepared):
        return Progress()
    pending = tuple(name for name in scorable(prepared) if answer(name) not in work)
    whole = joined is not None and all(output.get(name) == size for name, size in joined["files"].items())
    return Progress(prepared, pending, joined if whole and not pending else None)


def _is_whole(files: Collection[File], work: Mapping[str, int], prepared: Mapping[str, Any]) -> bool:
    """Whether all that was prepared is there, and was prepared from files of these sizes."""
    if {file["name"]: file["bytes"] for file in prepared["files"]} != {file.name: file.size for file in files}:
        return False
    needed = [f"prepared/rejected/{part['name']}.jsonl" for part in prepared["parts"] if part["rejected"]]
    needed += [f"prepared/records/{name}.parquet" for name in scorable(prepared)]
    return all(name in work for name in needed) and all(
        todo(name) in work or answer(name) in work for name in scorable(prepared)
    )


def scorable(prepared: Mapping[str, Any]) -> list[str]:
    """The names of the pieces in which there is a record to score."""
    return [part["name"] for part in prepared["parts"] if part["records"]]


def todo(part: str) -> str:
    """What the transform is given of a piece."""
    return f"prepared/todo/{part}.csv"


def answer(part: str) -> str:
    """What the transform answers to it."""
    return f"answers/{part}.csv.out"
