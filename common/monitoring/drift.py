"""Compare a window of production with the training set: column by column, jointly, the predictions, and their quality.

**How often nothing is taken for something.** Where nothing has changed, a window drifts at most as often as
`Checks.false_discovery_rate` says. Four fifths of that rate go to the tests of single columns and of the predictions together,
by Benjamini and Hochberg's procedure (1995), and one fifth to the classifier's. The procedure is proven for independent tests
and for those that depend positively, as columns that rise and fall together make them (Benjamini and Yekutieli, 2001). Their
correction for any dependence would cost a factor of about ln(tests); `make bench` measures the rate with strongly correlated
columns, without it. The quality of the predictions has the whole rate for itself, as `degraded` says something else than
`drifted`.

The rate is that of one window, over training sets and windows. Windows that are compared with one training set share its
oddities, and so do their alarms; the smallest distance that matters is there for that, too. The tests take records for
independent: a caller who sends one record a thousand times a night makes a drift of it, and that is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from . import joint, twosample, wording
from .checks import Checks, Column, Metric, Sample
from .findings import PREDICTION, Findings, Joint, Kind, Part, Quality, Test, unexplained
from .formats import CheckType, Violation
from .quality import compare_quality, too_few
from .units import changed_unit
from .values import Values, read

Floats = NDArray[np.float64]

_TO_JOINT = 0.2
"""The classifier's part of the declared rate: its p-value, by a thousand deals, cannot be smaller than a thousandth."""
_PARTS, _LEAST_SHARE = 3, 0.1
_VARIED = 10
"""Different numbers that a column had: with fewer, one may have become the only one."""
_CHECKS: dict[Kind, CheckType] = {
    "values": "baseline_drift_check",
    "missing": "completeness_check",
    "faulty": "data_type_check",
    "unseen": "categorical_values_check",
}


def compare(reference: Sample, window: Sample, columns: Sequence[Column], metric: Metric, checks: Checks) -> Findings:
    """What is different in a window of production from the training set.

    Args:
        columns: those that predictions are made from, see `Column.described`.
        metric: what model quality is measured by.
    """
    rows = len(reference.frame), len(window.frame)
    lacking = [column.name for column in columns if rows[1] and column.name not in window.frame]
    compared = [c for c in columns if rows[1] and c.name in window.frame and c.name not in checks.ignored]
    values = {c.name: (read(reference.frame[c.name], c), read(window.frame[c.name], c)) for c in compared}
    tests = [test for column in compared for test in _of_column(column, *values[column.name], checks)]
    predictions = _predictions(reference), _predictions(window)
    if len(predictions[0]) and len(predictions[1]):
        tests.append(_test(PREDICTION, "values", twosample.numbers(*predictions), checks.least_distance))
    tests = _found(tests, checks)
    units = {
        name: unit
        for name in _drifted_numbers(tests, compared)
        if (unit := changed_unit(*(side.present for side in values[name])))
    }
    tests = [replace(t, words=_words(t, values, predictions, units)) if t.found else t for t in tests]
    together, notes = _jointly(reference.frame, window.frame, compared, checks)
    quality, unknown = _quality(reference, window, metric, checks)
    optional = {column.name for column in columns if column.optional}
    return Findings(
        rows=rows,
        violations=(*_columns_violated(lacking, _extra(window.frame, columns, checks)), *_violations(tests, together)),
        tests=tuple(tests),
        joint=together,
        quality=quality,
        drifted=any(test.found for test in tests) or bool(together and together.found),
        degraded=bool(quality and quality.degraded),
        broken=bool(lacking) or bool(units) or any(_is_fault(test, values, optional) for test in tests),
        notes=tuple(filter(None, (_no_rows(rows[1]), notes, unknown))),
    )


def adjusted(p: Sequence[float]) -> Floats:
    """For each p-value the false discovery rate at which it is just discovered, by Benjamini and Hochberg."""
    return np.asarray(stats.false_discovery_control(p), dtype=float) if len(p) else np.empty(0)


def _of_column(column: Column, old: Values, new: Values, checks: Checks) -> Iterator[Test]:
    name, least = column.name, checks.least_share
    if old.missing or new.missing:
        yield _test(name, "missing", twosample.shares(old.missing, old.rows, new.missing, new.rows), least)
    if new.faulty:
        yield _test(name, "faulty", twosample.shares(old.faulty, old.rows, new.faulty, new.rows, "greater"), least)
    if not len(old.present) or not len(new.present):
        return
    if column.kind == "number":
        yield _test(name, "values", twosample.numbers(old.present, new.present), checks.least_distance)
        return
    yield _test(name, "values", twosample.categories(old.present, new.present), checks.least_distance)
    if not column.values:
        yield _test(name, "unseen", twosample.unseen(old.present, new.present), least)


def _predictions(side: Sample) -> Floats:
    return np.empty(0) if side.predictions is None else side.predictions[~np.isnan(side.predictions)]


def _test(feature: str, kind: Kind, result: twosample.Result, least: float) -> Test:
    """A test whose `found` says, so far, that the difference is large enough."""
    large = abs(result.effect) >= least
    return Test(feature, kind, result.method, result.statistic, result.p, 1.0, result.effect, large, "")


