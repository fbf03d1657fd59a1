"""The structural model on series of which is known what they are made of."""

import io
import json
import tarfile
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.forecasting.series import Parameters, Series, Unfit, UnknownForecaster, Values, forecaster_from
from common.forecasting.structural import LEAST_READINGS, Structural

LAST = 20_000.0
AHEAD = LAST + np.arange(1.0, 29.0)
MODEL = Structural()
HOLIDAYS = {"Some day": ("2022-10-01", "2023-10-01", "2024-10-01", "2024-10-12")}
"""The last one is to come."""


def signal(days: Values) -> Values:
    """A level of 200, a slope, a yearly wave and a step at weekends."""
    weekend = (np.floor(days) + 3) % 7 >= 5
    return np.asarray(200 + 10 * (days - LAST) / 365 + 40 * np.cos(2 * np.pi * days / 365.25) - 25 * weekend)


def daily(days: int = 800) -> Values:
    return LAST + np.arange(1.0 - days, 1.0)


def dates(texts: Sequence[str]) -> Values:
    return np.array(texts, dtype="datetime64[D]").astype(float)


def noise(count: int, seed: int = 0, scale: float = 8.0) -> Values:
    return scale * np.random.default_rng(seed).standard_normal(count)


def fitted(*batch: Series, model: Structural = MODEL) -> list[Parameters]:
    found = model.fit(batch)
    assert not [each for each in found if isinstance(each, Unfit)]
    return [each for each in found if not isinstance(each, Unfit)]


def centre(parameters: Parameters, days: Values = AHEAD, model: Structural = MODEL) -> Values:
    return np.asarray(model.forecast([parameters], days[None]).mean[0])


def test_finds_level_slope_and_seasons() -> None:
    [parameters] = fitted(Series("a", daily(), signal(daily()) + noise(800)))
    assert centre(parameters) == pytest.approx(signal(AHEAD), abs=4)
    far = LAST + np.arange(1.0, 401.0)
    assert np.abs(centre(parameters, far) - signal(far)).mean() < 8
    assert not parameters["logarithmic"]


def test_takes_the_logarithm_where_seasons_and_noise_grow_with_the_level() -> None:
    days = daily()
    share = (1 + 0.3 * np.cos(2 * np.pi * days / 365.25)) * np.exp(noise(800, scale=0.05))
    [parameters] = fitted(Series("a", days, np.exp(days / 500 - 35) * share))
    assert parameters["logarithmic"]
    expected = np.exp(AHEAD / 500 - 35) * (1 + 0.3 * np.cos(2 * np.pi * AHEAD / 365.25))
    assert centre(parameters) == pytest.approx(expected, rel=0.06)


def test_follows_a_shift_of_the_level() -> None:
    shifted = signal(daily()) + noise(800) + 80 * (daily() > LAST - 100)
    [parameters] = fitted(Series("a", daily(), shifted))
    assert np.abs(centre(parameters) - signal(AHEAD) - 80).mean() < 12  # with the old level it would be 80


def test_remembers_the_last_residual_where_noise_is_autocorrelated() -> None:
    random = np.random.default_rng(1)
    error = np.zeros(800)
    for i in range(1, 800):
        error[i] = 0.8 * error[i - 1] + 5 * random.standard_normal()
    error[-10:] += 30  # it ends well above what is expected
    [parameters] = fitted(Series("a", daily(), signal(daily()) + error))
    assert 0.6 <= parameters["memory"] <= 0.92
    above = centre(parameters) - signal(AHEAD)
    assert above[0] > 15
    assert above[-1] < above[0] / 2


def test_knows_holidays_to_come() -> None:
    days = daily() - 10
    values = signal(days) + noise(800) - 90 * np.isin(days, dates(HOLIDAYS["Some day"]))
    model = Structural(HOLIDAYS)
    [parameters] = fitted(Series("a", days, values), model=model)
    ahead = dates(("2024-10-11", "2024-10-12"))
    workday, holiday = centre(parameters, ahead, model) - signal(ahead)
    assert holiday - workday == pytest.approx(-90, abs=20)


def test_intervals_cover_what_they_say() -> None:
    batch = [Series(str(i), daily(500), signal(daily(500)) + noise(500, seed=i)) for i in range(60)]
    parameters = fitted(*batch)
    actual = np.array([signal(AHEAD) + noise(28, seed=1000 + i) for i in range(60)])
    for level in (0.5, 0.8, 0.95):
        found = MODEL.forecast(parameters, np.tile(AHEAD, (60, 1)), level)
        assert ((found.lower <= actual) & (actual <= found.upper)).mean() == pytest.approx(level, abs=0.035)


def test_intervals_have_the_tails_of_the_noise() -> None:
    random = np.random.default_rng(2)
    parameters = fitted(Series("a", daily(), signal(daily()) + 5 * random.standard_t(3, 800)))
    narrow, wide = (MODEL.forecast(parameters, AHEAD[None], level) for level in (0.8, 0.95))
    ratio = (wide.upper - wide.lower) / (narrow.upper - narrow.lower)
    assert ratio.mean() > 1.7  # 1.53 where noise is normal, 1.94 with these tails


def test_is_hardly_moved_by_outliers_and_missing_days() -> None:
    values = signal(daily()) + noise(800)
    spoilt = values.copy()
    spoilt[::53] += 300
    kept = np.random.default_rng(3).random(800) > 0.1
    kept[400:430], kept[-1] = False, True
    clean, with_outliers, with_gaps = fitted(
        Series("a", daily(), values), Series("b", daily(), spoilt), Series("c", daily()[kept], values[kept])
    )
    assert centre(with_outliers) == pytest.approx(centre(clean), abs=5)
    assert centre(with_gaps) == pytest.approx(centre(clean), abs=3)


