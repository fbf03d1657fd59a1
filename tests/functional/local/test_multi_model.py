"""A multi-model endpoint serves every model below its prefix, loaded when it is first asked for."""

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from tests.accounts import Account
from tests.functional.local.hosting_kit import eventually
from tests.functional.local.multi_model_kit import MultiModel, packed
from tests.functional.local.training_support import archive


@pytest.fixture
def models(aws: Account) -> MultiModel:
    own = MultiModel(aws)
    own.put_models("fleet/", "a", "b", "c")
    return own


def loads(models: MultiModel, name: str) -> int:
    """How often a container has loaded the model of that name."""
    return Counter(models.log())[f"loading {name}"]


def test_each_target_is_answered_by_its_own_model_and_loaded_once(models: MultiModel) -> None:
    models.serve(models.container("fleet/"))
    assert [models.ask(f"{name}.tar.gz")["name"] for name in "abab"] == ["fleet/a", "fleet/b", "fleet/a", "fleet/b"]
    assert len({models.ask(f"{name}.tar.gz")["pid"] for name in "abc"}) == 1
    eventually(lambda: loads(models, "fleet/c"), "the container's lines reach the log")
    assert [loads(models, f"fleet/{name}") for name in "abc"] == [1, 1, 1]
