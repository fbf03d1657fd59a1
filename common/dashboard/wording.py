"""What the dashboard's facts mean, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from markupsafe import Markup

from common.dashboard.facts import Facts, ModelFacts, Window
from common.monitoring.findings import PREDICTION, Findings
from common.notifications.links import workflow_page
from common.operations.cost import Running
from common.registry import PENDING, REJECTED, Package
from common.report.tables import METRICS, number, some
from common.settings import Run

Tone = Literal["good", "small", "bad"]
"""As in the reports: green, amber and red."""
_TOLD = 3


@dataclass(frozen=True)
class Note:
    """Something that a person should know, or do."""

    tone: Tone
    words: str

    @property
    def sign(self) -> str:
        """What the colour says, for whoever does not see it."""
        return {"good": "✓", "small": "!", "bad": "✗"}[self.tone]


def notes(model: ModelFacts) -> tuple[Note, ...]:
    """All that is to be known or done about a model, the worst first."""
    return tuple(sorted(_notes(model), key=lambda note: ("bad", "small", "good").index(note.tone)))


def _notes(model: ModelFacts) -> Iterator[Note]:
    if model.problem:
        yield Note("bad", f"Not in step with main: {model.problem}.")
    if model.held:
        yield Note("small", f"What serves is kept as it is: {model.held}.")
    for package in model.waiting:
        where = Markup(": {}").format(link(url, "its workflow in CircleCI")) if (url := _workflow(package)) else ""
        yield Note("small", Markup("Version {} waits for a click{}.").format(package.version, where))
    for package in model.ready:
        yield Note("small", f"Version {package.version} is approved and was never deployed.")
    for alarm in model.alarms:
        yield Note(
            "bad", f"The alarm {alarm.name} fires since {moment(alarm.since)}: {alarm.reason}.".replace("..", ".")
        )
    if model.due and model.due.because:
        yield Note("small", f"It is due to be trained again: {model.due.because}.")
    if model.windows:
        yield from _found(model.windows[0])
    if model.batches and (last := model.batches[0]).rejected:
        share = percent(last.rejected / (last.rows + last.rejected))
        why = f", mostly because of: {last.reason}" if last.reason else ""
        yield Note("small", f"{last.rejected:,} rows of the batch {last.partition} ({share}) were set aside{why}.")
    for why in model.unreadable:
        yield Note("bad", why)


def _found(window: Window) -> Iterator[Note]:
    findings, when = window.findings, f"(in the window {window.name})"
    if findings.broken:
        told = " ".join(dict.fromkeys(violation.description for violation in findings.violations))
        yield Note("bad", f"What comes in is not what the model declares: {told or 'see its report.'} {when}")
    if findings.degraded and findings.quality is not None:
        yield Note("bad", f"The predictions got worse: {findings.quality.words} {when}")
    if findings.drifted:
        yield Note("small", f"What comes in is not what the model was trained on: {_moved(findings)} {when}")


def _moved(findings: Findings) -> str:
    """What moved and how, in the monitor's words; of many differences the most certain."""
    told = list(dict.fromkeys(test.words for test in findings.tests if test.found))
    more = f" {len(told) - _TOLD} differences more." if len(told) > _TOLD else ""
    return " ".join(told[:_TOLD]) + more if told else f"{drift(findings)}."


def drift(findings: Findings) -> str:
    """The names of what moved."""
    if findings.features:
        return some("predictions" if name == PREDICTION else name for name in findings.features)
    return "several columns together" if findings.drifted else "nothing"


def headline(facts: Facts) -> Note:
    """The page's first line."""
    found = {model.model.name: notes(model) for model in facts.models}
    wanting = [name for name, told in found.items() if told]
    strangers = sorted({alarm.model for alarm in facts.other_alarms})
    if wanting:
        worst: Tone = "bad" if strangers or any(told[0].tone == "bad" for told in found.values() if told) else "small"
        verb = "wants" if len(wanting) == 1 else "want"
        return Note(worst, f"{len(wanting)} of {len(found)} models {verb} somebody's attention: {some(wanting)}")
    if strangers:
        return Note("bad", f"An alarm fires of what this checkout does not have: {some(strangers)}")
    if not found:
        return Note("small", "This checkout has no models")
    return Note("good", "Every model is in step with main, and nothing waits for anybody")


def in_step(model: ModelFacts) -> Note:
    """Whether what serves is what main says, in a word or two."""
    if model.problem:
        return Note("bad", "no")
    return Note("small", "held") if model.held else Note("good", "yes")


def decided(package: Package) -> str:
    """Who approved or rejected it, when and why, or that nobody has yet."""
    if package.status == PENDING:
        return link(_workflow(package), "waits for a click")
    verb, known = package.status.lower(), package.metadata
    who, when = known.get(f"{verb}_by", ""), known.get(f"{verb}_at", "")
    told = link(known.get(f"{verb}_in", ""), f"{verb} by {person(who)}" if who else verb)
    if when:
        told = Markup("{}, {}").format(told, noted(when))
    why = (
        package.reason.partition(": ")[2] if package.status == REJECTED and who != "gate" else ""
    )  # the gate's is its own
    return Markup("{}: {}").format(told, why) if why else told


def deployed(package: Package) -> str:
    """When it was deployed last, and what became of that."""
    told = link(package.metadata.get("deployed_in", ""), noted(package.deployed_at)) if package.deployed_at else "–"
    return Markup("{}; {}").format(told, package.rolled_back) if package.rolled_back else told


def person(who: str) -> str:
    """An identity without the account: the last part of an ARN, e.g. `assumed-role/deploy/circleci-7`."""
    return who.rpartition(":")[2] if who.startswith("arn:") else who


def _workflow(package: Package) -> str:
    """The page where the click is; empty where the package was trained outside of CircleCI."""
    return workflow_page(Run(user="", pipeline=package.metadata.get("pipeline", "")))


def link(url: str, words: str) -> str:
    """The words as a link where the address is one that a browser may follow, the bare words otherwise."""
    return Markup('<a href="{}">{}</a>').format(url, words) if url.startswith("https://") else words


def metric_name(metric: str) -> str:
    """What a reader calls it."""
    return METRICS.get(metric, metric.replace("_", " "))


def measured(package: Package, metric: str) -> float | None:
    """The metric on the package's own test rows; None where the registry has no such figure."""
    try:
        value = float(package.metadata.get(metric, ""))
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def figure_of(package: Package | None, metric: str) -> str:
    """The metric, rounded; a dash where it is not known."""
    value = None if package is None else measured(package, metric)
    return "–" if value is None else number(value)


def moment(time: datetime) -> str:
    """`2026-11-20 14:05`, in UTC, on one line."""
    return f"{time.astimezone(UTC):%Y-%m-%d\u00a0%H:%M}"


def noted(time: str) -> str:
    """A time that was noted as ISO 8601, as `moment`; as it stands where it is none."""
    known = time_of(time)
    return moment(known) if known else time


def time_of(noted: str) -> datetime | None:
    """A time that was noted as ISO 8601, in UTC; None where it is none, such as what somebody wrote by hand."""
    try:
        return datetime.fromisoformat(noted).astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def percent(share: float) -> str:
    """`0.3 %`; never 0 of something that is there."""
    return "less than 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def dollars(running: tuple[Running, ...], region: str) -> str:
    """What runs by the hour, in US dollars; `at least` where the price of something is not listed."""
    prices = [each.by_hour(region) for each in running]
    known = sum(price for price in prices if price is not None)
    if None not in prices:
        return f"{known:.3f}"
    return f"at least {known:.3f}" if known else "not listed"
