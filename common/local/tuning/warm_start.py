"""Tuning jobs that learn from earlier ones: which parents are allowed, and what is taken from them."""

from collections.abc import Iterator
from typing import Any

from common.local.api import ApiError, validation_error
from common.local.store import Document, Store
from common.local.tuning.jobs import objective_value, training_jobs
from common.local.tuning.ranges import read_ranges
from common.local.tuning.request import check_count, planned_jobs
from common.local.tuning.state import KIND

TERMINAL = ("Completed", "Stopped", "Failed")
IDENTICAL = "IdenticalDataAndAlgorithm"


def parents_of(store: Store, scope: str, tuning: Document) -> list[Document]:
    """The parents that a tuning job names and that still exist. Warm start is not recursive: theirs are none of its."""
    config = tuning.get("WarmStartConfig", {})
    names = [parent["HyperParameterTuningJobName"] for parent in config.get("ParentHyperParameterTuningJobs", ())]
    return [parent for name in names if (parent := store.get(scope, KIND, name)) is not None]


def check_warm_start(store: Store, scope: str, tuning: Document) -> None:
    """Check a new tuning job against the parents that it names.

    Raises:
        ApiError: `ValidationException`; a parent is missing, not at its end, or not of the same kind.
            `ResourceLimitExceeded`; with the parents' there are too many training jobs.
    """
    config = tuning.get("WarmStartConfig")
    if config is None:
        return
    names = [parent.get("HyperParameterTuningJobName") for parent in config["ParentHyperParameterTuningJobs"]]
    if None in names or len(set(names)) < len(names):
        raise validation_error("Each parent hyperparameter tuning job must be given once, by its name.")
    for name in names:
        parent = store.get(scope, KIND, name)
        if parent is None:
            raise validation_error(f"The parent hyperparameter tuning job [{name}] could not be found.")
        status = parent["HyperParameterTuningJobStatus"]
        if status not in TERMINAL:
            raise validation_error(
                f"The parent hyperparameter tuning job [{name}] is in status {status}. All parents must be in a terminal "
                f"state: {', '.join(TERMINAL)}."
            )
        _check_likeness(parent, tuning)
        if config["WarmStartType"] == IDENTICAL:
            _check_identity(parent, tuning)
    configured = tuning["HyperParameterTuningJobConfig"]
    inherited = sum(len(training_jobs(store, scope, parent)) for parent in parents_of(store, scope, tuning))
    check_count(planned_jobs(configured, read_ranges(configured)) + inherited)


def priors(store: Store, scope: str, tuning: Document) -> Iterator[tuple[dict[str, str], float]]:
    """The hyperparameters, tuned and static, and the objective of every completed training job of the parents."""
    metric = tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"]
    for parent in parents_of(store, scope, tuning):
        for job in training_jobs(store, scope, parent):
            value = objective_value(job, metric)
            if value is not None and job["TrainingJobStatus"] == "Completed":
                yield job["HyperParameters"], value


def _check_likeness(parent: Document, child: Document) -> None:
    name = parent["HyperParameterTuningJobName"]
    theirs, ours = _objective(parent), _objective(child)
    if theirs != ours:
        raise _unlike(name, "objective metric", _shown(theirs), _shown(ours))
    if _names(parent) != _names(child):
        changed = ", ".join(sorted(_names(parent) ^ _names(child)))
        raise validation_error(
            "The set of tunable plus static HyperParameter names is not the same across current and parent tuning jobs. "
            "Please ensure this set is constant when warm starting. Note that previously static HyperParameters can be "
            f"tuned in warm start jobs and vice versa. [{name}] differs in: {changed}"
        )
    types = _types(parent)
    for parameter, kind in _types(child).items():
        if types.get(parameter, kind) != kind:
            raise _unlike(name, f"type of hyperparameter {parameter}", types[parameter], kind)


def _check_identity(parent: Document, child: Document) -> None:
    name = parent["HyperParameterTuningJobName"]
    theirs, ours = parent["TrainingJobDefinition"], child["TrainingJobDefinition"]
    images = [definition["AlgorithmSpecification"]["TrainingImage"] for definition in (theirs, ours)]
    if images[0] != images[1]:
        raise _unlike(name, f"training image, which {IDENTICAL} needs", *images)
    if theirs.get("InputDataConfig") != ours.get("InputDataConfig"):
        raise validation_error(
            f"{IDENTICAL} needs the same input data, but the InputDataConfig of parent hyperparameter tuning job [{name}] "
            "is another. Use TransferLearning."
        )


def _unlike(parent: str, what: str, theirs: str, ours: str) -> ApiError:
    return validation_error(
        f"The parent hyperparameter tuning job [{parent}] has another {what}: [{theirs}] instead of [{ours}]."
    )


def _objective(tuning: Document) -> dict[str, Any]:
    found: dict[str, Any] = tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    return found


def _shown(objective: dict[str, str]) -> str:
    return f"{objective['Type']} {objective['MetricName']}"


def _types(tuning: Document) -> dict[str, str]:
    return {item.name: item.kind for item in read_ranges(tuning["HyperParameterTuningJobConfig"])}


def _names(tuning: Document) -> set[str]:
    return {*_types(tuning), *tuning["TrainingJobDefinition"]["StaticHyperParameters"]}
