"""Batch: score the partitions that have come in, with the package that serves."""

from __future__ import annotations

import re

from common.batch.declare import Batch
from common.batch.manifest import Manifest, scored
from common.batch.partitions import Task, partitions, tasks
from common.batch.run import Scoring
from common.deployment.models import create_model_as, require_own_model
from common.deployment.plan import Wanted
from common.deployment.sweep import delete_if_there
from common.deployment.verify import check_artifact
from common.errors import BatchError, DeploymentError, ModelsError, RegistryError
from common.model import Model
from common.registry import Package
from common.steps.context import Context
from common.steps.live import live_of
from common.storage import Layout, split_uri


class NothingServes(DeploymentError):
    """There is no package to score with."""


def score_batches(context: Context, model: Model, batch: Batch, *, partition: str = "", plan: bool = False) -> None:
    """Score every partition that was not scored yet, or the one of that name with the package that serves now.

    A partition that cannot be scored keeps no other from it. A model that was never deployed has nothing to score with, which
    is no failure unless a partition is asked for: the schedule runs for every model that declares batches.

    Args:
        plan: only say what would be done.

    Raises:
        NothingServes: a partition is asked for, or another package has served before.
        DeploymentError: what serves was never verified.
        RegistryError: the package that serves is not approved any more, or was rolled back.
        UsageError: there is no such partition.
        BatchError: names each partition that could not be scored, or of which no record could, and why.
    """
    try:
        package = serving_package(context, model)
    except NothingServes as error:
        if partition or any(each.deployed_at for each in context.registry(model).packages()):
            raise
        context.say(f"{model.name}: nothing is scored, for it was never deployed. {error.remedy}")
        return
    planned = planned_tasks(context, model, batch, package, partition)
    waiting = [task for task in planned if not task.done]
    for task in planned:
        if plan or (partition and task.done):
            context.say(f"{model.name} {task}")
    if not waiting and not partition:
        where = f"partition{'s' if len(planned) != 1 else ''} in {batch_input(context, model, batch)}"
        told = f"{len(planned)} {where}, all scored" if planned else f"no {where}"
        context.say(f"{model.name}: nothing to score: {told}")
    if plan or not waiting:
        return
    wanted = Wanted(model, package, model.declaration("deploy", "ENDPOINT"))
    check_artifact(context.aws, wanted)
    model_name = _model_for(context, wanted)
    failures = {}
    for task in waiting:
        try:
            context.say(f"{model.name} {task}")
            manifest = scoring_of(context, model, task, model_name).run()
            _say_scored(context, model, manifest)
            _require_scores(context, model, manifest)
        except ModelsError as error:
            context.say(f"{model.name} {task.partition} was not scored: {error}")
            failures[str(task.partition)] = error
    if failures:
        raise _failure(model, failures, len(waiting))


def _model_for(context: Context, wanted: Wanted) -> str:
    """The SageMaker model that transforms run: one of their own, since they read and write as the role of the model's jobs,
    which the role of its endpoint may not; those of other versions go.
    """
    sagemaker, name = context.aws.sagemaker, f"{wanted.model.name}-batch-{wanted.package.version}"
    create_model_as(context.aws, wanted, name, context.aws.settings.role_of_jobs(wanted.model.name))
    require_own_model(context.aws, wanted, name)
    pages = sagemaker.get_paginator("list_models").paginate(NameContains=f"{wanted.model.name}-batch-")
    for each in [found["ModelName"] for page in pages for found in page["Models"]]:
        if re.fullmatch(rf"{wanted.model.name}-batch-\d+", each) and each != name:
            delete_if_there(sagemaker.delete_model, ModelName=each)  # a transform that runs keeps what it has loaded
    return name


