"""Reports with everything in them, for the tests of the page."""

from __future__ import annotations

import numpy as np
import pandas as pd

from common.evaluation.document import Champion, assess
from common.evaluation.gate import Gate
from common.evaluation.tuning_summary import Parent, SkippedParent, Trial, TuningSummary
from common.model import Model
from common.report.cost import training_cost
from common.report.data_change import compare_data
from common.report.report import Report

LINEAGE = {"branch": "feature|<b>&", "build": "https://app.circleci.com/1", "trap": "javascript:alert(1)"}
_SOURCE = "<script>alert(1)</script>"


def _rows(count: int, shift: float = 0) -> pd.DataFrame:
    random = np.random.default_rng(count)
    states = random.choice(["CA", "NY", "TX", "WA"] if not shift else ["CA", "NY", "TX", "AK"], count)
    return pd.DataFrame(
        {
            "State": states.astype(object),
            "Account Length": random.integers(1, 240, count).astype(float),
            "Day Mins": random.normal(180 + shift, 50, count).round(1),
            "CustServ Calls": random.poisson(1.6, count).astype(float),
            "Int'l Plan": random.choice(["no", "yes"], count, p=[0.9, 0.1]).astype(object),
        }
        | {
            name: random.normal(100, 20, count).round(2)
            for name in (
                "Eve Mins",
                "Eve Calls",
                "Night Mins",
                "Night Calls",
                "Intl Mins",
                "Intl Calls",
                "Day Calls",
                "VMail Message",
                "Eve Charge",
                "Night Charge",
                "Day Charge",
            )
        }
    )


def _manifest(version: str, rows: int, label: str) -> dict[str, object]:
    return {
        "version": version,
        "source": _SOURCE,
        "label": label,
        "features": ["length", "height"],
        "rows": {"train": rows, "validation": rows // 4, "test": rows // 4},
        "warnings": ["3 rows repeat another row"],
    }


TUNING = TuningSummary(
    job="churn-0123456789ab-01234567",
    strategy="Bayesian",
    metric="validation:logloss",
    maximize=False,
    ranges={"eta": "0.01 to 0.3, logarithmic", "max_depth": "2 to 8"},
    trials=tuple(
        Trial(f"churn-{i:03}", value, status, {"eta": f"{0.3 / (i + 1):.17g}", "max_depth": str(2 + i % 6)}, 30.0, 100.0)
        for i, (value, status) in enumerate(
            [(0.31, "Completed"), (0.29, "Completed"), (None, "Failed"), (0.33, "Stopped"), (0.262, "Completed"),
             (0.27, "Completed"), (0.2551, "Completed"), (0.258, "Completed")], start=1)
    ),
    parents=(Parent("churn-aaaaaaaaaaaa-01234567", 0.2643),),
    skipped=(SkippedParent("churn-bbbbbbbbbbbb-01234567", "its range of max_depth was continuous"),),
    warm_start="TransferLearning",
)  # fmt: skip


def churn_report(
    *, rows: int = 600, champion: bool = True, at_most: float = 0.6, seed: int = 0, tuning: TuningSummary = TUNING
) -> Report:
    """A classification that has everything that a report can show."""
    random = np.random.default_rng(seed)
    records = _rows(rows, shift=10)
    logit = (
        0.03 * (records["Day Mins"] - 215)
        + 2.5 * (records["Int'l Plan"] == "yes")
        + 0.5 * records["CustServ Calls"]
        - 1
    )
    probability = 1 / (1 + np.exp(-logit.to_numpy(float)))
    truth = (random.random(rows) < probability).astype(float)
    model = np.clip(probability + random.normal(0, 0.05, rows), 0.001, 0.999)
    rival = np.clip(probability + random.normal(0, 0.16, rows), 0.001, 0.999)
    features = records[["Account Length", "Day Mins", "CustServ Calls"]].to_numpy(float)
    table = np.column_stack([truth, features])
    gate = Gate("log_loss", at_most=at_most, may_lose_to_champion_by=0.01)
    other = Champion("version 6", rival, threshold=0.4) if champion else Champion(reason="nothing is deployed")
    evaluation = assess("binary_classification", gate, table, table, model, other, 0.37)
    manifest = _manifest("0123456789abcdef", 4 * rows, "Churn?")
    change = compare_data(
        _rows(3 * rows), _rows(4 * rows, shift=30), _manifest("fedcba9876543210", 3 * rows, "Churn?"), manifest
    )
    return Report(
        Model("churn", "Which customers leave.", "churn", "binary_classification"),
        evaluation, truth, model, manifest, LINEAGE,
        champion_predictions=rival if champion else None,
        records=records.assign(**{"Churn?": np.where(truth == 1, "True.", "False.")}),
        importance={"Day Mins": 52.0, "CustServ Calls": 31.0, "Int'l Plan": 14.0, "State": 2.0, "Account Length": 1.0},
        data_change=change if champion else None,
        tuning=tuning,
        cost=training_cost("us-east-1", "ml.m5.large", instances=1, seconds=240, training_seconds=800),
    )  # fmt: skip


def abalone_report(*, rows: int = 800, error: float = 1.5, champion: bool = True, seed: int = 0) -> Report:
    """A regression from a single training job."""
    random = np.random.default_rng(seed)
    size = random.uniform(0.1, 0.8, rows)
    truth = np.round(3 + 14 * size + random.gamma(2, 1, rows))
    model = 5 + 14 * size + random.normal(0, error, rows)
    rival = 5.4 + 14 * size + random.normal(0, 1.8, rows)
    table = np.column_stack([truth, size])
    other = Champion("version 6", rival) if champion else Champion(reason="nothing is deployed")
    evaluation = assess(
        "regression", Gate("rmse", at_most=2.6, may_lose_to_champion_by=0.02), table, table, model, other
    )
    return Report(
        Model("abalone", "Age of abalones.", "rings", "regression"),
        evaluation, truth, model, _manifest("0123456789abcdef", 4 * rows, "rings"), LINEAGE,
        champion_predictions=rival if champion else None,
        records=pd.DataFrame({"rings": truth, "length": size.round(3)}),
        importance={"length": 1.0},
        data_change=None,
        tuning=None,
        cost=training_cost("us-east-1", "ml.unlisted.large", instances=1, seconds=61),
    )  # fmt: skip
