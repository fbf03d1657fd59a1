"""What every model of the repository declares fits together, and the tests' table and the CircleCI files know it."""

import json

import pytest

from common.data.dataset import Dataset
from common.data.extract import Readings
from common.deployment import Endpoint
from common.forecasting import Unfit, forecaster_from
from common.forecasting.artifacts import unpack_model
from common.forecasting.checks import Limits, clean_customer
from common.forecasting.fit import fit_series
from common.forecasting.handlers import answer, input_fn
from common.model import ROOT, Model, all_models
from common.scaffold.wiring import BLOCKS, TABLE_PLACE, places_of, read
from common.serving.inference import Encoder
from common.training import XGBoost
from common.training.fleet import Fleet
from tests.models import MODELS

by_model = pytest.mark.parametrize("model", all_models(), ids=lambda model: model.name)
of_rows = pytest.mark.parametrize("model", [m for m in all_models() if not m.is_fleet], ids=lambda model: model.name)
of_series = pytest.mark.parametrize("model", [m for m in all_models() if m.is_fleet], ids=lambda model: model.name)


def test_the_tests_table_has_the_models_of_the_repository_and_no_other() -> None:
    missing = {model.name for model in all_models()} - set(MODELS)
    assert not missing, f"add an Example to MODELS in tests/models.py for {', '.join(sorted(missing))}"
    gone = set(MODELS) - {model.name for model in all_models()}
    assert not gone, f"there is no such model: remove {', '.join(sorted(gone))} from MODELS in tests/models.py"


@by_model
def test_a_folder_is_named_like_its_model(model: Model) -> None:
    assert (ROOT / model.folder / "__init__.py").exists()


@by_model
def test_every_place_that_names_models_names_it(model: Model) -> None:
    # the others go by what it declares: tests/e2e/test_pipeline_check.py
    assert {TABLE_PLACE, *(place for place in BLOCKS if not place.of_rows)} <= set(places_of(read(ROOT), model.name))


@by_model
def test_its_endpoint_is_declared(model: Model) -> None:
    assert isinstance(model.declaration("deploy", "ENDPOINT"), Endpoint)


@of_rows
def test_the_declarations_fit_together(model: Model) -> None:
    data: Dataset = model.declaration("gather_data", "DATA")
    training: XGBoost = model.declaration("train_register", "TRAINING")
    classifies = model.problem == "binary_classification"
    assert model.target == data.columns.label
    assert bool(data.columns.classes) == classifies
    assert str(training.hyperparameters["objective"]).startswith("binary:") == classifies
    training.gate.require_metric_of(model.problem)


@of_series
def test_the_declarations_of_a_fleet_fit_together(model: Model) -> None:
    data: Readings = model.declaration("gather_data", "DATA")
    fleet: Fleet = model.declaration("train_register", "TRAINING")
    assert model.target == data.value
    document = json.loads(json.dumps(fleet.forecaster.to_json()))
    assert forecaster_from(document).to_json() == fleet.forecaster.to_json()


@of_series
def test_the_readings_of_a_fleet_can_be_gathered_offline_and_its_example_forecast(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(f"{model.name.upper()}_SOURCE", raising=False)
    data: Readings = model.declaration("gather_data", "DATA")
    fleet: Fleet = model.declaration("train_register", "TRAINING")
    example = MODELS[model.name]
    rows = [row for chunk in data.source.readings(data.wanted(example.customer)) for row in chunk]
    limits = Limits(data.at_least, data.at_most)
    series = clean_customer(example.customer, [row[1] for row in rows], [row[2] for row in rows], limits)
    assert not isinstance(series, Unfit)
    [fitted] = fit_series(fleet.forecaster, [series], fleet.holdout_days).models.values()
    request = input_fn(json.dumps(dict(example.record)), "application/json")
    forecast = answer(fleet.forecaster, unpack_model(fitted), *request)
    assert all(example.low <= day["yhat"] <= example.high for day in forecast)


@of_rows
def test_its_data_can_be_gathered_offline_and_its_example_encoded(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(f"{model.name.upper()}_SOURCE", raising=False)
    data: Dataset = model.declaration("gather_data", "DATA")
    example = MODELS[model.name]
    assert set(example.record) == {column.name for column in data.columns.inputs}
    assert example.low < example.high
    prepared = data.prepare(data.read())
    encoder = Encoder.from_state(json.loads(prepared.files["encoder.json"]))
    assert encoder.encode([example.record]).shape == (1, len(prepared.manifest["features"]))
