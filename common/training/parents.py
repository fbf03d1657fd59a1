"""From which earlier tuning jobs a new one learns: pure rules over what the jobs and their tags say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.aws import Aws
from common.evaluation.tuning_summary import SkippedParent, WarmStart
from common.training.tuning import MOST_JOBS

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import (
        DescribeHyperParameterTuningJobResponseTypeDef,
        HyperParameterTuningJobSummaryTypeDef,
        TagTypeDef,
    )

MOST_PARENTS = 5
"""SageMaker's limit."""


@dataclass(frozen=True)
class Search:
    """What decides whether one tuning job can learn from another.

    Attributes:
        objective: what the training jobs minimise, e.g. `binary:logistic`.
        metric: what the tuning job judges them by, e.g. `validation:logloss`.
        ranges: the kind of each tuned hyperparameter: `Continuous`, `Integer` or `Categorical`.
        static: names of the hyperparameters that all training jobs share.
        jobs: how many training jobs it runs.
    """

    model: str
    objective: str
    metric: str
    data_version: str
    image: str
    ranges: Mapping[str, str]
    static: frozenset[str]
    jobs: int

    def tags(self, *, testing: bool) -> list[TagTypeDef]:
        """Tags by which later tuning jobs find this one, and judge it before they describe it."""
        values = {
            "model": self.model,
            "objective": self.objective,
            "metric": self.metric,
            "data_version": self.data_version,
            "image": self.image,
            "testing": str(testing).lower(),
        }
        return [{"Key": key, "Value": value} for key, value in values.items()]


@dataclass(frozen=True)
class Candidate:
    """An earlier tuning job.

    Attributes:
        scored: how many of its training jobs have a value of the metric: what there is to learn from.
        testing: whether it only tried out that tuning works.
    """

    name: str
    status: str
    scored: int
    testing: bool
    search: Search


@dataclass(frozen=True)
class Parents:
    """The tuning jobs that a new one learns from, the newest first, and those of the same model that do not fit.

    `kind` is none where none was chosen.
    """

    chosen: tuple[str, ...] = ()
    kind: WarmStart | None = None
    skipped: tuple[SkippedParent, ...] = ()


def choose_parents(candidates: Iterable[Candidate], wanted: Search) -> Parents:
    """The newest five tuning jobs of the same model that SageMaker accepts as parents of the wanted one.

    They are parents for `IdenticalDataAndAlgorithm` where data version and image of all are the wanted ones, and for
    `TransferLearning` otherwise.

    Args:
        candidates: the newest first; only as many are read as are needed.
    """
    chosen: list[Candidate] = []
    skipped: list[SkippedParent] = []
    for candidate in candidates:
        if candidate.search.model != wanted.model:
            continue
        reason = _misfit(candidate, wanted) or _excess([*chosen, candidate], wanted)
        if reason:
            skipped.append(SkippedParent(candidate.name, reason))
        else:
            chosen.append(candidate)
        if len(chosen) == MOST_PARENTS:
            break
    identical = all(
        (parent.search.data_version, parent.search.image) == (wanted.data_version, wanted.image) for parent in chosen
    )
    kind: WarmStart = "IdenticalDataAndAlgorithm" if identical else "TransferLearning"
    return Parents(tuple(parent.name for parent in chosen), kind if chosen else None, tuple(skipped))


def tagged_tuning_jobs(aws: Aws, model: str) -> Iterator[tuple[HyperParameterTuningJobSummaryTypeDef, dict[str, str]]]:
    """The tuning jobs that carry the model's tag, the newest first, each with its tags. Reads on only as far as asked."""
    # Their names begin with the model's; asking for the tags of every job of the account could take minutes.
    pages = aws.sagemaker.get_paginator("list_hyper_parameter_tuning_jobs").paginate(
        NameContains=name_prefix(model), SortBy="CreationTime", SortOrder="Descending"
    )
    for page in pages:
        for job in page["HyperParameterTuningJobSummaries"]:
            tags = _tags(aws, job["HyperParameterTuningJobArn"])
            if tags.get("model") == model:
                yield job, tags


