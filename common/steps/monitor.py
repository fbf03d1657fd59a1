"""Monitor: compare what came in with what the model was trained on, once for each window, and say what that adds up to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from common.errors import ModelsError, MonitoringError
from common.experiments.report import Report
from common.model import ROOT, Model
from common.monitoring.declare import declared_monitor
from common.monitoring.job import Look
from common.monitoring.looked import BASELINE_STATISTICS, FINDINGS, REPORT, RESULTS, Looked
from common.monitoring.metrics import put_metrics
from common.monitoring.report import consequence, monitoring_report, verdict
from common.monitoring.results import decision, history, looked_at
from common.monitoring.rules import Decision
from common.monitoring.window import asked
from common.notifications import Notice, notify
from common.notifications.links import object_page
from common.steps.context import Context
from common.steps.windows import batch_look, due_looks, live_look, scored_batch
from common.storage import Layout


def monitor_model(context: Context, model: Model, *, since: str = "", until: str = "", batch: str = "") -> None:
    """Look at a window of live calls, or at a batch, and say whether the windows so far are a reason to retrain.

    By default at yesterday's calls, in UTC, and at the batches that were scored since the last one that was looked at. What
    was looked at, and has not changed since, is not looked at again.

    Args:
        since, until: of the window, ISO 8601.
        batch: the partition.

    Raises:
        UsageError: the model declares no `MONITOR`, or no `BATCH` where a batch was asked for, or that is no window.
        NothingToMonitor: a window was asked for, and nothing in it was captured or scored, or not by a package that serves.
        RegistryError: the package has no baseline.
        DataError: the data that it was trained on are gone.
        TrainingError: the job failed; its window does not count.
        MonitoringError: results are damaged.
        NotificationError: people could not be told; the results are there.
    """
    monitor = declared_monitor(model)
    if since:
        looks = [live_look(context, model, monitor, asked(since, until, datetime.now(UTC)))]
    elif batch:
        looks = [batch_look(context, model, monitor, scored_batch(context, model, batch))]
    else:
        looks = due_looks(context, model, monitor, datetime.now(UTC))
    failures: dict[str, ModelsError] = {}
    for look in looks:
        try:
            _look(context, look)
        except ModelsError as error:
            if len(looks) == 1:
                raise
            context.say(f"{model.name}, {look.window['id']}: {error}")
            failures[look.window["id"]] = error
    if failures:
        raise MonitoringError(
            f"{len(failures)} of {len(looks)} windows of {model.name} could not be looked at: {', '.join(failures)}.",
            "Each remedy is told above. Run the same again: what was looked at is not looked at again.",
            told=all(error.told for error in failures.values()),
        )


def _look(context: Context, look: Look) -> None:
    """Look at the window unless that was done; then say, and tell people, what was found."""
    model, bucket = look.model, context.bucket
    looked = looked_at(bucket, model.name, look.package.version, look.window["id"])
    windows = history(bucket, model.name, look.package.version)
    if looked is None or looked.inputs != look.inputs:
        results = look.run(bucket, context.say)
        looked = Looked.from_json(json.loads(results[FINDINGS]))
        if not put_metrics(context.aws, model.name, looked):
            context.say("  no metrics: CloudWatch takes none of a window that ended more than two weeks ago")
        windows = _with(windows, looked)
        _write(context, look, results, _report(context, look, windows, looked, results))
    else:
        context.say(f"{model.name}: {look.window['id']} was looked at before, and has not changed")
    decided = decision(windows, look.monitor.rule)
    _keep(context, look)
    _tell(context, look, looked, decided)


def _with(windows: Iterable[Looked], looked: Looked) -> list[Looked]:
    """The windows with this one in the place of what was found in it before, the oldest first."""
    others = [each for each in windows if each.id != looked.id]
    return sorted([*others, looked], key=lambda each: (each.ends, each.id))


def _report(
    context: Context, look: Look, windows: list[Looked], looked: Looked, results: Mapping[str, bytes]
) -> Report:
    key = Layout(look.model.name).package(look.package.source, look.package.data_version, BASELINE_STATISTICS)
    baseline = context.bucket.read_json(key) or {"features": []}
    statistics = json.loads(results[RESULTS[0]])
    return monitoring_report(look.model, looked, windows, decision(windows, look.monitor.rule), baseline, statistics)


def _write(context: Context, look: Look, results: Mapping[str, bytes], report: Report) -> None:
    """Put the results where they count; the findings last, so that a window that has them has everything."""
    layout, window = Layout(look.model.name), look.window["id"]
    files = {**results, REPORT: report.html().encode()}
    keys = {name: layout.monitoring(look.package.version, f"{window}/{name}") for name in files}
    others = [(keys[name], content) for name, content in files.items() if name != FINDINGS]
    context.bucket.write_all(others, last=(keys[FINDINGS], results[FINDINGS]))
    context.say(report.text())


def _keep(context: Context, look: Look) -> None:
    """Write the page to `build/<model>/`, where CircleCI picks it up."""
    page = context.bucket.read(_page(look))
    if page is not None:
        folder = ROOT / "build" / look.model.name / "monitoring"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{look.window['id']}.html").write_bytes(page)


def _page(look: Look) -> str:
    return Layout(look.model.name).monitoring(look.package.version, f"{look.window['id']}/{REPORT}")


def _tell(context: Context, look: Look, looked: Looked, decided: Decision) -> None:
    """Say what the window and those before it come to, and notify people where anything was found."""
    findings, model = looked.findings, look.model
    headline, tone = verdict(findings)
    follows = consequence(model, findings, decided)
    context.say(f"{model.name}, {looked.id}: {headline}. {follows}")
    if tone != "bad":
        return
    settings = context.aws.settings
    lines = [f"- {each.feature_name}: {each.description}" for each in findings.violations]
    lines += [f"- {findings.quality.words}"] if findings.quality and findings.degraded else []
    notify(
        context,
        Notice(
            kind="drift found",
            model=model.name,
            subject=f"version {looked.version}, {looked.id}: {headline}",
            text="\n".join([f"{looked.rows:,} records.", *lines, "", follows]),
            links={
                "report": object_page(settings.region, settings.bucket, _page(look)),
                "job": context.run.url,
            },
            key=f"monitor {model.name} {looked.version} {looked.id} {headline}",
        ),
    )
