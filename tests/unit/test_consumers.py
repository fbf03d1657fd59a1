"""The customers of the energy model that are made up: their seasons are really there, and what can be expected of them."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from common.data.extract import Wanted
from common.forecasting.checks import Checked, Limits, check_customers
from energy_model.consumers import FIRST, KINDS, LAST, Generated, Readings, Values, days_since_1970, draw, kinds
from energy_model.holidays import HOLIDAYS
from tests.poison import REPAIRED, SET_ASIDE, Poisoned, Rows

SEED = 7
WANTED = Wanted("customer_id", "timestamp", "consumption", date(2023, 1, 1), date(2026, 1, 1))


@pytest.fixture(scope="module")
def by_kind() -> dict[str, list[Readings]]:
    found = defaultdict(list)
    for readings in draw(range(240), SEED):
        found[readings.customer.kind].append(readings)
    return found


def share_of_year(days: Values, values: Values, period: float = 365.25) -> float:
    """The share of the variance, without trend and weekdays, that waves of this period and of half of it explain."""
    angle = 2 * np.pi * days / period
    others = [np.ones_like(days), days - days.mean(), *(np.floor(days) % 7 == i for i in range(6))]
    waves = [wave(k * angle) for k in (1, 2) for wave in (np.sin, np.cos)]

    def left(columns: list[Values]) -> float:
        design = np.column_stack(columns)
        residual = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
        return float((residual**2).sum())

    return 1 - left(others + waves) / left(others)


def test_every_customer_of_some_years_has_a_yearly_season(by_kind: dict[str, list[Readings]]) -> None:
    shares = [
        share_of_year(days_since_1970(readings.timestamps), readings.consumption)
        for kind in ("plain", "trend", "multiplicative", "missing days", "irregular", "duplicates")
        for readings in by_kind[kind]
    ]
    assert min(shares) > 0.35
    assert np.median(shares) > 0.8


def test_the_yearly_season_is_the_strongest_wave_there_is(by_kind: dict[str, list[Readings]]) -> None:
    spectra = [np.abs(np.fft.rfft(r.consumption - r.consumption.mean())) for r in by_kind["plain"]]
    days = len(by_kind["plain"][0].consumption)
    periods = [days / np.argmax(spectrum) for spectrum in spectra]
    assert all(300 < period < 460 for period in periods), periods


def test_a_sine_of_nanoseconds_would_not_pass_for_a_yearly_season() -> None:
    """The mistake of others: the integers of a datetime taken for days."""
    nanoseconds = np.arange(FIRST, LAST + 1).astype("datetime64[ns]").astype(np.int64)
    noise = np.sin(2 * np.pi * nanoseconds / 365.25)
    assert share_of_year(days_since_1970(np.arange(FIRST, LAST + 1)), noise) < 0.05


@pytest.mark.parametrize("unit", ["D", "s", "ms", "us", "ns"])
def test_what_is_expected_does_not_depend_on_the_unit_of_the_timestamps(
    unit: str, by_kind: dict[str, list[Readings]]
) -> None:
    readings = by_kind["plain"][0]
    times = readings.timestamps.astype(f"datetime64[{unit}]")
    assert readings.customer.expected(times) == pytest.approx(readings.mean)
    assert readings.customer.expected(days_since_1970(times)) == pytest.approx(readings.mean)


def test_readings_lie_around_what_is_expected_with_the_declared_deviation(by_kind: dict[str, list[Readings]]) -> None:
    for kind, found in by_kind.items():
        errors = np.concatenate([(r.consumption - r.mean) / r.customer.deviation(r.timestamps) for r in found])
        assert abs(errors.mean()) < 0.06, kind
        assert 0.97 < errors.std() < (2.2 if kind == "outliers" else 1.03), kind


def test_every_kind_has_its_share_among_any_successive_customers() -> None:
    for start in (0, 500):
        counts = Counter(kinds(range(start, start + 500), SEED))
        assert {kind: counts[kind] / 500 for kind in KINDS} == pytest.approx(KINDS, abs=0.005)
    assert sum(KINDS.values()) == pytest.approx(1)
    assert set(kinds(range(100), SEED + 1)) == set(KINDS)


def test_readings_are_within_their_bounds_and_dates(by_kind: dict[str, list[Readings]]) -> None:
    for readings in itertools.chain(*by_kind.values()):
        assert readings.consumption.min() >= 0
        assert readings.consumption.max() <= 1000
        assert (np.diff(readings.timestamps) >= np.timedelta64(0)).all()
        assert readings.timestamps[0] >= FIRST
        assert readings.timestamps[-1] < LAST + 1
    assert days_since_1970(LAST + 1) - days_since_1970(FIRST) > 2.5 * 365


def test_a_customer_is_the_same_however_many_are_asked_for() -> None:
    alone, among = next(draw([42], SEED)), list(draw(range(60), SEED))[42]
    for mine, other in zip(alone[1:], among[1:], strict=True):
        assert np.array_equal(mine, other)
    assert not np.array_equal(alone.consumption, next(draw([42], SEED + 1)).consumption)
    few, many = (list(Generated(count, SEED).readings(WANTED)) for count in (5, 20))
    assert few == many[:5]


def correlation(readings: Readings) -> float:
    errors = (readings.consumption - readings.mean)[:-1], (readings.consumption - readings.mean)[1:]
    return float(np.corrcoef(*errors)[0, 1])


def test_noise_is_correlated_where_it_is_said_to_be(by_kind: dict[str, list[Readings]]) -> None:
    assert min(map(correlation, by_kind["autocorrelated"])) > 0.35
    assert max(map(abs, map(correlation, by_kind["plain"]))) < 0.15


def test_each_kind_has_what_its_name_says(by_kind: dict[str, list[Readings]]) -> None:
    days = (LAST - FIRST).astype(int) + 1

    def steps(kind: str) -> list[Values]:
        return [np.diff(days_since_1970(readings.timestamps)) for readings in by_kind[kind]]

    assert all((step == 1).all() for step in steps("plain"))
    assert all((step == 0).sum() >= 3 for step in steps("duplicates"))
    assert all(step.max() > 5 for step in steps("missing days"))
    assert all((step % 1 != 0).mean() > 0.9 for step in steps("irregular"))
    assert all(20 <= len(step) <= 182 for step in steps("short"))
    assert max(map(len, steps("plain"))) == days - 1
    assert all(readings.customer.slope != 0 for readings in by_kind["trend"])
    for readings in by_kind["level shift"]:
        day, _ = readings.customer.shift
        before, after = readings.customer.expected([day - 1e-6, day])
        assert abs(after - before) > 0.15 * readings.customer.level
    for readings in by_kind["strong weekly"]:
        assert np.ptp(readings.customer.weekly) > 0.15


def test_holidays_lower_the_consumption_of_those_who_have_them_and_of_nobody_else(
    by_kind: dict[str, list[Readings]],
) -> None:
    christmas = np.array(HOLIDAYS["Christmas Day"], "datetime64[D]")
    same_weekday_before = christmas - 7

    def change(kind: str) -> Values:
        return np.array(
            [
                (r.customer.expected(christmas) - r.customer.expected(same_weekday_before)).mean() / r.customer.level
                for r in by_kind[kind]
            ]
        )

    assert change("holidays").max() < -0.05
    assert np.abs(change("plain")).max() < 0.05


def test_rows_are_spelled_as_a_warehouse_spells_them() -> None:
    plain = kinds(range(20), SEED).index("plain")
    (rows,) = Generated(20, SEED).readings(replace(WANTED, only=str(plain)))
    assert rows[0][:2] == (str(plain), "2023-07-01T00:00:00")
    assert rows[-1][:2] == (str(plain), "2025-12-31T00:00:00")
    assert all(0 <= float(value) <= 1000 and len(value) <= 7 for _, _, value in rows)


def test_one_customer_is_read_alone() -> None:
    source = Generated(10, SEED)
    (alone,) = source.readings(replace(WANTED, only="3"))
    assert alone == list(source.readings(WANTED))[3]
    assert list(source.readings(replace(WANTED, only="10"))) == []


def test_the_description_says_that_the_customers_are_made_up() -> None:
    assert Generated().description.startswith("1,000 SYNTHETIC customers")


def test_one_in_a_hundred_is_poisoned_in_every_way_and_the_others_are_as_they_were() -> None:
    source = Poisoned(Generated(100 * len(SET_ASIDE), SEED))
    assert sorted(source.poisons().values()) == sorted(SET_ASIDE)
    few = Poisoned(Generated(len(SET_ASIDE), SEED), every=2)
    good, bad = (list(each.readings(WANTED)) for each in (few.generated, few))
    assert [number for number, rows in enumerate(bad) if rows != good[number]] == sorted(few.poisons())


def check(rows: Rows) -> Checked:
    customers, timestamps, values = zip(*rows, strict=True)
    limits = Limits(at_least=0, at_most=1000, ceiling=float(days_since_1970(LAST)) + 1)
    return check_customers(customers, timestamps, values, limits)


@pytest.mark.parametrize("poison", SET_ASIDE.values(), ids=SET_ASIDE)
def test_a_poisoned_customer_is_set_aside(poison: Callable[[Rows], Rows]) -> None:
    rows = poison(next(Generated(1, SEED).readings(WANTED)))
    checked = check(rows)
    assert list(checked.set_aside) == [rows[0][0]]
    assert checked.series == []


@pytest.mark.parametrize("spelled", REPAIRED.values(), ids=REPAIRED)
def test_what_can_be_repaired_is_the_same_series(spelled: Callable[[Rows], Rows]) -> None:
    rows = next(Generated(1, SEED).readings(WANTED))
    (good,), (repaired,) = check(rows).series, check(spelled(rows)).series
    assert np.array_equal(good.days, repaired.days)
    assert np.array_equal(good.values, repaired.values)
