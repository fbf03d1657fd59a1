"""A fleet's whole pipeline (read, split, fit, archive) beside pandas and Prophet in sequence; its memory and its growth.

Run it with `python -m benchmarks.fleet`, for which Prophet has to be installed (`make setup-bench`), or for other numbers of
customers, without their yardstick, with `python -m benchmarks.fleet 1000 10000 100000`. The programs are those that run
in the containers, out of the same code archive, and do more than their yardstick: they check every reading, and fit every
customer a second time without its last four weeks to score it on them.
"""

import io
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.linalg  # noqa: F401  loaded now, so that the limit of threads holds for its BLAS, too
from threadpoolctl import threadpool_limits

from benchmarks.kit import table
from common.data.parts import write_parts
from common.forecasting.prophet import ProphetForecaster
from common.forecasting.series import Series, Unfit
from common.training.code import FIT, SPLIT, code_archive
from energy_model.consumers import Generated, days_since_1970
from energy_model.gather_data import DATA
from energy_model.train_register import TRAINING

TURNS = 3
CUSTOMERS = 1000
FITTED_BY_PROPHET = 10
"""So many of the customers Prophet fits in a turn, others in each; its time for all is extrapolated."""
SIZES = (1_000, 10_000)
HISTORIES = (183, 365, 914, 1826)
"""Days."""
_FITTED = 512
_CORE = min(os.sched_getaffinity(0))
_MEASURE = """\
import os, resource, subprocess, sys
if sys.argv[1]:
    os.sched_setaffinity(0, {int(sys.argv[1])})
code = subprocess.call(sys.argv[2:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""Runs a program from a small process: one that is forked from a large one is said to have had its memory."""


class Done(NamedTuple):
    """What a program took; the memory is that of its largest process."""

    seconds: float
    megabytes: float


def main() -> None:
    sizes = [int(size) for size in sys.argv[1:]] if __name__ == "__main__" else []
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        if not sizes:
            print_pipelines(Path(scratch) / "pipelines")
        print_growth(Path(scratch) / "growth", sizes or SIZES)
    print_histories()


def print_pipelines(scratch: Path) -> None:
    """Both pipelines on the same readings, in turn, each on one core; the first turn does not count."""
    raw = written(Generated(CUSTOMERS), scratch)
    seconds: dict[str, list[float]] = {"pandas, Prophet in sequence": [], "split, fit": []}
    for turn in range(TURNS + 1):
        folder = scratch / str(turn)
        took = [in_sequence(raw, folder, turn), sum(done.seconds for done in run(raw, folder, one_core=True))]
        for values, value in zip(seconds.values(), took, strict=True):
            values.extend([value] if turn else [])
    print(f"{CUSTOMERS:,} customers from readings to archives on one core, medians of {TURNS} paired turns")
    table(seconds, "pandas, Prophet in sequence")
    print(f"  (Prophet fitted {FITTED_BY_PROPHET} of them in each turn)")


