"""`make bench`: every benchmark, one after the other."""

from benchmarks import (
    access,
    accuracy,
    batch,
    churn,
    commands,
    experiments,
    fleet,
    fleet_serving,
    forecasting,
    gate,
    monitoring,
    rollouts,
    serving,
    shared,
    training,
    tuning,
    warehouse,
    year,
)

for module in (
    accuracy,
    churn,
    gate,
    experiments,
    monitoring,
    year,
    tuning,
    training,
    serving,
    shared,
    forecasting,
    fleet,
    fleet_serving,
    rollouts,
    batch,
    commands,
    access,
    warehouse,
):
    print(f"\n=== {(module.__doc__ or '').splitlines()[0]}")
    module.main()
