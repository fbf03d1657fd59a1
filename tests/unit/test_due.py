"""When a model is trained again: what the monitor found, the calendar, and what keeps it from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.deployment.hold import Hold
from common.deployment.live import Live
from common.errors import DataError, MonitoringError
from common.model import Model, find_model
from common.monitoring.declare import Monitor, Rule, declared_monitor
from common.monitoring.findings import Findings
from common.monitoring.looked import Looked
from common.registry import APPROVED, PENDING, REJECTED, Package
from common.steps.context import Context
from common.steps.due import Due, Standing, due_models, parameters, reason
from common.steps.retraining import Attempt, last_attempt

NOW = datetime(2026, 11, 20, 5, tzinfo=UTC)
MONITOR = Monitor(rule=Rule(windows=2, of=3), retrain_after_days=30)


def package(version: int, status: str = APPROVED, source: str = "s1", **metadata: str) -> Package:
    known = {"source": source, "data_version": f"d{version}", **metadata}
    return Package(f"arn{version}", version, status, NOW - timedelta(days=9), "", "", metadata=known)


def window(days_ago: float, *, drifted: bool = False, degraded: bool = False, broken: bool = False) -> Looked:
    findings = Findings((100, 100), (), (), None, None, drifted=drifted, degraded=degraded, broken=broken)
    ends = (NOW - timedelta(days=days_ago)).isoformat()
    time = {"since": (NOW - timedelta(days=days_ago + 1)).isoformat(), "until": ends}
    return Looked(f"live-{days_ago}", "live", ends, 100, 1, "i", time, findings)


def standing(*windows: Looked, gathered_days_ago: float = 9, attempt_days_ago: float | None = None) -> Standing:
    tried = NOW - timedelta(days=attempt_days_ago or 0)
    return Standing(
        source="s1",
        serving=package(1),
        newest=package(1),
        live=Live("InService", "c1"),
        windows=windows,
        gathered=NOW - timedelta(days=gathered_days_ago),
        attempt=None if attempt_days_ago is None else Attempt(tried.isoformat(), "drift", "Version 2 is rejected"),
    )


DRIFT = (window(3, drifted=True), window(2), window(1, drifted=True))


def test_drift_in_enough_of_the_last_windows_is_a_reason_that_names_them() -> None:
    because, words = reason(standing(*DRIFT), MONITOR, NOW)
    assert because == words == "data had drifted in 2 of the last 3 windows: live-3, live-1"


@pytest.mark.parametrize(
    "windows",
    [
        (),
        (window(1, drifted=True),),
        (window(4, drifted=True), window(3), window(2), window(1, drifted=True)),
        (window(2, drifted=True, broken=True), window(1, drifted=True, broken=True)),
        (window(2, drifted=True), window(1, degraded=True)),
    ],
    ids=["none looked at", "a single odd one", "too far apart", "broken data", "one of each kind"],
)
def test_less_is_no_reason(windows: tuple[Looked, ...]) -> None:
    because, words = reason(standing(*windows), MONITOR, NOW)
    assert because == ""
    assert words


def test_worse_predictions_are_a_reason() -> None:
    because, _ = reason(standing(window(2, degraded=True), window(1, degraded=True)), MONITOR, NOW)
    assert because.startswith("predictions were worse in 2 of the last 2 windows")


@pytest.mark.parametrize(("days", "due"), [(29.9, False), (30, True), (400, True)])
def test_the_calendar_counts_from_when_the_data_were_gathered(days: float, due: bool) -> None:
    because, _ = reason(standing(gathered_days_ago=days), MONITOR, NOW)
    assert bool(because) is due


def test_without_a_calendar_age_alone_is_no_reason() -> None:
    assert reason(standing(gathered_days_ago=4000), Monitor(), NOW)[0] == ""


def test_what_was_known_when_it_was_last_tried_is_no_reason_to_try_again() -> None:
    because, words = reason(standing(*DRIFT, attempt_days_ago=0.5), MONITOR, NOW)
    assert because == ""
    assert "since it was trained again at 2026-11-19T17:00:00+00:00: Version 2 is rejected" in words
    assert reason(standing(*DRIFT, attempt_days_ago=3.5), MONITOR, NOW)[0] != ""
    assert reason(standing(gathered_days_ago=60, attempt_days_ago=29), MONITOR, NOW)[0] == ""
    assert reason(standing(gathered_days_ago=60, attempt_days_ago=31), MONITOR, NOW)[0] != ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"newest": package(2, PENDING)}, "version 2 waits for its click"),
        ({"newest": package(2)}, "version 2 is approved, and not deployed yet"),
        ({"source": "s2"}, "version 1 serves, which is not of main's source s2"),
        (
            {"live": Live("InService", "c1", hold=Hold("until noon", "ada", "2026-11-20T00:00:00+00:00"))},
            "held",
        ),
    ],
)
def test_nothing_is_trained_that_nobody_could_deploy(change: dict[str, object], said: str) -> None:
    because, words = reason(replace(standing(*DRIFT), **change), MONITOR, NOW)  # type: ignore[arg-type]
    assert because == ""
    assert said in words


@pytest.mark.parametrize(
    "newest", [None, package(2, REJECTED), package(2, rolled_back_at="2026-11-19", rolled_back_to="1")],
    ids=["gone from the registry", "refused by its gate", "rolled back"],
)  # fmt: skip
def test_what_nobody_will_deploy_keeps_nothing_from_being_trained(newest: Package | None) -> None:
    assert reason(replace(standing(*DRIFT), newest=newest), MONITOR, NOW)[0] != ""


@given(st.lists(st.booleans(), max_size=8), st.integers(0, 8))
def test_windows_before_an_attempt_never_count(drifted: list[bool], tried: int) -> None:
    """However many there are: the reason is that of the later ones alone."""
    windows = [window(len(drifted) - at, drifted=each) for at, each in enumerate(drifted)]
    later = [each for each in windows if datetime.fromisoformat(each.ends) > NOW - timedelta(days=tried)]
    monitor = replace(MONITOR, retrain_after_days=None)
    assert (
        reason(standing(*windows, attempt_days_ago=tried), monitor, NOW)[0] == reason(standing(*later), monitor, NOW)[0]
    )


def test_a_damaged_record_of_the_last_attempt_is_told() -> None:
    context = SimpleNamespace(
        bucket=SimpleNamespace(read_json=lambda key: {"when": "?"}, uri=lambda key: f"s3://b/{key}")
    )
    with pytest.raises(DataError, match=r"s3://b/abalone/attempts/1\.json is damaged"):
        last_attempt(cast("Context", context), find_model("abalone"), package(1))


def test_only_what_is_due_is_passed_on() -> None:
    abalone, churn = find_model("abalone"), find_model("churn")
    found = [Due(abalone, "drift", "drift"), Due(churn, "", "no reason")]
    assert parameters(found) == {"retrain-abalone": "drift"}


def test_a_reason_is_no_longer_than_circleci_takes_it() -> None:
    assert parameters([Due(find_model("churn"), "live, " * 100, "")]) == {"retrain-churn": ("live, " * 100)[:512]}


def test_one_model_of_which_it_cannot_be_told_keeps_none_of_the_others_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = MonitoringError("findings.json is damaged.", "Delete it.")

    def told(_: Context, model: Model) -> Due:
        if model.name == "abalone":
            raise damaged
        declared_monitor(model)
        return Due(model, "drift", "drift")

    monkeypatch.setattr("common.steps.due.due", told)
    models = [find_model(name) for name in ("abalone", "churn", "energy")]
    found, failures = due_models(cast("Context", None), models)
    assert [each.words for each in found] == [
        "cannot be told: findings.json is damaged.",
        "drift",
        "energy is a fleet: what is monitored is a model of rows.",
    ]
    assert parameters(found) == {"retrain-churn": "drift"}
    assert failures == [damaged]
