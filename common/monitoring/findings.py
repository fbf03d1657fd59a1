"""What the comparison of a window with the training set has found, as it is kept in `findings.json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from .formats import Violation

PREDICTION = "(prediction)"
"""Stands for the predictions where a column's name is expected."""

Kind = Literal["values", "missing", "faulty", "unseen"]


@dataclass(frozen=True)
class Test:
    """One two-sample test of one column.

    Attributes:
        feature: the column's name, or `PREDICTION`.
        kind: what was compared: the distribution of the values, or the share of rows whose value is missing, is not what
            the column declares, or is a category that no training record had.
        statistic: of the test that `method` names.
        p: how likely chance makes a difference at least as large.
        q: the false discovery rate at which it would just be found, see `drift.adjusted`.
        effect: the distance, or by how much the share rose; between -1 and 1.
        found: whether it is certain enough and large enough.
        words: the difference in words that a person understands; empty where nothing was found.
    """

    feature: str
    kind: Kind
    method: str
    statistic: float
    p: float
    q: float
    effect: float
    found: bool
    words: str


@dataclass(frozen=True)
class Part:
    """A column, or a pair of columns, by which the classifier tells a window from the training set.

    Attributes:
        share: of what the classifier goes by, between 0 and 1.
        words: how it differs.
    """

    columns: tuple[str, ...]
    share: float
    words: str


@dataclass(frozen=True)
class Joint:
    """The classifier two-sample test.

    Attributes:
        auc: how well the classifier tells records that it has not seen apart: 0.5 is not at all, 1 always.
        rows: records that were compared (training set, window); of large samples a part.
        parts: what it goes by, the most important first.
    """

    auc: float
    p: float
    found: bool
    rows: tuple[int, int]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Estimate:
    """A figure, and the interval that contains its true value with a probability of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Measured:
    """A metric where the model was evaluated (`before`) and in production (`now`)."""

    before: Estimate
    now: Estimate


@dataclass(frozen=True)
class Quality:
    """How good the predictions were whose truth is known by now.

    Attributes:
        metric: what decides.
        change: how much worse the metric is, whatever its direction: above 0 is worse.
        p: how likely chance makes it that much worse.
        outcomes: how many pairs of prediction and truth there are.
        metrics: by name, every metric that says something about the problem, `metric` among them.
    """

    metric: str
    change: Estimate
    p: float
    degraded: bool
    outcomes: int
    metrics: Mapping[str, Measured]
    words: str


@dataclass(frozen=True)
class Findings:
    """What a window's comparison has come to.

    Attributes:
        rows: records (training set, window).
        tests: every test, found or not, the most certain first.
        joint, quality: None where too little is known; `notes` say why.
        drifted: the data are distributed differently.
        degraded: the predictions are worse.
        broken: records are not what the model declares, look like another unit, or a column comes empty or always the same:
            somebody has to mend where they come from, and a model that is retrained on them would be no better.
        notes: what could not be looked at, and why.
    """

    rows: tuple[int, int]
    violations: tuple[Violation, ...]
    tests: tuple[Test, ...]
    joint: Joint | None
    quality: Quality | None
    drifted: bool
    degraded: bool
    broken: bool
    notes: tuple[str, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """Columns in which anything was found, `PREDICTION` among them, the most certain first; then those that it was found
        in together.
        """
        together = (column for part in unexplained(self.tests, self.joint) for column in part.columns)
        return tuple(dict.fromkeys([*(test.feature for test in self.tests if test.found), *together]))

    def of(self, feature: str) -> tuple[Test, ...]:
        """The tests of a column."""
        return tuple(test for test in self.tests if test.feature == feature)

    def to_json(self) -> dict[str, Any]:
        """The content of `findings.json`."""
        return {"version": 1, **asdict(self)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Findings:
        """The findings that `to_json` described."""
        joint, quality = document["joint"], document["quality"]
        return cls(
            rows=_pair(document["rows"]),
            violations=tuple(Violation(**each) for each in document["violations"]),
            tests=tuple(Test(**each) for each in document["tests"]),
            joint=joint and _joint(joint),
            quality=quality and _quality(quality),
            drifted=document["drifted"],
            degraded=document["degraded"],
            broken=document["broken"],
            notes=tuple(document["notes"]),
        )


def unexplained(tests: Iterable[Test], joint: Joint | None) -> list[Part]:
    """What the classifier goes by that no test of a column has found."""
    moved = {test.feature for test in tests if test.found}
    return [part for part in (joint.parts if joint else ()) if not moved & set(part.columns)]


def _joint(document: Mapping[str, Any]) -> Joint:
    parts = tuple(Part(tuple(each["columns"]), each["share"], each["words"]) for each in document["parts"])
    return Joint(document["auc"], document["p"], document["found"], _pair(document["rows"]), parts)


def _quality(document: Mapping[str, Any]) -> Quality:
    metrics = {
        name: Measured(Estimate(**each["before"]), Estimate(**each["now"]))
        for name, each in document["metrics"].items()
    }
    return Quality(**{**document, "change": Estimate(**document["change"]), "metrics": metrics})


def _pair(numbers: list[int]) -> tuple[int, int]:
    first, second = numbers
    return first, second
