"""Compare a window of production with the training set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from .checks import Checks, Column, Metric, Sample
from .findings import Findings, Test
from .formats import Violation


def compare(reference: Sample, window: Sample, columns: Sequence[Column], metric: Metric, checks: Checks) -> Findings:
    """What is different in a window of production from the training set.

    Args:
        columns: those that predictions are made from, see `Column.described`.
        metric: what model quality is measured by.
    """
    if window.outcomes is not None and metric not in ("rmse", "mae", "log_loss", "brier", "roc_auc"):
        raise ValueError(f"{metric} is no metric that model quality is measured by")
    tests = []
    for column in columns:
        if column.kind == "number" and column.name in window.frame and len(window.frame):
            result = stats.ks_2samp(reference.frame[column.name], window.frame[column.name].astype(float))
            found = result.pvalue <= checks.false_discovery_rate and result.statistic >= checks.least_distance
            tests.append(
                Test(
                    column.name, "values", "Kolmogorov–Smirnov", float(result.statistic), float(result.pvalue),
                    float(result.pvalue), float(result.statistic), bool(found), f"'{column.name}' is distributed differently.",
                )
            )  # fmt: skip
    violations = tuple(Violation(t.feature, "baseline_drift_check", t.words) for t in tests if t.found)
    return Findings(
        rows=(len(reference.frame), len(window.frame)),
        violations=violations,
        tests=tuple(tests),
        joint=None,
        quality=None,
        drifted=bool(violations),
        degraded=False,
        broken=False,
    )


def adjusted(p: Sequence[float]) -> NDArray[np.float64]:
    """Benjamini–Hochberg's adjusted p-values (q-values)."""
    return np.asarray(stats.false_discovery_control(p), dtype=float)
