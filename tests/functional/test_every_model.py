"""Every model of the repository goes from its data to answers for raw records, as it is declared."""

from __future__ import annotations

import re

import pytest

from tests.accounts import Account
from tests.clones import Clone, answer, forecast
from tests.models import MODELS


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Searches for hyperparameters end after two tries there, and made-up fleets have 60 customers."""
    clone = Clone.create(tmp_path_factory.mktemp("every-model"), MODELS)
    for path in clone.path.glob("*_model/train_register.py"):
        path.write_text(re.sub(r"\bjobs=\d+", "jobs=2", path.read_text()))
    for path in clone.path.glob("*_model/gather_data.py"):
        path.write_text(re.sub(r"(Readings\(\s*source=.*default=Generated)\(\)", r"\1(60)", path.read_text()))
    clone.commit("Search less")
    clone.push("main")
    return clone


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_trained_approved_deployed_and_answers_as_the_tests_table_says(
    clone: Clone, aws: Account, name: str
) -> None:
    clone.release(aws, name)
    example = MODELS[name]
    if example.customer:
        values = [day["yhat"] for day in forecast(aws, name, example.customer, example.record)]
    else:
        said = answer(aws, name, example.record)
        values = [said["probability"] if "probability" in said else said["prediction"]]
    assert all(example.low <= value <= example.high for value in values)
