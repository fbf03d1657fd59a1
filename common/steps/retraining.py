"""Training again what has not changed, on data that have: when there is nothing to gain by it, and what became of it.

The last attempt to replace a package is kept beside what the monitor finds about that package. The next one waits for
reasons that are newer: a model that could not be bettered on Monday is not trained again each night until there is more to
learn from.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from common.errors import DataError, GateError
from common.model import Model
from common.registry import Package, now
from common.steps.context import Context
from common.steps.registering import register_once
from common.storage import Layout

if TYPE_CHECKING:
    from common.steps.candidate import Candidate


@dataclass(frozen=True)
class Attempt:
    """The last attempt to replace a package.

    Attributes:
        at: when it ended, ISO 8601 in UTC.
        because: why it was made.
        outcome: the version that was registered, or why none was.
    """

    at: str
    because: str
    outcome: str

    @property
    def ended(self) -> datetime:
        return datetime.fromisoformat(self.at)


def last_attempt(context: Context, model: Model, serving: Package) -> Attempt | None:
    """The last attempt to replace this package; None where there was none.

    Raises:
        DataError: its record is damaged.
    """
    key = Layout(model.name).retraining(serving.version)
    record = context.bucket.read_json(key)
    try:
        return None if record is None else Attempt(**record)
    except TypeError as error:
        raise DataError(
            f"{context.bucket.uri(key)} is damaged: {error}.", "Delete it, and run the same again."
        ) from error


def register_retrained(candidate: Candidate) -> Package:
    """Register what was trained again, once, and note the attempt.

    An attempt that failed, by a job or a source that could not be read, is not noted: the next one makes up for it.

    Raises:
        GateError: there is nothing that anybody could approve, and why: what serves was trained on the same data,
            production went back from a package of these data, or the new one is not better (and registered as rejected).
    """
    try:
        _require_something_new(candidate)
        package = register_once(candidate)
    except GateError as error:
        _note(candidate, error.what)
        raise
    _note(candidate, f"version {package.version}")
    return package


def _require_something_new(candidate: Candidate) -> None:
    name, serving = candidate.model.name, candidate.champion_package
    known = candidate.context.registry(candidate.model).find(candidate.source, candidate.data_version)
    if known and serving and known.arn == serving.arn:
        raise GateError(
            f"There is nothing new to train {name} on: data {candidate.data_version} are those of version {known.version}, "
            "which serves.",
            "Wait until the source has more. If it should have more by now, look why it has not.",
        )
    if known and known.rolled_back:
        raise GateError(
            f"Data {candidate.data_version} of {name} are those of version {known.version}, which was {known.rolled_back}.",
            f"Mend the data or the model; or `./models release {name} --version {known.version}`, if it was not to blame.",
        )


def _note(candidate: Candidate, outcome: str) -> None:
    serving = candidate.champion_package
    if serving:
        key = Layout(candidate.model.name).retraining(serving.version)
        candidate.context.bucket.write_json(key, asdict(Attempt(now(), candidate.because, outcome)))
