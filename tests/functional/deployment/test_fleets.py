"""A fleet is deployed whole or not at all, and a new customer is served with no deployment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from common.aws import Aws
from common.data.extract import Reading, Readings
from common.data.extract import Wanted as Asked
from common.deployment.execute import Deployment
from common.deployment.fleet import lost_customers
from common.deployment.live import Live, observe
from common.deployment.plan import Wanted, describe_plan
from common.deployment.sweep import sweep
from common.errors import CheckoutError, DataError, DeploymentError, ModelsError, UsageError
from common.registry import Package
from common.settings import Run, Settings
from common.steps.add_customer import add_customer
from common.steps.context import Context
from common.steps.forecast import forecast_customer, last_readings
from common.steps.smoke import smoke_test
from common.storage import Layout, split_uri
from energy_model import MODEL
from tests.accounts import Account
from tests.clones import forecast
from tests.functional.deployment.deployment_kit import ENDPOINT, on_call
from tests.functional.fleet.register_kit import LOOSE, START, Made, Registrar, one_reading

ONE, TWO = "1" * 16, "2" * 16
CUSTOMERS = tuple(f"{number:02}" for number in range(12))
PERIOD = {"period": 2}


@dataclass(frozen=True)
class Source(Made):
    """Made-up readings of which one customer's can be asked for alone, as of a warehouse."""

    def readings(self, asked: Asked | None = None) -> Iterator[list[Reading]]:
        for rows in super().readings(asked):
            if asked is None or rows[0][0] == asked.only:
                yield rows


@dataclass
class Fleets(Registrar):
    """Somebody who also deploys."""

    account: Account | None = None

    def approved(self, source: str, made: Made) -> Package:
        self.gather(source, made)
        return self.registry.approve(self.train(source), Run("reviewer"))

    def wanted(self, package: Package) -> Wanted:
        return Wanted(MODEL, package, ENDPOINT)

    def deploy(self, package: Package) -> bool:
        return Deployment(self.aws, self.registry, self.wanted(package), Run("tester"), self.said.append).execute()

    def live(self) -> Live:
        return observe(self.aws, MODEL)

    def first_day(self, customer: str) -> str:
        """The first day that the endpoint forecasts for a customer, which tells the fleets of these tests apart."""
        assert self.account
        return str(forecast(self.account, MODEL.name, customer, PERIOD)[0]["ds"])

    def key(self, package: Package, customer: str) -> str:
        return f"{split_uri(package.fleet)[1]}{customer}.tar.gz"

    def readings(self, made: Made) -> Readings:
        return Readings(made, "customer", "timestamp", "value", START, 0, at_least=0, at_most=1000)


@pytest.fixture
def fleets(aws: Account, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleets]:
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    fleets = Fleets(Aws(Settings.from_environment()), account=aws)
    monkeypatch.setattr("common.steps.registering.ROOT", tmp_path)
    monkeypatch.setattr("common.steps.fleet_candidate.train_fleet_jobs", fleets.run_jobs)
    declared = type("Declared", (), {"at_least": 0.0, "at_most": 1000.0})
    monkeypatch.setattr(type(MODEL), "declaration", lambda *_: declared)
    yield fleets
    if fleets.live().exists:
        fleets.aws.sagemaker.delete_endpoint(EndpointName=MODEL.name)


def test_an_endpoint_switches_from_one_whole_fleet_to_another_and_back(fleets: Fleets) -> None:
    one = fleets.approved(ONE, Made(CUSTOMERS, days=60))
    plan = "\n".join(describe_plan(fleets.wanted(one), fleets.live()))
    assert f"check the 12 customers' models of version 1 in {one.fleet}" in plan
    assert "multi-model model energy-model-1" in plan
    assert fleets.deploy(one)
    assert fleets.first_day("00") == "2024-03-01"
    container = fleets.aws.sagemaker.describe_model(ModelName="energy-model-1")["PrimaryContainer"]
    assert (container["Mode"], container["ModelDataUrl"]) == ("MultiModel", one.fleet)
    assert fleets.live().package_arn == one.arn

    two = fleets.approved(TWO, Made(CUSTOMERS, days=70))
    assert fleets.deploy(two)
    assert {fleets.first_day(customer) for customer in CUSTOMERS} == {"2024-03-11"}
    assert not fleets.deploy(two)
    assert "deployed_as" in fleets.registry.version(2).metadata
    said: list[str] = []
    smoke_test(Context(fleets.aws, say=said.append), MODEL)
    assert [said[1].count(told) for told in ("forecast of customer ", "  as it should be")] == [3, 3]

    assert fleets.deploy(one)  # what `--version 1` does
    assert fleets.first_day("00") == "2024-03-01"
    before = fleets.bucket.listing("energy/")
    assert sweep(fleets.aws, fleets.registry, MODEL, keep=1) == [fleets.wanted(two).configuration, "energy-model-2"]
    assert fleets.bucket.listing("energy/") == before
    assert fleets.first_day("11") == "2024-03-01"


