"""The scripts that train tell of the package that they have registered, and of none where they have registered none."""

from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import common.steps
from abalone_model import MODEL as ABALONE
from abalone_model.train_register import TRAINING as TABULAR
from common.steps.context import Context
from energy_model import MODEL as ENERGY
from energy_model.train_register import TRAINING as FLEET


@pytest.fixture(scope="module")
def scripts() -> ModuleType:
    """The scripts as a process finds them that has imported no step yet: a step of the same name takes a script's place."""
    spec = spec_from_file_location("scripts", common.steps.__file__)
    assert spec is not None
    assert spec.loader is not None
    afresh = module_from_spec(spec)
    spec.loader.exec_module(afresh)
    return afresh


@pytest.mark.parametrize(
    ("script", "model", "training", "step"),
    [
        ("train_and_register", ABALONE, TABULAR, "train.train_model"),
        ("train_fleet", ENERGY, FLEET, "train_fleet.train_fleet_model"),
    ],
    ids=["a model", "a fleet"],
)
@pytest.mark.parametrize("registered", [SimpleNamespace(version=7), None])
def test_a_script_tells_of_what_it_registered(
    scripts: Any, script: str, model: Any, training: Any, step: str, registered: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, told = object(), []
    module, _, function = step.partition(".")
    monkeypatch.setattr("sys.argv", ["train_register.py"])
    monkeypatch.setattr(Context, "from_environment", classmethod(lambda _: context))
    monkeypatch.setattr(import_module(f"common.steps.{module}"), function, lambda *_, **__: registered)
    monkeypatch.setattr(import_module("common.steps.announce"), "announce_waiting", lambda *given: told.append(given))
    getattr(scripts, script)(model, training)
    assert told == [(context, model, registered)]
