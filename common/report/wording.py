"""What the figures of a report mean, in sentences. Pure."""

from collections.abc import Mapping
from typing import Any

from common.evaluation.document import Evaluation
from common.evaluation.tuning_summary import TuningSummary
from common.report.cost import Cost
from common.report.data_change import DataChange
from common.report.tables import METRICS, interval, number, some

Fact = tuple[str, str, str]
"""A label, a figure, and what qualifies it."""


def consequence(evaluation: Evaluation) -> str:
    """What a click would change, in one sentence."""
    if not evaluation.verdict.passed:
        return f"Nothing to approve: the gate refused this model ({evaluation.verdict.reason})."
    name, value = METRICS[evaluation.metric], evaluation.metrics["model"][evaluation.metric]
    gain = evaluation.comparisons.get(evaluation.metric)
    if gain is None and evaluation.champion:
        return (
            f"Approving lets this model, with {name} {number(value)}, replace {evaluation.champion}, "
            f"with which it could not be compared: {evaluation.no_champion}."
        )
    if gain is None:
        return f"Approving lets this model be deployed with {name} {number(value)}."
    rival = evaluation.metrics["champion"][evaluation.metric]
    change = (
        "unchanged"
        if gain.difference == 0
        else f"{'better' if gain.difference > 0 else 'worse'} by {number(abs(gain.difference))}"
    )
    doubt = f", which {evaluation.rows['test']:,} test rows cannot tell from chance" if gain.low < 0 < gain.high else ""
    return (
        f"Approving lets this model replace {evaluation.champion}: "
        f"{name} {number(value)} instead of {number(rival)}, {change}{doubt}."
    )


def facts(evaluation: Evaluation, manifest: Mapping[str, Any], change: DataChange | None, cost: Cost) -> list[Fact]:
    """The figures to see first."""
    metric = evaluation.metric
    spread = evaluation.intervals[metric]
    told: list[Fact] = [
        (METRICS[metric], number(evaluation.metrics["model"][metric]), f"95 %: {interval(spread.low, spread.high)}")
    ]
    if gain := evaluation.comparisons.get(metric):
        words = f"95 %: {interval(gain.low, gain.high, sign=True)}"
        told.append((f"gain over {evaluation.champion}", number(gain.difference, sign=True), words))
    rows = f"{sum(manifest['rows'].values()):,}"
    told.append(("rows of data", rows, "train, validation and test" if change is None else _briefly(change)))
    told.append(("training cost", _dollars(cost), _billed(cost)))
    return told


def metrics_note(evaluation: Evaluation, unit: str) -> str:
    """How to read the table of metrics."""
    if evaluation.problem == "regression":
        scale = f"RMSE and MAE are in {unit}; R² is better when higher."
    else:
        scale = (
            f"ROC AUC, PR AUC and F1 are better when higher. F1 calls a row positive from a probability of "
            f"{evaluation.threshold:.3g}."
        )
    if evaluation.comparisons:
        champion = "The gain is positive where this model is better than the champion, on the same resampled rows."
    else:
        rival = f"Not compared with {evaluation.champion}" if evaluation.champion else "No champion"
        champion = f"{rival}: {evaluation.no_champion}."
    return f"{scale} All on the same fixed test rows; the baselines are fitted on the training rows. {champion}"


def data_change(change: DataChange) -> str:
    """What became of the data since the champion, in a sentence or two."""
    if change.same:
        return f"The champion was trained on the same data version {change.versions[0]}."
    was, now = (sum(rows[side] for rows in change.rows.values()) for side in (0, 1))
    more = f"{now - was:+,} rows since" if now != was else "As many rows as"
    words = [f"{more} the champion (data version {change.versions[0]})", _drifted(change)]
    words += [f"new columns: {some(change.added)}"] if change.added else []
    words += [f"columns that are gone: {some(change.removed)}"] if change.removed else []
    return f"{'; '.join(words)}."


def tuning(summary: TuningSummary) -> str:
    """What was tried and found, in a sentence or two."""
    completed = sum(trial.status == "Completed" for trial in summary.trials)
    jobs = f"{len(summary.trials)} {summary.strategy} training jobs, {completed} completed"
    best = summary.best
    found = (
        f"the best is number {summary.trials.index(best) + 1} with {summary.metric} {best.objective:.5g}"
        if best is not None
        else f"none has a {summary.metric}"
    )
    parents = (
        f"Warm-started ({summary.warm_start}) from {some(parent.name for parent in summary.parents)}."
        if summary.parents
        else "A cold start, without parents."
    )
    return f"{jobs}; {found}. {parents}"


def cost(value: Cost) -> str:
    """What was billed, at which price."""
    price = value.price
    listed = (
        "no price listed"
        if price is None
        else f"at {price.usd_per_hour:g} USD an hour on demand (as of {price.as_of}, {price.source})"
    )
    return f"{_dollars(value)}: {_billed(value)}, {listed}."


def _drifted(change: DataChange) -> str:
    by_size = {size: [c.name for c in change.columns if c.size == size] for size in ("large", "small")}
    told = [f"{size} drift in {some(names)}" for size, names in by_size.items() if names]
    return "; ".join(told) or f"no drift in {len(change.columns)} columns"


def _briefly(change: DataChange) -> str:
    if change.same:
        return "the champion's own data"
    was, now = (sum(rows[side] for rows in change.rows.values()) for side in (0, 1))
    drifted = sum(column.size != "none" for column in change.columns)
    return f"{now - was:+,}; {drifted} of {len(change.columns)} columns drifted"


def _dollars(value: Cost) -> str:
    if value.usd is None:
        return "unknown"
    return f"{value.usd:.2f} USD" if value.usd >= 1 else f"{value.usd:.4f} USD"


def _billed(value: Cost) -> str:
    saved = f"; spot saved {100 * value.saved:.0f} %" if value.saved else ""
    return f"{value.seconds:,.0f} s billed × {value.instances} {value.instance_type}{saved}"
