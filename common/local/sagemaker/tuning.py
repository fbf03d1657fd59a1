"""Tuning jobs."""

import time
from dataclasses import replace
from typing import Any

from common.local.api import Answer, ApiError, Call, in_use, operation, validation_error
from common.local.context import LocalAws
from common.local.jobs.runner import Runner
from common.local.jobs.state import KIND as TRAINING_KIND
from common.local.jobs.training_run import Follower
from common.local.sagemaker import training
from common.local.sagemaker.resources import drop_tags, get_tags, list_page, set_tags
from common.local.store import Document
from common.local.tuning.jobs import RUNNING, best_job, counters, details, launched_by, summary, training_jobs
from common.local.tuning.request import TUNING_OBJECTIVE, check_tuning, training_request
from common.local.tuning.state import KIND, TuningState
from common.local.tuning.tuning_run import Launch, TuningRun
from common.local.tuning.warm_start import IDENTICAL, check_warm_start, parents_of


def resume(aws: LocalAws) -> None:
    """Mark as failed what ran when the server ended: its training jobs ended with it."""
    for scope, name, document in aws.store.everywhere(KIND):
        if document["HyperParameterTuningJobStatus"] in RUNNING:
            reason = "InternalServerError: The local AWS was stopped while the tuning job was running."
            TuningState(aws.store, scope, name).finish("Failed", reason)


@operation
def create_hyper_parameter_tuning_job(call: Call) -> Answer:
    """Start a tuning job: Bayesian, random, grid or Hyperband search, also from the results of earlier tuning jobs."""
    tuning = _document(call)
    name: str = tuning["HyperParameterTuningJobName"]
    arn: str = tuning["HyperParameterTuningJobArn"]
    training.check_request(replace(call, request=training_request(tuning, name, {})))
    check_tuning(tuning)
    store = call.aws.store
    with store.transaction():
        check_warm_start(store, call.scope, tuning)
        if store.get(call.scope, KIND, name):
            raise in_use(
                "Hyperparameter tuning job names must be unique within an AWS account and region, and a hyperparameter "
                f"tuning job with this name already exists ({arn})"
            )
        store.put(call.scope, KIND, name, tuning)
        set_tags(call, arn, call.request.get("Tags", []))
    run = TuningRun(call.aws, call.account, call.region, name, _launcher(call, arn))
    call.aws.part(Runner).start(f"tuning job {name}", run.run)
    return {"HyperParameterTuningJobArn": arn}


