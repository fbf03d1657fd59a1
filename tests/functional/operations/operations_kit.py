"""Steps of whoever is on call, in a project of the deployments' tests, whose main holds the source of a chosen package."""

from __future__ import annotations

from dataclasses import dataclass, field

from common.aws import Aws
from common.lineage import Checkout
from common.model import Model
from common.operations.rollback import roll_back
from common.registry import Package, Registry
from common.settings import Run
from common.steps.context import Context
from common.steps.deploy import deploy_model
from common.steps.status import ModelStatus, model_status
from tests.functional.deployment.deployment_kit import ENDPOINT, Project


@dataclass(frozen=True)
class Main(Checkout):
    """A checkout of main, which holds the source of that package. What git says is the tests' of lineage and gestures."""

    package: Package | None = None

    def source(self, model: Model, revision: str = "HEAD") -> str:
        del model, revision
        return self.package.source if self.package else "0" * 16

    def main(self) -> str:
        return "main"

    def require_main(self, model: Model) -> None:
        del model


@dataclass
class OnCall:
    """A person who works on the project.

    Attributes:
        main: the package whose source main holds.
        user: CircleCI's id of the person.
    """

    project: Project
    main: Package | None = None
    user: str = "7"
    aws: Aws | None = None
    said: list[str] = field(default_factory=list)

    @property
    def context(self) -> Context:
        run = Run("somebody", url=f"https://ci/{self.user}", actor=self.user)
        return Context(self.aws or self.project.aws, Main(package=self.main), run, self.said.append)

    @property
    def registry(self) -> Registry:
        return self.project.registry

    def roll_back(self, reason: str = "it was bad", to: int = 0, plan: bool = False) -> list[str]:
        """What is said."""
        del self.said[:]
        roll_back(self.context, self.project.model, ENDPOINT, to=to, reason=reason, plan=plan)
        return self.said

    def deploy(self, version: int = 0) -> list[str]:
        """What main's deploy job says."""
        del self.said[:]
        deploy_model(self.context, self.project.model, ENDPOINT, version=version)
        return self.said

    def status(self) -> ModelStatus:
        return model_status(self.context, self.project.model)
