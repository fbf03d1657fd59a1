"""Training on SageMaker: what is declared, the job that follows from it, and the artifact that it leaves."""

from common.training.tuning import Choice, Continuous, Integer, Spot, Tuning
from common.training.xgboost import XGBoost

__all__ = ["Choice", "Continuous", "Integer", "Spot", "Tuning", "XGBoost"]
