"""The request for a tuning job, from what a model folder declares. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from common.training.parents import Parents, Search, name_prefix
from common.training.tuning import Choice, Continuous, Integer, Objective, Range, Tuning

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import (
        CreateHyperParameterTuningJobRequestTypeDef,
        CreateTrainingJobRequestTypeDef,
        HyperParameterTuningJobConfigTypeDef,
        ParameterRangesTypeDef,
        TagTypeDef,
    )

_SHARED = (
    "AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig", "ResourceConfig", "StoppingCondition",
    "EnableManagedSpotTraining", "VpcConfig", "EnableNetworkIsolation",
)  # fmt: skip
"""What the request for a single training job and that for all of a tuning job's have in common."""


def tuning_job_name(model: str, source: str, data_version: str, *, testing: bool) -> str:
    """The name that follows from what is tuned.

    At most 29 characters, so that with the number of a later attempt it fits SageMaker's 32.
    """
    identity = "\0".join((model, source, data_version, "testing" if testing else ""))
    return f"{name_prefix(model)}{_digest(identity)[:12]}"


def trial_run(tuning: Tuning) -> Tuning:
    """One training job within the same ranges. A grid of one job would have one combination: it is drawn at random."""
    return replace(tuning, jobs=1, parallel=1, strategy="Random" if tuning.strategy == "Grid" else tuning.strategy)


def search_of(
    model: str, tuning: Tuning, objective: Objective, single: CreateTrainingJobRequestTypeDef, data_version: str
) -> Search:
    """What decides from which earlier tuning jobs this one can learn.

    Args:
        single: the request for a training job without tuning.
    """
    static = single["HyperParameters"]
    return Search(
        model=model,
        objective=static["objective"],
        metric=objective.metric,
        data_version=data_version,
        image=single["AlgorithmSpecification"]["TrainingImage"],
        ranges={name: _kind(allowed) for name, allowed in tuning.ranges.items()},
        static=frozenset(static),
        jobs=tuning.jobs,
    )


def tuning_request(
    name: str,
    tuning: Tuning,
    objective: Objective,
    single: CreateTrainingJobRequestTypeDef,
    parents: Parents,
    tags: list[TagTypeDef],
) -> CreateHyperParameterTuningJobRequestTypeDef:
    """The request for a tuning job whose training jobs are as `single`, but for the tuned hyperparameters."""
    definition: Any = {member: value for member, value in single.items() if member in _SHARED}
    definition["StaticHyperParameters"] = single["HyperParameters"]
    if "CheckpointConfig" in single:
        # SageMaker appends the name of each training job.
        definition["CheckpointConfig"] = {"S3Uri": f"{single['CheckpointConfig']['S3Uri']}/{name}"}
    request: CreateHyperParameterTuningJobRequestTypeDef = {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": _config(tuning, objective, single["HyperParameters"], len(parents.chosen)),
        "TrainingJobDefinition": definition,
        "Tags": tags,
    }
    if parents.kind:
        request["WarmStartConfig"] = {
            "WarmStartType": parents.kind,
            "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": parent} for parent in parents.chosen],
        }
    return request


def _config(
    tuning: Tuning, objective: Objective, static: Mapping[str, str], parents: int
) -> HyperParameterTuningJobConfigTypeDef:
    stops = tuning.early_stopping and tuning.strategy != "Hyperband"
    config: HyperParameterTuningJobConfigTypeDef = {
        "Strategy": tuning.strategy,
        "HyperParameterTuningJobObjective": {
            "Type": "Maximize" if objective.maximize else "Minimize",
            "MetricName": objective.metric,
        },
        "ResourceLimits": {
            "MaxNumberOfTrainingJobs": tuning.jobs,
            "MaxParallelTrainingJobs": tuning.parallel,
        },
        "ParameterRanges": _ranges(tuning.ranges),
        "TrainingJobEarlyStoppingType": "Auto" if stops else "Off",
    }
    if tuning.strategy == "Hyperband":
        rounds = _most_rounds(static.get("num_round") or tuning.ranges["num_round"])
        config["StrategyConfig"] = {"HyperbandStrategyConfig": {"MaxResource": rounds}}
    # What is declared draws the same values anywhere and after any change of other code; but not those that its parents drew.
    config["RandomSeed"] = int(_digest(json.dumps([config, dict(static), parents], sort_keys=True))[:7], 16)
    return config


def _ranges(ranges: Mapping[str, Range]) -> ParameterRangesTypeDef:
    written: dict[str, list[dict[str, Any]]] = {}
    for name, allowed in ranges.items():
        values: dict[str, Any] = (
            {"Values": list(allowed.values)}
            if isinstance(allowed, Choice)
            else {"MinValue": str(allowed.low), "MaxValue": str(allowed.high), "ScalingType": allowed.scale}
        )
        written.setdefault(f"{_kind(allowed)}ParameterRanges", []).append({"Name": name, **values})
    return written  # type: ignore[return-value]  # a TypedDict cannot be filled by computed keys


def _kind(allowed: Range) -> str:
    return {Continuous: "Continuous", Integer: "Integer", Choice: "Categorical"}[type(allowed)]


def _most_rounds(rounds: str | Range) -> int:
    if isinstance(rounds, str):
        return int(rounds)
    return max(map(int, rounds.values)) if isinstance(rounds, Choice) else int(rounds.high)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
