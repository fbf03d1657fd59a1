"""Prophet behind the interface of every forecaster; skipped where it is not installed (`make setup-bench`)."""

import json
import sys

import numpy as np
import pytest

from common.forecasting import forecaster_from
from common.forecasting.prophet import ProphetForecaster, ProphetMissing
from common.forecasting.series import Parameters, Series, Unfit, Values

FIRST = 19_358.0  # 2023-01-01
YEARS = 2
CALENDAR = {"Feast": ["2023-03-01", "2023-09-01", "2024-03-01", "2024-09-01", "2025-01-15"]}
FORECASTER = ProphetForecaster(CALENDAR)
FEAST = 20_103.0  # 2025-01-15


def made_up(days: int, seed: int = 0) -> Series:
    """A yearly wave of ±30 and weekends that are 10 lower around 100, and feasts that are 40 lower; noise of 2."""
    times = FIRST + np.arange(days, dtype=np.float64)
    feasts = np.array(CALENDAR["Feast"], "datetime64[D]").astype(float)
    values: Values = (
        100 + 30 * np.cos(2 * np.pi * times / 365.25) - 10 * ((times + 3) % 7 >= 5) - 40 * np.isin(times, feasts)
    )
    return Series("8", times, values + np.random.default_rng(seed).normal(0, 2, days))


@pytest.fixture(scope="module")
def two_years() -> Parameters:
    pytest.importorskip("prophet")
    (parameters,) = FORECASTER.fit([made_up(365 * YEARS)])
    assert not isinstance(parameters, Unfit)
    return parameters


def ahead(series: Series, days: int = 28) -> Values:
    return np.asarray(series.days[-1] + np.arange(1.0, days + 1))[None, :]


def test_without_prophet_one_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prophet", None)
    for use in (lambda: FORECASTER.fit([made_up(60)]), lambda: FORECASTER.forecast([{}], np.zeros((1, 1)))):
        with pytest.raises(ProphetMissing, match=r"extra energy-prophet: pip install -r requirements-prophet\.txt"):
            use()


def test_its_declaration_makes_the_same_forecaster() -> None:
    forecaster = ProphetForecaster(CALENDAR, multiplicative=True)
    assert forecaster_from(json.loads(json.dumps(forecaster.to_json()))) == forecaster


def test_it_forecasts_seasons_and_feasts_from_parameters_in_json(two_years: Parameters) -> None:
    text = json.dumps(two_years)
    assert len(text) < 5000
    days = ahead(made_up(365 * YEARS))
    forecast = FORECASTER.forecast([json.loads(text)], days)
    expected = 100 + 30 * np.cos(2 * np.pi * days / 365.25) - 10 * ((days + 3) % 7 >= 5) - 40 * (days == FEAST)
    assert (days == FEAST).sum() == 1
    assert np.abs(forecast.mean - expected).max() < 6
    assert np.abs(forecast.mean - expected).mean() < 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # by Prophet's own code
def test_it_forecasts_what_prophet_itself_forecasts(two_years: Parameters) -> None:
    from pandas import DataFrame, to_datetime
    from prophet import Prophet

    series = made_up(365 * YEARS)
    holidays = DataFrame({"holiday": "Feast", "ds": to_datetime(CALENDAR["Feast"])})
    model = Prophet(yearly_seasonality=True, weekly_seasonality=True, daily_seasonality=False, holidays=holidays)
    model.fit(DataFrame({"ds": to_datetime(series.days, unit="D"), "y": series.values}))
    days = ahead(series)
    answer = model.predict(DataFrame({"ds": to_datetime(days[0], unit="D")}))
    forecast = FORECASTER.forecast([two_years], days, level=0.8)
    assert forecast.mean[0] == pytest.approx(answer["yhat"].to_numpy())
    assert forecast.lower[0] == pytest.approx(answer["yhat_lower"].to_numpy(), abs=1)  # both are drawn
    assert forecast.upper[0] == pytest.approx(answer["yhat_upper"].to_numpy(), abs=1)


def test_intervals_widen_with_the_level_and_are_the_same_each_time(two_years: Parameters) -> None:
    days = ahead(made_up(365 * YEARS))
    np.random.seed(1)
    narrow, again, wide = (FORECASTER.forecast([two_years], days, level) for level in (0.8, 0.8, 0.95))
    assert (wide.lower < narrow.lower).all()
    assert (narrow.lower < narrow.mean).all()
    assert (narrow.mean < narrow.upper).all()
    assert (narrow.upper < wide.upper).all()
    assert np.array_equal(narrow, again)
    drawn = np.random.random()
    np.random.seed(1)
    assert np.random.random() == drawn, "the state of NumPy's global generator is another"


def test_days_may_come_in_any_order_and_repeat(two_years: Parameters) -> None:
    days = ahead(made_up(365 * YEARS), 7)
    forecast = FORECASTER.forecast([two_years, two_years], np.vstack([days, days[:, [6, 5, 4, 3, 2, 1, 1]]]))
    assert forecast.mean.shape == (2, 7)
    assert forecast.mean[1] == pytest.approx(forecast.mean[0][[6, 5, 4, 3, 2, 1, 1]])


def test_the_yearly_season_is_on_from_one_year_of_history() -> None:
    pytest.importorskip("prophet")
    long, short = FORECASTER.fit([made_up(370), made_up(120)])
    assert not isinstance(long, Unfit)
    assert not isinstance(short, Unfit)
    assert [long["yearly_seasonality"], short["yearly_seasonality"]] == [True, False]


def test_a_series_that_prophet_refuses_harms_no_other(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("prophet")
    good = made_up(90)
    one_reading = Series("9", good.days[:1], good.values[:1])
    refused, fitted = FORECASTER.fit([one_reading, good])
    assert refused == Unfit("Prophet cannot fit it: Dataframe has less than 2 non-NaN rows.")
    assert fitted == FORECASTER.fit([good])[0]
    assert capfd.readouterr() == ("", "")
