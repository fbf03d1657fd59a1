"""The files that SageMaker's tools read: `statistics.json`, `constraints.json`, `constraint_violations.json`.

Sources: "Schema for Statistics", "Schema for Constraints" and "Schema for Violations" in the SageMaker developer guide, by
which containers of one's own may add members. Those that are not described there are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

InferredType = Literal["Integral", "Fractional", "String", "Unknown"]
CheckType = Literal[
    "data_type_check",
    "completeness_check",
    "baseline_drift_check",
    "missing_column_check",
    "extra_column_check",
    "categorical_values_check",
]
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Violation:
    """What is not as the baseline says.

    Attributes:
        feature_name: a column, or several with commas between.
        description: one or two sentences for a person.
    """

    feature_name: str
    constraint_check_type: CheckType
    description: str


def violations_json(violations: Iterable[Violation]) -> dict[str, Any]:
    """The content of `constraint_violations.json`."""
    return {"violations": [asdict(violation) for violation in violations]}


def read_violations(document: Document) -> tuple[Violation, ...]:
    """The violations of such a file.

    Raises:
        ValueError: it is none.
    """
    try:
        found = [tuple(each[name] for name in Violation.__match_args__) for each in document["violations"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"this is no constraint_violations.json: {error!r}") from error
    for _, check, _ in found:
        if check not in get_args(CheckType):
            raise ValueError(f"'{check}' is none of the checks {', '.join(get_args(CheckType))}")
    return tuple(Violation(*each) for each in found)


@dataclass(frozen=True)
class Bucket:
    """How many numbers lie from `lower_bound` to before `upper_bound`; the last bucket has its upper bound, too."""

    lower_bound: float
    upper_bound: float
    count: float


@dataclass(frozen=True)
class Numerical:
    """What is known of a column of numbers.

    Attributes:
        std_dev: of the values themselves, with n in the denominator.
        sketch: a KLL sketch where another container wrote one; ours writes buckets only, since a sketch of few records is
            the records themselves.
    """

    num_present: float
    num_missing: float
    mean: float
    sum: float
    std_dev: float
    min: float
    max: float
    buckets: tuple[Bucket, ...]
    sketch: Document | None = None

    def to_json(self) -> dict[str, Any]:
        kll: dict[str, Any] = {"buckets": [asdict(bucket) for bucket in self.buckets]}
        if self.sketch is not None:
            kll["sketch"] = self.sketch
        return {
            "common": {"num_present": self.num_present, "num_missing": self.num_missing},
            "mean": self.mean,
            "sum": self.sum,
            "std_dev": self.std_dev,
            "min": self.min,
            "max": self.max,
            "distribution": {"kll": kll},
        }

    @classmethod
    def from_json(cls, document: Document) -> Numerical:
        common, kll = _common(document), document["distribution"]["kll"]
        buckets = tuple(Bucket(each["lower_bound"], each["upper_bound"], each["count"]) for each in kll["buckets"])
        moments = {name: document[name] for name in ("mean", "sum", "std_dev", "min", "max")}
        return cls(**common, **moments, buckets=buckets, sketch=kll.get("sketch"))


@dataclass(frozen=True)
class Text:
    """What is known of a column of names.

    Attributes:
        categories: the most frequent values with their counts, or all where there are few.
    """

    num_present: float
    num_missing: float
    distinct_count: float
    categories: tuple[tuple[str, float], ...]

    def to_json(self) -> dict[str, Any]:
        buckets = [{"value": value, "count": count} for value, count in self.categories]
        return {
            "common": {"num_present": self.num_present, "num_missing": self.num_missing},
            "distinct_count": self.distinct_count,
            "distribution": {"categorical": {"buckets": buckets}},
        }

    @classmethod
    def from_json(cls, document: Document) -> Text:
        common, buckets = _common(document), document["distribution"]["categorical"]["buckets"]
        categories = tuple((each["value"], each["count"]) for each in buckets)
        return cls(**common, distinct_count=document["distinct_count"], categories=categories)


@dataclass(frozen=True)
class Feature:
    """A column's statistics; None where it holds no value by which it could be told from others."""

    name: str
    inferred_type: InferredType
    values: Numerical | Text | None

    def to_json(self) -> dict[str, Any]:
        described: dict[str, Any] = {"name": self.name, "inferred_type": self.inferred_type}
        if self.values is None:
            return described
        member = "numerical_statistics" if isinstance(self.values, Numerical) else "string_statistics"
        return {**described, member: self.values.to_json()}

    @classmethod
    def from_json(cls, document: Document) -> Feature:
        numerical, text = document.get("numerical_statistics"), document.get("string_statistics")
        values = Numerical.from_json(numerical) if numerical else Text.from_json(text) if text else None
        return cls(document["name"], _inferred(document["inferred_type"]), values)


