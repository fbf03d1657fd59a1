"""Tests of two samples: their p-values are those that they claim to be."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from common.monitoring import twosample
from common.monitoring.drift import adjusted

Draw = Callable[[np.random.Generator, int], np.ndarray]
REPETITIONS, LEVEL = 120, 0.1
MOST = int(stats.binom.ppf(0.9999, REPETITIONS, LEVEL))
"""More rejections of what is true at the level occur once in ten thousand."""


def normal(random: np.random.Generator, rows: int) -> np.ndarray:
    return random.normal(size=rows)


def counts(random: np.random.Generator, rows: int) -> np.ndarray:
    return random.poisson(2, rows).astype(float)


def many_names(random: np.random.Generator, rows: int) -> np.ndarray:
    return random.zipf(1.7, rows).astype(str)


def few_names(random: np.random.Generator, rows: int) -> np.ndarray:
    return random.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1])


@pytest.mark.parametrize(
    ("test", "draw"),
    [
        (twosample.numbers, normal),
        (twosample.numbers, counts),
        (twosample.categories, few_names),
        (twosample.unseen, many_names),
    ],
)
@pytest.mark.parametrize("sizes", [(400, 40), (60, 200)])
def test_samples_of_one_source_are_told_apart_no_more_often_than_declared(
    test: Callable[[np.ndarray, np.ndarray], twosample.Result], draw: Draw, sizes: tuple[int, int]
) -> None:
    random = np.random.default_rng(3)
    p = [test(draw(random, sizes[0]), draw(random, sizes[1])).p for _ in range(REPETITIONS)]
    assert sum(value <= LEVEL for value in p) <= MOST


def test_rare_categories_do_not_make_false_alarms() -> None:
    random = np.random.default_rng(5)
    p = [twosample.categories(many_names(random, 300), many_names(random, 60)).p for _ in range(30)]
    assert sum(value <= LEVEL for value in p) <= stats.binom.ppf(0.9999, 30, LEVEL)


def test_p_values_by_draws_are_near_the_exact_ones() -> None:
    before, now = np.repeat([0.0, 1.0, 2.0], [40, 30, 30]), np.repeat([0.0, 1.0, 2.0], [8, 12, 20])
    seen = twosample.numbers(before, now)
    random, draws = np.random.default_rng(0), 4000
    drawn = random.multivariate_hypergeometric([48, 42, 50], 40, draws)
    gaps = drawn.cumsum(axis=1) / 40 - ([48, 42, 50] - drawn).cumsum(axis=1) / 100
    reached = (np.abs(gaps).max(axis=1) >= seen.effect - 1e-9).sum()
    assert seen.method == "Kolmogorov–Smirnov by draws"
    assert seen.p == pytest.approx(reached / draws, rel=0.3)


def test_the_chi_squared_statistic_is_pearsons() -> None:
    before, now = np.repeat(["a", "b", "c"], [500, 300, 200]), np.repeat(["a", "b", "c"], [40, 40, 20])
    expected = stats.chi2_contingency([[500, 300, 200], [40, 40, 20]], correction=False)
    result = twosample.categories(before, now)
    assert (result.statistic, result.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert result.effect == pytest.approx(0.1)


def test_a_difference_beyond_all_draws_has_a_p_value_smaller_than_their_number_allows() -> None:
    result = twosample.numbers(np.repeat([0.0, 1.0], [500, 500]), np.repeat([0.0, 1.0], [0, 300]))
    assert result.p < 1e-20


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=99), st.lists(st.integers(0, 60), min_size=1, max_size=99))
def test_the_distance_is_the_greatest_between_the_shares_of_smaller_values(before: list[int], now: list[int]) -> None:
    first, second = np.array(before, dtype=float), np.array(now, dtype=float)
    result = twosample.numbers(first, second)
    gaps = [abs((first <= value).mean() - (second <= value).mean()) for value in range(61)]
    assert result.effect == pytest.approx(max(gaps))
    assert 0 <= result.p <= 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from("abcdef"), min_size=1), st.lists(st.sampled_from("abcdefgh"), min_size=1))
def test_the_effect_on_categories_is_the_share_that_is_elsewhere(before: list[str], now: list[str]) -> None:
    result = twosample.categories(np.array(before), np.array(now))
    gained = sum(max(now.count(c) / len(now) - before.count(c) / len(before), 0) for c in set(before + now))
    assert result.effect == pytest.approx(gained)
    assert 0 <= result.p <= 1


def test_many_categories_are_compared_in_little_memory_and_come_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    before = random.integers(0, 1000, 3000).astype(str)
    now = np.concatenate([random.integers(0, 1000, 250), random.integers(0, 300, 150)]).astype(str)
    monkeypatch.setattr(twosample, "_DRAWS", 1999)
    at_once = twosample.categories(before, now)
    monkeypatch.setattr(twosample, "_COUNTS_AT_ONCE", 100_000)
    tracemalloc.start()
    result = twosample.categories(before, now)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert at_once == result
    assert 0.0005 < result.p < 0.1
    assert peak < 6e6


def test_strangers_alarm_where_the_sample_had_hardly_any() -> None:
    before = np.repeat(["a", "b"], 500)
    assert twosample.unseen(before, np.repeat(["a", "c"], [95, 5])).p < 1e-4
    assert twosample.unseen(before, before).p == 1
    # Where every third record of the sample is the only one of its kind, strangers are no news.
    rich = np.array([*[f"x{number}" for number in range(500)], *["a"] * 1000])
    assert twosample.unseen(rich, np.array([*[f"y{number}" for number in range(30)], *["a"] * 60])).p > 0.1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.001, 0.2))
def test_adjusted_p_values_reject_what_the_procedure_rejects(p: list[float], rate: float) -> None:
    ordered = sorted(p)
    passing = [k for k, value in enumerate(ordered, start=1) if value <= k * rate / len(p)]
    bound = ordered[passing[-1] - 1] if passing else -1
    for value, q in zip(p, adjusted(p), strict=True):
        if abs(q - rate) > 1e-12:  # equal but for rounding
            assert (q <= rate) == (value <= bound)
