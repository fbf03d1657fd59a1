"""Made-up fleets: what a fit job leaves of customers whose errors are known."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from common.evaluation.fleet import FleetChampion, FleetEvaluation, assess_fleet
from common.evaluation.fleet_gate import FleetGate
from common.evaluation.fleet_parts import Parts, read_parts
from common.model import Model
from common.report.cost import training_cost
from common.report.fleet import FleetReport
from common.report.plots.fleet import Example
from tests.reports import LINEAGE

Numbers = npt.NDArray[np.float64]
GATE = FleetGate(at_most_mase=1.0)
HOLDOUT = 28


def errors(random: np.random.Generator, customers: int, forecasts: int, off: float = 0.35) -> list[Numbers]:
    """Mean absolute errors of equally good forecasts, customers each, on the same noisy holdout.

    The noise of the readings is autocorrelated; each forecast is off by a level of its own, of `off` times the noise.
    """
    steps = random.normal(size=(customers, HOLDOUT))
    noise = np.empty_like(steps)
    noise[:, 0] = steps[:, 0]
    for day in range(1, HOLDOUT):
        noise[:, day] = 0.4 * noise[:, day - 1] + np.sqrt(1 - 0.4**2) * steps[:, day]
    levels = [random.normal(0, off, (customers, 1)) for _ in range(forecasts)]
    return [np.asarray(np.abs(noise - level).mean(axis=1)) for level in levels]


def entry(
    mae: float, champion: float | None = None, *, naive: float = 1.3, coverage80: float = 0.8, holdout: bool = True
) -> dict[str, Any]:
    """A customer of a part file; `champion` is the champion's error on the same readings."""
    scores = {
        "start": "2025-12-04", "end": "2025-12-31", "n": HOLDOUT, "mae": mae, "mase": mae / 1.2, "naive_mae": naive,
        "coverage80": coverage80, "coverage95": min(1, coverage80 + 0.15), "bias": 0.0,
    }  # fmt: skip
    archive = json.dumps([mae, champion]).encode()
    return {
        "digest": hashlib.sha256(archive).hexdigest(), "md5": hashlib.md5(archive, usedforsecurity=False).hexdigest(),
        "bytes": len(archive), "rows": 730, "first": "2024-01-01", "last": "2025-12-31", "until": 20453.0,
        "parameters": {"level": mae}, "before": {"level": mae}, "before_until": 20425.0,
        "holdout": scores if holdout else None,
        "champion": None if champion is None else {"mae": champion, "kind": "final"},
    }  # fmt: skip


def part_file(customers: Mapping[str, Any], set_aside: Mapping[str, str] | None = None) -> bytes:
    document = {"part": "part-00000", "customers": dict(customers), "set_aside": dict(set_aside or {})}
    return gzip.compress(json.dumps(document).encode(), mtime=0)


def parts_of(customers: Mapping[str, Any], set_aside: Mapping[str, str] | None = None) -> Parts:
    return read_parts([("part-00000.json.gz", part_file(customers, set_aside))])


def fleet(
    customers: int = 400, *, seed: int = 0, worse: float = 1.0, worse_share: float = 1.0, champion: bool = True
) -> FleetEvaluation:
    """A fleet against an equal one, except that a share of its customers has errors so many times as great.

    Customer 1 is new, 7 and 8 are set aside (7 keeps its model), gone is gone, 3 has too short a history for a holdout.
    """
    random = np.random.default_rng(seed)
    mine, its = errors(random, customers, 2)
    mine[: round(worse_share * customers)] *= worse
    entries = {
        str(i): entry(
            mae, rival if champion and i != 1 else None, naive=1.3 * float(np.exp(random.normal(0, 0.15))),
            coverage80=float(random.binomial(HOLDOUT, 0.8) / HOLDOUT), holdout=i != 3,
        )
        for i, (mae, rival) in enumerate(zip(mine.tolist(), its.tolist(), strict=True))
        if i not in (7, 8)
    }  # fmt: skip
    parts = parts_of(entries, {"7": "no reading is finite", "8": "one reading only"})
    rival = (
        FleetChampion("version 6", customers={*entries, "7", "gone"} - {"1"}, kept=["7"])
        if champion
        else FleetChampion()
    )
    return assess_fleet(GATE, 0.02, parts, rival)


def example(customer: str, seed: int) -> Example:
    """Ninety days of a weekly rhythm with a gap, and a forecast that is too low for the last four weeks."""
    random = np.random.default_rng(seed)
    days = np.delete(np.arange(20363.0, 20453.0), range(20, 25))
    truth = 400 + 60 * np.sin(2 * np.pi * days / 7)
    ahead = days >= 20425
    values = truth + random.normal(0, 25, len(days)) + 80 * ahead
    mean = truth[ahead]
    return Example(customer, days, values, 20425.0, days[ahead], mean, mean - 40, mean + 40)


def fleet_report(evaluation: FleetEvaluation | None = None, *, champion: bool = True) -> FleetReport:
    """A fleet's report with everything in it."""
    evaluation = evaluation or fleet(champion=champion)
    manifest = {
        "version": "0123456789abcdef", "source": "<script>alert(1)</script>", "rows": 731_000, "customers": 400,
        "floor": "2023-01-01", "ceiling": "2026-01-01", "gathered_at": "2026-01-02T03:04:05+00:00",
    }  # fmt: skip
    before = manifest | {"version": "fedcba9876543210", "rows": 719_000, "customers": 399, "ceiling": "2025-12-01"}
    return FleetReport(
        Model("energy", "What every customer will consume.", "consumption", "forecasting"),
        evaluation,
        manifest,
        before if champion else None,
        LINEAGE,
        [example(customer, seed) for seed, customer in enumerate(evaluation.worst)],
        {
            "split": training_cost("eu-west-1", "ml.m5.xlarge", instances=1, seconds=40),
            "fit": training_cost("eu-west-1", "ml.m5.xlarge", instances=10, seconds=60, training_seconds=200),
        },
    )
