"""The files that SageMaker's tools read: `statistics.json`, `constraints.json`, `constraint_violations.json`.

Sources: "Schema for Statistics", "Schema for Constraints" and "Schema for Violations" in the SageMaker developer guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

CheckType = Literal[
    "data_type_check",
    "completeness_check",
    "baseline_drift_check",
    "missing_column_check",
    "extra_column_check",
    "categorical_values_check",
]


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


def read_violations(document: Mapping[str, Any]) -> tuple[Violation, ...]:
    """The violations of such a file.

    Raises:
        ValueError: it is none.
    """
    violations = tuple(Violation(**each) for each in document["violations"])
    for each in violations:
        if each.constraint_check_type not in get_args(CheckType):
            raise ValueError(f"'{each.constraint_check_type}' is none of the checks {', '.join(get_args(CheckType))}")
    return violations
