"""Train a forecasting model for each customer, and register the fleet for approval."""

from common.evaluation.fleet_gate import FleetGate
from common.forecasting.structural import Structural
from common.steps import train_fleet
from common.training import Spot
from common.training.fleet import Fleet
from energy_model import MODEL
from energy_model.holidays import HOLIDAYS

TRAINING = Fleet(
    forecaster=Structural(holidays=HOLIDAYS),
    instance_type="ml.m5.xlarge",
    instance_count=2,  # each fits its share of the customers
    spot=Spot(max_wait_seconds=7200),  # what an interrupted job had fitted is kept
    # The forecasts of the project's generator are far better than the bound; `make bench` says by how much.
    gate=FleetGate(at_most_mase=0.9),
)

if __name__ == "__main__":
    train_fleet(MODEL, TRAINING)
