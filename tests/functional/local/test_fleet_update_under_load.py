"""A whole fleet of models is replaced under load: its own prefix, a new endpoint configuration, blue/green."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

from tests.accounts import Account
from tests.functional.local.hosting_kit import eventually
from tests.functional.local.multi_model_kit import SOON, MultiModel

CUSTOMERS = [str(number) for number in range(24)]
BAKING = {"Type": "CANARY", "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1}, "WaitIntervalInSeconds": 60}


class Answer(NamedTuple):
    asked: float
    """When, by the monotonic clock."""
    customer: str
    name: str


@dataclass
class Load:
    """What callers saw who kept asking for one customer after the other."""

    answers: list[Answer] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)


@contextmanager
def constant_load(models: MultiModel, threads: int = 4) -> Iterator[Load]:
    load, ended = Load(), threading.Event()

    def call(offset: int) -> None:
        for customer in itertools.islice(itertools.cycle(CUSTOMERS), offset, None):
            if ended.wait(0.002):
                return
            asked = time.monotonic()
            try:
                load.answers.append(Answer(asked, customer, models.ask(f"{customer}.tar.gz")["name"]))
            except Exception as error:
                load.errors.append(error)

    callers = [threading.Thread(target=call, args=(6 * number,)) for number in range(threads)]
    for caller in callers:
        caller.start()
    try:
        yield load
    finally:
        ended.set()
        for caller in callers:
            caller.join()


@pytest.mark.parametrize(
    ("instances", "deployment", "limit"),
    [(1, {}, "1000"), (2, {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": BAKING}}, "15")],
    ids=["all at once", "canary, with less memory than models"],
)
def test_no_request_fails_and_none_is_answered_by_the_old_fleet_after_the_switch(
    aws: Account, instances: int, deployment: dict[str, Any], limit: str
) -> None:
    models = MultiModel(aws)
    environment = {"SAGEMAKER_MULTI_MODEL_MAX_LOADED": limit}
    for fleet in ("old/", "new/"):
        models.put_models(fleet, *CUSTOMERS)
    models.serve(models.container("old/", environment), instances)
    models.configure("new", models.container("new/", environment), instances)
    sagemaker = aws.client("sagemaker")
    with constant_load(models) as load:
        eventually(lambda: len(load.answers) > 40, "the old fleet answers")
        sagemaker.update_endpoint(
            EndpointName="e", EndpointConfigName="new", **({"DeploymentConfig": deployment} if deployment else {})
        )
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig=SOON)
        assert sagemaker.describe_endpoint(EndpointName="e")["EndpointConfigName"] == "new"
        switched = time.monotonic()
        eventually(lambda: sum(answer.asked >= switched for answer in load.answers) > 40, "the new fleet answers")
    assert load.errors == []
    assert all(answer.name in (f"old/{answer.customer}", f"new/{answer.customer}") for answer in load.answers)
    assert all(answer.name.startswith("new/") for answer in load.answers if answer.asked >= switched)
