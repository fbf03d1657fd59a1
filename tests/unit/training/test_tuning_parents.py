"""From which earlier tuning jobs a new one learns: a test for each rule, and properties of all of them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.training.parents import Candidate, Search, choose_parents

WANTED = Search(
    model="churn",
    objective="binary:logistic",
    metric="validation:logloss",
    data_version="data-2",
    image="xgboost:3.2-0",
    ranges={"eta": "Continuous", "max_depth": "Integer"},
    static=frozenset({"objective", "num_round"}),
    jobs=10,
)


def candidate(name: str = "earlier", *, status: str = "Completed", scored: int = 10, testing: bool = False,
              **search: Any) -> Candidate:  # fmt: skip
    return Candidate(name, status, scored, testing, replace(WANTED, **search))


def reason(earlier: Candidate) -> str:
    """Why the only earlier tuning job is no parent."""
    parents = choose_parents([earlier], WANTED)
    assert parents.chosen == ()
    assert parents.kind is None
    [skipped] = parents.skipped
    assert skipped.name == earlier.name
    return skipped.reason


def test_without_earlier_tuning_jobs_there_are_no_parents() -> None:
    parents = choose_parents([], WANTED)
    assert (parents.chosen, parents.kind, parents.skipped) == ((), None, ())


def test_the_same_data_and_image_make_an_identical_search() -> None:
    parents = choose_parents([candidate()], WANTED)
    assert parents.chosen == ("earlier",)
    assert parents.kind == "IdenticalDataAndAlgorithm"


@pytest.mark.parametrize("other", [{"data_version": "data-1"}, {"image": "xgboost:1.7-1"}])
def test_one_parent_with_other_data_or_another_image_makes_it_a_transfer(other: dict[str, Any]) -> None:
    parents = choose_parents([candidate("same"), candidate("other", **other)], WANTED)
    assert parents.chosen == ("same", "other")
    assert parents.kind == "TransferLearning"


def test_another_model_s_tuning_jobs_are_not_even_mentioned() -> None:
    assert choose_parents([candidate(model="churn2")], WANTED).skipped == ()


def test_another_objective_does_not_fit() -> None:
    assert reason(candidate(objective="reg:squarederror")) == "its objective is reg:squarederror, not binary:logistic"


def test_another_metric_does_not_fit() -> None:
    assert reason(candidate(metric="validation:auc")) == "it optimised validation:auc, not validation:logloss"


@pytest.mark.parametrize("status", ["InProgress", "Stopping", "Stopped", "Failed"])
def test_a_tuning_job_that_is_not_completed_does_not_fit(status: str) -> None:
    assert reason(candidate(status=status)) == f"it is {status}"


@pytest.mark.parametrize(("scored", "said"), [(0, "none"), (1, "1")])
def test_there_is_nothing_to_learn_from_fewer_than_two_results(scored: int, said: str) -> None:
    assert reason(candidate(scored=scored)) == f"{said} of its training jobs has a result, and learning takes two"
    assert choose_parents([candidate(scored=2)], WANTED).chosen


def test_a_test_run_does_not_fit() -> None:
    assert reason(candidate(testing=True)) == "it was a test run"


def test_another_name_of_a_hyperparameter_does_not_fit() -> None:
    renamed = candidate(ranges={"learning_rate": "Continuous", "max_depth": "Integer"})
    assert reason(renamed) == "other hyperparameters: eta, learning_rate"
    assert reason(candidate(static=frozenset({"objective"}))) == "other hyperparameters: num_round"


def test_another_type_of_range_does_not_fit() -> None:
    retyped = candidate(ranges={"eta": "Continuous", "max_depth": "Categorical"})
    assert reason(retyped) == "other types of ranges: max_depth was Categorical and is Integer"


def test_a_range_that_was_fixed_and_a_fixed_value_that_was_a_range_fit() -> None:
    swapped = candidate(ranges={"num_round": "Integer"}, static=frozenset({"objective", "eta", "max_depth"}))
    assert choose_parents([swapped], WANTED).chosen == ("earlier",)


def test_the_newest_five_are_taken_and_no_more_are_read() -> None:
    read: list[str] = []

    def newest_first() -> Iterator[Candidate]:
        for number in range(9, 0, -1):
            read.append(f"job-{number}")
            yield candidate(f"job-{number}", testing=number == 8)

    parents = choose_parents(newest_first(), WANTED)
    assert parents.chosen == ("job-9", "job-7", "job-6", "job-5", "job-4")
    assert [skipped.name for skipped in parents.skipped] == ["job-8"]
    assert read == ["job-9", "job-8", "job-7", "job-6", "job-5", "job-4"]


def test_a_parent_too_many_for_sagemaker_s_limit_of_training_jobs_is_left_out() -> None:
    parents = choose_parents([candidate("large", jobs=700), candidate("medium", jobs=41), candidate("small")], WANTED)
    assert parents.chosen == ("large", "small")
    assert parents.skipped[0].reason == "with its training jobs there would be 751, and SageMaker takes 750"


CANDIDATES = st.lists(
    st.builds(
        Candidate,
        name=st.uuids().map(str),
        status=st.sampled_from(["Completed", "Failed", "InProgress"]),
        scored=st.integers(0, 4),
        testing=st.booleans(),
        search=st.builds(
            Search,
            model=st.sampled_from(["churn", "abalone"]),
            objective=st.sampled_from([WANTED.objective, "reg:squarederror"]),
            metric=st.sampled_from([WANTED.metric, "validation:auc"]),
            data_version=st.sampled_from([WANTED.data_version, "data-1"]),
            image=st.sampled_from([WANTED.image, "xgboost:1.7-1"]),
            ranges=st.dictionaries(
                st.sampled_from(["eta", "max_depth", "num_round"]), st.sampled_from(["Continuous", "Integer"])
            ),
            static=st.frozensets(st.sampled_from(["eta", "max_depth", "num_round", "objective"])),
            jobs=st.integers(2, 400),
        ),
    )
    | st.builds(candidate, st.uuids().map(str), jobs=st.integers(2, 400)),
    max_size=12,
)


@given(CANDIDATES)
def test_every_parent_keeps_every_rule_and_every_other_one_read_is_accounted_for(candidates: list[Candidate]) -> None:
    parents = choose_parents(iter(candidates), WANTED)
    by_name = {each.name: each for each in candidates}
    chosen = [by_name[name] for name in parents.chosen]
    assert len(chosen) <= 5
    assert sum(each.search.jobs for each in chosen) + WANTED.jobs <= 750
    for each in chosen:
        its = each.search
        assert (its.model, its.objective, its.metric) == (WANTED.model, WANTED.objective, WANTED.metric)
        assert each.status == "Completed"
        assert each.scored > 1
        assert not each.testing
        assert its.static | its.ranges.keys() == WANTED.static | WANTED.ranges.keys()
        assert all(WANTED.ranges.get(name, kind) == kind for name, kind in its.ranges.items())
    assert (parents.kind is None) == (not chosen)
    if parents.kind == "IdenticalDataAndAlgorithm":
        assert {(each.search.data_version, each.search.image) for each in chosen} == {("data-2", "xgboost:3.2-0")}

    skipped = [each.name for each in parents.skipped]
    own = [each.name for each in candidates if each.search.model == "churn"]
    told = sorted([*parents.chosen, *skipped], key=own.index)
    assert told == own[: len(told)], "in order, and none left out"
    assert len(told) == len(own) or len(chosen) == 5


@given(CANDIDATES)
def test_a_skipped_tuning_job_is_skipped_alone_too_unless_its_jobs_were_too_many(candidates: list[Candidate]) -> None:
    by_name = {each.name: each for each in candidates}
    for skipped in choose_parents(candidates, WANTED).skipped:
        if "there would be" not in skipped.reason:
            assert reason(by_name[skipped.name]) == skipped.reason