@operation
def describe_hyper_parameter_tuning_job(call: Call) -> Answer:
    """Describe a tuning job, with its counters and its best training job so far."""
    tuning = _existing(call)
    store = call.aws.store
    jobs = training_jobs(store, call.scope, tuning)
    seconds = tuning.get("HyperParameterTuningEndTime", time.time()) - tuning["CreationTime"]
    answer = tuning | details(tuning, jobs) | {"ConsumedResources": {"RuntimeInSeconds": round(seconds)}}
    if tuning.get("WarmStartConfig", {}).get("WarmStartType") == IDENTICAL:
        owners = [tuning, *parents_of(store, call.scope, tuning)]
        all_jobs = [job for owner in owners for job in training_jobs(store, call.scope, owner)]
        best = best_job(all_jobs, tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"])
        if best:
            owner = next(owner for owner in owners if launched_by(owner, best))
            named = {"TuningJobName": owner["HyperParameterTuningJobName"]}
            answer["OverallBestTrainingJob"] = summary(best, tuning) | named
    return answer


@operation
def list_hyper_parameter_tuning_jobs(call: Call) -> Answer:
    """List tuning jobs by name."""
    tunings = call.aws.store.list(call.scope, KIND)
    name, status = "HyperParameterTuningJobName", "HyperParameterTuningJobStatus"
    page = list_page(call, tunings, name=name, status=status, sort_by="Name")
    jobs = call.aws.store.list(call.scope, TRAINING_KIND)
    summaries = []
    for tuning in page.items:
        config = tuning["HyperParameterTuningJobConfig"]
        own = [job for job in jobs if launched_by(tuning, job)]
        counted = counters(own, config["HyperParameterTuningJobObjective"]["MetricName"])
        chosen = {"Strategy": config["Strategy"], "ResourceLimits": config["ResourceLimits"]}
        summaries.append(tuning | counted | chosen)
    return {"HyperParameterTuningJobSummaries": summaries, "NextToken": page.next_token}


@operation
def list_training_jobs_for_hyper_parameter_tuning_job(call: Call) -> Answer:
    """List the training jobs of a tuning job by name; sorted by objective, only those that have one."""
    tuning = _existing(call)
    summaries = [summary(job, tuning) for job in training_jobs(call.aws.store, call.scope, tuning)]
    if call.request.get("SortBy") == "FinalObjectiveMetricValue":
        summaries = [
            item | {"FinalObjectiveMetricValue": final["Value"]}
            for item in summaries
            if (final := item["FinalHyperParameterTuningJobObjectiveMetric"])
        ]
    page = list_page(call, summaries, name="TrainingJobName", status="TrainingJobStatus", sort_by="Name")
    return {"TrainingJobSummaries": page.items, "NextToken": page.next_token}


@operation
def stop_hyper_parameter_tuning_job(call: Call) -> Answer:
    """Stop a tuning job and its running training jobs."""
    name = _existing(call)["HyperParameterTuningJobName"]
    status = TuningState(call.aws.store, call.scope, name).stop()
    if status not in RUNNING:
        raise validation_error(f"The request was rejected because the hyperparameter tuning job is in status {status}.")
    return {}


@operation
def delete_hyper_parameter_tuning_job(call: Call) -> Answer:
    """Delete the entry of a tuning job that has ended; its training jobs and their artifacts stay."""
    with call.aws.store.transaction():
        tuning = _existing(call)
        status = tuning["HyperParameterTuningJobStatus"]
        if status in RUNNING:
            raise validation_error(
                f"The request was rejected because the hyperparameter tuning job is in status {status}."
            )
        call.aws.store.delete(call.scope, KIND, tuning["HyperParameterTuningJobName"])
        drop_tags(call, tuning["HyperParameterTuningJobArn"])
    return {}


def _existing(call: Call) -> Document:
    name = call.request["HyperParameterTuningJobName"]
    document = call.aws.store.get(call.scope, KIND, name)
    if document is None:
        raise ApiError("ResourceNotFound", f"Amazon SageMaker can't find a tuning job with the name [{name}].")
    return document


def _document(call: Call) -> Document:
    """What the request says, with AWS's defaults, and the members that only answers have."""
    request: dict[str, Any] = call.request
    for member in ("TrainingJobDefinitions", "Autotune"):
        if member in request:
            raise validation_error(f"The local AWS does not support {member}.")
    config = {"TrainingJobEarlyStoppingType": "Off"} | request["HyperParameterTuningJobConfig"]
    for member, holder in (("TrainingJobDefinition", request), ("HyperParameterTuningJobObjective", config)):
        if member not in holder:
            raise validation_error(f"A hyperparameter tuning job needs a {member}.")
    definition = request["TrainingJobDefinition"]
    static = {TUNING_OBJECTIVE: config["HyperParameterTuningJobObjective"]["MetricName"]}
    name, now = request["HyperParameterTuningJobName"], time.time()
    return {
        **{member: value for member, value in request.items() if member != "Tags"},
        "HyperParameterTuningJobConfig": config,
        "TrainingJobDefinition": {
            "EnableNetworkIsolation": False,
            "EnableInterContainerTrafficEncryption": False,
            "EnableManagedSpotTraining": False,
            **definition,
            "StaticHyperParameters": definition.get("StaticHyperParameters", {}) | static,
        },
        "HyperParameterTuningJobArn": call.arn(KIND, name),
        "HyperParameterTuningJobStatus": "InProgress",
        "CreationTime": now,
        "LastModifiedTime": now,
    }


def _launcher(call: Call, arn: str) -> Launch:
    def launch(request: Document, tuned: dict[str, str], follower: Follower) -> None:
        """Start a training job with the tags that the tuning job has now."""
        tags = [{"Key": key, "Value": value} for key, value in get_tags(call, arn).items()]
        own = replace(call, request=request | {"Tags": tags})
        training.launch(own, follower, TuningJobArn=arn, TunedHyperParameters=tuned)

    return launch
