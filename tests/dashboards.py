"""Facts of dashboards, for the tests of the page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from common.dashboard.facts import Facts, Firing, ModelFacts, Scored, Window
from common.deployment.live import Live
from common.model import Model
from common.monitoring.declare import Monitor
from common.monitoring.findings import PREDICTION, Estimate, Findings, Measured, Quality, Test
from common.monitoring.formats import Violation
from common.monitoring.looked import Looked
from common.operations.cost import Running
from common.registry import APPROVED, PENDING, REJECTED, Package
from common.steps.due import Due

NOW = datetime(2026, 11, 21, 7, 30, tzinfo=UTC)
ABALONE = Model("abalone", "How old a shell is, <b>in rings</b> & years.", "rings", "regression")
CHURN = Model("churn", "Whether a customer leaves.", "Churn?", "binary_classification")
ENERGY = Model("energy", "What each customer uses on the coming days.", "energy", "forecasting")
TRAP = "</td><script>alert(1)</script>"


def package(version: int, status: str = PENDING, **metadata: str) -> Package:
    """A package that was registered on the day before the version'th day of the year's last 100."""
    created = NOW - timedelta(days=100) + timedelta(days=7 * version)
    known = {
        "branch": f"feature-{version}", "commit": f"{version:040x}", "gate": "passed", "rmse": f"{2.6 - 0.05 * version}",
        "build_url": f"https://circleci.com/gh/acme/models/{version}", "pipeline": f"00000000-{version}",
    }  # fmt: skip
    arn = f"arn:aws:sagemaker:eu-west-1:123456789012:model-package/abalone/{version}"
    return Package(arn, version, status, created, "image", "s3://b/model.tar.gz", metadata=known | metadata)


def served(version: int, **metadata: str) -> Package:
    """A package that was approved and deployed two days after it was registered."""
    own = package(version)
    at = (own.created + timedelta(days=2)).isoformat(timespec="seconds")
    known = {
        "approved_by": "CircleCI user 7d3f", "approved_at": at, "approved_in": "https://circleci.com/gh/acme/models/9",
        "deployed_at": at, "deployed_as": f"abalone-model-{version}-0123", "deployed_in": "https://circleci.com/gh/acme/models/10",
    }  # fmt: skip
    return package(version, APPROVED, **known, **metadata)


def findings(shift: float = 0.03, loss: float | None = None, *, broken: bool = False) -> Findings:
    """Findings of a window in which the length moved by that much, with the model's RMSE where the truth is known."""
    drifted = shift >= 0.1
    told = "Length is about 1.3 times what it was."
    tests = (
        Test("length", "values", "Kolmogorov–Smirnov", shift, 1e-9, 1e-8, shift, drifted, told),
        Test("sex", "values", "total variation", 0.01, 0.8, 0.9, 0.01, False, "No difference."),
        Test(PREDICTION, "values", "Kolmogorov–Smirnov", shift / 2, 0.01, 0.04, shift / 2, shift > 0.3, "Higher than it was."),
    )  # fmt: skip
    quality = None
    if loss is not None:
        before, now = Estimate(2.1, 2.0, 2.2), Estimate(loss, loss - 0.15, loss + 0.15)
        words = f"RMSE is {loss} where it was 2.1, over 400 rows."
        quality = Quality("rmse", Estimate(loss - 2.1, loss - 2.3, loss - 1.9), 0.001, loss > 2.4, 400,
                          {"rmse": Measured(before, now)}, words)  # fmt: skip
    violations = (Violation("length", "baseline_drift_check", told),) if drifted else ()
    return Findings((3000, 800), violations, tests, None, quality, drifted, loss is not None and loss > 2.4, broken)


def window(days_ago: int, version: int, found: Findings) -> Window:
    """A day of live data that ended so many days ago."""
    end = NOW.replace(hour=0, minute=0) - timedelta(days=days_ago)
    name = f"live-{end - timedelta(days=1):%Y%m%dT%H}-{end:%Y%m%dT%H}"
    about = {"since": (end - timedelta(days=1)).isoformat(), "until": end.isoformat()}
    looked = Looked(name, "live", about["until"], 800, version, "0f", about, found)
    return Window.of(looked, f"s3://models/abalone/monitoring/{version}/{name}/findings.json")


def abalone() -> ModelFacts:
    """A model with everything on it: a champion, a rollback, a refusal, drift, and versions that wait."""
    back = served(6, rolled_back_at="2026-10-09T10:00:00+00:00", rolled_back_by="ada", rolled_back_reason=TRAP)
    packages = [package(v) for v in (13, 12)]
    packages += [
        package(11, REJECTED, gate=f"refused: rmse is 3.1, at most 2.6 is wanted {TRAP}", rmse="3.1"),
        served(10),
    ]
    packages += [package(9, APPROVED), served(8), package(7), back, *(served(v) for v in (5, 4, 3, 2, 1))]
    windows = [window(day, 10, findings(0.02 + 0.3 / (day + 1), 2.1 + 1 / (day + 1))) for day in range(14)]
    batches = [
        Scored(f"dt=2026-11-{day:02}", 10, NOW - timedelta(days=21 - day), 120_000 + day, 0, "", "s3://models/x")
        for day in range(20, 0, -1)
    ]
    batches[0] = replace(batches[0], rejected=3, reason="length is no number")
    return ModelFacts(
        model=ABALONE, metric="rmse", endpoint="abalone", packages=tuple(packages), older=400,
        live=Live(status="InService", configuration="abalone-model-10-0123", package_arn=packages[3].arn),
        serving=packages[3], problem="version 10 serves, main's is version 12", held="", monitor=Monitor(),
        due=Due(ABALONE, "drift in 3 of the last 5 windows", "drift in 3 of the last 5 windows"),
        windows=tuple(windows), batches=tuple(batches), earlier_windows=12, earlier_batches=4,
        unreadable=("s3://models/abalone/monitoring/10/live-x/findings.json is damaged: KeyError().",),
        alarms=(Firing("abalone", "abalone-ModelLatency-p99", NOW - timedelta(hours=3), "Threshold crossed: 1 datapoint"),),
        running=(Running("abalone", "endpoint abalone, abalone-model-10-0123/AllTraffic", "Host", "ml.m5.large", 2),),
    )  # fmt: skip


def churn() -> ModelFacts:
    """A model in step, of which nobody has to know anything."""
    one = served(1, log_loss="0.21")
    return ModelFacts(
        model=CHURN, metric="log_loss", endpoint="churn", packages=(one,), older=0,
        live=Live(status="InService", configuration="churn-model-1-0123", package_arn=one.arn), serving=one, problem="",
        held="", running=(Running("churn", "endpoint churn, churn-model-1-0123/AllTraffic", "Host", "ml.t2.medium", 1),),
    )  # fmt: skip


def energy() -> ModelFacts:
    """A model that was never trained."""
    return ModelFacts(
        model=ENERGY, metric="mase", endpoint="energy", packages=(), older=0, live=Live(), serving=None,
        problem="no approved package of main's source", held="",
    )  # fmt: skip


def dashboard(*models: ModelFacts) -> Facts:
    """The page's facts."""
    return Facts(NOW, "us-east-1", "models", "0123456789abcdef", models)


def full() -> Facts:
    """A dashboard of everything."""
    other = Running("fraud", "endpoint fraud, fraud-model-3-0123/AllTraffic", "Host", "ml.m5.large", 1)
    alarm = Firing("fraud", "fraud-Invocation5XXErrors-Sum", NOW - timedelta(days=2), TRAP)
    return replace(dashboard(abalone(), churn(), energy()), others=(other,), other_alarms=(alarm,))
