"""Intervals that stay valid while one looks."""

import math

import numpy as np
import pytest

from benchmarks.experiments import EXPERIMENTS, REQUESTS, Found, simulate
from common.experiments.sequential import FEWEST_UNITS, Mean, difference, effect, is_mismatch, margin

RANDOM = np.random.default_rng(0)


def test_the_margin_is_robbins_boundary_at_which_the_mixture_reaches_one_over_alpha() -> None:
    # The mixture over N(0, ρ²) of exp(λS - λ²t/2) is exp(ρ²S² / (2(tρ²+1))) / √(tρ²+1); at the boundary it is 1/α.
    t, alpha = 700, 0.05
    rho = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / 5000
    lambdas = np.linspace(-12, 12, 200_001) * math.sqrt(rho)
    density = np.exp(-(lambdas**2) / (2 * rho)) / math.sqrt(2 * math.pi * rho)
    total = margin(t, alpha) * t
    mixed = np.trapezoid(density * np.exp(lambdas * total - lambdas**2 * t / 2), lambdas)
    assert mixed == pytest.approx(1 / alpha, rel=1e-6)


def test_one_value_for_each_unit_is_the_usual_mean_and_variance() -> None:
    values = RANDOM.exponential(size=500)
    mean = Mean.of(values, np.arange(500))
    assert mean.units == 500
    assert mean.value == pytest.approx(values.mean())
    assert mean.variance == pytest.approx(values.var(ddof=1))
    assert mean.kurtosis == pytest.approx(((values - values.mean()) ** 4).mean() / values.var() ** 2)


def test_what_a_unit_repeats_counts_once() -> None:
    values = RANDOM.normal(size=300)
    once, often = Mean.of(values, np.arange(300)), Mean.of(np.repeat(values, 7), np.repeat(np.arange(300), 7))
    assert often.units == 300
    assert often.variance == pytest.approx(once.variance)
    assert effect(often).high == pytest.approx(effect(once).high)


def test_units_of_unequal_size_have_the_variance_that_resampling_them_shows() -> None:
    sizes = RANDOM.integers(1, 9, 400)
    level = RANDOM.normal(size=400)
    units = np.repeat(np.arange(400), sizes)
    values = level[units] + RANDOM.normal(0, 0.3, len(units))
    sums, draws = np.bincount(units, values), RANDOM.integers(0, 400, (4000, 400))
    resampled = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    assert Mean.of(values, units).variance / 400 == pytest.approx(resampled.var(), rel=0.1)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (RANDOM.normal(size=FEWEST_UNITS - 1), "too few"),
        (np.r_[np.zeros(2000), 1.0, 1.0], "two errors say nothing of how often there are any"),
        (np.zeros(2000), "all alike"),
    ],
)
def test_nothing_is_said_where_the_variance_is_not_known_well_enough(values: np.ndarray, why: str) -> None:
    found = effect(Mean.of(values, np.arange(len(values))))
    assert (found.is_known, found.sign) == (False, 0), why


def test_an_effect_has_the_sign_of_the_side_that_zero_is_left_on() -> None:
    noise = RANDOM.normal(size=1000)
    units = np.arange(1000)
    assert effect(Mean.of(noise + 0.5, units)).sign == 1
    assert effect(Mean.of(noise - 0.5, units)).sign == -1
    assert effect(Mean.of(noise, units)).sign == 0
    assert difference(Mean.of(noise, units), Mean.of(-noise + 0.5, units)).sign == 1


def test_the_number_of_callers_that_is_needed_is_where_the_interval_leaves_zero() -> None:
    found = effect(Mean.of(RANDOM.normal(size=1000) + 0.06, np.arange(1000)))
    needed = found.needed()
    assert found.deviation * margin(needed) < abs(found.value) < found.deviation * margin(needed * 0.98)
    assert effect(Mean(1000, 0.0, 1.0, 3.0)).needed() == 0


def test_shares_that_no_chance_explains_are_noticed_and_others_are_not() -> None:
    assert not is_mismatch(5_080, of=10_000, share=0.5)
    assert is_mismatch(5_300, of=10_000, share=0.5)
    assert is_mismatch(1_000, of=2_000, share=0.9)
    assert not is_mismatch(60, of=80, share=0.5)


def _shares(experiments: int, total: int, looks: int) -> dict[str, list[Found]]:
    return dict(simulate(experiments, total, looks))


def _require_sound(found: dict[str, list[Found]], least_found: float) -> None:
    """Fewer than 5 % of equal models raise an alarm, allowing for the chance in so many experiments; the usual test does."""
    for name, each in found.items():
        count, alarms = len(each), sum(one.at > 0 for one in each)
        if name.startswith("equal"):
            chance = 3 * math.sqrt(0.05 * 0.95 / count)
            assert alarms / count < 0.05 + chance, name
            assert sum(one.naive_at > 0 for one in each) / count > 0.25, name
        else:
            assert alarms / count >= least_found, name
            assert not any(one.wrong for one in each), name


def test_a_few_simulated_experiments_find_what_is_worse_and_seldom_what_is_not() -> None:
    found = _shares(experiments=30, total=30_000, looks=200)
    _require_sound(found, least_found=0.4)


@pytest.mark.long
def test_a_thousand_simulated_experiments_of_a_thousand_looks_each_raise_fewer_than_five_percent_alarms() -> None:
    found = _shares(EXPERIMENTS, REQUESTS, looks=1000)
    _require_sound(found, least_found=0.9)
    equal = [one for name, each in found.items() if name.startswith("equal") for one in each]
    assert sum(one.at > 0 for one in equal) / len(equal) < 0.05