@dataclass(frozen=True)
class Statistics:
    """The content of `statistics.json`."""

    item_count: float
    features: tuple[Feature, ...]
    version: float = 0.0

    def to_json(self) -> dict[str, Any]:
        features = [feature.to_json() for feature in self.features]
        return {"version": self.version, "dataset": {"item_count": self.item_count}, "features": features}

    @classmethod
    def from_json(cls, document: Document) -> Statistics:
        """The statistics of such a file.

        Raises:
            ValueError: it is none.
        """
        try:
            features = tuple(Feature.from_json(each) for each in document["features"])
            return cls(document["dataset"]["item_count"], features, document["version"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no statistics.json: {error!r}") from error


@dataclass(frozen=True)
class Constraint:
    """What a column has to be like.

    Attributes:
        completeness: the share of records that have a value.
        is_non_negative: of numbers; None where nothing is said.
        domains: the values that a column of names may have; empty where any is fine.
        overrides: of `monitoring_config`, for this column.
    """

    name: str
    inferred_type: InferredType
    completeness: float
    is_non_negative: bool | None = None
    domains: tuple[str, ...] = ()
    overrides: Document | None = None

    def to_json(self) -> dict[str, Any]:
        described: dict[str, Any] = {
            "name": self.name,
            "inferred_type": self.inferred_type,
            "completeness": self.completeness,
        }
        if self.is_non_negative is not None:
            described["num_constraints"] = {"is_non_negative": self.is_non_negative}
        if self.domains:
            described["string_constraints"] = {"domains": list(self.domains)}
        if self.overrides is not None:
            described["monitoringConfigOverrides"] = self.overrides
        return described

    @classmethod
    def from_json(cls, document: Document) -> Constraint:
        return cls(
            document["name"],
            _inferred(document["inferred_type"]),
            document["completeness"],
            document.get("num_constraints", {}).get("is_non_negative"),
            tuple(document.get("string_constraints", {}).get("domains", ())),
            document.get("monitoringConfigOverrides"),
        )


@dataclass(frozen=True)
class Constraints:
    """The content of `constraints.json`.

    Attributes:
        monitoring_config: how strictly SageMaker's own analyser would check; ours goes by `Checks`.
    """

    features: tuple[Constraint, ...]
    monitoring_config: Document = field(default_factory=dict)
    version: float = 0.0

    def to_json(self) -> dict[str, Any]:
        features = [feature.to_json() for feature in self.features]
        return {"version": self.version, "features": features, "monitoring_config": self.monitoring_config}

    @classmethod
    def from_json(cls, document: Document) -> Constraints:
        """The constraints of such a file.

        Raises:
            ValueError: it is none.
        """
        try:
            features = tuple(Constraint.from_json(each) for each in document["features"])
            return cls(features, document.get("monitoring_config", {}), document["version"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no constraints.json: {error!r}") from error


def _common(document: Document) -> dict[str, float]:
    return {name: document["common"][name] for name in ("num_present", "num_missing")}


def _inferred(name: str) -> InferredType:
    for known in get_args(InferredType):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise ValueError(f"'{name}' is none of the types {', '.join(get_args(InferredType))}")
