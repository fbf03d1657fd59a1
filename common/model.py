"""What a model is: the part of its declaration that every step shares."""

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from common.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]
"""The checkout that this code belongs to."""

ProblemType = Literal["regression", "binary_classification", "forecasting"]


@dataclass(frozen=True)
class Model:
    """A model of this repository, declared as `MODEL` in `<name>_model/__init__.py`.

    The name is also that of the model package group and of the endpoint. It has at most 24 characters, since SageMaker
    allows 63 for the names that are made from it.
    """

    name: str
    description: str
    target: str
    problem: ProblemType

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]{0,23}", self.name):
            raise UsageError(
                f"'{self.name}' cannot name a model.",
                "Use 1 to 24 lower-case letters and digits, a letter first: the folder and AWS resources get that name.",
            )

    @property
    def is_fleet(self) -> bool:
        """Whether it is many models behind one endpoint, one for each customer."""
        return self.problem == "forecasting"

    @property
    def folder(self) -> str:
        """The model's folder, which is also its Python package."""
        return f"{self.name}_model"

    def declaration(self, module: str, name: str) -> Any:
        """What the folder's `module` declares as `name`, e.g. `declaration("deploy", "ENDPOINT")`."""
        return getattr(importlib.import_module(f"{self.folder}.{module}"), name)

    def overrides(self) -> Mapping[str, Any]:
        """What `deploy.py` declares as `OVERRIDES`: endpoints of environments that serve otherwise than by `ENDPOINT`."""
        found: Mapping[str, Any] = getattr(importlib.import_module(f"{self.folder}.deploy"), "OVERRIDES", {})
        return found


def all_models() -> list[Model]:
    """Every model of this checkout, by name: one for each folder `*_model` that is a package."""
    folders = sorted(ROOT.glob("*_model/__init__.py"))
    return [importlib.import_module(path.parent.name).MODEL for path in folders]


def find_model(name: str) -> Model:
    """The model of that name.

    Raises:
        UsageError: there is none.
    """
    models = {model.name: model for model in all_models()}
    if name not in models:
        raise UsageError(f"There is no model '{name}'.", f"The models of this checkout: {', '.join(models) or 'none'}.")
    return models[name]
