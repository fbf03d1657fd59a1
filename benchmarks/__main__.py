"""`make bench`: every benchmark, one after the other."""

from benchmarks import accuracy, churn, commands, gate, serving, training, tuning

for module in (accuracy, churn, gate, tuning, training, serving, commands):
    print(f"\n=== {(module.__doc__ or '').splitlines()[0]}")
    module.main()
