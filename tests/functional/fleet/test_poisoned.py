"""Customers with poisoned readings are set aside, each with its reason, and harm no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.evaluation.fleet import FleetChampion, assess_fleet
from common.evaluation.fleet_gate import FleetGate
from common.evaluation.fleet_parts import Parts, read_parts
from common.forecasting.artifacts import unpack_model
from common.forecasting.handlers import answer
from energy_model.consumers import Generated
from tests.functional.fleet.fleet_kit import FORECASTER, Host, write_raw
from tests.poison import SET_ASIDE, Poisoned

NAMELESS = "id that cannot name a file"


@pytest.mark.parametrize(
    ("customers", "every", "tolerance", "part_rows"),
    [
        (300, 16, 0.07, 50_000),
        pytest.param(10_000, 100, 0.02, 200_000, marks=pytest.mark.long),
    ],
)
def test_poisoned_customers_end_in_reasons_and_all_others_in_models(
    customers: int, every: int, tolerance: float, part_rows: int, tmp_path: Path
) -> None:
    source = Poisoned(Generated(customers), every)
    host = Host(tmp_path / "host")
    raw = write_raw(tmp_path / "raw", source, part_rows)
    assert host.split(raw).returncode == 0
    assert host.fit().returncode == 0

    poisons = source.poisons()
    assert set(poisons.values()) == SET_ASIDE.keys()
    victims = {f"../{number}" if poison == NAMELESS else str(number) for number, poison in poisons.items()}
    good = {str(number) for number in range(customers)} - {str(number) for number in poisons}
    assert host.models().keys() == good
    reasons = host.set_aside()
    assert reasons.keys() == victims
    assert all(reasons.values())

    fitted = read_parts((file.name, file.read_bytes()) for file in (tmp_path / "host/checkpoints/parts").iterdir())
    parts = Parts(fitted.customers, {**reasons, **fitted.set_aside})
    gate = FleetGate(at_most_mase=1.0)
    assert assess_fleet(gate, tolerance, parts, FleetChampion()).verdict.passed
    verdict = assess_fleet(gate, tolerance / 4, parts, FleetChampion()).verdict
    assert not verdict.passed
    assert "set aside" in verdict.reason


@pytest.mark.long
def test_the_neighbours_of_poisoned_customers_have_the_readings_and_models_that_they_have_without_them(
    tmp_path: Path,
) -> None:
    found, models = {}, {}
    for name, source in (("poisoned", Poisoned(Generated(40), 4)), ("pure", Generated(40))):
        host = Host(tmp_path / name)
        assert host.split(write_raw(tmp_path / name / "raw", source, 20_000)).returncode == 0
        assert host.fit().returncode == 0
        found[name], models[name] = host.series(), host.models()
    assert len(found["poisoned"]) == 30
    for customer, series in found["poisoned"].items():
        pure = found["pure"][customer]
        assert (series.days.tolist(), series.values.tolist()) == (pure.days.tolist(), pure.values.tolist())
    assert forecasts(models["poisoned"]) == pytest.approx(
        forecasts({customer: models["pure"][customer] for customer in found["poisoned"]}), rel=1e-6
    )


def forecasts(archives: dict[str, bytes]) -> dict[tuple[str, str], float]:
    """The median of each customer on each of the next days; of models whose last digits rounding may change."""
    return {
        (customer, day["ds"]): day["yhat"]
        for customer, archive in archives.items()
        for day in answer(FORECASTER, unpack_model(archive), 28)
    }
