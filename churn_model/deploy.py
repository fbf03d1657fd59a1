"""Serve the approved churn package behind one endpoint; traffic moves to it by halves."""

from churn_model import MODEL
from common.batch import Batch
from common.deployment import Alarm, Capture, Endpoint, Learned, Linear
from common.monitoring.declare import Monitor, Rule
from common.steps import deploy

ENDPOINT = Endpoint(
    instance_type="ml.m5.large",
    instance_count=2,  # a step is a part of the fleet
    rollout=Linear(step_percent=50, bake_seconds=300),
    alarms=(
        Alarm("Invocation5XXErrors", "Sum", above=0),
        # The average is a share of the requests: a package that refuses most of them declares other columns than callers send.
        Alarm("Invocation4XXErrors", "Average", above=0.5),
        # Twice as slow as what serves was on nineteen of twenty of the day's minutes; in microseconds where it had no traffic.
        Alarm("ModelLatency", "p99", above=Learned(times=2, fallback=500_000)),
    ),
    capture=Capture(percent=100),  # what the monitor looks at
)

# Who leaves is known a month later. Customers and tariffs change slowly: after half a year the model is made anew in any case.
MONITOR = Monitor(rule=Rule(windows=3, of=5), truth_within_days=45, retrain_after_days=180)

# A customer's phone number finds the customer again; the model is not told it.
BATCH = Batch(instance_type="ml.m5.large", keys=("Phone",))

if __name__ == "__main__":
    deploy(MODEL, ENDPOINT)