def _found(tests: Sequence[Test], checks: Checks) -> list[Test]:
    """The tests with their q-values, the most certain first; found is what is certain and large."""
    rate = checks.false_discovery_rate * (1 - _TO_JOINT)
    q = adjusted([test.p for test in tests]).tolist()
    decided = [replace(t, q=value, found=t.found and value <= rate) for t, value in zip(tests, q, strict=True)]
    return sorted(decided, key=lambda test: (not test.found, test.p, -abs(test.effect)))


def _drifted_numbers(tests: Sequence[Test], columns: Sequence[Column]) -> list[str]:
    numbers = {column.name for column in columns if column.kind == "number"}
    return [test.feature for test in tests if test.found and test.kind == "values" and test.feature in numbers]


def _words(
    test: Test,
    values: Mapping[str, tuple[Values, Values]],
    predictions: tuple[Floats, Floats],
    units: Mapping[str, str],
) -> str:
    """What was found, for a person."""
    name = test.feature
    if name == PREDICTION:
        return wording.numbers_words(name, *predictions)
    old, new = values[name]
    if test.kind == "missing":
        return wording.missing_words(name, old, new)
    if test.kind == "faulty":
        return wording.faulty_words(name, new)
    if test.kind == "unseen":
        return wording.unseen_words(name, old, new)
    if name in units:
        return wording.unit_words(name, old.present, new.present, units[name])
    told = wording.numbers_words if _is_number(old) else wording.categories_words
    return told(name, old.present, new.present)


def _is_fault(test: Test, values: Mapping[str, tuple[Values, Values]], optional: set[str]) -> bool:
    """Whether somebody has to mend where the records come from; also where a column comes empty, or stuck at one number."""
    if not test.found or test.feature == PREDICTION:
        return False
    old, new = values[test.feature]
    if test.kind == "missing":
        return test.effect > 0 and (test.feature not in optional or not len(new.present))
    if test.kind == "values" and _is_number(new):
        return len(np.unique(new.present)) == 1 and len(np.unique(old.present)) > _VARIED
    return test.kind == "faulty"


def _is_number(values: Values) -> bool:
    return values.present.dtype.kind == "f"


def _jointly(
    before: pd.DataFrame, now: pd.DataFrame, columns: Sequence[Column], checks: Checks
) -> tuple[Joint | None, str]:
    """The classifier's test, or why there is none."""
    fewest = min(len(before), len(now))
    if len(columns) < 2 or not len(now):
        return None, ""
    if fewest < joint.FEWEST_ROWS:
        return None, f"{fewest} records are too few to compare columns jointly; {joint.FEWEST_ROWS} are needed."
    told = joint.tell_apart(before, now, columns)
    found = told.p <= checks.false_discovery_rate * _TO_JOINT and told.auc >= checks.least_auc
    return Joint(told.auc, told.p, found, told.rows, _parts(told, before, now, columns) if found else ()), ""


def _parts(told: joint.Told, before: pd.DataFrame, now: pd.DataFrame, columns: Sequence[Column]) -> tuple[Part, ...]:
    sides = joint.drawn(before), joint.drawn(now)
    by_name = {column.name: column for column in columns}
    return tuple(
        Part(names, part, wording.together_words(*sides, tuple(by_name[name] for name in names)))
        for number, (names, part) in enumerate(list(told.shares.items())[:_PARTS])
        if number == 0 or part >= _LEAST_SHARE
    )


def _quality(reference: Sample, window: Sample, metric: Metric, checks: Checks) -> tuple[Quality | None, str]:
    if reference.outcomes is None or window.outcomes is None:
        return None, ""
    for outcomes in (window.outcomes, reference.outcomes):
        if reason := too_few(metric, outcomes):
            return None, reason
    rate, least = checks.false_discovery_rate, checks.least_loss
    return compare_quality(metric, reference.outcomes, window.outcomes, rate, least), ""


def _extra(frame: pd.DataFrame, columns: Sequence[Column], checks: Checks) -> list[str]:
    known = {column.name for column in columns}.union(checks.ignored)
    return [str(name) for name in frame.columns if name not in known]


def _columns_violated(lacking: Sequence[str], extra: Sequence[str]) -> list[Violation]:
    return [
        *(Violation(n, "missing_column_check", f"No record has the column '{n}'.") for n in lacking),
        *(
            Violation(n, "extra_column_check", f"Records have a column '{n}' that no training record had.")
            for n in extra
        ),
    ]


def _violations(tests: Sequence[Test], together: Joint | None) -> list[Violation]:
    """One for each test that has found something, and for what the classifier goes by that no test of a column explains."""
    alone = [Violation(test.feature, _CHECKS[test.kind], test.words) for test in tests if test.found]
    parts = unexplained(tests, together)
    return alone + [Violation(", ".join(part.columns), "baseline_drift_check", part.words) for part in parts]


def _no_rows(rows: int) -> str:
    return "" if rows else "The window has no records: nothing can be said of the data."
