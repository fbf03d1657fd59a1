"""`make bench`: every benchmark, one after the other."""

from benchmarks import accuracy, commands, serving, training

for module in (accuracy, training, serving, commands):
    print(f"\n=== {(module.__doc__ or '').splitlines()[0]}")
    module.main()
