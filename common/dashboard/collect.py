"""Collect what the dashboard shows: the registry, the endpoints, CloudWatch's alarms and the bucket. Reads only.

The calls are made by a few threads at once: of three models with a history there are hundreds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing
from common.batch.manifest import MANIFEST, Manifest
from common.dashboard.facts import Facts, Firing, ModelFacts, Scored, Window
from common.errors import DataError, ModelsError, MonitoringError, UsageError
from common.model import Model
from common.monitoring.declare import Monitor, declared_monitor
from common.monitoring.looked import FINDINGS
from common.monitoring.results import looked_at
from common.operations.cost import Running, what_runs
from common.registry import Package
from common.steps.context import Context
from common.steps.due import Due, Standing, gathered_at, reason
from common.steps.live import endpoint_name
from common.steps.retraining import last_attempt
from common.steps.status import ModelStatus, model_status
from common.storage import Bucket, Layout

_THREADS = 8
"""Fewer than the ten connections that a client of boto3 keeps."""
_MOST_PACKAGES, _MOST_WINDOWS, _MOST_BATCHES = 100, 60, 60
"""So many of a model are read, the newest."""
_T = TypeVar("_T")


def collect(context: Context, models: Sequence[Model]) -> Facts:
    """Everything of these models, as AWS has it now.

    Raises:
        CheckoutError: the clone does not know main.
    """
    aws, commit = context.aws, context.checkout.main()
    _ = aws.s3, aws.sagemaker, aws.cloudwatch, aws.autoscaling  # boto3 builds clients in one thread only
    # Those of the first pool wait for calls that the second one makes, and none of the second waits.
    with ThreadPoolExecutor(max(1, len(models))) as waiting, ThreadPoolExecutor(_THREADS) as calls:
        alarms = calls.submit(_firing, aws)
        running = calls.submit(lambda: tuple(what_runs(aws)))
        found = list(waiting.map(lambda model: _model(context, model, calls), models))
    return _together(context, commit, found, alarms.result(), running.result())


def _together(
    context: Context, commit: str, found: Sequence[ModelFacts], alarms: Sequence[Firing], running: Sequence[Running]
) -> Facts:
    """Give each model its alarms and what runs of it; an endpoint that several share has them in its own name."""
    settings, known = context.aws.settings, {name for each in found for name in (each.model.name, each.endpoint)}
    return Facts(
        at=datetime.now(UTC),
        region=settings.region,
        bucket=settings.bucket,
        commit=commit,
        models=tuple(
            replace(
                each,
                alarms=tuple(alarm for alarm in alarms if alarm.model in (each.model.name, each.endpoint)),
                running=tuple(one for one in running if one.model == each.model.name),
            )
            for each in found
        ),
        others=tuple(one for one in running if one.model not in {each.model.name for each in found}),
        other_alarms=tuple(alarm for alarm in alarms if alarm.model not in known),
    )


def _model(context: Context, model: Model, calls: Executor) -> ModelFacts:
    registry, bucket = context.registry(model), context.bucket
    asked = calls.submit(_status, context, model)
    summaries = calls.submit(lambda: list(registry.summaries()))
    looked = calls.submit(_findings, bucket, model)
    scored = calls.submit(_manifests, bucket, model)
    arns = [summary["ModelPackageArn"] for summary in summaries.result()]
    packages = [package for package in calls.map(registry.serving, arns[:_MOST_PACKAGES]) if package]
    keys, partitions = looked.result(), scored.result()
    windows = list(calls.map(lambda key: _window(bucket, model, key), keys[:_MOST_WINDOWS]))
    batches = list(calls.map(lambda key: _batch(bucket, key), partitions[:_MOST_BATCHES]))
    shown = tuple(sorted(_only(Window, windows), key=lambda each: (each.end, each.name), reverse=True))
    status, monitor = asked.result(), _monitor(model)
    due = _due(context, status, monitor, packages, shown) if isinstance(status, ModelStatus) and monitor else None
    return ModelFacts(
        model=model,
        metric=str(model.declaration("train_register", "TRAINING").gate.metric),
        endpoint=endpoint_name(context, model),
        packages=tuple(packages),
        older=max(0, len(arns) - _MOST_PACKAGES),
        live=status.live if isinstance(status, ModelStatus) else None,
        serving=status.serving if isinstance(status, ModelStatus) else None,
        problem=status.problem if isinstance(status, ModelStatus) else status,
        held=status.held if isinstance(status, ModelStatus) else "",
        monitor=monitor,
        due=due if isinstance(due, Due) else None,
        windows=shown,
        batches=tuple(sorted(_only(Scored, batches), key=lambda each: (each.ended, each.partition), reverse=True)),
        earlier_windows=max(0, len(keys) - _MOST_WINDOWS),
        earlier_batches=max(0, len(partitions) - _MOST_BATCHES),
        unreadable=_only(str, (*windows, *batches, due)),
    )


def _status(context: Context, model: Model) -> ModelStatus | str:
    """Where the model stands, or why nobody can tell."""
    try:
        return model_status(context, model)
    except ModelsError as error:
        return error.what


def _monitor(model: Model) -> Monitor | None:
    try:
        return declared_monitor(model)
    except UsageError:  # it is not monitored
        return None


def _due(
    context: Context, status: ModelStatus, monitor: Monitor, packages: Sequence[Package], windows: Sequence[Window]
) -> Due | str | None:
    """As `models due` says it, from what was read already; or why nobody can tell."""
    model, serving = status.model, status.serving
    if serving is None:
        return None
    try:
        standing = Standing(
            source=status.source,
            serving=serving,
            newest=next((package for package in packages if package.source == status.source), None),
            live=status.live,
            windows=[each.looked for each in reversed(windows) if each.looked.version == serving.version],
            gathered=gathered_at(context, model, serving),
            attempt=last_attempt(context, model, serving),
        )
    except DataError as error:
        return error.what
    return Due(model, *reason(standing, monitor, datetime.now(UTC)))


def _findings(bucket: Bucket, model: Model) -> list[tuple[int, str]]:
    """(package version, window) of all findings, those written last first."""
    prefix = f"{model.name}/monitoring/"
    versions = [name for name in _folders(bucket, prefix) if name.isdigit()]  # beside them, what the jobs were given
    found = [each for version in versions for each in _objects(bucket, Layout(model.name).monitoring(int(version), ""))]
    found = sorted((each for each in found if each[1].endswith(f"/{FINDINGS}")), reverse=True)
    return [(int(key.removeprefix(prefix).split("/")[0]), key.split("/")[-2]) for _, key in found]


def _window(bucket: Bucket, model: Model, key: tuple[int, str]) -> Window | str:
    """One window's findings, or why they say nothing."""
    version, name = key
    uri = bucket.uri(Layout(model.name).monitoring(version, f"{name}/{FINDINGS}"))
    try:
        looked = looked_at(bucket, model.name, version, name)
        return f"{uri} was deleted meanwhile." if looked is None else Window.of(looked, uri)
    except MonitoringError as error:
        return error.what
    except (
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:  # whatever JSON can hold in the place of something else
        return f"{uri} is damaged: {error!r}."


def _manifests(bucket: Bucket, model: Model) -> list[str]:
    """The keys of all manifests of scored partitions, those written last first."""
    found = sorted(_objects(bucket, Layout(model.name).batch_output()), reverse=True)
    return [key for _, key in found if key.endswith(f"/{MANIFEST}")]


def _batch(bucket: Bucket, key: str) -> Scored | str:
    """One scored partition, or why nobody can tell."""
    uri = bucket.uri(key)
    try:
        document = bucket.read_json(key)
        return f"{uri} was deleted meanwhile." if document is None else Scored.of(Manifest.from_json(document), uri)
    except DataError as error:
        return error.what
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return f"{uri} is damaged: {error!r}."


def _only(kind: type[_T], found: Iterable[object]) -> tuple[_T, ...]:
    return tuple(each for each in found if isinstance(each, kind))


def _folders(bucket: Bucket, prefix: str) -> list[str]:
    """The names of the folders right below a prefix that ends with a slash."""
    pages = bucket.aws.s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket.of(prefix), Prefix=prefix, Delimiter="/"
    )
    return [each["Prefix"].removeprefix(prefix)[:-1] for page in pages for each in page.get("CommonPrefixes", [])]


def _objects(bucket: Bucket, prefix: str) -> list[tuple[datetime, str]]:
    """When each object below a prefix was written, and its key."""
    pages = bucket.aws.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket.of(prefix), Prefix=prefix)
    return [(each["LastModified"], each["Key"]) for page in pages for each in page.get("Contents", [])]


def _firing(aws: Aws) -> tuple[Firing, ...]:
    """The alarms of this project's models that are in ALARM."""
    pages = aws.cloudwatch.get_paginator("describe_alarms").paginate(
        StateValue="ALARM", AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    found = [alarm for page in pages for alarm in (*page["MetricAlarms"], *page["CompositeAlarms"])]
    return tuple(
        Firing(owner, alarm["AlarmName"], alarm["StateUpdatedTimestamp"], alarm.get("StateReason", ""))
        for alarm in found
        if (owner := _owner(aws, alarm["AlarmArn"]))
    )


def _owner(aws: Aws, arn: str) -> str:
    """The model that an alarm is tagged with; empty where it is somebody else's, or gone by now."""
    try:
        tags = aws.cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"]
    except ClientError as error:
        if is_missing(error):
            return ""
        raise
    return next((tag["Value"] for tag in tags if tag["Key"] == "model"), "")
