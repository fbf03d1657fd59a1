"""What the demo tells: the three gestures with each model, and what keeps them safe."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

from rich.markdown import Markdown

from common.errors import ModelsError
from common.local.demo.four_accounts import tell_four_accounts
from common.local.demo.stage import ROOT, Demo
from common.local.demo.warehouse import NEW_CUSTOMER, welcome_customer
from common.local.pipeline.run import PipelineResult
from common.local.postgres import Postgres

_REPORTS = ROOT / "build/demo"
_CUSTOMER = "8"


def whole_story(demo: Demo) -> None:
    """The three gestures, and what keeps them safe."""
    for model in ("abalone", "churn", *(["energy"] if demo.warehouse else [])):
        demo.tell("Before", f"a person trains, approves and deploys main's {model}: the manual trigger")
        demo.play("main", approve=True, parameters={"action": "train", "model": model})
    tell_abalone(demo)
    tell_churn(demo)
    if demo.warehouse:
        tell_energy(demo, demo.warehouse)
    demo.models("status", "--check")
    tell_four_accounts(demo)


def tell_abalone(demo: Demo) -> None:
    """A regression: squash, rivals and reverts."""
    demo.tell("Push", "a branch that changes only documentation: nothing is trained")
    demo.branch("say-thanks")
    (demo.repo / "README.md").open("a").write("\nThanks for reading.\n")
    demo.push("say-thanks", "Thank the reader")

    demo.tell("Push", "a branch that changes abalone: it is trained, evaluated and registered …")
    demo.branch("more-columns")
    demo.tune("abalone", "colsample_bytree", 0.8)
    show_report(demo, demo.push("more-columns", "Look at more columns in each tree", approve=True), "abalone")
    demo.tell("Click", "… and its approval job was clicked: exactly that package is approved")

    demo.tell("Rival", "another branch trains after it and is approved, too, but is not merged")
    demo.branch("rival")
    demo.tune("abalone", "num_round", 300)
    demo.push("rival", "Train for longer", approve=True)

    demo.tell("Merge", "more-columns is squashed into main: its package is deployed, a canary first")
    demo.merge("more-columns")
    jobs = demo.training_jobs()
    demo.play("main")
    predict(demo, "abalone")

    demo.tell("Revert", "the merge is reverted: the package before it comes back, and nothing is trained")
    demo.git("revert", "--no-edit", "HEAD")
    demo.git("push", "-q", "origin", "main")
    demo.play("main")
    if demo.training_jobs() != jobs:
        raise ModelsError("A training job was started where none may be.")
    demo.models("history", "abalone")


def tell_churn(demo: Demo) -> None:
    """A classification whose hyperparameters are tuned, each time from what the last tunings have learnt."""
    demo.tell("Push", "a branch that changes churn: its tuning starts from what the first has learnt …")
    demo.branch("fuller-trees")
    demo.tune("churn", "subsample", 0.9)
    result = demo.push("fuller-trees", "Show each tree more of the customers", approve=True)
    show_report(demo, result, "churn")
    demo.tell("Click", "… the report was read, and the approval job clicked; abalone was not touched by any of it")
    demo.models("history", "churn", "--tuning")

    demo.tell("Merge", "fuller-trees is squashed into main, and deployed")
    demo.merge("fuller-trees")
    demo.play("main")
    predict(demo, "churn")


def tell_energy(demo: Demo, server: Postgres) -> None:
    """A fleet: a forecasting model for each customer of a warehouse, behind one endpoint."""
    demo.tell(
        "Push", "a branch that changes energy: its customers' models are fitted anew, each against its champion …"
    )
    demo.branch("new-years-eve")
    eves = ", ".join(f'"{year}-12-31"' for year in range(2023, 2027))
    demo.edit("energy", r"holidays=HOLIDAYS", rf'holidays={{**HOLIDAYS, "New Year\'s Eve": ({eves})}}')
    show_report(demo, demo.push("new-years-eve", "Know New Year's Eve", approve=True), "energy")
    demo.tell(
        "Click", "… the report was read, and the approval job clicked: the whole fleet is approved, or none of it"
    )

    demo.tell("Merge", "new-years-eve is squashed into main: the endpoint switches from one whole fleet to the other")
    demo.merge("new-years-eve")
    demo.play("main")
    predict(demo, "energy")

    demo.tell("Grow", f"customer {NEW_CUSTOMER} has joined the warehouse, and is served with no deployment at all")
    welcome_customer(server)
    demo.models("add-customer", "energy", str(NEW_CUSTOMER))
    demo.models("history", "energy")


def story_of(model: str) -> Callable[[Demo], None]:
    """The story of one model: train, approve, deploy and ask it."""

    def story(demo: Demo) -> None:
        demo.tell("Train", f"{model} is trained from main, approved and deployed: the manual trigger")
        show_report(demo, demo.play("main", approve=True, parameters={"action": "train", "model": model}), model)
        predict(demo, model)
        demo.models("history", model)
        demo.models("status", model, "--check")

    return story


def show_report(demo: Demo, result: PipelineResult, model: str) -> None:
    """What the job's log sums up, and where the report is."""
    folder = next(job.artifacts for job in result.jobs if list(job.artifacts.rglob("summary.md")))
    summary = next(folder.rglob("summary.md")).read_text()
    demo.console.print(Markdown(summary.partition("\n## ")[0]), width=120)
    _REPORTS.mkdir(parents=True, exist_ok=True)
    shutil.copy(next(folder.rglob("report.html")), _REPORTS / f"{model}.html")
    demo.console.print(f"  The report: build/demo/{model}.html")


def predict(demo: Demo, model: str) -> None:
    """Ask the endpoint for raw records, whose label it passes over; or for a customer's forecast."""
    if demo.is_fleet(model):
        forecast(demo, model)
        return
    demo.tell(
        "Predict", f"{model}'s endpoint answers for raw records that no model was trained on, with their true label"
    )
    demo.models("invoke", model, json.dumps(demo.test_rows(model)))


def forecast(demo: Demo, model: str) -> None:
    """Ask for one customer's forecast, and plot it after its last readings."""
    demo.tell("Predict", f"{model}'s endpoint forecasts four weeks of customer {_CUSTOMER}")
    plot = _REPORTS / f"{model}-forecast.svg"
    demo.models("invoke", model, '{"period": 28}', "--customer", _CUSTOMER, "--plot", str(plot))
    demo.console.print(f"  After its last readings: {plot.relative_to(ROOT)}")
