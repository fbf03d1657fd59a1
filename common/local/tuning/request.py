"""What a request for a tuning job may ask for, and the training jobs that follow from it."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.local.api import ApiError, validation_error
from common.local.containers.hyperparameters import METRICS
from common.local.jobs.contract import is_built_in
from common.local.store import Document
from common.local.tuning.ranges import Range, combinations, read_ranges

MAX_JOBS = 750
TUNING_OBJECTIVE = "_tuning_objective_metric"
"""The hyperparameter by which SageMaker tells a training job what it is judged by."""
_EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
"""Static hyperparameters from which Hyperband infers how long its longest jobs run."""
_UNSUPPORTED = (
    "TuningObjective",
    "HyperParameterRanges",
    "HyperParameterTuningResourceConfig",
    "RetryStrategy",
)


def check_tuning(tuning: Document) -> None:
    """Check a new tuning job by itself. Its training jobs' request is checked as every other.

    Raises:
        ApiError: AWS would refuse it, or it cannot run here.
    """
    config, definition = tuning["HyperParameterTuningJobConfig"], tuning["TrainingJobDefinition"]
    for member in _UNSUPPORTED:
        if member in definition:
            raise validation_error(f"The local AWS does not support TrainingJobDefinition.{member}.")
    convergence = config.get("TuningJobCompletionCriteria", {}).get("ConvergenceDetected", {})
    if convergence.get("CompleteOnConvergence") == "Enabled":
        raise validation_error("The local AWS does not support TuningJobCompletionCriteria.ConvergenceDetected.")
    ranges = read_ranges(config)
    both = {item.name for item in ranges} & set(definition["StaticHyperParameters"])
    if both:
        raise validation_error(f"The hyperparameters [{', '.join(sorted(both))}] are both static and tunable.")
    _check_strategy(config, ranges)
    _check_limits(config, ranges)
    _check_hyperband(tuning)
    _check_objective(tuning)


def check_count(jobs: float) -> None:
    """Refuse more training jobs than a tuning job may have, those of its parents included."""
    if jobs > MAX_JOBS:
        raise ApiError(
            "ResourceLimitExceeded",
            "The account-level service limit 'Maximum number of training jobs per hyperparameter tuning job' is "
            f"{MAX_JOBS} Training Jobs, with a request delta of {int(jobs)} Training Jobs.",
        )


def planned_jobs(config: Mapping[str, Any], ranges: Sequence[Range]) -> int:
    """How many training jobs a checked configuration asks for; a grid need not say it."""
    return config["ResourceLimits"].get("MaxNumberOfTrainingJobs") or int(combinations(ranges))


def training_request(tuning: Document, job: str, tuned: Mapping[str, str]) -> Document:
    """The request for one training job of a tuning job, which has checkpoints of its own."""
    definition = tuning["TrainingJobDefinition"]
    request = {member: value for member, value in definition.items() if member in _TAKEN_OVER}
    request |= {"TrainingJobName": job, "HyperParameters": definition["StaticHyperParameters"] | tuned}
    if "CheckpointConfig" in definition:
        checkpoints = definition["CheckpointConfig"]
        request["CheckpointConfig"] = checkpoints | {"S3Uri": f"{checkpoints['S3Uri'].rstrip('/')}/{job}"}
    return request


_TAKEN_OVER = (
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "VpcConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "Environment",
)


def max_resource(tuning: Document) -> int | None:
    """The number of epochs of Hyperband's longest jobs; None for other strategies.

    Raises:
        ApiError: `ValidationException`, when it is neither given nor can be inferred.
    """
    config = tuning["HyperParameterTuningJobConfig"]
    if config["Strategy"] != "Hyperband":
        return None
    static = tuning["TrainingJobDefinition"]["StaticHyperParameters"]
    given: list[int | None] = [
        config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {}).get("MaxResource"),
        *(int(static[name]) for name in _EPOCHS if static.get(name, "").isdecimal()),
    ]
    found = next((value for value in given if value is not None), None)
    if found is None:
        raise validation_error(
            "HyperbandStrategyConfig needs a MaxResource: it can't be inferred from a static hyperparameter "
            f"({', '.join(_EPOCHS)})."
        )
    return found


def _check_strategy(config: Mapping[str, Any], ranges: Sequence[Range]) -> None:
    strategy = config["Strategy"]
    if strategy == "Grid" and any(item.kind != "Categorical" for item in ranges):
        raise validation_error("The Grid strategy supports only categorical hyperparameter ranges.")
    if strategy == "Hyperband" and config["TrainingJobEarlyStoppingType"] != "Off":
        raise validation_error("TrainingJobEarlyStoppingType must be Off when the strategy is Hyperband.")
    if strategy != "Hyperband" and "StrategyConfig" in config:
        raise validation_error("StrategyConfig should be provided only if the strategy is Hyperband.")


def _check_limits(config: Mapping[str, Any], ranges: Sequence[Range]) -> None:
    limits, possible = config["ResourceLimits"], combinations(ranges)
    grid = config["Strategy"] == "Grid"
    jobs = limits.get("MaxNumberOfTrainingJobs", possible if grid else None)
    if jobs is None:
        raise validation_error(f"The {config['Strategy']} strategy needs ResourceLimits.MaxNumberOfTrainingJobs.")
    check_count(jobs)
    if grid and jobs != possible:
        raise validation_error(
            f"With the Grid strategy MaxNumberOfTrainingJobs, [{jobs}], must be the number of combinations of the "
            f"categorical values, [{int(possible)}], or left out."
        )
    if possible < jobs:
        raise validation_error(
            "You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter combinations "
            f"for the provided ranges [{possible:.1f}] must be equal or greater than the value of MaxNumberOfJobs, [{jobs}]. "
            "Provide additional ranges."
        )


def _check_hyperband(tuning: Document) -> None:
    longest = max_resource(tuning)
    hyperband = tuning["HyperParameterTuningJobConfig"].get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    if longest is not None and hyperband.get("MinResource", 1) > longest:
        raise validation_error("HyperbandStrategyConfig has a MinResource that is greater than its MaxResource.")


def _check_objective(tuning: Document) -> None:
    """The objective has to be a metric that the training jobs log."""
    metric = tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"]
    request = training_request(tuning, "any", {})
    specification = request["AlgorithmSpecification"]
    defined = specification.get("MetricDefinitions", [])
    if is_built_in(request):
        if defined:
            raise validation_error(
                "You can't override the metric definitions for Amazon SageMaker algorithms. Please retry the request without "
                "specifying metric definitions."
            )
        channel, _, name = metric.partition(":")
        if channel != "validation" or name not in METRICS:
            valid = ", ".join(f"validation:{known}" for known in METRICS)
            raise validation_error(
                f"The objective metric for the hyperparameter tuning job, [{metric}], isn't valid for the "
                f"[{specification['TrainingImage']}] algorithm. Choose a valid objective metric: [{valid}]."
            )
    elif metric not in [definition["Name"] for definition in defined]:
        raise validation_error(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric definitions."
        )
