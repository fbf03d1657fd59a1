"""What a batch of customers becomes: models, scores beside champions, and reasons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.forecasting import fit, forecaster_from
from common.forecasting.artifacts import forecaster_digest, pack_results, unpack_model
from common.forecasting.fit import Champions, fit_series
from common.forecasting.series import Series
from common.forecasting.structural import Structural
from energy_model.consumers import Generated
from energy_model.holidays import HOLIDAYS
from tests.unit.forecasting.generated import series_of
from tests.unit.forecasting.simple import Mean

DAYS = np.arange(20_000.0, 20_100.0)


def customer(name: str, level: float = 5.0, days: Any = DAYS) -> Series:
    return Series(name, days, level + np.sin(days))


def test_each_customer_is_fitted_on_all_its_readings_and_scored_without_the_last() -> None:
    fitted = fit_series(Mean(), [customer("8"), customer("9", 50)], 28)
    model = unpack_model(fitted.models["9"])
    assert model.parameters["mean"] == pytest.approx(customer("9", 50).values.mean())
    assert (model.customer, model.until, model.forecaster) == ("9", 20_099, forecaster_digest({"name": "mean"}))
    entry = fitted.results["customers"]["9"]
    assert entry["before"]["mean"] == pytest.approx(customer("9", 50).values[:-28].mean())
    assert (entry["before_until"], entry["until"], entry["rows"]) == (20_071, 20_099, 100)
    assert (entry["first"], entry["last"]) == ("2024-10-04", "2025-01-11")
    assert entry["holdout"]["n"] == 28
    assert entry["champion"] is None
    assert fitted.results["forecaster"] == {"name": "mean"}


def test_a_customer_that_cannot_be_fitted_or_forecast_is_set_aside_and_harms_no_other() -> None:
    alone = fit_series(Mean(), [customer("8")], 28)
    fitted = fit_series(Mean(), [customer("few", days=DAYS[:2]), customer("8"), customer("odd")], 28)
    assert fitted.models == alone.models
    assert fitted.results["customers"] == alone.results["customers"]
    assert fitted.results["set_aside"] == {"few": "too short for a mean", "odd": "its forecast is not finite"}


def test_a_history_that_is_too_short_for_a_holdout_is_fitted_and_not_scored() -> None:
    for days in (DAYS[:20], DAYS[:30]):  # nothing comes before the holdout; two readings do
        fitted = fit_series(Mean(), [customer("new", days=days)], 28)
        entry = fitted.results["customers"]["new"]
        assert fitted.models.keys() == {"new"}
        assert [entry[name] for name in ("before", "before_until", "holdout", "champion")] == [None] * 4


def champion(mean: float, until: float, **other: Any) -> dict[str, Any]:
    known = {"parameters": {"mean": mean}, "until": until, "before": None, "before_until": None}
    return {**known, "forecaster": {"name": "mean"}, **other}


def test_champions_are_scored_on_the_same_readings_each_by_its_own_forecaster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        fit, "forecaster_from", lambda given: Mean() if given["name"] == "mean" else forecaster_from(given)
    )
    champions = {
        "1": champion(5.0, 20_071),
        "2": champion(5.0, 20_072),
        "3": champion(5.0, 20_099, before={"mean": 6.0}, before_until=20_000),
        "4": champion(5.0, 20_071, forecaster={"name": "of another release"}),
        "5": champion(float("nan"), 20_071),
        "6": champion(5.0, 20_071, parameters={"average": 5.0}, forecaster={"name": "mean", "release": 1}),
        "gone": champion(5.0, 20_070),
    }
    fitted = fit_series(Mean(), [customer(str(number)) for number in range(7)], 28, champions)
    verdicts = {name: entry["champion"] for name, entry in fitted.results["customers"].items()}
    held_out = customer("1").values[-28:]
    assert verdicts["0"] is None
    assert verdicts["1"] == {"mae": pytest.approx(np.abs(5 - held_out).mean(), rel=1e-5), "kind": "final"}
    assert verdicts["2"] == {"reason": "it has seen readings from 2024-12-15 on"}
    assert verdicts["3"] == {"mae": pytest.approx(np.abs(6 - held_out).mean(), rel=1e-5), "kind": "before"}
    assert "of another release" in verdicts["4"]["reason"]
    assert verdicts["5"] == {"reason": "its forecast is not finite"}
    assert verdicts["6"] == {"reason": "its parameters cannot be read: 'mean'"}


def test_the_champions_of_a_batch_are_found_in_whatever_part_they_are(tmp_path: Any) -> None:
    for number, names in enumerate((["8", "80"], ["9"])):
        entries = {name: champion(float(name), 1) for name in names}
        part = {"customers": entries, "set_aside": {}, "forecaster": {"name": "mean"}}
        (tmp_path / f"part-{number:05d}.json.gz").write_bytes(pack_results(part))
    found = Champions.open(tmp_path).of(["9", "8", "new"])
    assert {name: entry["parameters"] for name, entry in found.items()} == {"9": {"mean": 9.0}, "8": {"mean": 8.0}}
    assert found["9"]["forecaster"] == {"name": "mean"}
    assert Champions.open(None).of(["9"]) == {}


def test_a_customers_archive_is_the_same_whoever_else_is_in_the_batch() -> None:
    series = [series_of(number, Generated()) for number in range(60)]
    together = fit_series(Structural(holidays=HOLIDAYS), series, 28).models
    for one in series[::2]:
        alone = fit_series(Structural(holidays=HOLIDAYS), [one], 28).models
        assert alone == {one.customer: together[one.customer]}


def test_the_models_of_generated_customers_of_every_kind_have_a_kilobyte_at_most() -> None:
    series = [series_of(number, Generated()) for number in range(60)]
    fitted = fit_series(Structural(holidays=HOLIDAYS), series, 28)
    assert len(fitted.models) == 60
    assert max(map(len, fitted.models.values())) <= 1000