Fault = Callable[[Fleets, Package], str]
"""Does harm to one object, and answers its key."""


def missing(fleets: Fleets, package: Package) -> str:
    key = fleets.key(package, "05")
    fleets.aws.s3.delete_object(Bucket=fleets.bucket.name, Key=key)
    return key


def anothers(fleets: Fleets, package: Package) -> str:
    key = fleets.key(package, "05")
    fleets.bucket.write(key, fleets.bucket.read(fleets.key(package, "06")) or b"")
    return key


def written(name: str) -> Fault:
    def fault(fleets: Fleets, package: Package) -> str:
        key = Layout(MODEL.name).package(package.source, package.data_version, name)
        fleets.bucket.write(key, b"something else")
        return key

    return fault


def other_code(fleets: Fleets, package: Package) -> str:
    key = Layout(MODEL.name).code(package.metadata["code_digest"])
    fleets.bucket.write(key, b"something else")
    return key


FAULTS: dict[Fault, str] = {
    missing: "1 of 12 artifacts are missing (the first: 05.tar.gz)",
    anothers: "1 of 12 artifacts are not those that were registered (the first: 05.tar.gz)",
    written("fleet.tar.gz"): "is not what was registered with version 2: its SHA-256 is",
    written("golden.json"): "not the file that was registered",
    other_code: ".tar.gz is not what was registered with version",
}


@contextmanager
def harmed(fleets: Fleets, package: Package, fault: Fault) -> Iterator[None]:
    """What the fault does, undone afterwards."""
    before = {key: fleets.bucket.read(f"energy/{key}") or b"" for key in fleets.bucket.listing("energy/")}
    key = fault(fleets, package)
    yield
    fleets.bucket.write(key, before[key.removeprefix("energy/")])


def test_a_fleet_that_is_not_wholly_the_approved_one_never_meets_traffic(fleets: Fleets) -> None:
    fleets.deploy(fleets.approved(ONE, Made(CUSTOMERS, days=60)))
    two = fleets.approved(TWO, Made(CUSTOMERS, days=70))
    before = fleets.live()
    for fault, said in FAULTS.items():
        with harmed(fleets, two, fault), pytest.raises(ModelsError) as error:
            fleets.deploy(two)
        assert said in str(error.value)
        assert error.value.remedy
        assert fleets.live() == before
    fleets.registry.reject(two, Run("reviewer"), "an afterthought")
    with pytest.raises(DeploymentError, match="Version 2 of energy is Rejected by now"):
        fleets.deploy(two)  # by somebody whose plan is older than that
    assert fleets.live() == before
    assert fleets.first_day("05") == "2024-03-01"


def test_a_deploy_that_has_nothing_to_do_still_finds_models_that_were_written_over(fleets: Fleets) -> None:
    one = fleets.approved(ONE, Made(CUSTOMERS, days=60))
    fleets.deploy(one)
    for fault in (missing, anothers, other_code):
        with harmed(fleets, one, fault), pytest.raises(DeploymentError) as error:
            fleets.deploy(one)
        assert FAULTS[fault] in str(error.value)
    assert not fleets.deploy(one)


@pytest.mark.long
def test_a_fleet_that_answers_otherwise_behind_the_endpoint_is_rolled_back(fleets: Fleets) -> None:
    one, two = fleets.approved(ONE, Made(CUSTOMERS, days=60)), fleets.approved(TWO, Made(CUSTOMERS, days=70))
    fleets.deploy(one)

    def overwrite() -> None:
        fleets.bucket.write(fleets.key(two, "00"), fleets.bucket.read(fleets.key(one, "00")) or b"")

    with (
        on_call(fleets.aws.sagemaker, "UpdateEndpoint", overwrite),
        pytest.raises(DeploymentError, match=r"customer 00: the 7 answered days .* Rolled back: energy-model-1-"),
    ):
        fleets.deploy(two)
    assert fleets.live().package_arn == one.arn
    assert fleets.first_day("00") == "2024-03-01"


