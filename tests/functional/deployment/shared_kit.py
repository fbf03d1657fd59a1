"""A shared endpoint in a fresh account, models of both kinds behind it, and deploys of their packages to it.

Package n of a regression answers about 100·n, and package n of a classification a probability of about n/10.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import xgboost
from botocore.exceptions import ClientError

from common.aws import Aws
from common.deployment.live import Live, observe
from common.deployment.rollout import AllAtOnce
from common.deployment.shared.declare import SharedEndpoint
from common.deployment.shared.execute import Placement, SharedDeployment, describe_shared_plan, wanted_beside
from common.deployment.shared.generation import Generation
from common.deployment.shared.live import served_by
from common.evaluation.golden import Golden
from common.model import Model
from common.registry import Package, Registry
from common.serving.archive import pack
from common.serving.inference import Category, Encoder, Number, Predictor
from common.settings import Run
from tests.accounts import Account
from tests.functional.deployment.deployment_kit import COLUMNS, ERRORS, ROWS, Project, eventually, trained

TABULAR = SharedEndpoint("tabular", "ml.m5.large", AllAtOnce(bake_seconds=0), (ERRORS,))
ABALONE = Model("abalone", "A regression of the tests", "rings", "regression")
CHURN = Model("churn", "A classification of the tests", "Churn?", "binary_classification")
MEASURES = dict(zip(COLUMNS, ROWS[0].tolist(), strict=True))
CUSTOMER = {"plan": "yes", "calls": 0.5}


@cache
def trained_classifier(number: int) -> tuple[bytes, bytes]:
    """(model.tar.gz, golden.json) of a booster of other columns, which answers a probability of a tenth of its number."""
    encoder = Encoder((Category("plan", ("yes", "no")), Number("calls")), {"plan": ("yes", "no")}, {})
    records = [{"plan": "yes" if turn % 2 else "no", "calls": turn / 10} for turn in range(10)]
    rows = encoder.encode(records)
    matrix = xgboost.DMatrix(rows, label=rows[:, 0])
    odds = {"base_score": number / 10, "eta": 1e-3, "objective": "binary:logistic", "nthread": 1}
    predictor = Predictor(xgboost.train(odds, matrix, num_boost_round=1), encoder, ("stays", "leaves"))
    return pack(predictor), Golden(records, predictor.answers(records)).to_json()


@dataclass
class Shared:
    """Somebody who deploys models to the shared endpoint `tabular`."""

    account: Account
    endpoint: SharedEndpoint = TABULAR
    said: list[str] = field(default_factory=list)

    @property
    def aws(self) -> Aws:
        return self.project(ABALONE).aws

    def project(self, model: Model) -> Project:
        projects: dict[str, Project] = self.__dict__.setdefault("projects", {})
        return projects.setdefault(model.name, Project(self.account, model, self.said))

    def package(self, model: Model, number: int, **given: Any) -> Package:
        """Register and approve the model's package of that number."""
        artifact, golden = (trained_classifier if model == CHURN else trained)(number)
        return self.project(model).package(number, **{"artifact": artifact, "golden": golden} | given)

    def placement(
        self, model: Model, package: Package, declared: Collection[str] | None = ("abalone", "churn")
    ) -> Placement:
        now = self.project(model).registry.describe(package.arn)
        return Placement(model, now, self.endpoint, declared)

    def deploy(self, model: Model, package: Package, aws: Aws | None = None, **given: Any) -> bool:
        aws = aws or self.project(model).aws
        place = self.placement(model, package, **given)
        run, registry = Run("tester"), Registry(aws, model)
        return SharedDeployment(aws, registry, place, run, self.said.append).execute()

    def plan(self, model: Model, package: Package, **given: Any) -> list[str]:
        place, registry = self.placement(model, package, **given), self.project(model).registry
        wanted = wanted_beside(self.aws, registry, place, self.served(), self.live())
        return describe_shared_plan(place, wanted, self.live(), self.served())

    def live(self) -> Live:
        return observe(self.aws, self.endpoint.owner)

    def served(self) -> Generation | None:
        return served_by(self.aws, self.endpoint, self.live())

    def versions(self) -> dict[str, int]:
        """By model, the version that the endpoint says it serves."""
        served = self.served()
        return {name: member.version for name, member in served.members.items()} if served else {}

    def answers(self, model: Model, endpoint: str = "tabular") -> int:
        """The number of the package that answers for a model now."""
        record = CUSTOMER if model == CHURN else MEASURES
        runtime = self.account.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint,
            TargetModel=f"{model.name}.tar.gz",
            ContentType="application/json",
            Body=json.dumps(record).encode(),
        )
        [told] = json.loads(answer["Body"].read())["predictions"]
        return round(float(told["probability"]) * 10 if model == CHURN else float(told["prediction"]) / 100)

    def recorded(self, model: Model, package: Package) -> str:
        """As which configuration the package was deployed."""
        return self.project(model).registry.describe(package.arn).metadata.get("deployed_as", "")

    def verified(self) -> bool:
        """Whether the endpoint is in service, and what it serves was verified."""
        live = self.live()
        return live.in_service and not live.rollback

    def remove(self) -> None:
        if self.live().exists:
            eventually(lambda: self.live().status in ("InService", "Failed"), "the endpoint settles")
            self.account.client("sagemaker").delete_endpoint(EndpointName=self.endpoint.name)

    def with_endpoint(self, **changed: Any) -> Shared:
        """The same, declared otherwise."""
        other = Shared(self.account, replace(self.endpoint, **changed), self.said)
        other.__dict__["projects"] = self.__dict__.get("projects", {})
        return other


@dataclass
class Load:
    """What callers saw who kept asking for models: (model, number of the package that answered), and every failure."""

    answers: list[tuple[str, int]] = field(default_factory=list)
    errors: list[ClientError] = field(default_factory=list)

    def of(self, model: Model) -> list[int]:
        return [number for name, number in self.answers if name == model.name]


@contextmanager
def constant_load(shared: Shared, *models: Model) -> Iterator[Load]:
    """A caller for each model, who asks one request after the other until the block ends."""
    load, ended = Load(), threading.Event()

    def call(model: Model) -> None:
        while not ended.wait(0.02):
            try:
                load.answers.append((model.name, shared.answers(model)))
            except ClientError as error:
                load.errors.append(error)

    callers = [threading.Thread(target=call, args=[model]) for model in models]
    for caller in callers:
        caller.start()
    try:
        yield load
    finally:
        ended.set()
        for caller in callers:
            caller.join()
