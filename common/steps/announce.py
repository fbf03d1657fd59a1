"""What steps tell people: a package that waits for its click, what serves since a deploy, what production went back from.

None of it decides what a model is trained from, or how: that is why it stands here, and not where packages are registered.
"""

from __future__ import annotations

import sys

from common.aws import Aws
from common.errors import GateError, ModelsError, NotificationError, RolledBackError, UnlikeTrainedError
from common.model import Model
from common.notifications import Kind, Notice, notify
from common.notifications.links import endpoint_page, object_page, workflow_page
from common.registry import PENDING, Package, now
from common.settings import Run, Settings
from common.steps.context import Context
from common.storage import Layout


def announce_waiting(context: Context, model: Model, package: Package | None) -> None:
    """Tell that a package waits for a click; in CircleCI only, since nobody else has anything to click. Once for a package.

    Raises:
        NotificationError: people could not be told; the package is registered, and waits.
    """
    page = workflow_page(context.run)
    if package is None or package.status != PENDING or not page:
        return
    about = package.metadata
    lines = [
        f"Version {package.version} passed its gate, and is deployed only after somebody has clicked request-deployment.",
        f"Branch {about.get('branch', '')}, commit {about.get('commit', '')[:8]}, by {about.get('trained_by', '')}.",
        f"It was trained again because {about['retrained_because']}." if "retrained_because" in about else "",
    ]
    links = {"Click request-deployment here": page, "Report": _report(context, model, package)}
    key = f"approval waiting {package.arn}"
    notify(context, Notice("approval waiting", model.name, f"version {package.version}", _text(lines), links, key))


def announce_deployed(context: Context, model: Model, endpoint: str, package: Package) -> None:
    """Tell that a package serves; once for each time that it began to.

    Args:
        endpoint: the name of the endpoint.

    Raises:
        NotificationError: people could not be told; the package serves.
    """
    serving = context.registry(model).describe(package.arn)
    about = serving.metadata
    lines = [
        f"Version {serving.version} serves behind the endpoint {endpoint} since {serving.deployed_at}, and answers as it did "
        "when it was trained.",
        serving.reason,  # who approved it
        f'If it is no good: ./models rollback {model.name} --reason "…"',
    ]
    links = {
        "Job": about.get("deployed_in", ""),
        "Endpoint": endpoint_page(context.aws.settings.region, endpoint),
        "Report": _report(context, model, serving),
    }
    key = f"deployed {serving.arn} {serving.deployed_at}"
    notify(context, Notice("deployed", model.name, f"version {serving.version}", _text(lines), links, key))


def announce_rolled_back(context: Context, model: Model, endpoint: str, bad: Package | None) -> None:
    """Tell that a person went back from a package; once for each time. None is nothing to tell.

    Raises:
        NotificationError: people could not be told; what served before serves again.
    """
    if bad is None:
        return
    marked = context.registry(model).describe(bad.arn)
    to = marked.metadata.get("rolled_back_to", "")
    lines = [
        f"Version {to} serves again. Version {marked.version} was {marked.rolled_back}.",
        f"No deploy takes it again, until a newer package is approved or ./models release {model.name} gives it free.",
    ]
    links = {
        "Job": context.run.url,
        "Endpoint": endpoint_page(context.aws.settings.region, endpoint),
        "Report": _report(context, model, marked),
    }
    key = f"rolled back {marked.arn} {marked.metadata.get('rolled_back_at', '')}"
    subject = f"from version {marked.version} to {to}"
    notify(context, Notice("rolled back", model.name, subject, _text(lines), links, key))


def announce_unlike_trained(
    context: Context, model: Model, endpoint: str, package: Package, error: UnlikeTrainedError
) -> None:
    """Tell that a deploy took its own package back, or could not; where an alarm made SageMaker do it, EventBridge tells.

    That people could not be told is only said: the deploy fails by the error, which matters more.
    """
    links = {
        "Job": context.run.url,
        "Endpoint": endpoint_page(context.aws.settings.region, endpoint),
        "Report": _report(context, model, package),
    }
    key = f"unlike trained {package.arn} {context.run.url or now()}"
    kind: Kind = "rolled back" if isinstance(error, RolledBackError) else "job failed"
    subject = f"version {package.version} did not answer as it was trained"
    try:
        notify(context, Notice(kind, model.name, subject, str(error), links, key))
        error.told = True
    except NotificationError as untold:
        context.say(f"  {untold.what}")


def announce_failure(error: ModelsError) -> None:
    """Tell that a job of CircleCI's on main has failed, for a reason of which people hear nothing otherwise; once for a job.

    On main, schedules and merges run jobs on which nobody looks. What is said goes where the error goes, since the output
    may be read by a program; that people could not be told is only said: the job fails by the error, which matters more.
    """
    run = Run.from_environment()
    if run.branch != "main" or error.told or isinstance(error, GateError | NotificationError):
        return  # a model that is not good enough is nobody's failure: what serves goes on, and there is nothing to click
    try:
        context = Context(Aws(Settings.from_environment()), run=run, say=_complain)
        subject, key = error.what.partition("\n")[0], f"job failed {run.url or now()}"
        notify(context, Notice("job failed", run.job, subject, str(error), {"Job": run.url}, key))
    except ModelsError as untold:
        _complain(f"  nobody could be told. {untold.what}")


def _complain(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _text(lines: list[str]) -> str:
    return "\n".join(filter(None, lines))


def _report(context: Context, model: Model, package: Package) -> str:
    key = Layout(model.name).package(package.source, package.data_version, "report.html")
    return object_page(context.aws.settings.region, context.bucket.of(key), key)
