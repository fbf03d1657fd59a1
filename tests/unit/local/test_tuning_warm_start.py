"""Which parents a tuning job may have, and what it takes from them."""

from typing import Any

import pytest

from common.local.api import ApiError
from common.local.store import Document
from common.local.tuning.state import KIND
from common.local.tuning.warm_start import check_warm_start, priors
from tests.unit.local.tuning_kit import METRIC, SCOPE, Tuned, X, local_aws, tuning_document

IDENTICAL, TRANSFER = "IdenticalDataAndAlgorithm", "TransferLearning"


def warm(*parents: str, kind: str = TRANSFER) -> dict[str, Any]:
    named = [{"HyperParameterTuningJobName": parent} for parent in parents]
    return {"WarmStartConfig": {"WarmStartType": kind, "ParentHyperParameterTuningJobs": named}}


def check(child: Document, *parents: Document) -> None:
    store = local_aws().store
    for parent in parents:
        store.put(SCOPE, KIND, parent["HyperParameterTuningJobName"], parent)
    check_warm_start(store, SCOPE, child)


def parent(name: str = "p", status: str = "Completed", **changes: Any) -> Document:
    return tuning_document(name, HyperParameterTuningJobStatus=status, **changes)


def refused(child: Document, *parents: Document) -> str:
    with pytest.raises(ApiError) as error:
        check(child, *parents)
    assert error.value.code == "ValidationException"
    return error.value.message


@pytest.mark.parametrize("kind", [IDENTICAL, TRANSFER])
@pytest.mark.parametrize("status", ["Completed", "Stopped", "Failed"])
def test_a_parent_of_the_same_kind_at_its_end_is_taken(kind: str, status: str) -> None:
    check(tuning_document(**warm("p", "q", kind=kind)), parent(status=status), parent("q"))


def test_a_tuning_job_without_parents_is_not_checked() -> None:
    check(tuning_document())


@pytest.mark.parametrize("status", ["InProgress", "Stopping"])
def test_a_parent_must_be_at_its_end(status: str) -> None:
    message = refused(tuning_document(**warm("p")), parent(status=status))
    assert message == (
        f"The parent hyperparameter tuning job [p] is in status {status}. All parents must be in a terminal state: "
        "Completed, Stopped, Failed."
    )


def test_a_parent_must_exist() -> None:
    assert "[missing] could not be found" in refused(tuning_document(**warm("p", "missing")), parent())


def test_a_parent_is_given_once() -> None:
    assert "must be given once" in refused(tuning_document(**warm("p", "p")), parent())


@pytest.mark.parametrize(
    "objective",
    [{"Type": "Minimize", "MetricName": "validation:mae"}, {"Type": "Maximize", "MetricName": METRIC}],
)
def test_a_parent_has_the_same_objective(objective: dict[str, str]) -> None:
    other = parent(config={"HyperParameterTuningJobObjective": objective})
    assert "another objective metric" in refused(tuning_document(**warm("p")), other)


def test_a_parent_has_the_same_names_of_static_and_tunable_hyperparameters() -> None:
    more = {"StaticHyperParameters": {"num_round": "3", "_tuning_objective_metric": METRIC, "eta": "0.1"}}
    message = refused(tuning_document(definition=more, **warm("p")), parent())
    assert message.startswith(
        "The set of tunable plus static HyperParameter names is not the same across current and parent"
    )
    assert message.endswith("[p] differs in: eta")


def test_a_hyperparameter_may_change_from_static_to_tunable_and_back() -> None:
    rounds = {"IntegerParameterRanges": [{"Name": "num_round", "MinValue": "1", "MaxValue": "9"}]}
    static = {"x": "3", "_tuning_objective_metric": METRIC}
    swapped = parent(config={"ParameterRanges": rounds}, definition={"StaticHyperParameters": static})
    check(tuning_document(**warm("p")), swapped)


def test_a_hyperparameter_keeps_its_type() -> None:
    integers = {"IntegerParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "9"}]}
    message = refused(tuning_document(**warm("p")), parent(config={"ParameterRanges": integers}))
    assert message.endswith("another type of hyperparameter x: [Integer] instead of [Continuous].")


def test_identical_data_and_algorithm_need_the_same_image() -> None:
    specification = tuning_document()["TrainingJobDefinition"]["AlgorithmSpecification"]
    image = specification["TrainingImage"].replace("3.2-0", "3.0-5")
    older = parent(definition={"AlgorithmSpecification": specification | {"TrainingImage": image}})
    assert "another training image" in refused(tuning_document(**warm("p", kind=IDENTICAL)), older)
    check(tuning_document(**warm("p")), older)


def test_identical_data_and_algorithm_need_the_same_data() -> None:
    other = parent(definition={"InputDataConfig": [{"ChannelName": "train"}, {"ChannelName": "validation"}]})
    assert "needs the same input data" in refused(tuning_document(**warm("p", kind=IDENTICAL)), other)
    check(tuning_document(**warm("p")), other)


@pytest.mark.parametrize(("jobs", "over"), [(740, False), (741, True)])
def test_the_parents_training_jobs_count_towards_the_limit(jobs: int, over: bool) -> None:
    aws = local_aws()
    Tuned(lambda _number, _x: [1.0], aws, name="p").run()
    limits = {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": 1}
    child = tuning_document("child", **warm("p"), config={"ResourceLimits": limits})
    if not over:
        check_warm_start(aws.store, SCOPE, child)
        return
    with pytest.raises(ApiError, match="is 750 Training Jobs, with a request delta of 751") as error:
        check_warm_start(aws.store, SCOPE, child)
    assert error.value.code == "ResourceLimitExceeded"


def test_priors_are_all_hyperparameters_of_the_parents_completed_jobs_but_not_of_their_parents() -> None:
    aws = local_aws()
    limits = {"ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 1}, "ParameterRanges": X}

    def fail_second(number: int, _x: float) -> list[float] | str:
        return "AlgorithmError: no" if number == 2 else [float(number)]

    Tuned(lambda *_: [9.0], aws, name="grandparent", config=limits).run()
    one = Tuned(fail_second, aws, name="one", config=limits, **warm("grandparent")).run()
    two = Tuned(lambda *_: [7.0], aws, name="two", config=limits).run()
    child = tuning_document("child", **warm("one", "two"))
    found = list(priors(aws.store, SCOPE, child))
    assert [value for _, value in found] == [1.0, 3.0, 7.0, 7.0, 7.0]
    assert [given for given, _ in found] == [job["HyperParameters"] for job in (*one.jobs[::2], *two.jobs)]
