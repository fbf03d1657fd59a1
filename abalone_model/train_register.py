"""Train the abalone age regressor and register it for approval."""

from abalone_model import MODEL
from common.evaluation.gate import Gate
from common.steps import train_and_register
from common.training import XGBoost

TRAINING = XGBoost(
    instance_type="ml.m5.large",
    hyperparameters={
        "objective": "reg:squarederror",
        "num_round": 50,
        "max_depth": 5,
        "eta": 0.2,
        "gamma": 4,
        "min_child_weight": 6,
        "subsample": 0.7,
    },
    gate=Gate(metric="rmse", at_most=2.6, may_lose_to_champion_by=0.02),
)

if __name__ == "__main__":
    train_and_register(MODEL, TRAINING)
