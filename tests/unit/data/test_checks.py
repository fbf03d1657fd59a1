"""Leaks, repeated rows and unseen categories, found without taking an honest feature for a leak."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from abalone_model.gather_data import DATA as ABALONE
from common.data.checks import check_sets
from common.data.schema import Category, Columns, Number
from common.data.split import Fractions, assign, digests
from common.errors import DataError

CHURN = Category("churned", ("no", "yes"))
ROWS = 1000


def split(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    sets = assign(digests(pd.DataFrame({"row": range(len(rows))})), Fractions())
    return {name: rows[(sets == name).to_numpy()] for name in ("train", "validation", "test")}


def labels(random: np.random.Generator, share: float = 0.14, rows: int = ROWS) -> NDArray[np.bool_]:
    return random.random(rows) < share


def told(truth: NDArray[np.bool_]) -> NDArray[np.str_]:
    return np.where(truth, "yes", "no")


def check(column: Number | Category, values: object, churned: NDArray[np.bool_]) -> tuple[str, ...]:
    """Check rows of which no two are alike."""
    rows = pd.DataFrame({column.name: values, "other": np.sin(np.arange(len(churned))), "churned": told(churned)})
    return check_sets(Columns((column, Number("other"), CHURN), label="churned"), split(rows))


def assert_leak(column: Number | Category, values: object, churned: NDArray[np.bool_]) -> None:
    with pytest.raises(
        DataError, match=rf"^One column alone tells the label [^\n]*\n  - {column.name}: [^\n]*\n[^\n]*$"
    ):
        check(column, values, churned)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


def test_a_leak_is_told_with_its_column_its_size_and_what_to_do(random: np.random.Generator) -> None:
    churned = labels(random)
    with pytest.raises(DataError) as caught:
        check(Number("refund"), np.where(churned, random.gamma(2, 50, ROWS), 0), churned)
    held_out = ROWS - len(split(pd.DataFrame({"row": range(ROWS)}))["train"])
    assert f"\n  - refund: at least 100% of the label, in {held_out} of {held_out} rows" in caught.value.what
    assert "Declare it as Ignored" in caught.value.remedy


def test_categories_that_say_the_label_in_other_words_leak(random: np.random.Generator) -> None:
    churned = labels(random)
    states = np.where(churned, random.choice(["moved", "too dear"], ROWS), random.choice(["active", "new"], ROWS))
    assert_leak(Category("state"), states, churned)


@pytest.mark.parametrize("wrong", [0.005, 0.01])
@pytest.mark.parametrize("seed", range(5))
def test_a_column_that_tells_almost_every_label_leaks(seed: int, wrong: float) -> None:
    random = np.random.default_rng(seed)
    churned = labels(random, rows=4000)
    copy = churned ^ (random.random(4000) < wrong)
    assert_leak(Category("closed"), told(copy), churned)
    assert_leak(Number("balance"), random.normal(np.where(copy, -20, 20), 1), churned)


def test_dates_that_only_those_have_who_left_leak_although_no_two_are_alike(random: np.random.Generator) -> None:
    churned = labels(random)
    dates = [f"2024-01-01T{second:06d}" if left else "" for second, left in enumerate(churned)]
    assert_leak(Category("closed at", optional=True), dates, churned)


def test_a_number_that_is_missing_for_those_who_left_leaks(random: np.random.Generator) -> None:
    churned = labels(random)
    rating = np.where(churned, np.nan, random.normal(3, 1, ROWS))
    assert_leak(Number("rating", optional=True), rating, churned)


def test_a_number_that_tells_the_label_within_a_band_leaks(random: np.random.Generator) -> None:
    churned = labels(random)
    inside, outside = random.uniform(0.45, 0.55, ROWS), random.choice([-1, 1], ROWS) * random.uniform(0.6, 3, ROWS)
    assert_leak(Number("score"), np.where(churned, inside, outside), churned)


def test_numbers_of_rows_that_were_sorted_by_label_leak(random: np.random.Generator) -> None:
    churned = np.sort(labels(random))
    assert_leak(Number("row number"), np.arange(ROWS), churned)


@pytest.mark.parametrize("column", [Category("customer"), Number("customer")])
def test_customers_whose_rows_are_in_several_sets_leak(random: np.random.Generator, column: Number | Category) -> None:
    leaves = labels(random, rows=300)
    customer = random.integers(0, 300, ROWS)
    values = customer.astype(str) if isinstance(column, Category) else customer
    assert_leak(column, values, leaves[customer])


def test_numbers_that_no_two_rows_share_do_not_leak(random: np.random.Generator) -> None:
    churned = labels(random)
    names = [f"C{number:04d}" for number in range(ROWS)]
    assert check(Category("customer"), names, churned)[0].startswith("customer: no training row is")
    assert check(Number("customer"), random.permutation(ROWS), churned) == ()


def test_a_number_is_leaked_by_what_it_follows_from_and_not_by_a_good_forecast(random: np.random.Generator) -> None:
    season = 2 * np.sin(np.arange(4000) * 0.9)
    usage = np.exp(season + random.normal(0, 0.2, 4000))
    columns = Columns((Number("given"), Number("usage")), label="usage")

    def checked(given: NDArray[np.float64]) -> tuple[str, ...]:
        return check_sets(columns, split(pd.DataFrame({"given": given, "usage": usage})))

    assert np.corrcoef(season, np.log(usage))[0, 1] ** 2 > 0.97
    assert checked(np.exp(season + random.normal(0, 0.01, 4000))) == ()
    in_and_out = np.where(usage > 1, -usage, usage)
    for leak in (usage * 1.2, in_and_out, usage + random.normal(0, 0.01, 4000)):
        with pytest.raises(DataError, match=r"given: at least (9.|100)% of the label"):
            checked(leak)


def test_honest_features_of_any_strength_are_hardly_ever_taken_for_leaks() -> None:
    """Five honest features each in 150 small sets of rows, up to a ROC AUC of 0.96 by one feature alone: no alarm."""
    alarms = 0
    for seed in range(150):
        random = np.random.default_rng(seed)
        rows = int(random.choice([60, 200, 600]))
        churned = labels(random, random.uniform(0.1, 0.5), rows)
        frame = pd.DataFrame(
            {
                "strong": random.normal(np.where(churned, 2.5, 0), 1),
                "band": np.where(random.random(rows) < 0.9, churned, ~churned) * random.normal(1, 0.1, rows),
                "calls": random.poisson(np.where(churned, 6, 2)),
                "place": random.integers(0, rows // 4, rows).astype(str),
                "reason": np.where(random.random(rows) < np.where(churned, 0.5, 0.02), "complaint", "none"),
                "churned": told(churned),
            }
        )
        numbers = (Number("strong"), Number("band"), Number("calls"))
        columns = Columns((*numbers, Category("place"), Category("reason"), CHURN), label="churned")
        try:
            check_sets(columns, split(frame))
        except DataError:
            alarms += 1
    assert alarms == 0


def test_abalone_is_not_taken_for_leaking_its_rings() -> None:
    rows = ABALONE.columns.check(ABALONE.read()).frame
    assert check_sets(ABALONE.columns, split(rows)) == ()


def places(train: list[str], test: list[str], column: Category) -> tuple[str, ...]:
    def rows(values: list[str]) -> pd.DataFrame:
        ends = told(np.arange(len(values)) % 2 == 0)
        return pd.DataFrame(
            {column.name: values, "number": np.arange(len(values)) * 1.7 + len(values), "churned": ends}
        )

    columns = Columns((column, Number("number"), CHURN), label="churned")
    return check_sets(columns, {"train": rows(train), "validation": rows(train[:3]), "test": rows(test)})


def test_categories_that_no_training_row_has_are_named_with_their_encoding() -> None:
    train, test = ["CA", "NY"] * 20, ["CA", "WY", "WY", "VT"]
    assert places(train, test, Category("state")) == (
        "state: no training row is VT, WY; 3 rows of test are, and are encoded as none of the known ones",
    )
    assert places(train, test, Category("state", ("CA", "NY", "VT", "WY")))[0].endswith(
        "by an indicator that training never saw set"
    )


def test_many_unseen_categories_are_counted_and_an_empty_one_is_called_so() -> None:
    warning = places(["CA", "NY"] * 20, ["", "A", "B", "C", "D", "E", "F"], Category("state", optional=True))[0]
    assert "no training row is empty, A, B, C, D and 2 more; 7 rows of test" in warning


def repeated(count: int) -> tuple[str, ...]:
    """Of 100 test rows, that many repeat a training row."""
    columns = Columns((Number("x"), CHURN), label="churned")
    rows = pd.DataFrame({"x": np.arange(300) * 0.5, "churned": told(np.arange(300) % 3 == 0)})
    test = pd.concat([rows[200 + count :], rows[:count].assign(churned="no")])
    return check_sets(columns, {"train": rows[:150], "validation": rows[150:200], "test": test})


def test_a_few_rows_that_repeat_training_rows_are_a_warning_and_many_are_refused() -> None:
    assert repeated(0) == ()
    assert repeated(10) == ("10 of 100 rows of test repeat the inputs of a training row",)
    with pytest.raises(
        DataError, match="11 of 100 rows of test repeat the inputs of a training row: a model that learns"
    ):
        repeated(11)


def test_rows_repeated_between_the_sets_make_no_column_look_like_a_leak(random: np.random.Generator) -> None:
    churned = labels(random, rows=3000)
    frame = pd.DataFrame({"x": random.normal(size=3000), "churned": told(churned)})
    sets = split(frame)
    sets["test"] = pd.concat([sets["test"], sets["train"][:45]])
    columns = Columns((Number("x"), CHURN), label="churned")
    assert check_sets(columns, sets) == (f"45 of {len(sets['test'])} rows of test repeat the inputs of a training row",)