def test_a_new_customer_is_served_at_once_and_is_never_put_over_another(fleets: Fleets) -> None:
    package = fleets.approved(ONE, Made((*CUSTOMERS, "p"), poisoned=one_reading("p"), days=60))
    fleets.deploy(package)
    context, later = (
        fleets.context(ONE),
        fleets.readings(Source((*CUSTOMERS, "new", "few"), one_reading("few"), days=80)),
    )
    with pytest.raises(DataError, match="no model of customer 'new'"):
        forecast_customer(context, MODEL, "new", PERIOD)
    with pytest.raises(DataError, match=r"no model of customer 'p', which was set aside when it was trained: "):
        forecast_customer(context, MODEL, "p", PERIOD)

    for impossible in ("../00", "a b", "\x1b", "é"):
        with pytest.raises(UsageError, match="can name no customer"):
            forecast_customer(context, MODEL, impossible, PERIOD)

    added = add_customer(context, MODEL, later, LOOSE, "new")
    assert [day["ds"] for day in added] == [f"2024-03-{day}" for day in range(21, 28)]
    assert forecast_customer(context, MODEL, "new", {"period": 7}) == added == add_customer(
        context, MODEL, later, LOOSE, "new"
    )  # fmt: skip
    note = json.loads(fleets.bucket.read(f"energy/fleets/{ONE}-{package.data_version}/added/new.json") or b"")
    assert (note["added_by"], note["rows"], note["last"]) == ("ada", 80, "2024-03-20")
    assert fleets.live().package_arn == package.arn
    assert not fleets.deploy(package)

    with pytest.raises(DataError, match="Customer 00 is served already, by another model"):
        add_customer(context, MODEL, later, LOOSE, "00")
    with pytest.raises(DataError, match="has no customer 'nobody'"):
        add_customer(context, MODEL, later, LOOSE, "nobody")
    with pytest.raises(DataError, match="Customer few gets no model: 1 reading"):
        add_customer(context, MODEL, later, LOOSE, "few")
    with pytest.raises(UsageError, match="can name no customer"):
        add_customer(context, MODEL, later, LOOSE, "../00")
    with pytest.raises(CheckoutError, match=f"this checkout's is {TWO}"):
        add_customer(fleets.context(TWO), MODEL, later, LOOSE, "other")

    again = fleets.approved(TWO, Made((*CUSTOMERS, "new"), days=80))
    assert lost_customers(fleets.aws, package, again) == []
    without = fleets.approved("3" * 16, Made(CUSTOMERS, days=80))
    assert lost_customers(fleets.aws, package, without) == ["new"]
    assert lost_customers(fleets.aws, again, without) == []
    assert fleets.evaluation(without)["customers"]["dropped"] == ["new"]
    spoilt = fleets.approved("4" * 16, Made((*CUSTOMERS, "new"), one_reading("new"), days=80))
    assert fleets.evaluation(spoilt)["customers"]["kept"] == ["new"]
    assert fleets.manifest(spoilt).customers["new"]["kept_from"] == f"{ONE}-{package.data_version}"
    assert fleets.bucket.read(fleets.key(spoilt, "new")) == fleets.bucket.read(fleets.key(package, "new"))

    assert len(last_readings(context, MODEL, "00")[0]) == 60
    assert len(last_readings(context, MODEL, "new")[0]) == 0
    with pytest.raises(DataError, match="The period must be a whole number"):
        forecast_customer(context, MODEL, "00", {"period": 0})


@pytest.mark.long
def test_nobody_is_added_to_a_fleet_that_is_being_replaced(fleets: Fleets) -> None:
    one, two = fleets.approved(ONE, Made(CUSTOMERS, days=60)), fleets.approved(TWO, Made(CUSTOMERS, days=70))
    fleets.deploy(one)
    context, source, tried = fleets.context(ONE), fleets.readings(Source(("new",), days=80)), list[str]()

    def add() -> None:
        tried.append("new")
        with pytest.raises(DeploymentError, match="The endpoint energy is Updating") as error:
            add_customer(context, MODEL, source, LOOSE, "new")
        assert error.value.remedy
        assert "new.tar.gz" not in fleets.bucket.listing(split_uri(one.fleet)[1])

    with on_call(fleets.aws.sagemaker, "UpdateEndpoint", add, "after-call"):
        fleets.deploy(two)
    assert tried


def test_without_a_fleet_there_is_nothing_to_ask_nor_to_add_to(fleets: Fleets) -> None:
    context = fleets.context(ONE)
    with pytest.raises(DeploymentError, match="There is no endpoint energy"):
        forecast_customer(context, MODEL, "00", PERIOD)
    with pytest.raises(DeploymentError, match="No fleet of energy serves"):
        add_customer(context, MODEL, fleets.readings(Made(CUSTOMERS)), LOOSE, "00")