def test_irregular_times_agree_with_a_grid_where_they_are_near_it() -> None:
    days = daily()
    values = signal(days) + noise(800)
    moved = days + np.where(np.arange(800) % 2, 1e-6, 0.0)  # no grid any more, but for the last reading
    on_grid, irregular = fitted(Series("a", days, values), Series("b", moved, values))
    assert centre(irregular) == pytest.approx(centre(on_grid), abs=1)
    assert irregular["spread"] == pytest.approx(on_grid["spread"], rel=0.1)


def test_reads_random_times() -> None:
    days = np.sort(np.random.default_rng(4).uniform(LAST - 800, LAST, 500))
    [parameters] = fitted(Series("a", days, signal(days) + noise(500)))
    assert centre(parameters) == pytest.approx(signal(AHEAD), abs=6)


def test_a_model_depends_on_its_series_alone() -> None:
    random = np.random.default_rng(5)
    batch = [Series(str(i), daily(n), signal(daily(n)) + noise(n, seed=i)) for i, n in enumerate([400] * 70 + [90] * 3)]
    for i in range(6):
        days = np.sort(random.uniform(LAST - 500, LAST, 300 + 10 * i))
        batch.append(Series(f"irregular {i}", days, signal(days) + noise(300 + 10 * i)))
    together = fitted(*batch)
    for i in (0, 69, 72, 73, 78):
        [alone] = fitted(batch[i])
        assert centre(alone) == pytest.approx(centre(together[i]), rel=1e-4)


@pytest.mark.parametrize("scale", [1e-6, 1000.0, 1e12])
def test_scales_with_the_readings(scale: float) -> None:
    values = signal(daily()) + noise(800)
    plain, scaled = fitted(Series("a", daily(), values), Series("b", daily(), scale * values))
    assert centre(scaled) == pytest.approx(scale * centre(plain), rel=1e-4)


def test_a_model_is_json_of_less_than_a_kilobyte() -> None:
    [parameters] = fitted(Series("a", daily(), signal(daily()) + noise(800)), model=Structural(HOLIDAYS))
    text = json.dumps(parameters, separators=(",", ":"))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("model.json")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text.encode()))
    assert len(buffer.getvalue()) <= 1000
    model = forecaster_from(json.loads(json.dumps(Structural(HOLIDAYS).to_json())))
    found = model.forecast([json.loads(text)], AHEAD[None])
    assert (found.mean == Structural(HOLIDAYS).forecast([parameters], AHEAD[None]).mean).all()


def test_consumption_is_never_forecast_below_0() -> None:
    values = np.clip(5 + noise(300), 0, None)
    used, produced = fitted(Series("a", daily(300), values), Series("b", daily(300), values - 20))
    assert MODEL.forecast([used], AHEAD[None], 0.99).lower.min() == 0
    assert MODEL.forecast([produced], AHEAD[None]).lower.min() < 0


@pytest.mark.parametrize("count", [LEAST_READINGS, 20, 45, 200, 364])
def test_a_short_history_gives_a_modest_forecast(count: int) -> None:
    values = 100 + noise(count, scale=5)
    [parameters] = fitted(Series("a", daily(count), values))
    assert 60 < centre(parameters).min() <= centre(parameters).max() < 140


@pytest.mark.parametrize(
    ("days", "values", "why"),
    [
        ([], [], "0 readings; a model needs 14"),
        ([LAST], [1.0], "1 readings; a model needs 14"),
        (daily(30), np.full(30, 7.0), "all readings are 7: a constant needs no model"),
        (daily(30), np.where(np.arange(30) == 3, np.nan, 1.0), "not a finite number"),
        (daily(30), np.where(np.arange(30) == 3, np.inf, 1.0), "not a finite number"),
        (daily(30) / 100, np.arange(30.0), "the readings are of 0.3 days; a model needs 13"),
    ],
)
def test_says_why_there_is_no_model(days: list[float], values: list[float], why: str) -> None:
    good = Series("good", daily(60), 10 + noise(60))
    bad, beside = MODEL.fit([Series("bad", np.array(days, dtype=float), np.array(values, dtype=float)), good])
    assert isinstance(bad, Unfit)
    assert why in bad.reason
    assert [beside] == MODEL.fit([good])


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.floats(1e-5, 400), min_size=1, max_size=60),
    values=st.lists(st.floats(-1e100, 1e100) | st.sampled_from([0.0, 1.0, 1e-300]), min_size=1, max_size=60),
    whole=st.booleans(),
)
def test_whatever_is_finite_has_a_finite_forecast_or_a_reason(
    steps: list[float], values: list[float], whole: bool
) -> None:
    count = min(len(steps), len(values))
    days = LAST + np.cumsum(np.ceil(steps) if whole else steps)[:count]
    [found] = MODEL.fit([Series("a", days, np.array(values[:count]))])
    if isinstance(found, Unfit):
        assert found.reason
    else:
        for days_ahead in (1.0, 400.0):
            forecast = MODEL.forecast([json.loads(json.dumps(found))], np.array([[days[-1] + days_ahead]]))
            assert np.isfinite(forecast).all()
            assert (forecast.lower <= forecast.mean).all()
            assert (forecast.mean <= forecast.upper).all()


def test_the_oldest_readings_of_a_very_long_history_do_not_count() -> None:
    long = daily(5000)
    values = signal(long) + noise(5000)
    recent, whole = fitted(Series("a", long[-2201:], values[-2201:]), Series("b", long, values))
    assert centre(whole) == pytest.approx(centre(recent), rel=1e-6)


def test_an_unknown_forecaster_is_named() -> None:
    with pytest.raises(UnknownForecaster, match="no forecaster 'oracle'; there are structural and prophet"):
        forecaster_from({"name": "oracle"})
