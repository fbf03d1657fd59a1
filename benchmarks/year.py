"""A year of nightly windows: drift and failures on known days, truth two weeks late, retraining; beside PSI > 0.2.

Run it with `python -m benchmarks.year`. Every day 300 of churn's synthetic customers ask a real model; a monitor compares them
with those that it learnt from, as `models monitor` does. Three of the last five windows are a reason to retrain; the new model
is trained on customers of the day of the decision, and serves once their truth is known. Each monitor lives its own year on the
same customers: ours, and two that take a window for drifted where the population stability index of any column, or of the
predictions, is above a bound: 0.2, and the one that alarms in 1 % of the windows without drift, as ours is declared to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context

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

DAYS, LATE = 365, 14
"""The truth of a day is known so many days later."""
TEST = 1000
NIGHTS = range(75, 79)
"""On these days a pipeline fails: minutes come in as seconds."""
EMPTY = range(250, 254)
"""On these days another fails: two fifths of a column are empty."""
FAILED = (20, 21, 160)
"""On these the monitor's job itself fails: there is no window."""
EVENTS = {
    40: "shift: Day Mins + 1.5",
    120: "joint: Eve with Intl Mins",
    200: "concept: complaints weigh more",
    290: "new category: State, 6 %",
}
_RECIPE = {
    "objective": "binary:logistic",
    "eta": 0.1,
    "max_depth": 3,
    "min_child_weight": 3,
    "subsample": 0.8,
    "nthread": 1,
}
_ROUNDS, _QUIET = 150, 200

Values = NDArray[np.float64]
Look = Callable[[Sample, Sample], tuple[bool, bool, bool]]
"""From training set and window to drifted, degraded, broken."""


@dataclass(frozen=True)
class People:
    """Customers, whether they leave, and the true probability of it."""

    frame: pd.DataFrame
    truth: Values
    chances: Values


def people(rows: int, seed: int, day: int) -> People:
    """Customers as they are on a day, after all events until then."""
    random = np.random.default_rng((seed, 2))
    frame = pd.DataFrame(draw(rows, seed))
    if day >= 40:
        frame["Day Mins"] += 1.5
    if day >= 120:
        frame = jointly(frame, random)
    chances = probabilities({str(name): frame[name].to_numpy() for name in frame})
    log_odds = np.log(chances / (1 - chances))
    if day >= 200:
        log_odds += 1.5 * (frame["CustServ Calls"].to_numpy() >= 6)
    if day >= 290:
        new = random.random(rows) < 0.06
        frame["State"] = np.where(new, "PR", frame["State"])
        log_odds += 2 * new
    chances = 1 / (1 + np.exp(-log_odds))
    truth = (random.random(rows) < chances).astype(float)
    return People(frame[[column.name for column in CHURN]], truth, chances)


def since(day: int) -> int:
    """The day of the last event until a day; 0 before the first."""
    return max((event for event in EVENTS if event <= day), default=0)


@dataclass(frozen=True)
class Trained:
    """A model, what its production is compared with, and the day whose customers it learnt from."""

    booster: xgboost.Booster
    encoder: Encoder
    reference: Sample
    day: int

    @classmethod
    def on(cls, day: int) -> Trained:
        train, test = people(TRAINING, 10_000 + day, day), people(TEST, 20_000 + day, day)
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
        found: by event, the first day on which a window differed since then.
        decided, served: by event, when retraining was decided since then, and when the new model served.
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
    losses: dict[int, float] = field(default_factory=dict)


def ours(reference: Sample, window: Sample) -> tuple[bool, bool, bool]:
    findings = compare(reference, window, CHURN, "log_loss", Checks())
    return findings.drifted, findings.degraded, findings.broken


def by_index(reference: Sample, window: Sample, bound: float) -> tuple[bool, bool, bool]:
    return greatest_index(reference, window, CHURN) > bound, False, False


