"""Which customer is about to leave a mobile operator? The probability of it, from contract, usage and complaints."""

from common.model import Model

MODEL = Model(
    name="churn",
    description="Whether a mobile operator's customer leaves, from contract, usage and calls to customer service.",
    target="Churn?",
    problem="binary_classification",
)
