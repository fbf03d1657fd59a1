"""What became of every package and of every tuning job of a model: told by the registry and by the jobs themselves."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import UsageError
from common.evaluation.gate import HIGHER_IS_BETTER
from common.model import Model
from common.registry import APPROVED, REJECTED, Package
from common.steps.context import Context
from common.tables import text_table
from common.training.parents import tagged_tuning_jobs

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import HyperParameterTuningJobSummaryTypeDef

_REASON_CHARACTERS = 80
_OF_FLEETS = ("coverage80", "champion_ratio", "excess", "customers", "set_aside")
"""What the packages of fleets are compared by, beside their metrics."""


@dataclass(frozen=True)
class Point:
    """What the plot shows of a package or job.

    Attributes:
        value: of the decisive metric.
        kind: what became of it, e.g. `rejected ✗`.
        note: a few characters to tell it by.
    """

    time: datetime
    value: float
    kind: str
    note: str


@dataclass(frozen=True)
class History:
    """Packages or tuning jobs, newest first.

    Attributes:
        metric: the one that the points are values of.
        rows: what matters of each, as short as a table wants it.
        records: all that is known of each, by field.
        points: of those that have a value of the metric.
    """

    title: str
    metric: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    records: tuple[Mapping[str, str], ...]
    points: tuple[Point, ...]

    def csv(self) -> str:
        """Every field of every record, with a header."""
        text = io.StringIO(newline="")
        fields = dict.fromkeys(field for record in self.records for field in record)
        writer = csv.DictWriter(text, fields, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.records)
        return text.getvalue().rstrip("\n")


def show_history(context: Context, model: Model, *, tuning: bool, as_csv: bool, plot: Path | None) -> None:
    """Print the model's packages, or its tuning jobs, and plot them where a file is named.

    Raises:
        UsageError: the file is none that a plot can be written to.
        RegistryError: there is nothing to plot.
    """
    if plot and plot.suffix not in (".html", ".svg"):
        raise UsageError(f"{plot} is no file for a plot.", "Name a file that ends in .html or .svg.")
    history = tuning_history(context, model) if tuning else package_history(context, model)
    if plot:
        from common.steps.history_plot import write_plot

        write_plot(history, plot)
    context.say(history.csv() if as_csv else text_table(history.header, history.rows))


def package_history(context: Context, model: Model) -> History:
    """Every package: what it was made from, how good it is, who approved it, and where it was deployed."""
    decisive = str(model.declaration("train_register", "TRAINING").gate.metric)
    packages = list(context.registry(model).packages())
    measured = {name for package in packages for name in package.metadata}
    metrics = (decisive, *(name for name in (*HIGHER_IS_BETTER, *_OF_FLEETS) if name in measured and name != decisive))
    before, after = ("version", "created", "status", "source", "data", "commit", "branch"), ("gate", "approved by")
    return History(
        title=f"Packages of {model.name}",
        metric=decisive,
        header=(*before, *metrics, *after, "deployed", "as", "why rejected or rolled back"),
        rows=tuple(_package_row(package, metrics) for package in packages),
        records=tuple(_package_record(package) for package in packages),
        points=tuple(_package_points(packages, decisive)),
    )


def _package_row(package: Package, metrics: tuple[str, ...]) -> tuple[str, ...]:
    known, deployed = package.metadata, package.metadata.get("deployed_at")
    return (
        str(package.version), _minute(package.created), package.status, package.source, package.data_version,
        known.get("commit", "")[:8], known.get("branch", ""),
        *(known.get(name, "") for name in metrics),
        known.get("gate", "").partition(":")[0], known.get("approved_by", ""),
        _minute(_read(deployed)) if deployed else "", known.get("deployed_as", ""),
        _shortened(package.reason if package.status == REJECTED else package.rolled_back),
    )  # fmt: skip


def _package_record(package: Package) -> dict[str, str]:
    return {
        "version": str(package.version),
        "created": _second(package.created),
        "status": package.status,
        "reason": package.reason,
        **package.metadata,
        "image": package.image,
        "artifact": package.artifact,
        "arn": package.arn,
    }


def _package_points(packages: list[Package], metric: str) -> Iterator[Point]:
    for package in packages:
        value = float(package.metadata.get(metric, "nan"))
        if math.isfinite(value):
            kind = became(package)
            yield Point(package.created, value, kind, f"{package.version}{kind[-1]}")


def became(package: Package) -> str:
    """What became of a package, with a sign that tells it by."""
    if package.status == REJECTED:
        return "rejected ✗"
    if package.rolled_back:
        return "rolled back ↩"
    if package.deployed_at:
        return "deployed ▲"
    return "approved ✓" if package.status == APPROVED else "waiting for approval ?"


def tuning_history(context: Context, model: Model) -> History:
    """Every tuning job: what it searched by, what it learnt from, and the best that it found."""
    records = tuple(_tuning_record(context, job, tags) for job, tags in tagged_tuning_jobs(context.aws, model.name))
    metric = records[0]["metric"] if records else ""
    scored = [record for record in records if record["best"] and record["metric"] == metric]
    before = ("created", "job", "status", "strategy", "objective", "metric", "best")
    return History(
        title=f"Tuning jobs of {model.name}",
        metric=metric,
        header=(*before, "completed", "stopped", "failed", "data", "image", "start", "parents"),
        rows=tuple(_tuning_row(record) for record in records),
        records=records,
        points=tuple(
            Point(_read(record["created"]), float(record["best"]), record["start"], record["completed"])
            for record in scored
        ),
    )


def _tuning_row(record: Mapping[str, str]) -> tuple[str, ...]:
    named = ("job", "status", "strategy", "objective", "metric", "best", "completed", "stopped", "failed")
    return (
        _minute(_read(record["created"])), *(record[name] for name in named), record["data_version"],
        record["image"].rpartition("/")[2], record["start"], record["parents"],
    )  # fmt: skip


def _tuning_record(
    context: Context, job: HyperParameterTuningJobSummaryTypeDef, tags: Mapping[str, str]
) -> dict[str, str]:
    name, counts = job["HyperParameterTuningJobName"], job["TrainingJobStatusCounters"]
    told = context.aws.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    config, warm, best = told["HyperParameterTuningJobConfig"], told.get("WarmStartConfig"), told.get("BestTrainingJob")
    metric = best["FinalHyperParameterTuningJobObjectiveMetric"] if best else None
    parents = warm["ParentHyperParameterTuningJobs"] if warm else []
    ended = told.get("HyperParameterTuningEndTime")
    return {
        "created": _second(job["CreationTime"]),
        "ended": _second(ended) if ended else "",
        "job": name,
        "status": told["HyperParameterTuningJobStatus"],
        "reason": told.get("FailureReason", ""),
        "strategy": config["Strategy"],
        "objective": tags.get("objective", ""),
        "metric": config["HyperParameterTuningJobObjective"]["MetricName"],
        "direction": config["HyperParameterTuningJobObjective"]["Type"],
        "best": f"{metric['Value']:.6g}" if metric else "",
        "best_job": best["TrainingJobName"] if best else "",
        "planned": str(config["ResourceLimits"]["MaxNumberOfTrainingJobs"]),
        "completed": str(counts["Completed"]),
        "stopped": str(counts["Stopped"]),
        "failed": str(counts["NonRetryableError"]),
        "start": "test run" if tags.get("testing") == "true" else warm["WarmStartType"] if warm else "cold",
        "parents": " ".join(parent["HyperParameterTuningJobName"] for parent in parents),
        "data_version": tags.get("data_version", ""),
        "image": tags.get("image", ""),
        "arn": job["HyperParameterTuningJobArn"],
    }


def _minute(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}"


def _second(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds")


def _read(time: str) -> datetime:
    return datetime.fromisoformat(time)


def _shortened(reason: str) -> str:
    return reason if len(reason) <= _REASON_CHARACTERS else f"{reason[: _REASON_CHARACTERS - 1]}…"
