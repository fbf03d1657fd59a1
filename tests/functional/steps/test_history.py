"""`models history`: packages and tuning jobs as table, CSV and plot."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest

from common.aws import Aws
from common.errors import ModelsError, RegistryError, TrainingError, UsageError
from common.evaluation.gate import Gate
from common.model import Model, find_model
from common.registry import PENDING, REJECTED, Package, Registry
from common.settings import Run, Settings
from common.steps.context import Context
from common.steps.history import show_history
from common.training import Continuous, Tuning, XGBoost
from common.training.tuning_job import run_tuning_job
from common.training.xgboost import training_request
from tests.accounts import Account
from tests.clones import ROOT, Clone
from tests.functional.local.training_support import XGBOOST, binary_csv, put

CHURN = Model("churn", "Who leaves.", target="leaves", problem="binary_classification")
RUN = Run(user="ada", actor="grace")
WORSE = "rmse is 9.1000, at most 2.6 is wanted"
OBJECTIVES = {"good": "binary:logistic", "bad": "multi:softmax"}  # which lacks its num_class, so that every job fails


@dataclass
class Reader:
    """A person who asks for the history of abalone's packages or of churn's tuning jobs, with what was printed last."""

    aws: Aws
    printed: list[str] = field(default_factory=list)

    def ask(self, *, tuning: bool = False, as_csv: bool = False, plot: Path | None = None) -> str:
        self.printed.clear()
        context = Context(self.aws, run=RUN, say=self.printed.append)
        show_history(context, CHURN if tuning else find_model("abalone"), tuning=tuning, as_csv=as_csv, plot=plot)
        return "\n".join(self.printed)

    def records(self, *, tuning: bool = False) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.ask(tuning=tuning, as_csv=True))))

    def registry(self) -> Registry:
        return Registry(self.aws, find_model("abalone"))

    def register(self, source: str, rmse: str, *, status: str = PENDING, reason: str = "") -> Package:
        artifact = f"s3://{self.aws.settings.bucket}/model.tar.gz"
        self.aws.s3.put_object(Bucket=self.aws.settings.bucket, Key="model.tar.gz", Body=b"a model")
        request = {
            "InferenceSpecification": {
                "Containers": [{"Image": XGBOOST, "ModelDataUrl": artifact}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            }
        }
        gate = f"refused: {reason}" if reason else "passed"
        metadata = {"source": source, "data_version": "d0", "commit": "0123456789abcdef", "branch": "more-columns",
                    "gate": gate, "rmse": rmse, "mae": "1.5", "r2": "0.5"}  # fmt: skip
        return self.registry().register(request, metadata, commit="0123456789abcdef", status=status, reason=reason)

    def tune(self, source: str, *, objective: str = "good", testing: bool = False) -> None:
        training = XGBoost(
            "ml.m5.large",
            {"objective": OBJECTIVES[objective], "num_round": 2},
            Gate("log_loss", at_most=1),
            tuning=Tuning({"eta": Continuous(0.1, 0.5)}, jobs=2, parallel=2, early_stopping=False),
        )
        bucket = f"s3://{self.aws.settings.bucket}"
        single = training_request(
            CHURN, training, self.aws.settings, image=XGBOOST, output=f"{bucket}/training",
            channels={name: f"{bucket}/data/{name}/" for name in ("train", "validation")},
        )  # fmt: skip
        run_tuning_job(self.aws, CHURN, training, source=source, data_version="d0", request=lambda: single,
                       say=lambda _: None, testing=testing)  # fmt: skip


@pytest.fixture
def reader(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Reader:
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    return Reader(Aws(Settings.from_environment()))


@pytest.fixture
def packages(reader: Reader) -> list[Package]:
    """A refused, a deployed, an approved and a waiting package, oldest first."""
    registry = reader.registry()
    refused = reader.register("s1", "9.1", status=REJECTED, reason=WORSE)
    deployed = registry.approve(reader.register("s2", "2.3"), RUN)
    registry.record_deployment(deployed, "abalone-model-2-1234", RUN)
    approved = registry.approve(reader.register("s3", "2.2"), RUN)
    return [refused, deployed, approved, reader.register("s4", "2.1")]


def cells(table: str) -> list[dict[str, str]]:
    """The rows of a printed table, whose columns begin where the dashes below the header do."""
    header, rule, *rows = table.splitlines()
    columns = [match.span() for match in re.finditer("─+", rule)]
    return [{header[a:b].strip(): row[a:b].strip() for a, b in columns} for row in rows]


def test_every_package_is_listed_with_its_metrics_its_gate_its_approver_and_its_place(
    reader: Reader, packages: list[Package]
) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    waiting, approved, deployed, refused = cells(reader.ask())
    for row in (waiting, approved, deployed, refused):
        assert row["created"].startswith(today)
        assert (row["data"], row["commit"], row["branch"]) == ("d0", "01234567", "more-columns")
        assert (row["mae"], row["r2"]) == ("1.5", "0.5")
    assert (waiting["version"], waiting["status"], waiting["source"], waiting["rmse"]) == ("4", PENDING, "s4", "2.1")
    assert (waiting["gate"], waiting["approved by"], waiting["deployed"]) == ("passed", "", "")
    assert (approved["status"], approved["approved by"]) == ("Approved", "CircleCI user grace")
    assert deployed["deployed"].startswith(today)
    assert deployed["as"] == "abalone-model-2-1234"
    assert (refused["version"], refused["gate"], refused["why rejected or rolled back"]) == ("1", "refused", WORSE)


def test_the_metric_that_decides_stands_first(reader: Reader, packages: list[Package]) -> None:
    header = reader.ask().splitlines()[0].split()
    assert header[header.index("branch") + 1 : header.index("gate")] == ["rmse", "mae", "r2"]


def test_the_csv_holds_all_that_the_registry_knows(reader: Reader, packages: list[Package]) -> None:
    records = reader.records()
    assert [record["version"] for record in records] == ["4", "3", "2", "1"]
    for record, package in zip(records, reversed(packages), strict=True):
        now = reader.registry().describe(package.arn)
        assert record["arn"] == package.arn
        assert record["image"] == XGBOOST
        assert datetime.fromisoformat(record["created"]) == package.created.replace(microsecond=0)
        assert {name: record[name] for name in now.metadata} == now.metadata
    assert records[3]["reason"] == WORSE
    assert records[0]["deployed_at"] == ""


def test_a_long_reason_is_cut_in_the_table_and_whole_in_the_csv(reader: Reader) -> None:
    reason = "the unit of weight was wrong, " * 9
    package = reader.register("s1", "2.5")
    reader.registry().reject(package, RUN, reason)
    assert cells(reader.ask())[0]["why rejected or rolled back"].endswith("…")
    assert reader.records()[0]["reason"].endswith(reason.strip())


def assert_needs_nothing_from_elsewhere(page: str) -> None:
    assert not re.findall(r"<script|<link|<img|url\(|@import|src=", page)
    assert re.findall(r"https?://[^\"]+", page) == ["http://www.w3.org/2000/svg"]


def test_the_plot_marks_what_became_of_each_package(reader: Reader, packages: list[Package], tmp_path: Path) -> None:
    table = reader.ask(plot=tmp_path / "abalone.svg")
    assert len(cells(table)) == 4
    drawn = (tmp_path / "abalone.svg").read_text()
    assert_needs_nothing_from_elsewhere(drawn)
    found = {unescape(text) for text in re.findall("<text[^>]*>([^<]*)</text>", drawn)}
    assert "Packages of abalone: RMSE" in found
    assert {"deployed ▲", "approved ✓", "waiting for approval ?", "rejected ✗"} <= found
    assert {"1✗", "2▲", "3✓", "4?"} <= found


def test_the_page_has_the_plot_and_the_table_with_nothing_of_a_reason_as_markup(
    reader: Reader, packages: list[Package], tmp_path: Path
) -> None:
    reader.registry().reject(packages[3], RUN, "<script>alert(1)</script> & worse")
    reader.ask(plot=tmp_path / "abalone.html")
    page = (tmp_path / "abalone.html").read_text()
    assert_needs_nothing_from_elsewhere(page)
    assert page.count('<circle class="mark"') == 4 + 3  # and one in the legend for each kind
    assert page.count("<tr>") == 1 + 4
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; worse" in page


def test_a_package_without_the_metric_is_listed_but_not_drawn(reader: Reader, tmp_path: Path) -> None:
    reader.register("s1", "2.5")
    reader.register("s2", "")
    assert [row["rmse"] for row in cells(reader.ask(plot=tmp_path / "plot.svg"))] == ["", "2.5"]
    assert (tmp_path / "plot.svg").read_text().count('<circle class="mark"') == 1 + 1


def test_a_package_that_somebody_made_by_hand_without_a_container_is_listed(reader: Reader) -> None:
    ours = reader.register("s1", "2.5")
    reader.aws.sagemaker.create_model_package(ModelPackageGroupName="abalone", SourceUri=ours.arn)
    assert [(row["version"], row["source"], row["rmse"]) for row in cells(reader.ask())] == [
        ("2", "", ""),
        ("1", "s1", "2.5"),
    ]


@pytest.mark.parametrize(
    ("file", "error", "told"),
    [
        ("plot.png", UsageError, r"ends in \.html or \.svg"),
        ("no such folder/plot.svg", UsageError, "cannot be written: No such file or directory"),
    ],
)
def test_a_file_that_no_plot_can_be_written_to_is_refused(
    file: str, error: type[ModelsError], told: str, reader: Reader, packages: list[Package], tmp_path: Path
) -> None:
    with pytest.raises(error, match=told):
        reader.ask(plot=tmp_path / file)


def test_a_model_without_history_has_empty_tables_and_no_plot(reader: Reader, tmp_path: Path) -> None:
    for tuning, title in ((False, "Packages of abalone"), (True, "Tuning jobs of churn")):
        assert cells(reader.ask(tuning=tuning)) == []
        assert reader.records(tuning=tuning) == []
        with pytest.raises(RegistryError, match=f"{title}: there is nothing to plot yet"):
            reader.ask(tuning=tuning, plot=tmp_path / "plot.svg")


def test_tuning_jobs_are_told_with_their_best_value_their_jobs_and_their_parents(
    reader: Reader, aws: Account, tmp_path: Path
) -> None:
    """One story, since a tuning job takes seconds."""
    for seed, name in enumerate(("train", "validation")):
        put(aws, f"data/{name}/rows.csv", binary_csv(seed=seed))
    reader.tune("s1")
    reader.tune("s2")
    reader.tune("s3", testing=True)
    with pytest.raises(TrainingError):
        reader.tune("s4", objective="bad")
    failed, trial, warm, cold = reader.records(tuning=True)
    assert [row["start"] for row in (failed, trial, warm, cold)] == [
        "cold",
        "test run",
        "IdenticalDataAndAlgorithm",
        "cold",
    ]
    assert (warm["parents"], cold["parents"]) == (cold["job"], "")
    assert (failed["status"], failed["best"], failed["completed"], failed["failed"]) == ("Failed", "", "0", "2")
    assert (trial["completed"], trial["planned"]) == ("1", "1")
    for row in (warm, cold):
        told = reader.aws.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=row["job"])
        best = told["BestTrainingJob"]
        assert (row["best_job"], row["status"]) == (best["TrainingJobName"], "Completed")
        assert float(row["best"]) == pytest.approx(
            best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"], rel=1e-5
        )
        assert (row["objective"], row["metric"], row["strategy"]) == (
            "binary:logistic",
            "validation:logloss",
            "Bayesian",
        )
        assert (row["data_version"], row["image"]) == ("d0", XGBOOST)
        assert (row["completed"], row["stopped"], row["failed"]) == ("2", "0", "0")
    listed = cells(reader.ask(tuning=True, plot=tmp_path / "tuning.html"))
    assert [row["job"] for row in listed] == [row["job"] for row in (failed, trial, warm, cold)]
    assert {row["image"] for row in listed} == {"sagemaker-xgboost:3.2-0"}
    assert (tmp_path / "tuning.html").read_text().count('<circle class="mark"') == 3 + 3


def test_the_command_line_prints_csv_and_nothing_else(reader: Reader, packages: list[Package], aws: Account) -> None:
    printed = Clone(ROOT).succeed(aws, "history", "abalone", "--csv")
    assert [row["version"] for row in csv.DictReader(io.StringIO(printed))] == ["4", "3", "2", "1"]
    assert len(Clone(ROOT).succeed(aws, "history", "abalone", "--tuning").splitlines()) == 2