def print_growth(scratch: Path, sizes: Sequence[int]) -> None:
    """Time and memory of each step; to make the customers up is a part of the time in which their raw parts are written."""
    print(f"memory of the largest process, of which there are {len(os.sched_getaffinity(0))} at a time")
    for customers in sizes:
        folder = scratch / str(customers)
        started = time.perf_counter()
        raw = written(Generated(customers), folder)
        gathered = Done(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        steps = zip(("gather", "split", "fit"), (gathered, *run(raw, folder)), strict=True)
        for name, done in steps:
            rate = f"{done.seconds:7.1f} s   {customers / done.seconds:8,.0f} customers/s"
            print(f"  {customers:>7,} customers  {name:<7} {done.megabytes:5.0f} MB {rate}")
        shutil.rmtree(folder)


def print_histories() -> None:
    """How the time of a fit grows with the length of the history: of a reading a day, and of as many at random times."""
    forecaster, random = TRAINING.forecaster, np.random.default_rng(0)
    print("fits a second on one core, medians")
    for days in HISTORIES:
        grid = np.arange(20_000.0 - days, 20_000)
        rates = []
        for times in (grid, np.sort(random.uniform(grid[0], grid[-1], days))):
            season = 5 + np.cos(2 * np.pi * times / 365.25) + np.cos(2 * np.pi * times / 7)
            series = [Series(str(i), times, season + random.normal(0, 0.2, days)) for i in range(_FITTED)]
            seconds = []
            for _ in range(TURNS):
                started = time.process_time()
                with threadpool_limits(1):
                    forecaster.fit(series)
                seconds.append(time.process_time() - started)
            rates.append(_FITTED / statistics.median(seconds))
        print(f"  {days:>5,} readings   daily {rates[0]:8,.0f}   at random times {rates[1]:8,.0f}")


def written(generated: Generated, folder: Path) -> Path:
    """A folder with their raw parts."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    write_parts(generated, DATA.wanted(), raw, lambda _: None)
    return raw


def run(raw: Path, folder: Path, *, one_core: bool = False) -> tuple[Done, Done]:
    """The programs of the two jobs, as the containers run them."""
    code, customers, model = (folder / name for name in ("code", "customers", "model"))
    with tarfile.open(fileobj=io.BytesIO(code_archive(TRAINING.forecaster))) as archive:
        archive.extractall(code, filter="data")
    model.mkdir()
    limits = ["--at-least", str(DATA.at_least), "--at-most", str(DATA.at_most), "--ceiling", "2026-01-01"]
    folders = ["--input", str(raw), "--customers", str(customers), "--index", str(folder / "index")]
    split = measured([str(code / SPLIT), *folders, *limits], {}, one_core)
    environment = {"SM_MODEL_DIR": str(model), "SM_CHANNEL_CUSTOMERS": str(customers)}
    fit = measured([str(code / FIT), "--holdout_days", str(TRAINING.holdout_days)], environment, one_core)
    models = sum(1 for _ in (folder / "checkpoints/models").iterdir())
    assert models == sum(part["customers"] for part in manifest(raw)["parts"]), f"there are {models} models"
    return split, fit


def manifest(raw: Path) -> dict[str, Any]:
    return dict(json.loads((raw / "manifest.json").read_bytes()))


def measured(arguments: list[str], environment: Mapping[str, str], one_core: bool) -> Done:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(_CORE if one_core else ""), sys.executable, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        check=True,
    )
    return Done(time.perf_counter() - started, int(done.stdout) / 1024)


def in_sequence(raw: Path, folder: Path, turn: int) -> float:
    """Seconds of the predecessors' way: pandas writes a file for each customer, then Prophet fits one after the other."""
    started = time.perf_counter()
    files = folder / "files"
    files.mkdir(parents=True)
    rows = pd.concat(pd.read_csv(part, dtype={"customer": str}) for part in sorted(raw.glob("part-*.csv.gz")))
    for customer, own in rows.groupby("customer"):
        own.to_csv(files / f"{customer}.csv", index=False)
    split = time.perf_counter() - started
    sampled = sorted(files.iterdir())[turn :: CUSTOMERS // FITTED_BY_PROPHET]
    started = time.perf_counter()
    for path in sampled:
        archive_with_prophet(path, folder)
    return split + (time.perf_counter() - started) * CUSTOMERS / len(sampled)


def archive_with_prophet(path: Path, folder: Path) -> None:
    readings = pd.read_csv(path, parse_dates=["timestamp"]).drop_duplicates("timestamp")
    series = Series(path.stem, days_since_1970(readings["timestamp"].to_numpy()), readings["value"].to_numpy())
    (parameters,) = ProphetForecaster().fit([series])
    assert not isinstance(parameters, Unfit)
    (folder / "model.json").write_text(json.dumps(parameters))
    with tarfile.open(folder / f"{path.stem}.tar.gz", "w:gz") as archive:
        archive.add(folder / "model.json", "model.json")


if __name__ == "__main__":
    main()