def planned_tasks(context: Context, model: Model, batch: Batch, package: Package, partition: str = "") -> list[Task]:
    """Every partition of the input, or the one of that name, and whether it has to be scored.

    Raises:
        UsageError: there is no such partition.
        DataError: a manifest is damaged.
    """
    name, prefix = split_uri(batch_input(context, model, batch))
    pages = context.aws.s3.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=prefix)
    listing = {
        entry["Key"].removeprefix(prefix): (entry["ETag"].strip('"'), entry["Size"])
        for page in pages
        for entry in page.get("Contents", [])
    }
    return tasks(partitions(listing), scored(context.bucket, model, partition), package, batch, partition)


def serving_package(context: Context, model: Model) -> Package:
    """The package that is approved and serves now.

    Raises:
        NothingServes: none does.
        DeploymentError: what serves was never verified.
        RegistryError: the package is not approved any more, or was rolled back.
    """
    live, registry = live_of(context, model), context.registry(model)
    package = registry.serving(live.package_arn)
    if package is None:
        raise NothingServes(
            f"No package of {model.name} serves; batches are scored with the one that does.",
            f"`./models status {model.name}` says why. Approve a package and merge it, or `./models deploy {model.name}`.",
        )
    if live.rollback or not package.deployed_at:
        raise DeploymentError(
            f"Version {package.version} of {model.name} serves, but its deploy was interrupted before it was verified.",
            f"`./models deploy {model.name}` ends that; then run this again.",
        )
    if not package.is_approved:
        raise RegistryError(
            f"Version {package.version} of {model.name} serves, but is {package.status} by now: {package.reason}.",
            f"Deploy another one, or `./models rollback {model.name}`; then run this again.",
        )
    if package.rolled_back:
        raise RegistryError(
            f"Version {package.version} of {model.name} serves, although it was {package.rolled_back}.",
            f"`./models rollback {model.name}` again, or `./models release {model.name} --version {package.version}`.",
        )
    return package


def scoring_of(context: Context, model: Model, task: Task, model_name: str) -> Scoring:
    """How a partition is scored: `run` does it, by the SageMaker model of that name."""
    folder = f"{batch_input(context, model, task.batch)}{task.partition.name}/"
    return Scoring(context.aws, model, task, folder, model_name, context.say)


def batch_input(context: Context, model: Model, batch: Batch) -> str:
    """The S3 URI below which the partitions lie, with a slash at the end."""
    return batch.input or context.bucket.uri(Layout(model.name).batch_input())


def _say_scored(context: Context, model: Model, manifest: Manifest) -> None:
    layout = Layout(model.name)
    where = context.bucket.uri(layout.batch_output(manifest.partition, manifest.package_version))
    context.say(
        f"{model.name} {manifest.partition}: {manifest.records:,} records scored, {manifest.rejected:,} rejected; {where}"
    )
    for reason, count in sorted(manifest.reasons.items(), key=lambda item: -item[1])[:5]:
        context.say(f"  {count:,} rejected: {reason}")


def _require_scores(context: Context, model: Model, manifest: Manifest) -> None:
    """Say of a partition whose records were all set aside that this is no success. It is done, though: it fails but once.

    Raises:
        BatchError: it is one.
    """
    if manifest.records or not manifest.rejected:
        return
    reason = max(manifest.reasons, key=manifest.reasons.__getitem__)
    output = context.bucket.uri(Layout(model.name).batch_output(manifest.partition, manifest.package_version))
    raise BatchError(
        f"None of the {manifest.rejected:,} records of {manifest.partition} can be scored: {reason}.",
        f"They are set aside in {output}_rejected/. Mend the files of the partition: it is scored anew once they change.",
    )


def _failure(model: Model, failures: dict[str, ModelsError], tried: int) -> ModelsError:
    if tried == 1:
        return next(iter(failures.values()))
    told = "".join(f"\n  - {name}: {error.what.splitlines()[0]}" for name, error in failures.items())
    return BatchError(
        f"{len(failures)} of {tried} partitions of {model.name} were not scored:{told}",
        "Each remedy is told above. Run the same again: what was done stays done.",
        told=all(error.told for error in failures.values()),
    )
