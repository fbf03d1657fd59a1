"""What the monitor looks at: the calls and batches that a package has answered, and what each look at them goes by."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from common.batch.declare import Batch, declared_batch
from common.batch.manifest import Manifest
from common.batch.partitions import Partition
from common.data.stored import Stored
from common.deployment.shared.declare import SharedEndpoint
from common.errors import DataError, MonitoringError, RegistryError, UsageError
from common.model import Model
from common.monitoring.checks import Metric
from common.monitoring.declare import Monitor
from common.monitoring.files import live_files
from common.monitoring.job import METRICS, Files, Look
from common.monitoring.looked import BASELINE_CONSTRAINTS, BASELINE_PREDICTIONS, BASELINE_STATISTICS
from common.monitoring.results import history
from common.monitoring.window import BatchWindow, LiveWindow, describe, yesterday
from common.registry import Package
from common.steps.batch import batch_input, planned_tasks
from common.steps.context import Context
from common.steps.live import live_of
from common.storage import Layout

_INFERENCE_TIME = "%Y-%m-%dT%H:%M:%SZ"


class NothingToMonitor(MonitoringError):
    """There is no window, or nothing in it, that a package which serves has answered."""


@dataclass(frozen=True)
class Scored:
    """A partition of a batch that was scored."""

    partition: Partition
    manifest: Manifest
    batch: Batch

    @property
    def at(self) -> str:
        """When, ISO 8601 in UTC."""
        return self.manifest.scored_at


def due_looks(context: Context, model: Model, monitor: Monitor, now: datetime) -> list[Look]:
    """What a schedule looks at: yesterday, in UTC, and the batches that were scored since the last one that was looked at.

    Raises:
        RegistryError, DataError: what they are to be compared with, or a manifest of a batch, is gone or damaged.
    """
    looks = []
    try:
        looks.append(live_look(context, model, monitor, yesterday(now)))
    except NothingToMonitor as error:
        context.say(f"{model.name}: no calls to look at: {error.what}")
    if _batch(model) is None:
        return looks
    batches = _unseen(context, model)
    if not batches:
        context.say(f"{model.name}: no batch to look at: none was scored by what serves since the last one")
    return looks + [batch_look(context, model, monitor, scored) for scored in batches]


def live_look(context: Context, model: Model, monitor: Monitor, window: LiveWindow) -> Look:
    """A look at the calls of a window that the package which serves now has answered.

    Raises:
        NothingToMonitor: it has answered none, or none were captured.
        RegistryError, DataError: what they are to be compared with is gone.
    """
    if isinstance(context.endpoint(model), SharedEndpoint):
        raise NothingToMonitor(
            f"{model.name} is served by a shared endpoint, whose calls SageMaker does not capture.",
            "Give it an endpoint of its own, or monitor batches.",
        )
    live = live_of(context, model)
    package = context.registry(model).serving(live.package_arn)
    if package is None:
        raise NothingToMonitor(f"No package of {model.name} serves.", f"`./models deploy {model.name}` deploys main's.")
    if live.rollback or not package.serves_since or not live.variants:
        raise NothingToMonitor(
            f"Version {package.version} of {model.name} is not deployed yet, or its deploy was interrupted before it was "
            f"verified: the endpoint is {live.status}.",
            f"`./models deploy {model.name}` ends that.",
        )
    serves_since = datetime.fromisoformat(package.serves_since)
    if serves_since >= window.until:
        raise NothingToMonitor(
            f"Version {package.version} of {model.name} serves since {package.serves_since}, and has answered none of {window}.",
            "Look at a later window: --since, --until.",
        )
    manifest, layout, batch = _baseline(context, model, package), Layout(model.name), _batch(model)
    calls, truth = live_files(
        context.bucket,
        f"{layout.capture()}/{model.name}/{live.variants[0]}",
        layout.truth(),
        window.since,
        window.until,
        max(window.since - timedelta(days=monitor.truth_within_days), serves_since),
    )
    if not calls:
        raise NothingToMonitor(
            f"None of {window} were captured.",
            f"Declare Endpoint(capture=Capture(percent=100)) in {model.folder}/deploy.py, and deploy it. SageMaker writes "
            "captured calls some minutes later.",
        )
    return Look(
        model=model,
        package=package,
        monitor=monitor,
        metric=_metric(model),
        manifest=manifest,
        window={**describe(window), "ends": window.until.isoformat()},
        since=window.since.strftime(_INFERENCE_TIME),
        until=window.until.strftime(_INFERENCE_TIME),
        serves_since=serves_since.astimezone(UTC).strftime(_INFERENCE_TIME),
        keys=batch.keys if batch else (),
        calls=calls,
        truth=truth,
    )


def batch_look(context: Context, model: Model, monitor: Monitor, scored: Scored) -> Look:
    """A look at a partition beside what the package was trained on that scored it.

    Raises:
        NothingToMonitor: the package is gone from the registry.
        RegistryError, DataError: what it is to be compared with is gone.
    """
    partition, package = scored.partition, context.registry(model).serving(scored.manifest.package_arn)
    if package is None:
        raise NothingToMonitor(
            f"Version {scored.manifest.package_version} of {model.name}, which scored {partition.name}, is gone from the "
            "registry.",
            f"`./models batch {model.name} --partition {partition.name}` scores it with the one that serves.",
        )
    output = Layout(model.name).batch_output(partition.name, package.version)
    there = context.bucket.listing(output)
    parts = {part["name"]: there[part["name"]][0] for part in scored.manifest.parts if part["name"] in there}
    return Look(
        model=model,
        package=package,
        monitor=monitor,
        metric=_metric(model),
        manifest=_baseline(context, model, package),
        window={**describe(BatchWindow(partition.name)), "ends": scored.at},
        batch=Files(
            f"{batch_input(context, model, scored.batch)}{partition.name}/",
            {file.name: file.etag for file in partition.files},
        ),
        answers=Files(context.bucket.uri(output), parts),
    )


def scored_batch(context: Context, model: Model, partition: str) -> Scored:
    """The partition as it was scored last.

    Raises:
        NothingToMonitor: it was not scored, or its files have changed since.
    """
    found = [each for each in _batches(context, model) if each.partition.name == partition]
    if not found:
        raise NothingToMonitor(
            f"The batch {partition} of {model.name} was not scored, or its files have changed since.",
            f"`./models batch {model.name} --plan` says which were; `./models batch {model.name}` scores it.",
        )
    return found[0]


def _unseen(context: Context, model: Model) -> list[Scored]:
    """The batches that the package which serves has scored since the last one that was looked at; of none such, the newest."""
    serving = context.registry(model).serving(live_of(context, model).package_arn)
    if serving is None:
        return []
    seen = {
        (each.id, each.ends) for each in history(context.bucket, model.name, serving.version) if each.kind == "batch"
    }
    return not_seen([each for each in _batches(context, model) if each.manifest.package_arn == serving.arn], seen)


def not_seen(scored: Iterable[Scored], seen: Collection[tuple[str, str]]) -> list[Scored]:
    """Those to look at, the first that was scored first: since the first look all that was not looked at, before it the newest.

    Args:
        seen: (id, end) of the windows that were looked at. A later one among them does not stand for those before it, whose
            jobs may have failed.
    """
    ordered = sorted(scored, key=lambda each: each.at)
    since = min((ends for _, ends in seen), default="")
    new = [each for each in ordered if each.at >= since and (BatchWindow(each.partition.name).id, each.at) not in seen]
    return new if seen else new[-1:]


def _batches(context: Context, model: Model) -> list[Scored]:
    """The partitions that were scored, and whose files have not changed since."""
    package = context.registry(model).newest()
    if package is None:
        return []
    tasks = planned_tasks(context, model, declared_batch(model), package)
    return [Scored(task.partition, task.done, task.batch) for task in tasks if task.done]


def _batch(model: Model) -> Batch | None:
    """How the model scores batches, if it does."""
    try:
        return declared_batch(model)
    except UsageError:
        return None


def _metric(model: Model) -> Metric:
    return METRICS[model.declaration("train_register", "TRAINING").gate.metric]


def _baseline(context: Context, model: Model, package: Package) -> Mapping[str, Any]:
    """The manifest of the data version that the package was trained on, once everything that is compared with is there.

    Raises:
        RegistryError: the package has no baseline.
        DataError: its data version is gone.
    """
    layout = Layout(model.name)
    there = context.bucket.listing(layout.package(package.source, package.data_version, ""))
    if not {BASELINE_STATISTICS, BASELINE_CONSTRAINTS, BASELINE_PREDICTIONS} <= set(there):
        raise RegistryError(
            f"Version {package.version} of {model.name} has no baseline to compare with: it was registered before there were "
            "any, or somebody has deleted it.",
            f"Train, approve and deploy main's source: `./models train {model.name}`. Until then nothing can be compared.",
        )
    data = Stored.open(context.bucket, model.name, package.data_version)
    if data is None:
        raise DataError(
            f"Data version {package.data_version}, which version {package.version} of {model.name} was trained on, is gone from "
            "the bucket.",
            f"Gather again with --refresh, and train: `./models train {model.name} --refresh`.",
        )
    return data.manifest
