"""Requests follow the weights, exactly and with any pattern of callers."""

import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.local.hosting.traffic import Split


@given(st.integers(1, 99), st.integers(1, 3000))
def test_every_prefix_of_the_requests_is_within_a_few_of_the_exact_share(percent: int, requests: int) -> None:
    split = Split([("new", percent), ("old", 100 - percent)])
    new = sum(split.choose() == "new" for _ in range(requests))
    assert abs(new - requests * percent / 100) < 5


def test_callers_that_alternate_between_two_kinds_see_the_same_share_for_each_kind() -> None:
    split = Split([("new", 50), ("old", 50)])
    answers = [split.choose() for _ in range(2000)]
    assert abs(answers[::2].count("new") - 500) < 5
    assert abs(answers[1::2].count("new") - 500) < 5


def test_a_share_of_nothing_gets_nothing_and_a_share_of_everything_gets_all() -> None:
    split = Split([("new", 0), ("old", 100)])
    assert {split.choose() for _ in range(1000)} == {"old"}


def test_three_weights_that_sum_to_anything_are_proportions() -> None:
    split = Split([("a", 1), ("b", 2), ("c", 5)])
    counts = Counter(split.choose() for _ in range(8000))
    assert all(abs(counts[name] - expected) < 10 for name, expected in {"a": 1000, "b": 2000, "c": 5000}.items())


def test_choosing_from_many_threads_loses_no_request_and_keeps_the_share() -> None:
    split, counts = Split([("new", 30), ("old", 70)]), Counter[str]()
    lock = threading.Lock()

    def choose() -> None:
        mine = Counter(split.choose() for _ in range(2000))
        with lock:
            counts.update(mine)

    threads = [threading.Thread(target=choose) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts.total() == 8000
    assert abs(counts["new"] - 2400) < 10


@pytest.mark.parametrize("weights", [[], [("a", 0.0)], [("a", 2.0), ("b", -1.0)]])
def test_weights_without_a_positive_one_or_with_a_negative_one_are_refused(weights: list[tuple[str, float]]) -> None:
    with pytest.raises(ValueError, match="weights"):
        Split(weights)
