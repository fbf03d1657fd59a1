"""Which models are to be trained again now, and why: by what the monitor found, or by the calendar.

A pipeline or a job that failed is no reason: only windows that were looked at count. Nor is a model due where training
could lead nowhere: while a package waits for its click, or deploys are held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from common.deployment.live import Live
from common.errors import ModelsError
from common.model import Model
from common.monitoring.declare import Monitor, NotMonitored, declared_monitor
from common.monitoring.looked import Looked
from common.monitoring.results import decision, history
from common.registry import PENDING, Package
from common.steps.context import Context
from common.steps.live import live_of
from common.steps.retraining import Attempt, last_attempt
from common.storage import Layout

PARAMETER = "retrain-"
"""What begins the pipeline parameters that carry the reasons."""
LONGEST_VALUE = 512
"""Characters; CircleCI takes no longer value of a pipeline parameter."""


@dataclass(frozen=True)
class Due:
    """Whether a model is to be trained again.

    Attributes:
        because: why; empty where it is not.
        words: the same, or why it is not, or how far it is from it.
    """

    model: Model
    because: str
    words: str


@dataclass(frozen=True)
class Standing:
    """What is known of a model that serves.

    Attributes:
        source: main's source.
        newest: the newest package of that source.
        windows: those of the package that serves, the oldest first.
        gathered: when the data were gathered that it was trained on.
    """

    source: str
    serving: Package
    newest: Package | None
    live: Live
    windows: Sequence[Looked]
    gathered: datetime
    attempt: Attempt | None


def due_models(context: Context, models: Sequence[Model]) -> tuple[list[Due], list[ModelsError]]:
    """Which of the models are to be trained again now; and, of those of which it cannot be told, why it cannot.

    A model that is not monitored is not due, and says so.
    """
    found, failures = [], []
    for model in models:
        try:
            found.append(due(context, model))
        except NotMonitored as error:
            found.append(Due(model, "", error.what))
        except ModelsError as error:
            found.append(Due(model, "", f"cannot be told: {error.what}"))
            failures.append(error)
    return found, failures


def due(context: Context, model: Model, now: datetime | None = None) -> Due:
    """Whether the model is to be trained again now.

    Raises:
        NotMonitored: it declares no `MONITOR`, or is a fleet.
        MonitoringError, DataError: what was found, or the last attempt, is damaged in the bucket.
    """
    monitor, registry = declared_monitor(model), context.registry(model)
    live = live_of(context, model)
    serving = registry.serving(live.package_arn)
    if serving is None:
        return Due(model, "", "nothing of it serves")
    source = context.checkout.source(model, context.checkout.main())
    standing = Standing(
        source=source,
        serving=serving,
        newest=registry.find(source),
        live=live,
        windows=history(context.bucket, model.name, serving.version),
        gathered=gathered_at(context, model, serving),
        attempt=last_attempt(context, model, serving),
    )
    because, words = reason(standing, monitor, now or datetime.now(UTC))
    return Due(model, because, words)


def gathered_at(context: Context, model: Model, package: Package) -> datetime:
    """When the data of a package were gathered: data versions are never written again."""
    key = Layout(model.name).data(package.data_version, "manifest.json")
    return context.bucket.written(key) or package.created


def reason(standing: Standing, monitor: Monitor, now: datetime) -> tuple[str, str]:
    """(why the model is to be trained again, or an empty string; that, or why not, in words)."""
    if blocked := _blocked(standing):
        return "", blocked
    attempt = standing.attempt
    since = attempt.ended if attempt else standing.gathered
    newer = [window for window in standing.windows if not attempt or datetime.fromisoformat(window.ends) > since]
    decided = decision(newer, monitor.rule)
    if decided.retrain:
        return decided.words, decided.words
    days = monitor.retrain_after_days
    if days is not None and now - max(since, standing.gathered) >= timedelta(days=days):
        words = f"its data are of {standing.gathered:%Y-%m-%d}, and it is to be retrained after {days} days"
        return words, words
    tried = f", since it was trained again at {attempt.at}: {attempt.outcome}" if attempt else ""
    return "", f"{decided.words}{tried}"


def _blocked(standing: Standing) -> str:
    """Why training could lead nowhere now, in words; empty where it could."""
    serving, newest = standing.serving, standing.newest
    if standing.live.hold:
        return str(standing.live.hold)
    if serving.source != standing.source:
        return f"version {serving.version} serves, which is not of main's source {standing.source}"
    if newest and newest.status == PENDING:
        return f"version {newest.version} waits for its click since {newest.created:%Y-%m-%d %H:%M}"
    if newest and newest.is_approved and not newest.rolled_back and newest.arn != serving.arn:
        return f"version {newest.version} is approved, and not deployed yet"
    return ""


def parameters(found: Sequence[Due]) -> dict[str, str]:
    """What CircleCI's continuation is passed, see `.circleci/config.yml`."""
    return {f"{PARAMETER}{each.model.name}": each.because[:LONGEST_VALUE] for each in found if each.because}
