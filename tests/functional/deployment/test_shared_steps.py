"""The commands of people for a model that shares its endpoint: deploy, --plan, status, invoke, history, champion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from common.deployment.shared.declare import SharedEndpoint
from common.errors import DataError, DeploymentError, RegistryError, UsageError
from common.lineage import Checkout
from common.model import Model
from common.operations.holds import hold_model, release_model
from common.operations.rollback_shared import roll_back_shared
from common.registry import Package
from common.settings import Run
from common.steps.context import Context
from common.steps.deploy import deploy_model
from common.steps.history import package_history
from common.steps.invoke import invoke_model
from common.steps.live import live_of
from common.steps.smoke import smoke_test
from common.steps.status import ModelStatus, model_status
from tests.accounts import Account
from tests.functional.deployment.shared_kit import ABALONE, CHURN, CUSTOMER, MEASURES, TABULAR, Shared


@dataclass(frozen=True)
class Main(Checkout):
    """A checkout of main, with the source of each model."""

    sources: dict[str, str] = field(default_factory=dict)

    def source(self, model: Model, revision: str = "HEAD") -> str:
        return self.sources[model.name]

    def main(self) -> str:
        return "main"

    def is_main(self) -> bool:
        return True

    def require_main(self, model: Model) -> None:
        """It always is."""


@dataclass
class Team:
    """People with a checkout of main whose models declare what `declared` says."""

    shared: Shared
    declared: dict[str, Any]
    sources: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    @property
    def context(self) -> Context:
        return Context(self.shared.aws, Main(sources=self.sources), Run("ada"), self.said.append)

    def approve(self, model: Model, number: int) -> Package:
        package = self.shared.package(model, number)
        self.sources[model.name] = package.source
        return package

    def deploy(self, model: Model, *, plan: bool = False) -> str:
        """What is said of the deploy."""
        before = len(self.said)
        deploy_model(self.context, model, self.declared[model.name], plan=plan)
        return "\n".join(self.said[before:])

    def status(self, model: Model) -> ModelStatus:
        return model_status(self.context, model)


@pytest.fixture
def team(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    team = Team(Shared(aws), {"abalone": TABULAR, "churn": TABULAR})
    real = Model.declaration

    def declared(model: Model, module: str, name: str) -> Any:
        return team.declared[model.name] if module == "deploy" else real(model, module, name)

    monkeypatch.setattr(Model, "declaration", declared)
    monkeypatch.setattr("common.steps.deploy_shared.all_models", lambda: [ABALONE, CHURN])
    yield team
    team.shared.remove()


def test_a_model_that_shares_its_endpoint_is_deployed_seen_and_asked_like_any_other(team: Team) -> None:
    team.approve(ABALONE, 1)
    team.approve(CHURN, 6)
    assert team.status(ABALONE).problem == "version 1 is not deployed: there is no endpoint"
    with pytest.raises(DeploymentError, match="There is no endpoint tabular"):
        invoke_model(team.context, ABALONE, [MEASURES])

    plan = team.deploy(ABALONE, plan=True)
    assert "1. add abalone version 1" in plan
    assert "create endpoint tabular" in plan
    assert not team.shared.live().exists
    assert "version 1 serves behind the shared endpoint tabular" in team.deploy(ABALONE)
    assert team.status(ABALONE).in_step
    assert "serves no package of this model's registry" in team.status(CHURN).problem
    with pytest.raises(DeploymentError, match="The endpoint tabular does not serve churn") as missing:
        invoke_model(team.context, CHURN, [CUSTOMER])
    assert missing.value.remedy == "`models deploy churn` adds it."

    assert "all its models answer" in team.deploy(CHURN)
    assert [team.status(model).in_step for model in (ABALONE, CHURN)] == [True, True]
    [answer] = invoke_model(team.context, ABALONE, [MEASURES])
    assert round(answer["prediction"] / 100) == 1
    [told] = invoke_model(team.context, CHURN, [CUSTOMER])
    assert (round(told["probability"], 1), told["label"]) == (0.6, "leaves")
    with pytest.raises(DataError, match="record 1, calls: there is no such field"):
        invoke_model(team.context, CHURN, [{"plan": "yes"}])
    for model in (ABALONE, CHURN):
        smoke_test(team.context, model)
    assert "serves behind the shared endpoint tabular already" in team.deploy(CHURN)

    rows = package_history(team.context, CHURN).records
    assert rows[0]["deployed_as"] == team.shared.live().configuration
    two = team.approve(ABALONE, 2)
    assert team.status(ABALONE).problem == "version 1 serves, main's is version 2"
    assert team.status(CHURN).in_step
    team.deploy(ABALONE)
    assert live_of(team.context, ABALONE).package_arn == two.arn  # the champion of the next candidate
    assert team.status(CHURN).in_step


@pytest.mark.long
def test_one_model_goes_back_and_the_others_stay(team: Team) -> None:
    team.approve(ABALONE, 1)
    team.deploy(ABALONE)
    six = team.approve(CHURN, 6)
    team.deploy(CHURN)
    two = team.approve(ABALONE, 2)
    team.deploy(ABALONE)
    roll_back_shared(team.context, ABALONE, TABULAR, to=0, reason="too old", plan=True)
    assert any(line.endswith("replace abalone version 2 by 1") for line in team.said)
    assert team.shared.answers(ABALONE) == 2

    roll_back_shared(team.context, ABALONE, TABULAR, to=0, reason="too old", plan=False)
    assert (team.shared.answers(ABALONE), team.shared.answers(CHURN)) == (1, 6)
    assert "Version 2 is held back" in team.said[-2]
    with pytest.raises(RegistryError, match="rolled back"):
        team.deploy(ABALONE)
    assert "version 2 was rolled back" in team.status(ABALONE).held
    nine = team.approve(CHURN, 9)
    team.deploy(CHURN)  # does not bring the bad one back
    assert (team.shared.answers(ABALONE), team.shared.answers(CHURN)) == (1, 9)
    assert team.shared.recorded(CHURN, nine) != team.shared.recorded(CHURN, six)

    release_model(team.context, ABALONE, two.version)
    hold_model(team.context, ABALONE, "we measure")
    for plan in (True, False):
        with pytest.raises(DeploymentError, match="The endpoint tabular is held") as held:
            team.deploy(ABALONE, plan=plan)
        assert "`./models release abalone` ends the hold" in held.value.remedy
    release_model(team.context, ABALONE)
    team.deploy(ABALONE)
    assert (team.shared.answers(ABALONE), team.shared.answers(CHURN)) == (2, 9)


def test_models_that_declare_their_shared_endpoint_differently_are_refused_with_both_named(team: Team) -> None:
    team.approve(ABALONE, 1)
    team.declared["churn"] = SharedEndpoint("tabular", "ml.m5.xlarge", TABULAR.rollout, TABULAR.alarms)
    with pytest.raises(
        UsageError, match="abalone and churn declare the shared endpoint tabular differently: instance_type"
    ):
        team.deploy(ABALONE)
    assert not team.shared.live().exists


@pytest.mark.long
def test_a_model_that_had_an_endpoint_for_itself_is_told_that_it_still_costs(team: Team) -> None:
    one = team.approve(ABALONE, 1)
    project = team.shared.project(ABALONE)
    project.deploy(one)
    assert "warning: the endpoint abalone, which the model had for itself, still runs" in team.deploy(ABALONE)
    assert team.shared.answers(ABALONE) == project.answers() == 1
    project.remove_endpoint()
