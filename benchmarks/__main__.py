"""`make bench`: every benchmark, one after the other."""

from benchmarks import (
    accuracy,
    churn,
    commands,
    experiments,
    fleet,
    fleet_serving,
    forecasting,
    gate,
    rollouts,
    serving,
    shared,
    training,
    tuning,
    warehouse,
)

for module in (
    accuracy,
    churn,
    gate,
    experiments,
    tuning,
    training,
    serving,
    shared,
    forecasting,
    fleet,
    fleet_serving,
    rollouts,
    commands,
    warehouse,
):
    print(f"\n=== {(module.__doc__ or '').splitlines()[0]}")
    module.main()
