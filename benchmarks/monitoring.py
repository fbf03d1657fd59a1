"""The monitor: how often a window without drift alarms, and how soon each kind of drift is found, beside PSI > 0.2.

Run it with `python -m benchmarks.monitoring`. The records are those of churn's synthetic customers (16 columns, two of them with
dozens of categories), 3,250 in a training set, and of a process of eight strongly correlated numbers. The yardstick is what most
people use: a window has drifted where the population stability index of any column, or of the predictions, is above 0.2. It is
shown twice: with 0.2, and with the bound at which it alarms as often as ours where nothing has changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.gate import interval
from churn_model.customers import draw, probabilities
from churn_model.gather_data import COLUMNS
from common.monitoring.checks import Checks, Column, Sample
from common.monitoring.drift import compare
from common.monitoring.findings import Findings
from common.report.data_change import stability_index

PLAIN = 0.2
TRAINING, DAY = 3250, 300
"""Records of a training set, and of a window."""
QUIET, WINDOWS = 500, 40
"""Windows without drift, and of each kind of drift."""
PER_TRAINING = 5
"""Windows that are compared with one training set, before the next is drawn: an odd one makes all of them alarm more often."""
CHURN = Column.described(COLUMNS.describe(), COLUMNS.label)
CORRELATED = tuple(Column(f"x{number}", "number") for number in range(8))

Values = NDArray[np.float64]
Make = Callable[[int, int], Sample]
"""Records of a process: how many, and a seed."""
Change = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def customers(rows: int, seed: int) -> Sample:
    """Churn's customers, and as predictions their true probabilities."""
    drawn = draw(rows, seed)
    return Sample(pd.DataFrame({column.name: drawn[column.name] for column in CHURN}), probabilities(drawn))


def correlated(rows: int, seed: int) -> Sample:
    """Numbers with a correlation of 0.8 with each other, and their mean as the prediction."""
    random = np.random.default_rng(seed)
    values = np.sqrt(0.8) * random.normal(size=(rows, 1)) + np.sqrt(0.2) * random.normal(size=(rows, 8))
    return Sample(pd.DataFrame(values, columns=[column.name for column in CORRELATED]), values.mean(axis=1))


PROCESSES: Mapping[str, tuple[Make, Sequence[Column]]] = {
    "churn's customers": (customers, CHURN),
    "correlated numbers": (correlated, CORRELATED),
}