def name_prefix(model: str) -> str:
    """What the names of the model's tuning jobs begin with; SageMaker allows 32 characters for the whole name."""
    return f"{model[:16]}-"


def read_candidates(aws: Aws, model: str) -> Iterator[Candidate]:
    """The model's completed tuning jobs, the newest first."""
    for job, tags in tagged_tuning_jobs(aws, model):
        if job["HyperParameterTuningJobStatus"] == "Completed":
            yield _candidate(aws, job, tags)


def _misfit(candidate: Candidate, wanted: Search) -> str:
    """Why the candidate cannot be a parent by itself; empty where it can."""
    its = candidate.search
    if candidate.testing:
        return "it was a test run"
    if candidate.status != "Completed":
        return f"it is {candidate.status}"
    if candidate.scored < 2:
        return f"{candidate.scored or 'none'} of its training jobs has a result, and learning takes two"
    if its.objective != wanted.objective:
        return f"its objective is {its.objective or 'unknown'}, not {wanted.objective}"
    if its.metric != wanted.metric:
        return f"it optimised {its.metric or 'an unknown metric'}, not {wanted.metric}"
    # What is tuned may have been fixed before, and the other way round: SageMaker compares all names together.
    changed = (its.static | its.ranges.keys()) ^ (wanted.static | wanted.ranges.keys())
    if changed:
        return f"other hyperparameters: {', '.join(sorted(changed))}"
    retyped = [
        f"{name} was {its.ranges[name]} and is {kind}"
        for name, kind in wanted.ranges.items()
        if its.ranges.get(name, kind) != kind
    ]
    return f"other types of ranges: {', '.join(retyped)}" if retyped else ""


def _excess(parents: Iterable[Candidate], wanted: Search) -> str:
    """SageMaker counts the training jobs of all parents towards the limit of the new tuning job."""
    jobs = wanted.jobs + sum(parent.search.jobs for parent in parents)
    return f"with its training jobs there would be {jobs}, and SageMaker takes {MOST_JOBS}" if jobs > MOST_JOBS else ""


def _tags(aws: Aws, arn: str) -> dict[str, str]:
    pages = aws.sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}


def _candidate(aws: Aws, job: HyperParameterTuningJobSummaryTypeDef, tags: Mapping[str, str]) -> Candidate:
    name = job["HyperParameterTuningJobName"]
    described = aws.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    counts = job["TrainingJobStatusCounters"]
    return Candidate(
        name=name,
        status=job["HyperParameterTuningJobStatus"],
        # one whose training jobs were all stopped is Completed, too, and has no best one
        scored=job["ObjectiveStatusCounters"].get("Succeeded", 0) if "BestTrainingJob" in described else 0,
        testing=tags.get("testing") == "true",
        search=Search(
            model=tags["model"],
            objective=tags.get("objective", ""),
            metric=tags.get("metric", ""),
            data_version=tags.get("data_version", ""),
            image=tags.get("image", ""),
            ranges=_kinds(described),
            static=_static(described),
            jobs=sum(int(str(count)) for count in counts.values()),
        ),
    )


def _kinds(described: DescribeHyperParameterTuningJobResponseTypeDef) -> dict[str, str]:
    ranges = described["HyperParameterTuningJobConfig"].get("ParameterRanges", {})
    return {
        **{entry["Name"]: "Continuous" for entry in ranges.get("ContinuousParameterRanges", [])},
        **{entry["Name"]: "Integer" for entry in ranges.get("IntegerParameterRanges", [])},
        **{entry["Name"]: "Categorical" for entry in ranges.get("CategoricalParameterRanges", [])},
    }


def _static(described: DescribeHyperParameterTuningJobResponseTypeDef) -> frozenset[str]:
    static = described.get("TrainingJobDefinition", {}).get("StaticHyperParameters", {})
    return frozenset(static) - {"_tuning_objective_metric"}  # which SageMaker adds
