"""How much energy will each customer use in the coming days? One forecasting model for each of them."""

from common.model import Model

MODEL = Model(
    name="energy",
    description="A customer's daily energy consumption in the coming days: one forecasting model for each customer.",
    target="consumption",
    problem="forecasting",
)
