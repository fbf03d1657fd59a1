"""Scores of forecasts, held against sums by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from common.forecasting.scores import forecast_at, hold_out, naive, naive_scale, score, unseen
from common.forecasting.series import Series
from tests.unit.forecasting.simple import Mean

DAYS = np.arange(100.0, 142.0)
WEEKLY = np.tile([1.0, 2, 3, 4, 5, 6, 7], 6)


def series(values: np.ndarray, days: np.ndarray = DAYS) -> Series:
    return Series("8", days, values)


def test_the_holdout_is_the_last_days_of_each_series() -> None:
    holdout = hold_out(series(WEEKLY), 14)
    assert holdout.days.tolist() == list(range(128, 142))
    assert holdout.before.days.tolist() == list(range(100, 128))
    assert holdout.values.tolist() == WEEKLY[-14:].tolist()
    assert len(hold_out(series(WEEKLY), 60).before.days) == 0


def test_scores_are_the_sums_by_hand() -> None:
    values = WEEKLY + np.repeat([0.0, 1, 2, 3, 4, 5], 7)  # a week ahead, the naive forecast is off by 1
    holdout = hold_out(series(values), 14)
    mean = float(holdout.before.values.mean())
    errors = mean - holdout.values
    [found] = score(Mean(), [{"mean": mean}], [holdout])
    assert found
    assert (found["start"], found["end"], found["n"]) == ("1970-05-09", "1970-05-22", 14)
    assert found["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)
    assert found["bias"] == pytest.approx(errors.mean(), rel=1e-5)
    assert found["mase"] == pytest.approx(np.abs(errors).mean() / 1, rel=1e-5)
    assert found["naive_mae"] == pytest.approx(
        1.5
    )  # the last week before is 1 below the first week, 2 below the second
    assert found["coverage80"] == pytest.approx((np.abs(errors) <= 8).mean(), rel=1e-5)
    assert found["coverage95"] == pytest.approx((np.abs(errors) <= 9.5).mean(), rel=1e-5)


def test_a_series_that_repeats_exactly_has_no_scale() -> None:
    holdout = hold_out(series(WEEKLY), 14)
    [found] = score(Mean(), [{"mean": 4.0}], [holdout])
    assert found
    assert (found["mase"], found["naive_mae"]) == (None, 0)


def test_a_forecast_that_is_not_finite_has_no_scores() -> None:
    assert score(Mean(), [{"mean": math.nan}], [hold_out(series(WEEKLY), 14)]) == [None]


def test_the_naive_forecast_takes_the_nearest_reading_where_times_are_irregular() -> None:
    days = np.array([100.0, 101.2, 103.1, 104.0, 106.9])
    known = Series("8", days, np.array([10.0, 11, 13, 14, 16]))
    # 110.2 - 7 = 103.2 → 103.1; 114 - 14 = 100 → 100.0; 107 - 7 = 100
    assert naive(known, np.array([107.0, 110.2, 114.0])).tolist() == [10, 13, 10]
    assert math.isnan(naive_scale(Series("8", days[:3], known.values[:3])))
    assert naive_scale(known) == 6  # only 106.9 has a reading a week before, at 100.0


def test_series_of_other_lengths_are_forecast_together() -> None:
    found = forecast_at(Mean(), [{"mean": 1.0}, {"mean": 2.0}], [np.arange(3.0), np.arange(5.0)], 0.5)
    assert [forecast.mean.tolist() for forecast in found] == [[1] * 3, [2] * 5]
    assert found[1].upper.tolist() == [7] * 5
    assert forecast_at(Mean(), [], [], 0.5) == []


@pytest.mark.parametrize(
    ("until", "before_until", "kind"),
    [(127.9, 100.0, "final"), (128.0, 100.0, "before"), (128.0, 128.0, None), (128.0, None, None)],
)
def test_a_champion_is_scored_by_what_has_not_seen_the_holdout(
    until: float, before_until: float | None, kind: str | None
) -> None:
    champion = {
        "until": until,
        "parameters": {"mean": 1.0},
        "before": None if before_until is None else {"mean": 2.0},
        "before_until": before_until,
    }
    found = unseen(champion, 128.0)
    assert found == (None if kind is None else (kind, {"mean": 1.0 if kind == "final" else 2.0}))