def shift(frame: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    return frame.assign(**{"Day Mins": frame["Day Mins"] + 1})


def scale(frame: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    middle = frame["Eve Mins"].median()
    return frame.assign(**{"Eve Mins": np.abs(middle + 1.5 * (frame["Eve Mins"] - middle))})


def new_category(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    return frame.assign(State=np.where(random.random(len(frame)) < 0.04, "PR", frame["State"]))


def missing(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    return frame.assign(**{"Intl Mins": frame["Intl Mins"].where(random.random(len(frame)) >= 0.03)})


def unit(frame: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    return frame.assign(**{"Night Mins": frame["Night Mins"] * 60})


def share(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    others = np.where(random.random(len(frame)) < 0.3, "yes", frame["Int'l Plan"])
    return frame.assign(**{"Int'l Plan": others})


def jointly(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Two columns rise together, each with the values that it had: a rank correlation of about 0.45 in place of 0."""
    ranks = frame["Eve Mins"].rank() / len(frame)
    order = np.argsort(np.argsort(0.5 * ranks + 0.3 * random.normal(size=len(frame))))
    return frame.assign(**{"Intl Mins": np.sort(frame["Intl Mins"])[order]})


KINDS: Mapping[str, tuple[Change, tuple[str, ...]]] = {
    "shift: Day Mins + 1": (shift, ("Day Mins",)),
    "scale: Eve Mins × 1.5": (scale, ("Eve Mins",)),
    "new category: State, 4 %": (new_category, ("State",)),
    "missing: Intl Mins, 3 %": (missing, ("Intl Mins",)),
    "unit: Night Mins in seconds": (unit, ("Night Mins",)),
    "share: Int'l Plan + 15 points": (share, ("Int'l Plan",)),
    "joint: Eve with Intl Mins": (jointly, ("Intl Mins", "Eve Mins")),
}
"""By name, and the columns that are to be named."""


@dataclass(frozen=True)
class Window:
    """What both made of a window.

    Attributes:
        index: the greatest population stability index.
        named: the columns of ours' violations; those of the joint test one by one.
    """

    drifted: bool
    index: float
    named: frozenset[str]


def looked_at(reference: Sample, window: Sample, columns: Sequence[Column]) -> Window:
    findings = compare(reference, window, columns, "log_loss", Checks())
    return Window(findings.drifted, greatest_index(reference, window, columns), names(findings))


def names(findings: Findings) -> frozenset[str]:
    """The columns that the violations name."""
    return frozenset(name for each in findings.violations for name in each.feature_name.split(", "))


def greatest_index(reference: Sample, window: Sample, columns: Sequence[Column]) -> float:
    """The greatest population stability index of any column or of the predictions, in tenths of the training set."""
    indices = []
    for column in columns:
        before, now = reference.frame[column.name], window.frame[column.name]
        indices.append(_of_numbers(before, now) if column.kind == "number" else _of_names(before, now))
    if reference.predictions is not None and window.predictions is not None:
        indices.append(_of_numbers(pd.Series(reference.predictions), pd.Series(window.predictions)))
    return max(indices)


def _of_numbers(before: pd.Series[float], now: pd.Series[float]) -> float:
    edges = np.unique(np.quantile(before, np.linspace(0.1, 0.9, 9)))
    counts = []
    for side in (before, now):
        tenths = np.bincount(np.searchsorted(edges, side.dropna()), minlength=len(edges) + 1)
        counts.append(np.append(tenths, side.isna().sum()))
    return stability_index(counts[0], counts[1])


def _of_names(before: pd.Series[str], now: pd.Series[str]) -> float:
    levels = sorted(set(before) | set(now))
    counts = [side.value_counts().reindex(levels, fill_value=0).to_numpy() for side in (before, now)]
    return stability_index(counts[0], counts[1])


@cache
def _training(process: str, number: int) -> Sample:
    return PROCESSES[process][0](TRAINING, 1_000_000 + number)


def quiet(number: int, process: str, rows: int) -> Window:
    """A window in which nothing has changed."""
    make, columns = PROCESSES[process]
    return looked_at(_training(process, number // PER_TRAINING), make(rows, number), columns)


def changed(number: int, kind: str, rows: int) -> Window:
    """A window of churn's customers that has changed."""
    change, _ = KINDS[kind]
    window = customers(rows, 500_000 + number)
    frame = change(window.frame, np.random.default_rng(number))
    return looked_at(_training("churn's customers", number // PER_TRAINING), Sample(frame, window.predictions), CHURN)


def bound_for(windows: Sequence[Window]) -> float:
    """The bound of the index at which as many quiet windows alarm as ours do; where ours never does, at which one does."""
    alarms = max(sum(window.drifted for window in windows), 1)
    return sorted((window.index for window in windows), reverse=True)[alarms]


def main() -> None:
    started = time.monotonic()
    # Not forked: OpenMP's threads, which the caller may have started, do not survive a fork.
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:

        def run(one: Callable[[int], Window], count: int) -> Iterator[Window]:
            return pool.map(one, range(count), chunksize=PER_TRAINING)

        print(f"share of {QUIET} windows without drift that alarm, with its 95 % interval; declared: 1 % at most")
        print(f"  {'':<20} rows   {'ours':<22} PSI > {PLAIN}")
        bounds = {}
        for process, rows in (("churn's customers", DAY), ("correlated numbers", DAY)):
            windows = list(run(partial(quiet, process=process, rows=rows), QUIET))
            bounds[process, rows] = bound_for(windows)
            ours, plain = sum(each.drifted for each in windows), sum(each.index > PLAIN for each in windows)
            print(f"  {process:<20} {rows:<6} {_share(ours):<22} {_share(plain)}")
        bound = bounds["churn's customers", DAY]
        print(
            f"\nshare of {WINDOWS} windows of {DAY} rows with a drift that is found, and the windows until then on average"
        )
        print(
            f"  {'':<30} {'ours':<18} {'and named':<11} {f'PSI > {PLAIN}':<18} PSI > {bound:.2f}: as many false alarms as ours"
        )
        for kind, (_, expected) in KINDS.items():
            windows = list(run(partial(changed, kind=kind, rows=DAY), WINDOWS))
            found = [_found(sum(hits)) for hits in _hits(windows, bound)]
            right = sum(set(expected) <= each.named for each in windows)
            print(f"  {kind:<30} {found[0]:<18} {right / WINDOWS:<11.0%} {found[1]:<18} {found[2]}")
    print(f"  ({time.monotonic() - started:.0f} s)")


def _hits(windows: Sequence[Window], bound: float) -> list[list[bool]]:
    """Of ours, of the plain bound, and of the one that alarms as often as ours."""
    return [
        [each.drifted for each in windows],
        [each.index > PLAIN for each in windows],
        [each.index > bound for each in windows],
    ]


def _share(count: int) -> str:
    low, high = interval(count, QUIET)
    return f"{count / QUIET:.1%} ({low:.1%} to {high:.1%})"


def _found(count: int) -> str:
    return f"{count / WINDOWS:.0%}, after {WINDOWS / count:.1f}" if count else "0%, never"


if __name__ == "__main__":
    main()