def live(look: Look) -> Year:
    """A year with one monitor."""
    year, model, history = Year(), Trained.on(0), list[WindowResult]()
    answered: dict[int, Outcomes] = {}
    serves = 0
    for day in range(DAYS):
        if serves and day == serves:
            model, history, answered, serves = Trained.on(year.retrained[-1]), [], {}, 0
            year.served.setdefault(since(model.day), day)
        came = people(DAY, 30_000 + day, day)
        scores = model.scores(came.frame)
        year.losses[day] = excess(came.chances, scores)
        answered[day] = Outcomes(scores, came.truth)
        if day in FAILED:
            continue
        frame, scores = as_it_arrives(day, came.frame, scores)
        window = WindowResult(str(day), *look(model.reference, Sample(frame, scores, answered.get(day - LATE))))
        history.append(window)
        _note(year, model, day, window)
        if not serves and decide(history, Rule()).retrain:
            serves = day + LATE
            year.retrained.append(day)
            if since(day) == since(model.day):
                year.needless.append(day)
            else:
                year.decided.setdefault(since(day), day)
    return year


def as_it_arrives(day: int, frame: pd.DataFrame, scores: Values) -> tuple[pd.DataFrame, Values]:
    """The records of a day with what the pipelines did to them; broken ones get no answer."""
    if day in NIGHTS:
        return frame.assign(**{"Night Mins": frame["Night Mins"] * 60}), np.full(len(scores), np.nan)
    if day in EMPTY:
        gaps = np.random.default_rng(day).random(len(frame)) < 0.4
        return frame.assign(**{"Eve Mins": frame["Eve Mins"].mask(gaps)}), np.where(gaps, np.nan, scores)
    return frame, scores


def _note(year: Year, model: Trained, day: int, window: WindowResult) -> None:
    differs = window.drifted or window.degraded
    if day in NIGHTS or day in EMPTY:
        return
    if since(day) == since(model.day):
        year.quiet += 1
        year.alarms += differs
    elif differs:
        year.found.setdefault(since(day), day)


def excess(chances: Values, scores: Values) -> float:
    """By how much the expected log loss is greater than that of the true probabilities, in nats."""
    scores = np.clip(scores, 1e-9, 1 - 1e-9)
    return float((chances * np.log(chances / scores) + (1 - chances) * np.log((1 - chances) / (1 - scores))).mean())


def calibrated() -> float:
    """The index that is exceeded in 1 % of windows without drift."""
    references = [Sample(people(TRAINING, 40_000 + number, 0).frame) for number in range(4)]
    indices = [
        greatest_index(references[number % 4], Sample(people(DAY, 50_000 + number, 0).frame), CHURN)
        for number in range(_QUIET)
    ]
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
    print(
        f"days until each change is found, a retraining is decided, and the new model serves; truth comes {LATE} days late"
    )
    print(f"  {'':<36} {''.join(f'{name:<22}' for name in names)}".rstrip())
    for day, event in EVENTS.items():
        print(f"  day {day:<4} {event:<27} {''.join(f'{_delays(year, day):<22}' for year in years)}".rstrip())
    print("how it went")
    for what, told in _summaries(years):
        print(f"  {what:<36} {''.join(f'{each:<22}' for each in told)}".rstrip())
    print(f"  ({time.monotonic() - started:.0f} s)")


def _delays(year: Year, day: int) -> str:
    told = [str(days[day] - day) if day in days else "–" for days in (year.found, year.decided, year.served)]
    return ", ".join(told) if day in year.found else "never"


def _summaries(years: Sequence[Year]) -> list[tuple[str, list[str]]]:
    return [
        ("alarms in windows without drift", [f"{y.alarms} of {y.quiet}" for y in years]),
        ("retrainings, and needless ones", [f"{len(y.retrained)}, {len(y.needless)}" for y in years]),
        ("because of failed pipelines", [str(sum(d in NIGHTS or d in EMPTY for d in y.needless)) for y in years]),
        ("excess log loss, first 40 days", [f"{_mean(y, range(40)):.4f}" for y in years]),
        ("the last 40 days", [f"{_mean(y, range(DAYS - 40, DAYS)):.4f}" for y in years]),
        ("the whole year", [f"{_mean(y, range(DAYS)):.4f}" for y in years]),
    ]


def _mean(year: Year, days: range) -> float:
    return float(np.mean([year.losses[day] for day in days]))


if __name__ == "__main__":
    main()
