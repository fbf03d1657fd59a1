"""What a look depends on, what travels into its job, and what the declaration refuses."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import pytest

import abalone_model.deploy
from common.errors import MonitoringError, UsageError
from common.evaluation.gate import HIGHER_IS_BETTER
from common.model import Model, find_model
from common.monitoring import job
from common.monitoring.checks import Checks
from common.monitoring.declare import Monitor, declared_monitor
from common.monitoring.job import METRICS, Files, Look, code_files
from common.monitoring.looked import RESULTS
from common.registry import APPROVED, Package
from common.storage import Bucket
from common.training.processing import Cluster
from tests.unit.monitoring.shelf import Shelf

MODEL = Model("abalone", "Age", "rings", "regression")
MANIFEST = {"columns": [{"kind": "number", "name": "length"}], "label": "rings", "classes": []}
PACKAGE = Package(
    "arn", 7, APPROVED, datetime(2026, 11, 1, tzinfo=UTC), "", "", metadata={"source": "s", "data_version": "d"}
)
LOOK = Look(MODEL, PACKAGE, Monitor(), "rmse", MANIFEST, {"id": "live-a-b", "kind": "live", "ends": "2026-11-21"})
CALLS = Files("s3://bucket/calls/", {"b.jsonl": "1", "a.jsonl": "2"})
# What the scikit-learn image has, and the standard library.
IMAGE = {"numpy", "pandas", "scipy", "sklearn", "pyarrow", "sagemaker_inference", "xgboost", "flask"}


def test_what_travels_into_the_job_imports_nothing_that_is_not_there() -> None:
    files = code_files()
    modules = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files}
    for name, content in files.items():
        wanted = imported(ast.parse(content), name.rpartition("/")[0].replace("/", "."))
        roots = {module.split(".")[0] for module in wanted - modules}
        assert roots <= IMAGE | sys.stdlib_module_names, name


def imported(code: ast.Module, package: str) -> set[str]:
    """The modules that a module of that package imports."""
    found = set()
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(f"{package}.{node.module}" if node.level else node.module)
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{package}.{alias.name}" for alias in node.names}
    return found


def test_equal_looks_end_in_one_job_and_anything_that_changes_the_findings_in_another() -> None:
    same = replace(LOOK, calls=replace(CALLS, etags=dict(sorted(CALLS.etags.items()))))
    others = [
        LOOK,
        replace(LOOK, calls=CALLS),
        replace(LOOK, calls=Files(CALLS.prefix, {"a.jsonl": "2"})),
        replace(LOOK, calls=Files(CALLS.prefix, {**CALLS.etags, "a.jsonl": "3"})),
        replace(LOOK, truth=CALLS),
        replace(LOOK, metric="mae"),
        replace(LOOK, serves_since="2026-11-20T00:00:00Z"),
        replace(LOOK, package=replace(PACKAGE, version=8)),
        replace(LOOK, package=replace(PACKAGE, metadata={"source": "s", "data_version": "e"})),
        replace(LOOK, monitor=Monitor(checks=Checks(least_distance=0.2))),
    ]
    assert same.inputs == others[1].inputs
    assert len({each.inputs for each in others}) == len(others)
    cheaper = replace(LOOK, monitor=Monitor(cluster=Cluster("ml.m5.xlarge"), truth_within_days=3))
    assert cheaper.inputs == LOOK.inputs


def test_a_completed_job_whose_results_were_deleted_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, written, kept = Shelf(), list(RESULTS), []

    def run(_aws: object, name: str, *_: object, left: Callable[[], bool]) -> dict[str, str]:
        kept.append(left())
        shelf.update({f"abalone/monitoring/jobs/{LOOK.inputs}/results/{each}": b"{}" for each in written})
        return {"ProcessingJobName": name}

    monkeypatch.setattr(job, "run_processing_job", run)
    bucket = cast(Bucket, shelf)
    assert LOOK.run(bucket, print) == LOOK.run(bucket, print) == dict.fromkeys(RESULTS, b"{}")
    assert kept == [False, True]
    shelf.clear()
    written.pop()
    with pytest.raises(
        MonitoringError, match=r"has completed, and what it wrote below s3://bucket/abalone/.* was deleted"
    ):
        LOOK.run(bucket, print)


def test_the_longest_name_of_a_model_leaves_room_for_that_of_its_job() -> None:
    look = replace(LOOK, model=Model("a" * 24, "", "", "regression"))
    assert len(look.name) <= 60


def test_every_metric_of_a_gate_has_one_that_is_monitored() -> None:
    assert set(METRICS) == set(HIGHER_IS_BETTER)


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: Monitor(retrain_after_days=0), "Retraining after 0 days"),
        (lambda: Monitor(truth_within_days=-1), "within -1 days"),
        (lambda: Monitor(cluster=Cluster("ml.m5.large", instance_count=2)), "2 instances cannot share"),
    ],
)
def test_what_cannot_be_declared_is_refused(declare: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        declare()  # type: ignore[operator]


def test_a_model_without_a_monitor_says_what_to_declare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(abalone_model.deploy, "MONITOR")
    with pytest.raises(UsageError, match=r"abalone is not monitored.\n.*MONITOR = Monitor\(\)"):
        declared_monitor(find_model("abalone"))
    with pytest.raises(UsageError, match="energy is a fleet"):
        declared_monitor(find_model("energy"))
