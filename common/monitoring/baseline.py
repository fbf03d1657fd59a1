"""Statistics and constraints of raw records, in SageMaker's formats: what a package is registered with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .checks import Column
from .formats import Bucket, Constraint, Constraints, Feature, InferredType, Numerical, Statistics, Text
from .values import Values, read

_BUCKETS = 10
"""As many as SageMaker's containers make."""
_MOST_CATEGORIES = 100
"""Told in the statistics, and enumerated as the domain of a column: SageMaker's, too, are of small cardinality."""
_CONFIG = {
    "evaluate_constraints": "Enabled",
    "emit_metrics": "Enabled",
    "datatype_check_threshold": 1.0,
    "domain_content_threshold": 1.0,
    "distribution_constraints": {
        "perform_comparison": "Enabled",
        "comparison_threshold": 0.1,
        "comparison_method": "Robust",
        "categorical_comparison_threshold": 0.1,
        "categorical_drift_method": "ChiSquared",
    },
}
"""The values that SageMaker's own baseline jobs suggest; documentation for its tools, since ours check by `Checks`."""


def statistics(frame: pd.DataFrame, columns: Sequence[Column]) -> dict[str, Any]:
    """The content of `statistics.json`: the columns that the records have, in declared order."""
    features = tuple(_feature(column, read(frame[column.name], column)) for column in columns if column.name in frame)
    return Statistics(len(frame), features).to_json()


def constraints(frame: pd.DataFrame, columns: Sequence[Column]) -> dict[str, Any]:
    """The content of `constraints.json`, as the records suggest it; declared categories and bounds come first."""
    known = [(column, read(frame[column.name], column)) for column in columns if column.name in frame]
    return Constraints(tuple(_constraint(*each) for each in known), _CONFIG).to_json()


def _feature(column: Column, values: Values) -> Feature:
    kind = _inferred(column, values)
    if kind == "Unknown":
        return Feature(column.name, kind, None)
    if column.kind == "number":
        return Feature(column.name, kind, _numerical(values))
    counts = Counter(values.present.tolist())
    categories = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST_CATEGORIES]
    return Feature(column.name, kind, Text(len(values.present), values.missing, len(counts), tuple(categories)))


def _inferred(column: Column, values: Values) -> InferredType:
    if not len(values.present):
        return "Unknown"
    if column.kind == "category":
        return "String"
    return "Integral" if (values.present % 1 == 0).all() else "Fractional"


def _numerical(values: Values) -> Numerical:
    numbers = values.present
    low, high = float(numbers.min()), float(numbers.max())
    edges = np.linspace(low, high, _BUCKETS + 1 if high > low else 2)
    counts = np.bincount(np.searchsorted(edges[1:-1], numbers, side="right"), minlength=len(edges) - 1)
    return Numerical(
        num_present=len(numbers),
        num_missing=values.missing,
        mean=float(numbers.mean()),
        sum=float(numbers.sum()),
        std_dev=float(numbers.std()),
        min=low,
        max=high,
        buckets=tuple(
            Bucket(*each) for each in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
        ),
    )


def _constraint(column: Column, values: Values) -> Constraint:
    completeness = 1 - values.missing / values.rows if values.rows else 1.0
    kind = _inferred(column, values)
    if column.kind == "number":
        declared = column.at_least is not None and column.at_least >= 0
        known = bool(len(values.present)) and bool((values.present >= 0).all())
        return Constraint(column.name, kind, completeness, is_non_negative=declared or known)
    domains = column.values or tuple(sorted(set(values.present.tolist())))
    return Constraint(column.name, kind, completeness, domains=domains if len(domains) <= _MOST_CATEGORIES else ())
