"""A window beside the training set: every kind of drift is found and named, and nothing is found where nothing changed."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.monitoring import (
    CHURN,
    DAY,
    KINDS,
    PROCESSES,
    QUIET,
    TRAINING,
    Window,
    bound_for,
    changed,
    customers,
    names,
    quiet,
)
from common.monitoring import joint
from common.monitoring.checks import Checks, Column, Outcomes, Sample
from common.monitoring.drift import compare
from common.monitoring.findings import PREDICTION, Findings
from common.monitoring.joint import Told

COLUMNS = (
    Column("age", "number", at_least=0, at_most=150),
    Column("dose", "number", optional=True),
    Column("visits", "number", integer=True),
    Column("ward", "category"),
)


def patients(random: np.random.Generator, rows: int) -> Sample:
    age = np.clip(random.normal(50, 15, rows), 0, 150)
    dose = np.where(random.random(rows) < 0.05, np.nan, age / 10 + random.gamma(2, 1, rows))
    frame = pd.DataFrame(
        {
            "age": age,
            "dose": dose,
            "visits": random.poisson(2, rows).astype(float),
            "ward": random.choice(["A", "B", "C"], rows, p=[0.6, 0.3, 0.1]),
        }
    )
    return Sample(frame, 1 / (1 + np.exp(-(age - 60) / 10)))


RANDOM = np.random.default_rng(11)
REFERENCE, WINDOW = patients(RANDOM, 600), patients(RANDOM, 200)
both = partial(compare, columns=COLUMNS, metric="brier", checks=Checks())


def changed_patients(**columns: "pd.Series[Any]") -> Findings:
    return both(REFERENCE, replace(WINDOW, frame=WINDOW.frame.assign(**columns)))


@pytest.fixture(scope="module")
def reference() -> Sample:
    return customers(TRAINING, 1)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("shift: Day Mins + 1", "'Day Mins' is higher: half of the values are below "),
        ("scale: Eve Mins × 1.5", "'Eve Mins' varies more: the middle half of the values lies between "),
        ("new category: State, 4 %", "'State' has a category that no training record had, in "),
        ("missing: Intl Mins, 3 %", "'Intl Mins' is empty in "),
        (
            "unit: Night Mins in seconds",
            "'Night Mins' looks like another unit, as from minutes to seconds: half of the values",
        ),
        ("share: Int'l Plan + 15 points", "The categories of 'Int'l Plan' are distributed differently: 'yes' is "),
        (
            "joint: Eve with Intl Mins",
            "'Eve Mins' and 'Intl Mins' go together differently: one rises as the other rises",
        ),
    ],
)
def test_each_kind_of_drift_is_found_and_named_in_words(reference: Sample, kind: str, words: str) -> None:
    change, expected = KINDS[kind]
    window = customers(2 * DAY, 7)
    frame = change(window.frame, np.random.default_rng(1007))
    findings = compare(reference, Sample(frame, window.predictions), CHURN, "log_loss", Checks())
    assert findings.drifted
    assert names(findings) == set(expected)
    assert any(each.description.startswith(words) for each in findings.violations), findings.violations


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.long
def test_no_drift_is_quiet_at_the_declared_rate_over_500_windows(process: str) -> None:
    alarms = sum(quiet(number, process, 150).drifted for number in range(QUIET))
    assert alarms <= stats.binom.ppf(0.999, QUIET, Checks().false_discovery_rate)


@pytest.mark.parametrize(("ours", "plain"), [(0, 1), (1, 1), (3, 3)])
def test_the_yardstick_of_the_benchmark_alarms_as_often_as_ours(ours: int, plain: int) -> None:
    windows = [Window(number < ours, index, frozenset()) for number, index in enumerate((0.1, 0.5, 0.3, 0.2, 0.4))]
    assert sum(window.index > bound_for(windows) for window in windows) == plain


def test_windows_like_the_training_set_alarm_no_more_often_than_declared() -> None:
    random, checks = (
        np.random.default_rng(8),
        Checks(false_discovery_rate=0.1, least_distance=0, least_share=0, least_auc=0),
    )
    found = []
    for _ in range(60):
        sides = patients(random, 150), patients(random, 60)
        found.append(compare(*sides, COLUMNS, "brier", checks).drifted)
    assert sum(found) <= stats.binom.ppf(0.999, len(found), 0.1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.long
def test_most_windows_of_each_kind_of_drift_are_found(kind: str) -> None:
    windows = [changed(number, kind, DAY) for number in range(20)]
    assert sum(set(KINDS[kind][1]) <= each.named for each in windows) >= 10


def test_a_window_like_the_training_set_is_quiet() -> None:
    findings = both(REFERENCE, WINDOW)
    assert (findings.drifted, findings.degraded, findings.broken) == (False, False, False)
    assert (findings.violations, findings.features, findings.rows) == ((), (), (600, 200))
    assert all(not test.words for test in findings.tests)


def test_a_joint_difference_is_always_named(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: dict[tuple[str, ...], float] = {("age", "visits"): 0.09, ("dose", "visits"): 0.08}
    monkeypatch.setattr(joint, "tell_apart", lambda *_: Told(0.7, 0.001, (600, 200), shares))
    findings = both(REFERENCE, WINDOW)
    assert (findings.drifted, findings.features) == (True, ("age", "visits"))
    [violation] = findings.violations
    assert violation.description.startswith("'age' and 'visits' go together differently")


def test_findings_come_back_from_their_file() -> None:
    random = np.random.default_rng(2)
    outcomes = Outcomes(random.random(80), (random.random(80) < 0.5).astype(float))
    window = replace(WINDOW, frame=WINDOW.frame.assign(age=WINDOW.frame["age"] + 30), outcomes=outcomes)
    findings = both(replace(REFERENCE, outcomes=outcomes), window)
    assert findings.joint is not None
    assert findings.joint.parts
    assert findings.quality is not None
    assert Findings.from_json(json.loads(json.dumps(findings.to_json(), allow_nan=False))) == findings


def test_text_as_it_comes_in_counts_as_the_values_that_it_spells() -> None:
    as_text = WINDOW.frame.astype(object).where(WINDOW.frame.notna(), "NA").astype(str)
    assert both(REFERENCE, replace(WINDOW, frame=as_text)) == both(REFERENCE, WINDOW)


def test_faulty_values_are_told_and_are_no_reason_to_retrain() -> None:
    broken = WINDOW.frame["age"].astype(object)
    broken.iloc[:20] = "old"
    findings = changed_patients(age=broken)
    assert findings.broken
    (violation,) = findings.violations
    assert violation.constraint_check_type == "data_type_check"
    assert violation.description == "20 of 200 values of 'age' are not what the model declares: no number (old)."


def test_gaps_are_a_fault_only_where_none_are_allowed() -> None:
    gaps = np.arange(200) < 60
    allowed = changed_patients(dose=WINDOW.frame["dose"].mask(gaps))
    assert (allowed.drifted, allowed.broken) == (True, False)
    assert allowed.violations[0].constraint_check_type == "completeness_check"
    forbidden = changed_patients(age=WINDOW.frame["age"].mask(gaps))
    assert (forbidden.drifted, forbidden.broken) == (True, True)


def test_a_column_that_comes_empty_or_stuck_is_a_fault() -> None:
    empty = changed_patients(dose=pd.Series(np.nan, WINDOW.frame.index))
    assert (empty.drifted, empty.broken) == (True, True)
    stuck = changed_patients(dose=pd.Series(0.0, WINDOW.frame.index))
    assert (stuck.drifted, stuck.broken) == (True, True)
    words = "'dose' is 0 in all records, before half of the values lay between "
    assert any(each.description.startswith(words) for each in stuck.violations)
    # Of a few numbers, or names, one may have become the only one.
    for alone in ({"visits": 2.0}, {"ward": "A"}):
        findings = changed_patients(**{name: pd.Series(value, WINDOW.frame.index) for name, value in alone.items()})
        assert (findings.drifted, findings.broken) == (True, False)


def test_a_column_that_is_missing_or_new_is_told() -> None:
    frame = WINDOW.frame.drop(columns="ward").assign(station="A")
    findings = both(REFERENCE, replace(WINDOW, frame=frame))
    assert (findings.drifted, findings.broken) == (False, True)
    assert [(each.feature_name, each.constraint_check_type) for each in findings.violations] == [
        ("ward", "missing_column_check"),
        ("station", "extra_column_check"),
    ]


def test_an_ignored_column_may_change() -> None:
    window = replace(WINDOW, frame=WINDOW.frame.assign(age=WINDOW.frame["age"] + 30))
    findings = compare(REFERENCE, window, COLUMNS, "brier", Checks(ignored=("age", "dose")))
    assert not findings.drifted
    sent_along = replace(window, frame=window.frame.assign(phone="555"))
    findings = compare(REFERENCE, sent_along, COLUMNS, "brier", Checks(ignored=("age", "dose", "phone")))
    assert findings.violations == ()


def test_a_certain_but_small_difference_does_not_matter() -> None:
    random = np.random.default_rng(9)
    large, slightly = patients(random, 20_000), patients(random, 20_000)
    slightly = replace(slightly, frame=slightly.frame.assign(age=slightly.frame["age"] + 1))
    findings = both(large, slightly)
    (test,) = [each for each in findings.of("age") if each.kind == "values"]
    assert test.q < 0.001
    assert not findings.drifted
    assert compare(large, slightly, COLUMNS, "brier", Checks(least_distance=0.01)).drifted


def test_predictions_that_moved_are_told() -> None:
    assert WINDOW.predictions is not None
    findings = both(REFERENCE, replace(WINDOW, predictions=np.sqrt(WINDOW.predictions)))
    (violation,) = findings.violations
    assert violation.feature_name == PREDICTION
    assert violation.description.startswith("The prediction is higher: half of the values are below ")


def test_records_without_an_answer_do_not_count_among_the_predictions() -> None:
    assert WINDOW.predictions is not None
    some = np.where(np.arange(200) < 50, np.nan, WINDOW.predictions)
    assert not both(REFERENCE, replace(WINDOW, predictions=some)).drifted
    assert not both(REFERENCE, replace(WINDOW, predictions=np.full(200, np.nan))).of(PREDICTION)


def test_what_cannot_be_looked_at_is_noted() -> None:
    nothing = np.zeros(3)
    few = Sample(WINDOW.frame.head(20), None, Outcomes(nothing, nothing))
    findings = both(replace(REFERENCE, outcomes=Outcomes(np.zeros(200), np.ones(200))), few)
    assert (findings.joint, findings.quality) == (None, None)
    assert findings.notes == (
        "20 records are too few to compare columns jointly; 50 are needed.",
        "The truth of 3 predictions is known; 30 are needed to say how good they were.",
    )
    assert both(REFERENCE, Sample(pd.DataFrame())).notes == (
        "The window has no records: nothing can be said of the data.",
    )


def test_truth_is_compared_though_a_window_has_no_records() -> None:
    random = np.random.default_rng(2)
    good, bad = random.random(300), random.random(300)
    truth = (random.random(300) < good).astype(float)
    before, now = Outcomes(good, truth), Outcomes(bad, truth)
    findings = both(replace(REFERENCE, outcomes=before), Sample(pd.DataFrame(), None, now))
    assert (findings.drifted, findings.degraded) == (False, True)
