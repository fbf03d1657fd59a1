"""Serve the approved fleet behind one multi-model endpoint, which switches whole."""

from common.deployment import Alarm, AllAtOnce, Endpoint
from common.steps import deploy
from energy_model import MODEL

ENDPOINT = Endpoint(
    instance_type="ml.r5.large",  # memory decides how many customers' models stay loaded
    instance_count=2,
    # A canary would answer a customer now from the old fleet, now from the new one.
    rollout=AllAtOnce(bake_seconds=300),
    alarms=(
        # A share: an unknown customer's request, or one that comes while a model is loaded, is no fault of the fleet.
        Alarm("Invocation5XXErrors", "Average", above=0.01),
    ),
)

if __name__ == "__main__":
    deploy(MODEL, ENDPOINT)
