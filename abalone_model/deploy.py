"""Serve the approved abalone package behind one endpoint, a canary first."""

from dataclasses import replace

from abalone_model import MODEL
from common.batch import Batch
from common.deployment import Alarm, AllAtOnce, Canary, Capture, Endpoint
from common.monitoring.declare import Monitor
from common.steps import deploy

ENDPOINT = Endpoint(
    instance_type="ml.t2.medium",
    instance_count=2,  # a canary is a part of the fleet
    rollout=Canary(percent=10, bake_seconds=300),
    alarms=(
        Alarm("Invocation5XXErrors", "Sum", above=0),
        Alarm("ModelLatency", "p99", above=500_000),  # microseconds
    ),
    capture=Capture(percent=100),  # what the monitor looks at
)

# Where it is only tried out, one instance will do, which changes at once.
OVERRIDES = {"staging": replace(ENDPOINT, instance_count=1, rollout=AllAtOnce(bake_seconds=60), capture=None)}

MONITOR = Monitor()

BATCH = Batch(instance_type="ml.m5.large")

if __name__ == "__main__":
    deploy(MODEL, ENDPOINT, OVERRIDES)
