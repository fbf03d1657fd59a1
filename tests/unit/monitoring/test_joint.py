"""The classifier two-sample test."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from common.monitoring.checks import Column
from common.monitoring.joint import Told, tell_apart
from common.monitoring.wording import together_words

NUMBERS = tuple(Column(name, "number") for name in "abcd")
NAMES = (Column("x", "category"), Column("y", "category"))


def mixed(random: np.random.Generator, rows: int, rho: float = 0.0, agree: float = 0.5) -> pd.DataFrame:
    """Normal numbers of which the first two have a correlation of rho, and names that agree so often."""
    a, b, c, d = random.normal(size=(4, rows))
    x = random.choice(["yes", "no"], rows)
    y = np.where(random.random(rows) < agree, x, np.where(x == "yes", "no", "yes"))
    return pd.DataFrame({"a": a, "b": rho * a + np.sqrt(1 - rho**2) * b, "c": c, "d": d, "x": x, "y": y})


def told(before: pd.DataFrame, now: pd.DataFrame) -> Told:
    return tell_apart(before, now, [*NUMBERS, *NAMES])


def test_equal_sets_are_told_apart_no_more_often_than_declared() -> None:
    random = np.random.default_rng(1)
    found = [told(mixed(random, 150, rho=0.6), mixed(random, 80, rho=0.6)).p <= 0.1 for _ in range(40)]
    assert sum(found) <= stats.binom.ppf(0.999, 40, 0.1)


def test_numbers_that_no_longer_go_together_are_named() -> None:
    random = np.random.default_rng(2)
    before, now = mixed(random, 800, rho=0.8), mixed(random, 200)
    found = told(before, now)
    assert found.p == pytest.approx(0.001)
    assert found.auc > 0.65
    assert next(iter(found.shares)) == ("a", "b")
    assert sum(found.shares.values()) == pytest.approx(1)
    words = together_words(before, now, (NUMBERS[0], NUMBERS[1]))
    assert words.startswith(
        "'a' and 'b' go together differently: they have nothing to do with each other (rank correlation "
    )
    assert "before one closely rises as the other rises (+0.7" in words


def test_names_that_agree_more_often_are_named() -> None:
    random = np.random.default_rng(3)
    before, now = mixed(random, 800), mixed(random, 300, agree=0.9)
    assert next(iter(told(before, now).shares)) == ("x", "y")
    words = together_words(before, now, NAMES)
    assert words.startswith("'x' and 'y' go together differently: ")
    assert "of the records have '" in words


def test_a_number_that_depends_on_a_name_is_named() -> None:
    random = np.random.default_rng(4)
    before, now = mixed(random, 800), mixed(random, 300)
    order = np.argsort(np.argsort(random.normal(size=300) + 1.5 * (now["x"] == "yes")))
    now["c"] = np.sort(now["c"])[order]
    assert next(iter(told(before, now).shares)) == ("c", "x")
    words = together_words(before, now, (NUMBERS[2], NAMES[0]))
    assert words.startswith("'c' and 'x' go together differently: where 'x' is '")


def test_the_order_of_records_and_sides_says_nothing_of_itself() -> None:
    random = np.random.default_rng(5)
    before, now = mixed(random, 300), mixed(random, 300, rho=0.9)
    assert told(now, before).auc == pytest.approx(told(before, now).auc, abs=0.05)
    assert told(before, now) == told(before, now)


def test_gaps_that_depend_on_another_column_are_found() -> None:
    random = np.random.default_rng(6)
    before, now = mixed(random, 600), mixed(random, 300)
    before["d"] = before["d"].mask(random.random(600) < 0.3)
    now["d"] = now["d"].mask(random.random(300) < np.where(now["x"] == "yes", 0.6, 0.0))
    assert next(iter(told(before, now).shares)) == ("d", "x")


def test_of_many_records_a_part_is_compared() -> None:
    random = np.random.default_rng(7)
    assert told(mixed(random, 3000), mixed(random, 60)).rows == (2500, 60)


def test_columns_that_are_always_the_same_tell_nothing() -> None:
    constant = pd.DataFrame({"a": [1.0] * 80, "x": ["yes"] * 80})
    found = tell_apart(constant, constant, [NUMBERS[0], NAMES[0]])
    assert (found.auc, found.p, found.shares) == (0.5, 1.0, {})
