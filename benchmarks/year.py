"""A year of nightly windows: drift and failures on known days, truth two weeks late, retraining; beside PSI > 0.2.

Run it with `python -m benchmarks.year`. Every day 300 of churn's synthetic customers ask a real model; a monitor compares them
with those that it learnt from, as `models monitor` does. Three of the last five windows are a reason to retrain; the new model
is trained on customers of the day of the decision, and serves once their truth is known. Each monitor lives its own year on the
same customers: ours, and two that take a window for drifted where the population stability index of any column, or of the
predictions, is above a bound: 0.2, and the one that alarms in 1 % of the windows without drift, as ours is declared to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import Literal

import numpy as np
import pandas as pd
import xgboost
from numpy.typing import NDArray

from benchmarks.monitoring import CHURN, DAY, PLAIN, TRAINING, greatest_index, jointly
from churn_model.customers import draw, probabilities
from churn_model.gather_data import DATA
from common.data.dataset import fit_encoder, to_records
from common.monitoring.checks import Checks, Outcomes, Sample
from common.monitoring.drift import compare
from common.monitoring.rules import Rule, WindowResult, decide
from common.serving.inference import Encoder

TEST = 1000
"""Records that a new model is evaluated on."""
_RECIPE = {
    "objective": "binary:logistic",
    "eta": 0.1,
    "max_depth": 3,
    "min_child_weight": 3,
    "subsample": 0.8,
    "nthread": 1,
}
_ROUNDS, _QUIET, _AROUND = 150, 200, 20

Values = NDArray[np.float64]
Look = Callable[[Sample, Sample], tuple[bool, bool, bool]]
"""From training set and window to drifted, degraded, broken."""
Event = Literal["shift", "joint", "concept", "new category"]
WORDS: Mapping[Event, str] = {
    "shift": "Day Mins + 1.5",
    "joint": "Eve with Intl Mins",
    "concept": "complaints weigh more",
    "new category": "State, 6 %",
}


@dataclass(frozen=True)
class Calendar:
    """What happens on which day.

    Attributes:
        late: the truth of a day is known so many days later.
        events: from that day on the customers are others, or leave for other reasons.
        seconds: on these days a pipeline fails: minutes come in as seconds.
        gaps: on these another: two fifths of a column are empty.
        failed: on these the monitor's job itself fails: there is no window.
    """

    days: int
    late: int
    events: Mapping[int, Event]
    seconds: Sequence[int]
    gaps: Sequence[int]
    failed: Sequence[int]

    def since(self, day: int) -> int:
        """The day of the last event until a day; 0 before the first."""
        return max((event for event in self.events if event <= day), default=0)

    def on(self, day: int) -> set[Event]:
        """What has happened until a day."""
        return {event for begin, event in self.events.items() if begin <= day}

    def is_broken(self, day: int) -> bool:
        return day in self.seconds or day in self.gaps


YEAR = Calendar(
    days=365,
    late=14,
    events={40: "shift", 120: "joint", 200: "concept", 290: "new category"},
    seconds=range(75, 79),
    gaps=range(250, 254),
    failed=(20, 21, 160),
)


@dataclass(frozen=True)
class People:
    """Customers, whether they leave, and the true probability of it."""

    frame: pd.DataFrame
    truth: Values
    chances: Values


def people(rows: int, seed: int, happened: set[Event]) -> People:
    """Customers as they are after these events."""
    random = np.random.default_rng((seed, 2))
    frame = pd.DataFrame(draw(rows, seed))
    if "shift" in happened:
        frame["Day Mins"] += 1.5
    if "joint" in happened:
        frame = jointly(frame, random)
    chances = probabilities({str(name): frame[name].to_numpy() for name in frame})
    log_odds = np.log(chances / (1 - chances))
    if "concept" in happened:
        log_odds += 1.5 * (frame["CustServ Calls"].to_numpy() >= 6)
    if "new category" in happened:
        new = random.random(rows) < 0.06
        frame["State"] = np.where(new, "PR", frame["State"])
        log_odds += 2 * new
    chances = 1 / (1 + np.exp(-log_odds))
    truth = (random.random(rows) < chances).astype(float)
    return People(frame[[column.name for column in CHURN]], truth, chances)


@dataclass(frozen=True)
class Trained:
    """A model, what its production is compared with, and the day whose customers it learnt from."""

    booster: xgboost.Booster
    encoder: Encoder
    reference: Sample
    day: int

    @classmethod
    def on(cls, day: int, happened: set[Event]) -> Trained:
        train, test = people(TRAINING, 10_000 + day, happened), people(TEST, 20_000 + day, happened)
        encoder = fit_encoder(DATA.columns, DATA.derived, train.frame)
        matrix = xgboost.DMatrix(encoder.encode(to_records(train.frame)), train.truth)
        booster = xgboost.train({**_RECIPE, "seed": 1}, matrix, num_boost_round=_ROUNDS)
        model = cls(booster, encoder, Sample(train.frame), day)
        scores = model.scores(test.frame)
        return cls(booster, encoder, Sample(train.frame, scores, Outcomes(scores, test.truth)), day)

    def scores(self, frame: pd.DataFrame) -> Values:
        rows = xgboost.DMatrix(self.encoder.encode(to_records(frame)), nthread=1)
        return np.asarray(self.booster.predict(rows), dtype=float)


@dataclass
class Year:
    """What a monitor made of the year.

    Attributes:
        found: by event's day, the first day on which a window differed since then.
        decided, served: by event's day, when retraining was decided since then, and when the new model served.
        quiet, alarms: windows in which nothing had changed since the training, and those of them that alarmed.
        retrained: days of the decisions to retrain.
        needless: of them, those for which nothing had changed.
        losses: the expected log loss of each day's predictions, less that of the true probabilities.
    """

    found: dict[int, int] = field(default_factory=dict)
    decided: dict[int, int] = field(default_factory=dict)
    served: dict[int, int] = field(default_factory=dict)
    quiet: int = 0
    alarms: int = 0
    retrained: list[int] = field(default_factory=list)
    needless: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def loss(self, first: int, until: int) -> float:
        """The mean of these days."""
        return float(np.mean(self.losses[max(first, 0) : until]))


def ours(reference: Sample, window: Sample) -> tuple[bool, bool, bool]:
    findings = compare(reference, window, CHURN, "log_loss", Checks())
    return findings.drifted, findings.degraded, findings.broken


def by_index(reference: Sample, window: Sample, bound: float) -> tuple[bool, bool, bool]:
    return greatest_index(reference, window, CHURN) > bound, False, False


def live(look: Look, calendar: Calendar = YEAR) -> Year:
    """A year with one monitor."""
    year, model, history = Year(), Trained.on(0, calendar.on(0)), list[WindowResult]()
    answered: dict[int, Outcomes] = {}
    serves = 0
    for day in range(calendar.days):
        if serves and day == serves:
            decided = year.retrained[-1]
            model, history, answered, serves = Trained.on(decided, calendar.on(decided)), [], {}, 0
            year.served.setdefault(calendar.since(decided), day)
        came = people(DAY, 30_000 + day, calendar.on(day))
        scores = model.scores(came.frame)
        year.losses.append(excess(came.chances, scores))
        frame, scores = as_it_arrives(calendar, day, came.frame, scores)
        given = ~np.isnan(scores)
        answered[day] = Outcomes(scores[given], came.truth[given])
        if day in calendar.failed:
            continue
        window = Sample(frame, scores, answered.get(day - calendar.late))
        history.append(WindowResult(str(day), *look(model.reference, window)))
        _note(year, calendar, model, day, history[-1])
        if not serves and decide(history, Rule()).retrain:
            serves = day + calendar.late
            year.retrained.append(day)
            if calendar.since(day) == calendar.since(model.day):
                year.needless.append(day)
            else:
                year.decided.setdefault(calendar.since(day), day)
    return year


def as_it_arrives(calendar: Calendar, day: int, frame: pd.DataFrame, scores: Values) -> tuple[pd.DataFrame, Values]:
    """The records of a day with what the pipelines did to them; broken ones get no answer."""
    if day in calendar.seconds:
        return frame.assign(**{"Night Mins": frame["Night Mins"] * 60}), np.full(len(scores), np.nan)
    if day in calendar.gaps:
        gaps = np.random.default_rng(day).random(len(frame)) < 0.4
        return frame.assign(**{"Eve Mins": frame["Eve Mins"].mask(gaps)}), np.where(gaps, np.nan, scores)
    return frame, scores


def _note(year: Year, calendar: Calendar, model: Trained, day: int, window: WindowResult) -> None:
    differs = window.drifted or window.degraded
    if calendar.is_broken(day):
        return
    if calendar.since(day) == calendar.since(model.day):
        year.quiet += 1
        year.alarms += differs
    elif differs:
        year.found.setdefault(calendar.since(day), day)


def excess(chances: Values, scores: Values) -> float:
    """By how much the expected log loss is greater than that of the true probabilities, in nats."""
    scores = np.clip(scores, 1e-9, 1 - 1e-9)
    return float((chances * np.log(chances / scores) + (1 - chances) * np.log((1 - chances) / (1 - scores))).mean())


def calibrated() -> float:
    """The index that is exceeded in 1 % of windows without drift."""
    models = [Trained.on(number, set()) for number in range(4)]
    indices = []
    for number in range(_QUIET):
        model, frame = models[number % len(models)], people(DAY, 50_000 + number, set()).frame
        indices.append(greatest_index(model.reference, Sample(frame, model.scores(frame)), CHURN))
    return float(np.quantile(indices, 0.99))


def _live(bound: float) -> Year:
    return live(partial(by_index, bound=bound) if bound else ours)


def main() -> None:
    started = time.monotonic()
    bound = calibrated()
    # Not forked: OpenMP's threads, which the caller may have started, do not survive a fork.
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        years = list(pool.map(_live, (0.0, PLAIN, bound)))
    names = ("ours", f"PSI > {PLAIN}", f"PSI > {bound:.2f}")
    print(f"  {'':<40} {''.join(f'{name:<26}' for name in names)}".rstrip())
    print(
        "days until each change is found, a retraining is decided, and the new model serves; "
        f"truth comes {YEAR.late} days late"
    )
    _print_by_event(years, _delays)
    print(
        f"excess log loss in the {_AROUND} days before it, from then on until the new model serves, and {_AROUND} days after"
    )
    _print_by_event(years, _losses)
    print("how it went")
    for what, told in _summaries(years):
        print(f"  {what:<40} {''.join(f'{each:<26}' for each in told)}".rstrip())
    print(f"  ({time.monotonic() - started:.0f} s)")


def _print_by_event(years: Sequence[Year], tell: Callable[[Year, int], str]) -> None:
    for day, event in YEAR.events.items():
        told = "".join(f"{tell(year, day):<26}" for year in years)
        print(f"  day {day:<4} {f'{event}: {WORDS[event]}':<31} {told}".rstrip())


def _delays(year: Year, day: int) -> str:
    told = [str(days[day] - day) if day in days else "–" for days in (year.found, year.decided, year.served)]
    return ", ".join(told)


def _losses(year: Year, day: int) -> str:
    before = f"{year.loss(day - _AROUND, day):.4f}"
    if day not in year.served:
        return f"{before}, –, –"
    served = year.served[day]
    return f"{before}, {year.loss(day, served):.4f}, {year.loss(served, served + _AROUND):.4f}"


def _summaries(years: Sequence[Year]) -> list[tuple[str, list[str]]]:
    return [
        ("alarms in windows without drift", [f"{y.alarms} of {y.quiet}" for y in years]),
        ("retrainings, and needless ones", [f"{len(y.retrained)}, {len(y.needless)}" for y in years]),
        ("because of failed pipelines", [str(sum(map(YEAR.is_broken, y.needless))) for y in years]),
        ("excess log loss of the whole year", [f"{y.loss(0, YEAR.days):.4f}" for y in years]),
    ]


if __name__ == "__main__":
    main()
